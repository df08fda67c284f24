"""The only reader and writer of medspark's tables.

A table of a store is a directory of versions beside a file CURRENT that names the one in force:

    STORE/scores/CURRENT                 "20261123T060000Z-1f3a"
    STORE/scores/20261123T060000Z-1f3a/  Parquet
    STORE/scores/20261122T060000Z-77b0/  the version before, kept for readers that are still in it

A version is written whole before CURRENT is replaced, by one rename: a reader sees the old rows or the new ones.
Everything goes through Hadoop's file system, so a store may lie on any that Spark can write to.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from medspark.errors import InputError

CURRENT = "CURRENT"


def write_version(frame: DataFrame, store: str, table: str, version: str, **options: str) -> str:
    """Write a version of a table, without showing it yet, and return its path; `options` are the Parquet writer's."""
    path = f"{store}/{table}/{version}"
    frame.write.mode("overwrite").options(**{"compression": "zstd", **options}).parquet(path)
    return path


def append_version(frame: DataFrame, store: str, table: str, version: str) -> str:
    """Write rows into a version that is not shown yet, beside those that are there, and return its path.

    Each Spark task's rows stay as soon as that task is done, even where the job then stops: what is there is whole
    tasks' work, which `finished_rows` finds. A task that is tried again writes the same file again.
    """
    path = f"{store}/{table}/{version}"
    in_place = frame.write.mode("append").option("mapreduce.fileoutputcommitter.algorithm.version", "2")
    in_place.option("compression", "zstd").parquet(path)
    return path


def finished_rows(spark: SparkSession, store: str, table: str, version: str, key: str) -> DataFrame | None:
    """The keys of the rows that a run which stopped left in a version; None where there are none."""
    path = f"{store}/{table}/{version}"
    if not any(map(is_parquet, list_files(spark, path).values())):
        return None
    return spark.read.parquet(path).select(key)


def is_parquet(place: str) -> bool:
    """Whether a path below a table is of a file that readers look at."""
    return place.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in place.split("/"))


def publish(spark: SparkSession, store: str, tables: Iterable[str], version: str) -> None:
    """Make `version` the current one of each table, then delete versions older than the one before it."""
    for table in tables:
        before = current_version(spark, store, table)
        write_text(spark, f"{store}/{table}/{CURRENT}", version)
        keep = {version, before, CURRENT}
        for path in list_paths(spark, f"{store}/{table}"):
            if path.rsplit("/", 1)[-1] not in keep:
                delete(spark, path)


def current_version(spark: SparkSession, store: str, table: str) -> str | None:
    path = f"{store}/{table}/{CURRENT}"
    return read_text(spark, path).strip() if exists(spark, path) else None


def table_path(spark: SparkSession, store: str, table: str) -> str:
    """The path of a table's current version.

    Raises:
        InputError: the store has no such table.
    """
    version = current_version(spark, store, table)
    if version is None:
        raise InputError(f"{store} has no table {table!r} yet. Run the stage that writes it first.")
    return f"{store}/{table}/{version}"


def read_table(spark: SparkSession, store: str, table: str) -> DataFrame:
    """The current version of a table.

    Raises:
        InputError: the store has no such table.
    """
    return spark.read.parquet(table_path(spark, store, table))


# ---------------------------------------------------------------- Hadoop's file system


class _Hadoop(NamedTuple):
    """Hadoop's settings and classes in the JVM, found once: each part of such a name is a question to the JVM."""

    settings: Any
    path: Any
    file_context: Any
    rename: Any
    """Options of a rename."""
    io_utils: Any


@lru_cache(maxsize=1)
def _hadoop(context: SparkContext) -> _Hadoop:
    jvm: Any = context._jvm
    files, settings = jvm.org.apache.hadoop.fs, context._jsc.hadoopConfiguration()
    return _Hadoop(settings, files.Path, files.FileContext, files.Options.Rename, jvm.org.apache.commons.io.IOUtils)


def _file_system(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """The file system that `path` is on, and the path as Hadoop's type."""
    hadoop = _hadoop(spark.sparkContext)
    hadoop_path = hadoop.path(path)
    return hadoop_path.getFileSystem(hadoop.settings), hadoop_path


def full_path(spark: SparkSession, path: str) -> str:
    """A path with its file system, as every machine of a cluster understands it."""
    system, hadoop_path = _file_system(spark, path)
    return str(system.makeQualified(hadoop_path).toString())


def make_folder(spark: SparkSession, path: str) -> None:
    system, hadoop_path = _file_system(spark, path)
    system.mkdirs(hadoop_path)


def exists(spark: SparkSession, path: str) -> bool:
    system, hadoop_path = _file_system(spark, path)
    return bool(system.exists(hadoop_path))


def delete(spark: SparkSession, path: str) -> None:
    system, hadoop_path = _file_system(spark, path)
    system.delete(hadoop_path, True)


def list_paths(spark: SparkSession, path: str) -> list[str]:
    """The full paths directly below a directory, hidden ones too; of a file, itself; of a pattern, its matches."""
    system, hadoop_path = _file_system(spark, path)
    matches = system.globStatus(hadoop_path)
    found = [status.getPath() for status in matches] if matches is not None else []
    return sorted(status.getPath().toString() for item in found for status in system.listStatus(item))


def list_files(spark: SparkSession, path: str) -> dict[str, str]:
    """Every file at or below a path or pattern, hidden ones too, sorted, each with its path below what matched."""
    system, hadoop_path = _file_system(spark, path)
    matches = system.globStatus(hadoop_path)
    files = {}
    for match in matches if matches is not None else []:
        above = match.getPath() if match.isDirectory() else match.getPath().getParent()
        walk = system.listFiles(match.getPath(), True)
        while walk.hasNext():
            file = walk.next().getPath().toString()
            files[file] = file.removeprefix(above.toString()).strip("/")
    return dict(sorted(files.items()))


def copy_to_local(spark: SparkSession, path: str, place: Path) -> None:
    """Copy a file or a folder from any file system to `place` on the driver's machine, which is not there yet."""
    system, hadoop_path = _file_system(spark, path)
    # The raw file system: the other one adds checksum files
    system.copyToLocalFile(False, hadoop_path, _hadoop(spark.sparkContext).path(place.absolute().as_uri()), True)


def read_text(spark: SparkSession, path: str) -> str:
    system, hadoop_path = _file_system(spark, path)
    stream = system.open(hadoop_path)
    try:
        return bytes(_hadoop(spark.sparkContext).io_utils.toByteArray(stream)).decode("utf-8")
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Replace a small file in one step: written aside, then renamed over the old one."""
    hadoop = _hadoop(spark.sparkContext)
    system, place = _file_system(spark, full_path(spark, path))
    if system.getScheme() == "file":  # by Hadoop, a rename that replaces starts a dozen processes here
        _replace_here(Path(str(place.toUri().getPath())), text)
        return
    aside = hadoop.path(f"{place.toString()}.new")
    stream = system.create(aside, True)
    stream.write(bytearray(text.encode("utf-8")))
    stream.close()
    gateway: Any = spark.sparkContext._gateway
    options = gateway.new_array(hadoop.rename, 1)
    options[0] = hadoop.rename.OVERWRITE
    hadoop.file_context.getFileContext(place.toUri(), system.getConf()).rename(aside, place, options)


def _replace_here(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{place.name}.new")
    aside.write_text(text, encoding="utf-8", newline="")
    place.with_name(f".{place.name}.crc").unlink(missing_ok=True)  # the checksum of what Hadoop wrote before
    aside.replace(place)


def rename_only_file(spark: SparkSession, folder: str, path: str, end: str) -> None:
    """Move the one file of a folder whose name ends so, and delete the folder."""
    system, hadoop_folder = _file_system(spark, folder)
    (found,) = [file for file in list_files(spark, folder) if file.endswith(end)]
    system.rename(_hadoop(spark.sparkContext).path(found), _hadoop(spark.sparkContext).path(path))
    system.delete(hadoop_folder, True)
