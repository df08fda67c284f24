"""Repaired rows of the quarantine, read in place of those that were set aside."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import DIGEST, FILE, LINE, RAW
from medspark.store.files import exists


def read_repairs(spark: SparkSession, path: str) -> DataFrame:
    """Repaired rows of the quarantine, as Parquet or as one JSON object a line.

    Raises:
        InputError: the columns that find a row, or its new text, are absent.
    """
    wanted = {FILE: "string", LINE: "bigint", DIGEST: "bigint", RAW: "string"}
    if not exists(spark.sparkContext, path):
        raise InputError(f"{path}: expected repaired rows here, received nothing")
    if path.endswith((".json", ".ndjson", ".jsonl")):
        frame = spark.read.json(path, schema=", ".join(f"{k} {v}" for k, v in wanted.items()), mode="FAILFAST")
    else:
        frame = spark.read.parquet(path)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise InputError(f"{path}: expected the quarantine's columns, received none of {', '.join(absent)}")
    rows = frame.select(*wanted)
    if rows.where(F.col(FILE).isNull() | F.col(DIGEST).isNull() | F.col(RAW).isNull()).limit(1).count():
        raise InputError(f"{path}: expected {FILE}, {DIGEST} and {RAW} in every repaired row, received nulls")
    return rows
