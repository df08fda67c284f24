"""A run of one's own, as a notebook has it: the stages take it, and it says what they say."""

from rich.console import Console

from medspark.runs.receipt import Receipt, new_run_id
from medspark.runs.run import Run
from medspark.sources.databases.packages import packages_of
from medspark.spark.session import start_context
from medspark.task.tasks import Task


def open_run(store: str, task: Task | None = None, quiet: bool = False) -> Run:
    """A run in a store, with Spark started in this process where it is not yet.

    Args:
        store: a folder, on any file system that Spark writes to; tables, bundles and receipts go there.
        task: whose source's packages the session needs.
        quiet: whether the run says nothing.

    Returns:
        The run. One run makes one version of a table: open another to make it again. `save_receipt(run)` writes its
        receipt.

    Raises:
        MedsparkError: Java is missing or too old, or a package could not be fetched.
    """
    console = Console(quiet=quiet, highlight=False, soft_wrap=True)
    packages = packages_of(task) if task is not None else ()
    return Run(start_context("medspark", packages), store, console, Receipt("notebook", new_run_id(), {}), console)
