"""Scores of what Spark reads: written by whoever can, and published."""

from collections.abc import Callable

from pyspark.sql import DataFrame

from medspark.runs.chosen import Asked, Chosen
from medspark.runs.run import Run
from medspark.score.by_spark import write_by_spark
from medspark.score.by_workers import score_and_write_by_workers, write_by_workers
from medspark.score.choose_way import choose
from medspark.score.eligible import CasesToScore
from medspark.score.explain import explain_frame
from medspark.score.publish import Scoring, publish_scores
from medspark.store.files import full_path, make_folder


def choose_writer(run: Run, asked: Asked) -> Chosen:
    """Whether workers write the scores themselves, where they can, or Spark does.

    Raises:
        TaskError: workers are asked for, and cannot.
    """
    make_folder(run.context, run.store)  # a machine that does not see it then writes to a disk of its own
    return choose(run.context, "--writer", asked, [], [full_path(run.context, run.store)])


def write_scores(
    scoring: Scoring,
    cases: Callable[[], DataFrame],
    rejected: Callable[[], DataFrame] | None,
    writer: Chosen,
    to_score: CasesToScore | None = None,
) -> None:
    """Score cases that Spark reads, or that lie with workers, and publish `scores` and `rejected` together.

    Each Spark task's scores stay once it is done. Where a run that was stopped left some, only the others are scored.

    Args:
        scoring: what is scored by, and where the scores go.
        cases: the eligible ones with their features, or tensors.
        rejected: everything else that came in, as REJECTED_COLUMNS; None where there is nothing else.
        writer: from `choose_writer`.
        to_score: the same rows where workers put them down; None where they did not.

    Raises:
        AccountingError: there are more or fewer rows than expected; then nothing is published.
    """
    scoring.run.receipt.counts["score"]["writer"] = writer._asdict()
    by_workers = writer.kind == "workers"
    if by_workers and to_score is not None:
        written = score_and_write_by_workers(scoring, to_score)
    else:
        write = write_by_workers if by_workers else write_by_spark
        written = write(scoring, cases(), rejected() if rejected is not None else None)
    publish_scores(scoring, written, lambda scoring: explain_frame(scoring, cases(), by_workers))
