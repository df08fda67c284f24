"""Work on networks handed out as Spark tasks: each of one core, in a worker of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from pyspark import SparkContext

T = TypeVar("T")
R = TypeVar("R")


def in_tasks(context: SparkContext, what: str, do: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `do` makes of each item, in their order; as many at a time as Spark has cores.

    Args:
        what: is done, for those who look at Spark's page.
        do: of a module that workers can import, without this process' state.
        items: pickled on their way. What they name must lie where every worker sees it.
    """
    if not items:
        return []
    context.setJobDescription(what)
    return context.parallelize(items, len(items)).mapPartitions(partial(_on_one_core, do)).collect()


def use_cores(count: int) -> None:
    """Let TensorFlow compute on so many cores, as Spark counts on a task to do.

    A worker that is used again, and has computed before, keeps what it had: TensorFlow sets this once in a process.
    """
    import tensorflow as tf

    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)


def _on_one_core(do: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    import keras

    use_cores(1)
    for item in items:
        yield do(item)
        keras.utils.clear_session()  # else a worker keeps the networks of all its tasks
