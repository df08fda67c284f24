"""Work handed to Spark's Python workers, an item each, and what ends it told as what it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from pyspark import SparkContext

from medspark.errors import MedsparkError, SparkError
from medspark.sources.spans import ROUNDS
from medspark.sources.worker.spans import LongLineError
from medspark.spark.failures import SPARK_ERRORS, text_of

ITEMS_OF_A_TASK: Final = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task."""
Item = TypeVar("Item")
Found = TypeVar("Found")
_MEMORY: Final = ("Python worker exited unexpectedly", "MemoryError", "out of memory")
"""What Spark says of a worker that the operating system ended, and what Python and Arrow say."""


def each(context: SparkContext, items: list[Item], work: Callable[[Item], Found]) -> list[Found]:
    """What workers find of each item, in the items' order.

    Raises:
        LongLineError, MedsparkError: a worker raised it.
        SparkError: a worker ended for lack of memory, as far as can be told.
    """
    if not items:
        return []

    def told(item: Item) -> Found | LongLineError | MedsparkError:
        try:
            return work(item)
        except (LongLineError, MedsparkError) as error:  # as it is: Spark would tell its text alone, and try again
            return error

    tasks = max(-(-len(items) // ITEMS_OF_A_TASK), min(len(items), ROUNDS * context.defaultParallelism))
    with _memory_suffices():
        found = context.parallelize(items, tasks).map(told).collect()
    return list(_sound(found))


def _sound(found: list[Found | LongLineError | MedsparkError]) -> Iterator[Found]:
    for item in found:
        if isinstance(item, LongLineError | MedsparkError):
            raise item
        yield item


@contextmanager
def _memory_suffices() -> Iterator[None]:
    try:
        yield
    except SPARK_ERRORS as error:
        if not any(sign in text_of(error) for sign in _MEMORY):
            raise
        raise SparkError(
            "a Python worker of Spark's ended before its work did, as where memory is short. Give the machine more, or "
            "let fewer work at once, as with MEDSPARK_MASTER=local[1]. The log says more."
        ) from None
