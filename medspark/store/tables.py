"""The only reader and writer of medspark's tables.

A table of a store is a directory of versions beside a file CURRENT that names the one in force:

    STORE/scores/CURRENT                 "20261123T060000Z-1f3a"
    STORE/scores/20261123T060000Z-1f3a/  Parquet
    STORE/scores/20261122T060000Z-77b0/  the version before, kept for readers that are still in it

A version is written whole before CURRENT is replaced, by one rename: a reader sees the old rows or the new ones.
Everything goes through Hadoop's file system, so a store may lie on any that Spark can write to.
"""

from collections.abc import Iterable

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from medspark.errors import InputError
from medspark.store.files import delete, exists, list_files, list_paths, read_text, write_text

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
    if not any(map(is_parquet, list_files(spark.sparkContext, path).values())):
        return None
    return spark.read.parquet(path).select(key)


def is_parquet(place: str) -> bool:
    """Whether a path below a table is of a file that readers look at."""
    return place.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in place.split("/"))


def publish(context: SparkContext, store: str, tables: Iterable[str], version: str) -> None:
    """Make `version` the current one of each table, then delete versions older than the one before it."""
    for table in tables:
        before = current_version(context, store, table)
        write_text(context, f"{store}/{table}/{CURRENT}", version)
        keep = {version, before, CURRENT}
        for path in list_paths(context, f"{store}/{table}"):
            if path.rsplit("/", 1)[-1] not in keep:
                delete(context, path)


def current_version(context: SparkContext, store: str, table: str) -> str | None:
    path = f"{store}/{table}/{CURRENT}"
    return read_text(context, path).strip() if exists(context, path) else None


def table_path(context: SparkContext, store: str, table: str) -> str:
    """The path of a table's current version.

    Raises:
        InputError: the store has no such table.
    """
    version = current_version(context, store, table)
    if version is None:
        raise InputError(f"{store} has no table {table!r} yet. Run the stage that writes it first.")
    return f"{store}/{table}/{version}"


def read_table(spark: SparkSession, store: str, table: str) -> DataFrame:
    """The current version of a table.

    Raises:
        InputError: the store has no such table.
    """
    return spark.read.parquet(table_path(spark.sparkContext, store, table))
