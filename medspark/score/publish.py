"""Scores and rejected rows that are written: counted, published together, and told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.bundles.bundle import Bundle
from medspark.errors import AccountingError, RejectedError
from medspark.runs.run import Run
from medspark.runs.tables import publish_tables
from medspark.schemas import (
    CASE_ID,
    EXCLUDED_BY,
    EXPLANATIONS,
    FILE,
    LINE,
    QUARANTINED_BY,
    REASON,
    REJECTED,
    REJECTED_COLUMNS,
    RULE,
    RUN_ID,
    SCORES,
    SUBJECT_ID,
)
from medspark.score.eligible import Eligible
from medspark.score.explain_options import Ask
from medspark.score.worker.explanations.explain import Explaining
from medspark.score.worker.predict import NO_BAND, Served
from medspark.store.tables import discard


@dataclass(frozen=True)
class Scoring:
    """One scoring run: by which network, into which versions of a store's tables, and how many rows there must be."""

    run: Run
    bundle: Bundle
    served: Served
    """The bundle's network, shipped."""
    version: str
    """Of `scores` and `rejected`, from `score_id`; it is the `run_id` of their rows."""
    expected: int
    """Scores and rejected rows in all."""
    quarantined: int
    """Of these the rows that cleaning set aside."""
    ask: Ask | None = None
    """What is asked of explanations; None where there are none."""
    explaining: Explaining | None = None
    """What explains, shipped."""
    before: Callable[["Written"], None] | None = None
    """Called with what is written, before it is published: what it raises keeps it from being published."""
    after: Callable[["Written"], None] | None = None
    """Called once it is published."""

    @property
    def tables(self) -> tuple[str, ...]:
        return tables_of(self.ask)

    @property
    def explains(self) -> tuple[Ask, Explaining]:
        """Both, where explanations are asked for."""
        assert self.ask is not None, "explanations are asked for"
        assert self.explaining is not None, "and there is what explains"
        return self.ask, self.explaining

    def with_explaining(self, explaining: Explaining) -> "Scoring":
        return replace(self, explaining=explaining)


def tables_of(ask: Ask | None) -> tuple[str, ...]:
    """The tables that a scoring run publishes together."""
    return (REJECTED, SCORES) if ask is None else (REJECTED, SCORES, EXPLANATIONS)


@dataclass(frozen=True)
class Written:
    """What lies in the two versions, and what it took."""

    bands: dict[str, int]
    """Scores by risk band."""
    reasons: dict[str, int]
    """Rejected rows by reason."""
    scored_before: int
    """Scores that a run which was stopped had left."""
    loads: int
    """Networks that workers loaded."""
    watched: tuple[str, ...] = ()
    """What each task counted of its cases."""

    @property
    def quarantined(self) -> int:
        """Rejected rows that cleaning set aside."""
        return sum(rows for reason, rows in self.reasons.items() if reason.startswith(QUARANTINED_BY))


def rejected_rows(found: Eligible, version: str) -> DataFrame:
    """Every row without a case: excluded ones by key, quarantined ones by place; no more of the patient."""
    excluded = found.read_excluded()
    types = dict(excluded.dtypes)
    excluded = excluded.withColumn(REASON, F.concat(F.lit(EXCLUDED_BY), REASON))
    unread = found.read_quarantine().select(
        F.lit(None).cast(types[CASE_ID]).alias(CASE_ID),
        F.lit(None).cast(types[SUBJECT_ID]).alias(SUBJECT_ID),
        FILE,
        LINE,
        F.concat(F.lit(QUARANTINED_BY), RULE).alias(REASON),
    )
    return excluded.unionByName(unread).withColumn(RUN_ID, F.lit(version)).select(*REJECTED_COLUMNS)


def publish_scores(scoring: Scoring, written: Written, explain: Callable[[Scoring], dict[str, Any]]) -> None:
    """Publish `scores` and `rejected`, both written, where they add up, and their explanations where any are asked for.

    Args:
        scoring: the run.
        written: what lies there.
        explain: writes the explanations and says what the receipt has of them.

    Raises:
        AccountingError: there are more or fewer rows than expected, or than cleaning set aside; then nothing is
            published.
        RejectedError: too many rows have no score; then what there is was published.
    """
    run = scoring.run
    scored, rejected = sum(written.bands.values()), sum(written.reasons.values())
    if (scored + rejected, written.quarantined) != (scoring.expected, scoring.quarantined):
        discard(run.context, run.store, scoring.tables, scoring.version)
        raise AccountingError(
            f"{scoring.expected} came in, {scoring.quarantined} of them quarantined, but {scored} were scored and "
            f"{rejected} rejected, {written.quarantined} of them quarantined. Nothing was published."
        )
    if scoring.before is not None:
        scoring.before(written)
    explained = {"explained": explain(scoring)} if scoring.ask is not None else {}
    publish_tables(run, scoring.tables, scoring.version, scoring.bundle.bundle_id)
    if scoring.after is not None:
        scoring.after(written)
    run.receipt.counts["score"] |= {
        **explained,
        "scored_before": written.scored_before,
        "loads": written.loads,
        "engine": scoring.served.kind,
        "scored": scored,
        "bands": dict(sorted(written.bands.items())),
        "rejected": written.reasons,
    }
    run.receipt.outputs |= {name: f"{run.store}/{name}/{scoring.version}" for name in scoring.tables}
    _tell(scoring, written)
    require_enough(scoring.bundle, scored, written.reasons)


def require_enough(bundle: Bundle, scored: int, reasons: dict[str, int]) -> None:
    """Speak where too many rows have no score; those that a criterion excludes want none.

    Raises:
        RejectedError: none has one, or a larger share lacks one than the task allows.
    """
    unscored = sum(rows for reason, rows in reasons.items() if not reason.startswith(EXCLUDED_BY))
    share = unscored / max(1, unscored + scored)
    most = bundle.task.scoring.rejected_at_most
    if share == 1 or share > most:
        raise RejectedError(
            f"expected a score for at least {1 - most:.1%} of {unscored + scored} rows and for one at least, received "
            f"{scored}: {unscored} were rejected ({share:.1%}). What there is was published; `rejected` says why."
        )


def _tell(scoring: Scoring, written: Written) -> None:
    """Lines that add up: the last before `scored` is all that is scored or rejected below it."""
    run, rows = scoring.run, scoring.run.receipt.counts["score"]["rows_in"]
    run.say(f"  rows in     {rows:>12,}")
    if scoring.expected != rows:  # of events, which are many rows a case
        run.say(f"  came to     {scoring.expected:>12,}  candidates and rows set aside")
    run.say(f"  scored      {sum(written.bands.values()):>12,}  by {scoring.served.kind}")
    if written.scored_before:
        run.say(f"    of them   {written.scored_before:>12,}  by a run that was stopped")
    for band, rows in sorted(sorted(written.bands.items()), key=lambda item: item[1]):
        run.say(f"    {'no band' if band == NO_BAND else band:<10}{rows:>12,}")
    _tell_explained(run)
    for reason, rows in sorted(written.reasons.items()):
        if not reason.startswith(QUARANTINED_BY):
            run.say(f"  rejected    {rows:>12,}  {reason}")
    if written.quarantined:
        run.say(f"  rejected    {written.quarantined:>12,}  quarantined, by rule in the receipt")


def _tell_explained(run: Run) -> None:
    found = run.receipt.counts["score"].get("explained")
    if found is None:
        return
    run.say(f"  explained   {found['cases']:>12,}  by {found['by']}, the {found['top']} largest contributions of each")
    if found["do_not_add_up"]:
        run.say(f"    of them   {found['do_not_add_up']:>12,}  do not add up within the bundle's tolerance")
