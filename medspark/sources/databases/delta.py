"""Delta tables, each as of its newest commit when the source was opened."""

import re
from typing import Final

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import quoted
from medspark.sources.databases.packages import DELTA, absent_package, has_class
from medspark.sources.databases.source import OpenSource, open_frames
from medspark.spark.failures import SPARK_ERRORS, name_of
from medspark.store.files import exists, list_paths

CHANGE_TYPE: Final = "_change_type"
COMMIT_VERSION: Final = "_commit_version"
"""Columns of a change data feed."""
COMMIT: Final = re.compile(r"(\d{20})\.(json|checkpoint\b.*)")
"""A file of a Delta table's log, named by the version it makes."""


def open_delta(spark: SparkSession, path: str) -> OpenSource:
    """The tables are the folders with a Delta log directly below `path`; each is read as of its newest commit now."""
    _require_delta(spark)
    if not exists(spark.sparkContext, path):
        raise InputError(f"{path}: expected a folder of Delta tables, found none there")
    versions = _newest_versions(spark.sparkContext, list_paths(spark.sparkContext, path))
    if not versions:
        raise InputError(f"{path}: expected Delta tables in folders of their own, found none there")
    return _open(spark, path, {table: f"{path}/{table}" for table in versions}, versions)


def open_delta_table(spark: SparkSession, path: str) -> OpenSource:
    """The one table in the folder `path`, as of its newest commit now."""
    _require_delta(spark)
    folder = path.rstrip("/")
    versions = _newest_versions(spark.sparkContext, [folder])
    if not versions:
        raise InputError(f"{path}: expected the folder of a Delta table, found none there")
    return _open(spark, path, dict.fromkeys(versions, folder), versions)


def _require_delta(spark: SparkSession) -> None:
    if not has_class(spark, "io.delta.tables.DeltaTable"):
        raise absent_package("Delta Lake", DELTA)


def _open(spark: SparkSession, place: str, folders: dict[str, str], versions: dict[str, int]) -> OpenSource:
    def frame_of(table: str) -> DataFrame:
        return spark.read.format("delta").option("versionAsOf", versions[table]).load(folders[table])

    def changes_of(table: str, since: int, columns: dict[str, str]) -> DataFrame:
        feed = {"readChangeFeed": "true", "startingVersion": str(since), "endingVersion": str(versions[table])}
        kept = [F.col(quoted(own)).alias(name) for name, own in columns.items()]
        try:
            found = spark.read.format("delta").options(**feed).load(folders[table])
            found = found.select(*kept, CHANGE_TYPE, COMMIT_VERSION)
            found.count()  # what the feed lacks is found out as its files are opened, to the last
        except SPARK_ERRORS as error:
            raise InputError(
                f"{folders[table]}: expected a change data feed from version {since} on, received none, or not all of "
                f"it ({name_of(error)}). Set delta.enableChangeDataFeed, let VACUUM keep what is not read yet, and run "
                "`medspark clean` once, which reads the table whole."
            ) from None
        return found

    def id_of(table: str) -> str:
        return str(spark.sql(f"DESCRIBE DETAIL delta.{quoted(folders[table])}").collect()[0]["id"])

    tables = tuple(versions)
    return open_frames(place, tables, frame_of, consistent=True, versions=versions, changes=changes_of, identify=id_of)


def _newest_versions(context: SparkContext, folders: list[str]) -> dict[str, int]:
    """The newest commit of each Delta table among some folders, by the folder's name."""
    versions = {}
    for folder in folders:
        log = f"{folder}/_delta_log"
        names = [file.rsplit("/", 1)[-1] for file in list_paths(context, log)] if exists(context, log) else []
        commits = [int(found[1]) for name in names if (found := COMMIT.fullmatch(name))]
        if commits:
            versions[folder.rsplit("/", 1)[-1]] = max(commits)
    return versions
