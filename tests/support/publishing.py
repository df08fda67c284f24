"""Two nights of one time that take each other's place, and a process that publishes them in turn until it is killed."""

import sys
from datetime import UTC, datetime

from pyspark.sql import functions as F

from medspark.sinks.files import FilesSink
from medspark.sinks.publication import Publication, published_rows, sums_of

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)
ROWS = {"first": 3000, "second": 2000}
"""Rows of each night; the probability of all of them tells the nights apart."""
RISK = {"first": 0.25, "second": 0.75}


def night(spark, name, run="r1"):
    scores = spark.range(ROWS[name]).select(
        F.lit(name).alias("run_id"),
        F.lit("b1").alias("bundle_id"),
        F.col("id").alias("case_id"),
        F.col("id").cast("string").alias("subject_id"),
        F.lit(RISK[name]).alias("probability"),
        F.lit(None).cast("string").alias("risk_band"),
        F.timestamp_micros(F.lit(0)).alias("scored_at"),
    )
    rows = published_rows(scores, None, name, "stays", AS_OF)
    return Publication(name, "stays", AS_OF, name, "b1", run, "back", rows, sums_of(rows))


def sinks(spark, folder):
    return [FilesSink(spark.sparkContext, kind, f"{folder}/{kind}", kind) for kind in ("parquet", "csv")]


if __name__ == "__main__":
    from medspark.spark.session import start_session

    session = start_session("publishing")
    nights = [night(session, name) for name in ROWS]
    print("ready", flush=True)
    while True:
        for one in nights:
            for sink in sinks(session, sys.argv[1]):
                sink.put(one)
                print("published", flush=True)
