"""Repaired rows of the quarantine, read in place of those that were set aside."""

from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import DIGEST, FILE, LINE, RAW, RECORD_RULE, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT
from medspark.store.files import exists
from medspark.store.tables import read_parquet

MOST_NAMED: Final = 5
"""Places that a message names."""


def put_repairs(records: DataFrame, repairs: DataFrame | None) -> DataFrame:
    """Put repaired text in place of what stood in the source, found by file, line and digest."""
    if repairs is None:
        return records.withColumn(REPAIRED, F.lit(False))
    repaired = F.broadcast(
        repairs.select(
            F.col(FILE).alias(SOURCE_FILE),
            F.coalesce(F.col(LINE).cast("bigint"), F.lit(-1)).alias("_line"),
            F.col(DIGEST).cast("bigint").alias(ROW_DIGEST),
            F.col(RAW).alias("_repaired_text"),
        )
    )
    joined = records.withColumn("_line", F.coalesce(SOURCE_LINE, F.lit(-1))).join(
        repaired, on=[SOURCE_FILE, "_line", ROW_DIGEST], how="left"
    )
    return (
        joined.withColumn(REPAIRED, F.col("_repaired_text").isNotNull())
        .withColumn(TEXT, F.coalesce("_repaired_text", TEXT))
        .withColumn(RECORD_RULE, F.when(~F.col(REPAIRED), F.col(RECORD_RULE)))
        .drop("_line", "_repaired_text")
    )


def read_repairs(spark: SparkSession, path: str) -> DataFrame:
    """Repaired rows of the quarantine, as Parquet or as one JSON object a line; each place once, however often it is
    there: a line of which a view makes several rows stands in the quarantine with each.

    Raises:
        InputError: the columns that find a row, or its new text, are absent, or a place has several texts.
    """
    wanted = {FILE: "string", LINE: "bigint", DIGEST: "bigint", RAW: "string"}
    if not exists(spark.sparkContext, path):
        raise InputError(f"{path}: expected repaired rows here, received nothing")
    if path.endswith((".json", ".ndjson", ".jsonl")):
        reader = spark.read.option("__globPaths__", "false")
        frame = reader.json(path, schema=", ".join(f"{k} {v}" for k, v in wanted.items()), mode="FAILFAST")
    else:
        frame = read_parquet(spark, path)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise InputError(f"{path}: expected the quarantine's columns, received none of {', '.join(absent)}")
    rows = frame.select(*wanted)
    if rows.where(F.col(FILE).isNull() | F.col(DIGEST).isNull() | F.col(RAW).isNull()).limit(1).count():
        raise InputError(f"{path}: expected {FILE}, {DIGEST} and {RAW} in every repaired row, received nulls")
    once = rows.distinct()
    unlike = once.groupBy(FILE, LINE, DIGEST).count().where("count > 1").orderBy(FILE, LINE).limit(MOST_NAMED).collect()
    if unlike:
        places = ", ".join(row[FILE] if row[LINE] is None else f"{row[FILE]} line {row[LINE]}" for row in unlike)
        raise InputError(f"{path}: expected one repaired text for each row, received several for {places}")
    return once
