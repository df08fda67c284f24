"""The only reader and writer of medspark's tables.

A store has a folder a table, a folder a version in it, and a file CURRENT that names the versions in force:

    STORE/CURRENT                        of all tables: see `medspark.store.versions`
    STORE/scores/20261123T060000Z-1f3a/  Parquet
    STORE/scores/20261122T060000Z-77b0/  the version before, kept for readers that are still in it
    STORE/scores/CURRENT                 "20261123T060000Z-1f3a", for readers who know this table alone

What a night published stays for as long as its deployment says (`keep`).

A version is written whole before CURRENT is replaced, by one rename: a reader sees the old rows or the new ones, and
of tables that belong together those of one run. Everything goes through Hadoop's file system, so a store may lie on any
that Spark can write to; its path is never a pattern.
"""

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.spark.failures import SPARK_ERRORS, is_of_a_file
from medspark.store.files import (
    copy_file,
    delete,
    exists,
    list_files,
    list_paths,
    make_folder,
    read_text,
    whole_path_here,
    write_text,
)
from medspark.store.versions import (
    CURRENT,
    Name,
    kept,
    moved,
    noted,
    outdated,
    past,
    read_versions,
    withdrawn,
    without,
    write_versions,
)


def write_version(frame: DataFrame, store: str, table: str, version: str, **options: str) -> str:
    """Write a version of a table, without showing it yet, and return its path; `options` are the Parquet writer's."""
    path = f"{store}/{table}/{version}"
    frame.write.mode("overwrite").options(**{"compression": "zstd", **options}).parquet(path)
    return path


def take_version(context: SparkContext, files: Iterable[Path], store: str, table: str, version: str) -> str:
    """As `write_version`, of files of Parquet that are there: a store on this machine gets links to them, or copies."""
    path = f"{store}/{table}/{version}"
    delete(context, path)
    make_folder(context, path)
    place = whole_path_here(context, path)
    assert place is not None, "workers wrote them where the store lies"
    _link_here(files, place)
    return path


def _link_here(files: Iterable[Path], place: Path) -> None:
    for file in files:
        try:
            os.link(file, place / file.name)
        except OSError:  # another disk
            shutil.copyfile(file, place / file.name)
            (place / file.name).chmod(0o600)


def link_files(context: SparkContext, files: Iterable[str], path: str) -> None:
    """Take files of a store, by their full paths, into a folder of it too: links on this machine, else copies."""
    make_folder(context, path)
    if (here := whole_path_here(context, path)) is not None:
        _link_here([Path(file.removeprefix("file:")) for file in files], here)
        return
    for file in files:
        copy_file(context, file, f"{path}/{file.rsplit('/', 1)[-1]}")


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
    """The keys of the rows that a run which stopped left in a version; None where there are none.

    Every page of them is read first and compared with its checksum. Where one is not as it was written, all go, to be
    made again.
    """
    path = f"{store}/{table}/{version}"
    if not any(map(is_parquet, list_files(spark.sparkContext, path).values())):
        return None
    try:
        found = read_parquet(spark, path)
        found.select(F.bit_xor(F.xxhash64(*(F.col(quoted(name)) for name in found.columns)))).collect()
    except SPARK_ERRORS as error:
        if not is_of_a_file(error):  # a lost executor says nothing of what is there
            raise
        delete(spark.sparkContext, path)
        return None
    return found.select(key)


def is_parquet(place: str) -> bool:
    """Whether a path below a table is of a file that readers look at."""
    return place.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in place.split("/"))


def begin(context: SparkContext, store: str, tables: Iterable[str], version: str, made_by: str = "") -> None:
    """Note a version that is about to be written, so that whatever becomes of it, the store knows it for its own."""
    write_versions(context, store, noted(read_versions(context, store), tables, version, made_by))


def publish(
    context: SparkContext, store: str, tables: Iterable[str], version: str, made_by: str = ""
) -> dict[str, list[str]]:
    """Make `version` the current one of all the tables at once, then delete what its maker's newest two replace, and
    what was to stay until a day that is over.

    Args:
        made_by: the bundle's id, of tables that several may write in one store; no maker deletes another's versions
            before their day is over.

    Returns:
        By table, the names of what lies there that this store did not make; it is left alone.
    """
    tables = tuple(tables)
    of_store = shown = moved(read_versions(context, store), tables, version, made_by)
    write_versions(context, store, of_store)
    for table in tables:
        write_text(context, f"{store}/{table}/{CURRENT}", version)
        today = datetime.now(UTC).date().isoformat()
        old = {*outdated(of_store[table], made_by, today), *past(of_store[table], today)}
        for name in sorted(old):
            delete(context, f"{store}/{table}/{name}")
        of_store = without(of_store, table, old)
    if of_store != shown:
        write_versions(context, store, of_store)
    found = {table: _foreign(context, store, table, of_store[table].known()) for table in tables}
    return {table: names for table, names in found.items() if names}


def keep(context: SparkContext, store: str, tables: Iterable[str], version: str, until: str) -> None:
    """Let a published version stay through a day such as 2028-11-26, whatever is published after it."""
    of_store = read_versions(context, store)
    told = kept(of_store, tables, version, until)
    if told != of_store:
        write_versions(context, store, told)


def _foreign(context: SparkContext, store: str, table: str, known: set[str]) -> list[str]:
    names = [path.rsplit("/", 1)[-1] for path in list_paths(context, f"{store}/{table}")]
    return [name for name in names if name not in known and not name.lstrip(".").startswith(f"{CURRENT}")]


def discard(context: SparkContext, store: str, tables: Iterable[str], version: str) -> None:
    """Delete a version that was begun and is not published. It stays noted: what a task still writes there goes with
    the maker's next version.
    """
    of_store = read_versions(context, store)
    for table in tables:
        known = of_store[table].versions if table in of_store else []
        if any(found.version == version and not found.published for found in known):
            delete(context, f"{store}/{table}/{version}")


def withdraw(context: SparkContext, store: str, tables: Iterable[str], version: str) -> None:
    """Take a published version back and delete it; of each table the newest other one is in force again."""
    tables = tuple(tables)
    of_store = withdrawn(read_versions(context, store), tables, version)
    write_versions(context, store, of_store)
    for table in tables:
        current = of_store[table].current
        if current is not None:
            write_text(context, f"{store}/{table}/{CURRENT}", current)
        else:
            delete(context, f"{store}/{table}/{CURRENT}")
        delete(context, f"{store}/{table}/{version}")


def current_version(context: SparkContext, store: str, table: str) -> str | None:
    """The version in force; of a store that has no CURRENT of its own yet, the one that the table's own file names.

    Raises:
        InputError: the file is not as it was written.
    """
    known = read_versions(context, store).get(table)
    if known is not None:
        return known.current
    path = f"{store}/{table}/{CURRENT}"
    return _named(path, read_text(context, path).strip()) if exists(context, path) else None


def _named(path: str, version: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(version)
    except ValidationError:
        raise InputError(f"{path}: expected the name of a version, received something else") from None


def read_parquet(spark: SparkSession, *paths: str) -> DataFrame:
    """Parquet at just these paths, which Spark's reader would else take for patterns: `x[1]` would be `x1`."""
    return spark.read.option("__globPaths__", "false").parquet(*paths)


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
    return read_parquet(spark, table_path(spark.sparkContext, store, table))
