"""A frame's rows through a Python function of Arrow batches, whatever its columns are called."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]


def map_batches(
    frame: DataFrame, function: Callable[[Batches], Iterable[pa.RecordBatch]], schema: StructType | str
) -> DataFrame:
    """The rows that a function makes of a frame's batches, as `DataFrame.mapInArrow`.

    PySpark looks the columns up by names that it parses, so that a dot or a backtick in one ends the job. They go by
    their place on the way, and the function sees the frame's own names.
    """
    names = frame.columns

    def named(batches: Batches) -> Batches:
        yield from function(pa.RecordBatch.from_arrays(batch.columns, names=names) for batch in batches)

    return frame.toDF(*(f"c{at}" for at in range(len(names)))).mapInArrow(named, schema)
