"""Cases of records that are kept by patient: each worker reads a bucket, makes its cases and writes them.

Spark hands out the buckets and nothing else: no row of an event or of a case passes through Java.
"""

from collections import Counter
from typing import Final

from pyspark import SparkContext

from medspark.cases.attrition import Counted, attrition_of
from medspark.cases.criteria import criteria
from medspark.cases.worker.candidates import Plan
from medspark.clean.tasks import each
from medspark.events.worker.write_cases import write_cases
from medspark.store.worker.buckets import Kept
from medspark.task.training import Split

_PATIENTS: Final = ("bigint", "int", "string")
"""Types of ids that workers write as text as Spark does."""


def can_write_cases(kept: Kept | None, split: Split, patients: str) -> bool:
    """Whether workers can make all of the cases: not where a side depends on more than a patient's id."""
    if kept is None or kept.reader != "workers" or not any(sum(run.rows) for run in kept.runs):
        return False
    by_hash = split.temporal is None and split.site is None and split.subjects is None
    return by_hash and patients in _PATIENTS


def write_cases_by_workers(context: SparkContext, kept: Kept, plan: Plan, folder: str) -> Counted:
    """Write the cases of all buckets; what became of the candidates.

    Args:
        context: of Spark.
        kept: the records.
        plan: of a frozen task, to learn from.
        folder: the address of the folder that the files go to.

    Raises:
        InputError: records are not as they were written.
    """
    shared = context.broadcast((kept, plan, folder))

    def work(bucket: int) -> tuple[Counter[str | None], int]:
        kept, plan, folder = shared.value
        return write_cases(kept, bucket, plan, folder)

    buckets = [bucket for bucket in range(kept.buckets) if kept.files(bucket)]
    counts: Counter[str | None] = Counter()
    impossible = 0
    for found, ages in each(context, buckets, work):
        counts.update(found)
        impossible += ages
    reasons = criteria(plan.task, scoring=False)
    return Counted(attrition_of(counts.total(), counts, reasons, plan.labels_asked), impossible)
