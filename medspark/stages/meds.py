"""The meds command: what a store has of a task, as a dataset of the Medical Event Data Standard."""

from dataclasses import replace

from pyspark.sql import DataFrame

from medspark.runs.lock import holding
from medspark.runs.run import Run
from medspark.schemas import CASES, RECORDS, SCORES
from medspark.sinks.meds import require_carried, write_dataset
from medspark.stages.records import current_records
from medspark.store.facts import RecordsFacts, read_facts
from medspark.store.manifest import read_whole
from medspark.store.tables import current_version, table_path
from medspark.task.event_task import EventTask


def meds_stage(run: Run, task: EventTask, out: str, threshold: float) -> None:
    """Write the store's records, labels and predictions as a dataset in `out`.

    Args:
        run: its store is read; cases and scores may be absent.
        task: whose cases and scores these are.
        out: the dataset's folder, empty or absent.
        threshold: the probability from which a prediction is positive.

    Raises:
        TaskError: the task's outcome is more than yes or no.
        InputError: there are no records, the folder has files, or patients are not whole numbers.
        BusyError: another run writes into the folder.
    """
    require_carried(task)

    def known(table: str) -> DataFrame | None:
        return (
            None if current_version(run.context, run.store, table) is None else read_whole(run.spark, run.store, table)
        )

    facts = read_facts(run.context, table_path(run.context, run.store, RECORDS), RecordsFacts)
    records = current_records(run, facts)
    alone = holding(replace(run, store=out, holds_lock=False))
    with alone, run.receipt.timed("meds"), run.progress("MEDS"):
        counts = write_dataset(records, known(CASES), known(SCORES), task, out, threshold)
    run.receipt.counts["meds"] = counts
    run.receipt.outputs["meds"] = out
    for name, rows in counts.items():
        run.say(f"  {name:<12}{rows:>12,}")
