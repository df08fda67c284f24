"""A network's file on its way to the workers, who import this too: no bundle and no task is needed here."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TypeVar

from pyspark import SparkContext, SparkFiles

from medspark.score.worker.explanations.explain import Explaining
from medspark.score.worker.predict import Served

Shipped = TypeVar("Shipped", Served, Explaining)


def is_local(context: SparkContext) -> bool:
    """Whether the tasks run on the driver's machine, in its own process."""
    master = str(context.master)
    return master == "local" or master.startswith("local[")


def ship(context: SparkContext, served: Shipped) -> Shipped:
    """Give each executor the network's file, once; workers map it, so those of one machine share its pages."""
    if is_local(context):
        return served
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Path(served.network)
    # Named by content: the files of a session share one folder
    named = shutil.copy(source, folder / f"{served.digest}{source.suffix}")
    context.addFile(str(named))
    return served._replace(network=Path(named).name)


def located(served: Shipped) -> Shipped:
    """The same with the path that the network's file has on this executor."""
    if Path(served.network).is_absolute():
        return served
    return served._replace(network=SparkFiles.get(served.network))
