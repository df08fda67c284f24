"""Spark's hash of texts, without Spark."""

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.sources.worker.xxhash64 import hash_texts


def test_texts_of_every_length_have_the_hash_that_spark_gives_them(spark: SparkSession) -> None:
    random = np.random.default_rng(0)
    texts = [bytes(random.integers(0, 256, size, np.uint8)) for size in [*range(130), *([70] * 40), 1000, 5003]]
    ends = np.cumsum([len(text) for text in texts])
    starts = np.concatenate([[0], ends[:-1]])
    frame = spark.createDataFrame([(text,) for text in texts], "text binary").coalesce(1)
    expected = [row[0] for row in frame.select(F.xxhash64("text")).collect()]
    assert hash_texts(b"".join(texts), starts, ends).tolist() == expected
