"""How Spark goes through a table that it reads more than once, one of many columns and few rows in a way of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from medspark.spark.session import with_settings

MANY: Final = 200
"""Columns, from which on a table is wide."""
BYTES_OF_A_COLUMN: Final = 2**17
"""In the mean, up to which they are few: what some ten thousand rows have."""
MOST_PARTS: Final = 8
_AS_THEY_ARE: Final = {
    # Compiling the expressions of a thousand columns takes Spark minutes, whatever the rows
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    # Comparing plans, and what follows from filters, take time by the square of the columns
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.exchange.reuse": "false",
    "spark.sql.constraintPropagation.enabled": "false",
}


FrameStep = Callable[[DataFrame], DataFrame]


class Way(NamedTuple):
    """How a table's rows are spread before they are judged, and kept once they are."""

    spread: FrameStep
    keep: FrameStep


def as_they_lie(rows: DataFrame) -> DataFrame:
    return rows


@contextmanager
def way_of(spark: SparkSession, columns: int, size: float) -> Iterator[Way]:
    """How to go through a table; what is kept is freed at the block's end.

    Rows of many columns with few bytes come in one part, as a small file does: they are spread over the cores, and kept
    without the plan that led to them. Spark plans that anew, and compares it with all that is kept, for each time that
    they are read: of 5,000 columns half a minute each. An executor that is lost with them ends the run, since nobody
    knows the way to them any more.
    """
    with ExitStack() as held:
        if columns < MANY or size > BYTES_OF_A_COLUMN * columns:

            def keep(frame: DataFrame) -> DataFrame:
                held.callback(frame.persist(StorageLevel.MEMORY_AND_DISK).unpersist)
                return frame

            yield Way(as_they_lie, keep)
            return
        parts = min(spark.sparkContext.defaultParallelism, MOST_PARTS)
        held.enter_context(with_settings(spark, {**_AS_THEY_ARE, "spark.sql.shuffle.partitions": str(parts)}))

        def keep_alone(frame: DataFrame) -> DataFrame:
            kept = frame.localCheckpoint(eager=False)
            java: Any = kept._jdf
            held.callback(java.queryExecution().analyzed().rdd().unpersist, False)
            return kept

        yield Way(lambda frame: frame.repartition(parts), keep_alone)
