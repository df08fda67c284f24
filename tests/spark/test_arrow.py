"""Frames through functions of Arrow batches."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from medspark.spark.arrow import map_batches


def test_a_function_of_batches_sees_the_names_of_the_frame_whatever_they_are(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, 2, 3)], "`a.b` bigint, `c``d` bigint, `e f` bigint")

    def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in filter(len, batches):
            values = [column[0].as_py() for column in batch.columns]
            yield pa.RecordBatch.from_pydict({"name": batch.schema.names, "value": values})

    found = map_batches(frame, told, "name string, value bigint").collect()
    assert [tuple(row) for row in found] == [("a.b", 1), ("c`d", 2), ("e f", 3)]
