"""A session that does what medspark's jobs do, so that Java can archive the classes that they take: `share-classes`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.spark.session import start_session


def exercise(folder: Path) -> None:
    """Work in a folder, then wait for Java to end, which is when it archives."""
    spark = start_session("medspark share-classes")
    _jobs(spark, folder)
    java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    spark.stop()
    java.stdin.close()
    java.wait()


def _jobs(spark: SparkSession, folder: Path) -> None:
    """Read text, judge, write and read Parquet, go through Python workers, join, count and sort."""
    (folder / "rows.csv").write_text("1,a,2026-11-23\n2,b,2026-11-24\n")
    parsed = F.from_csv("value", "id int, code string, day date").alias("row")
    rows = spark.read.text(str(folder / "rows.csv")).select(parsed).select("row.*")
    rows = rows.withColumn("hash", F.xxhash64("code")).withColumn("numbers", F.array(F.lit(1.0), F.lit(2.0)))
    rows.write.option("compression", "zstd").parquet(str(folder / "rows"))
    found = spark.read.parquet(str(folder / "rows"))

    def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    found.mapInArrow(same, found.schema).join(found.groupBy("id").count(), "id", "left").collect()
    found.where("id > 1").unionByName(found).orderBy("day").toArrow()
    shared = spark.sparkContext.broadcast(1)
    spark.sparkContext.parallelize(range(4), 2).map(lambda number: number + shared.value).collect()


if __name__ == "__main__":
    exercise(Path(sys.argv[1]))
