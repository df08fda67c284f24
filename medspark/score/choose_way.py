"""Who reads and who writes: Spark's workers themselves, where they reach the files, or Spark."""

from pyspark import SparkContext

from medspark.errors import TaskError
from medspark.runs.chosen import Asked, Chosen
from medspark.score.ship import is_local
from medspark.score.worker.files import out_of_reach


def choose(context: SparkContext, option: str, asked: Asked, reads: list[str], writes: list[str]) -> Chosen:
    """Whether workers do it themselves or Spark does.

    Args:
        context: its executors' machines are asked, where they are not the driver's.
        option: the command's, for messages.
        asked: what the user wants.
        reads: addresses of what workers must be able to read.
        writes: and of the folders where they must be able to write.

    Raises:
        TaskError: workers are asked for, and cannot reach them.
    """
    if asked == "spark":
        return Chosen("spark", "it was asked for")
    problem = out_of_reach(reads, writes)
    if problem is None and not is_local(context):
        tasks = context.defaultParallelism
        answers = context.parallelize(range(tasks), tasks).map(lambda _: out_of_reach(reads, writes)).collect()
        problem = next((answer for answer in answers if answer is not None), None)
    if problem is None:
        return Chosen("workers", "it was asked for" if asked == "workers" else "they reach it")
    if asked == "workers":
        raise TaskError(option, [f"workers cannot do it here: {problem}. Use spark."])
    return Chosen("spark", f"workers cannot: {problem}")
