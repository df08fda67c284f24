"""A scoring run watched: what its workers count, the night that is kept of it, and the verdict it may have to pass."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

from medspark.bundles.bundle import MONITOR
from medspark.errors import GateError, MedsparkError
from medspark.monitor.night import Night, tables_of
from medspark.monitor.plan import Plan
from medspark.monitor.reference import MOST_OF_A_NIGHT
from medspark.monitor.two_sample import MOST_ROWS
from medspark.monitor.verdict import ORDER, Verdict, verdict_of
from medspark.monitor.worker.tally import Tally, empty, packed, together, unpacked
from medspark.runs.lock import require_held
from medspark.score.publish import Scoring, Written
from medspark.stages.kept_nights import (
    Judgement,
    Watched,
    joint_of,
    judged,
    newest_nights,
    nights_before,
    watched_of,
    with_patients,
    write_night,
    write_sample,
)

TOLD: Final = 5
"""Reasons that a refusal lists; the receipt has all."""


@dataclass(frozen=True)
class Gate:
    """What a night must be to be published."""

    require: Verdict
    """The worst verdict that passes."""
    override: str | None = None
    """Why a worse one is published all the same."""


def with_watch(scoring: Scoring, gate: Gate | None) -> Scoring:
    """A scoring run whose workers count, which keeps its night, and which passes the gate or is not published; a night
    that the gate judged is on the store's page, refused or not.

    Raises:
        GateError: when it is about to publish: the night's verdict is worse than the gate lets through.
    """
    watched = watched_of(scoring.bundle)
    plan = _plan(watched, scoring.expected)
    text = plan.model_dump_json() if plan is not None else ""
    found: list[Judgement] = []
    return replace(
        scoring,
        served=scoring.served._replace(watch=text),
        before=partial(_require, scoring, watched, plan, gate, found),
        after=partial(_keep, scoring, watched, plan, found),
    )


def _plan(watched: Watched, rows: int) -> Plan | None:
    """Each so-many-th case is counted, where there are more than make a difference."""
    if watched.reference is None:
        return None
    step = max(1, -(-rows // MOST_OF_A_NIGHT))
    return watched.reference.plan.model_copy(update={"step": step, "keep": max(1, -(-rows // step // MOST_ROWS))})


def tally_of_written(scoring: Scoring, plan: Plan | None, written: Written) -> Tally | None:
    """What all tasks of a run counted together, and those of the runs that were refused and whose scores it goes on
    with: workers keep what they counted with each piece, Spark's tasks do not."""
    if plan is None:
        return None
    found = empty(plan)
    for text in written.watched:
        found = together(found, unpacked(text, plan))
    counted = int(found.counts[0, -1]) * plan.step + written.scored_before
    if written.scored_before and counted <= sum(written.bands.values()) + plan.step:
        newest = newest_nights(scoring.run.context, scoring.run.store)
        refused = next((night for night in newest if night.version == scoring.version), None)
        if refused is not None and refused.tally is not None:
            found = together(found, unpacked(refused.tally, plan))
    return found


def night_of(scoring: Scoring, plan: Plan | None, tally: Tally | None, written: Written) -> Night:
    """What is kept of a scoring run."""
    run, counts = scoring.run, scoring.run.receipt.counts["score"]
    return Night(
        version=scoring.version,
        run_id=run.receipt.run_id,
        bundle_id=scoring.bundle.bundle_id,
        at=run.receipt.started_at,
        rows_in=counts["rows_in"],
        scored=sum(written.bands.values()),
        rejected=written.reasons,
        bands=written.bands,
        tables=tables_of(counts.get("tables") or {}),
        step=plan.step if plan is not None else 1,
        tally=packed(tally._replace(kept=tally.kept[:0])) if tally is not None else None,
    )


def _require(
    scoring: Scoring,
    watched: Watched,
    plan: Plan | None,
    gate: Gate | None,
    found: list[Judgement],
    written: Written,
) -> None:
    if gate is None:
        return
    run, tally = scoring.run, tally_of_written(scoring, plan, written)
    night = with_patients(run, night_of(scoring, plan, tally, written))
    before = nights_before(newest_nights(run.context, run.store), night)
    joint = joint_of(run, watched, night, before, tally.kept) if tally is not None else None
    judgement = judged(watched, night, before, joint)
    findings = judgement.findings
    found.append(judgement)
    verdict = _verdict(watched, judgement)
    reasons = tuple(f"{one.verdict}: {one.sentence}" for one in findings if ORDER.index(one.verdict))
    if watched.reference is None:
        reasons = (f"the bundle has no {MONITOR}, so that nothing says what is usual: train it again", *reasons)
    run.receipt.verdict = verdict
    run.receipt.verdict_reasons = list(reasons)
    if ORDER.index(verdict) <= ORDER.index(gate.require):
        return
    if gate.override is not None:
        run.receipt.override = gate.override
        run.say(f"  verdict     {verdict}, published all the same: {gate.override}")
        return
    night = night.model_copy(update={"verdict": verdict, "reasons": reasons})
    write_night(run, night, watched)
    _show(scoring, watched, night, judgement)
    told = "\n".join(f"  - {reason}" for reason in reasons[:TOLD])
    more = f"\n  and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    raise GateError(
        f"expected a verdict of {gate.require} or better, received {verdict}: nothing was published\n{told}{more}\n"
        'Mend the source, or publish it with --override "REASON".'
    )


def _verdict(watched: Watched, judgement: Judgement) -> Verdict:
    """Where training says nothing of what is usual, nobody can say that all is well."""
    return "stop" if watched.reference is None else verdict_of(judgement.findings)


def _keep(scoring: Scoring, watched: Watched, plan: Plan | None, found: list[Judgement], written: Written) -> None:
    receipt = scoring.run.receipt
    said = {
        "published": True,
        "verdict": receipt.verdict,
        "reasons": tuple(receipt.verdict_reasons),
        "override": receipt.override,
    }
    tally = tally_of_written(scoring, plan, written)
    night = night_of(scoring, plan, tally, written).model_copy(update=said)
    write_night(scoring.run, night, watched)
    if tally is not None:
        write_sample(scoring.run, night, tally.kept)
    for judgement in found:
        _show(scoring, watched, night, judgement)


def _show(scoring: Scoring, watched: Watched, night: Night, judgement: Judgement) -> None:
    """Write the store's page, which neither lets a night through nor keeps it: where it cannot be written, for its
    place has another, or a night of before cannot be read, that is told."""
    from medspark.monitor.page import SHOWN  # only here: most scoring has no page, and need not load its templates
    from medspark.stages.site import Judged, estimates_of, require_own_page, write_page

    run = scoring.run
    if run.holds_lock:
        require_held(run)
    try:
        require_own_page(run)
        newest = [*islice(newest_nights(run.context, run.store), SHOWN)][::-1]
        findings, compared = judgement
        found = Judged(night, watched, findings, _verdict(watched, judgement), estimates_of(watched, night), compared)
        write_page(run, found, newest)
    except Exception as error:  # whatever a file system or a page raises, perhaps with a patient's value in the text
        told = error if isinstance(error, MedsparkError) else type(error).__name__
        run.say(f"  page        not written: {told}")
        return
    run.say(f"  page        {run.receipt.outputs['site']}")
