"""Scores of what Spark reads: written by whoever can, and published."""

from functools import partial

from pyspark.sql import DataFrame

from medspark.cases.eligible import RecordFiles
from medspark.runs.chosen import Asked
from medspark.score.by_spark import write_by_spark
from medspark.score.by_workers import write_by_workers
from medspark.score.choose_way import choose
from medspark.score.explain import explain_frame
from medspark.score.publish import Scoring, publish_scores
from medspark.store.files import full_path, make_folder


def write_scores(
    scoring: Scoring, cases: DataFrame, rejected: DataFrame | None, writer: Asked, files: RecordFiles | None = None
) -> None:
    """Score cases that Spark reads and publish `scores` and `rejected` together.

    Each Spark task's scores stay once it is done. Where a run that was stopped left some, only the others are scored.

    Args:
        scoring: what is scored by, and where the scores go.
        cases: the eligible ones with their features, or tensors.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
        writer: workers: each task writes its scores itself; spark: Spark does; auto: workers where they can.
        files: the cases as records that workers can read; None where they cannot.

    Raises:
        TaskError: workers are to write where they cannot.
        AccountingError: there are more or fewer rows than expected; then nothing is published.
    """
    run = scoring.run
    make_folder(run.context, run.store)  # a machine that does not see it then writes to a disk of its own
    chosen = choose(run.context, "--writer", writer, [], [full_path(run.context, run.store)])
    run.receipt.counts["score"]["writer"] = chosen._asdict()
    write = partial(write_by_workers, files=files) if chosen.kind == "workers" else write_by_spark
    explain = partial(explain_frame, cases=cases, by_workers=chosen.kind == "workers")
    publish_scores(scoring, write(scoring, cases, rejected), explain)
