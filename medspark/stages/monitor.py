"""The monitor stage: a scored night of a store beside training and the nights before, to `findings` and a verdict."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.errors import GateError, InputError
from medspark.evaluate.report.format import plainly
from medspark.monitor.night import Night
from medspark.monitor.outcomes import Period, by_group, by_period
from medspark.monitor.verdict import ORDER, findings_of_outcomes, verdict_of
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, publish_tables, require_publishable
from medspark.schemas import (
    CASE_ID,
    CASES,
    FINDING_TYPES,
    FINDINGS,
    LABEL,
    PROBABILITY,
    RUN_ID,
    SCORES,
    SUBJECT_ID,
    ddl,
    quoted,
)
from medspark.stages.kept_nights import (
    MONITORING,
    joint_of,
    judged,
    nights_before,
    nights_of,
    sample_in,
    watched_in,
    with_patients,
    write_night,
)
from medspark.stages.site import NOTHING, CameTrue, Judged, estimates_of, name_of, require_own_page, write_page
from medspark.stages.watch import TOLD
from medspark.store.manifest import read_whole, require_whole
from medspark.store.tables import read_parquet, write_version
from medspark.store.versions import read_versions

GROUP: Final = "group "
"""Before a subgroup's name, which may be another column's."""


@alone
def monitor_stage(run: Run, outcomes: str | None = None) -> Judged:
    """The newest night of the run's store to `findings` and the store's page.

    Args:
        run: its store has scores.
        outcomes: a store whose `cases`, made by the same task of later data, say what became of the cases.

    Raises:
        InputError: no night is there, nothing is known of what became of its cases, or the page's place has another.
        GateError: the verdict is stop; findings and page are there all the same.
    """
    nights = nights_of(run.context, run.store)
    published = [night for night in nights if night.published]
    if not published:
        raise InputError(
            f"{run.store} has no night in {MONITORING}: expected a store that `medspark score` of this version of "
            "medspark wrote scores into. Score once more."
        )
    require_own_page(run)
    with run.receipt.timed("monitor"), run.progress("monitor"):
        known = came_true(run, published, outcomes) if outcomes is not None else NOTHING
        found = judge(run, published[-1], published, known)
        write_findings(run, found)
        require_publishable(run)
        write_page(run, found, nights, known)
    tell(run, found)
    tell_outcomes(run, known.periods)
    if found.verdict == "stop":
        reasons = [one.sentence for one in found.findings if one.verdict == "stop"]
        told = "\n".join(f"  - {reason}" for reason in reasons[:TOLD])
        raise GateError(f"run {found.night.version}: the verdict is stop\n{told}")
    return found


def judge(run: Run, night: Night, nights: list[Night], known: CameTrue = NOTHING) -> Judged:
    """A night with its verdict, which is noted, and its estimates."""
    watched = watched_in(run.context, run.store, night.bundle_id)
    night, before = with_patients(run, night), nights_before(reversed(nights), night)
    joint = joint_of(run, watched, night, before, sample_in(run, night))
    findings, compared = judged(watched, night, before, joint)
    if known.whole is not None:
        findings = [*findings_of_outcomes(known.whole, known.parts), *findings]
        findings.sort(key=lambda one: -ORDER.index(one.verdict))
    verdict = verdict_of(findings)
    reasons = tuple(f"{one.verdict}: {one.sentence}" for one in findings)
    night = night.model_copy(update={"verdict": verdict, "reasons": reasons})
    write_night(run, night, watched)
    return Judged(night, watched, findings, verdict, estimates_of(watched, night), compared)


# ---------------------------------------------------------------- what came true


def came_true(run: Run, nights: Sequence[Night], outcomes: str) -> CameTrue:
    """What became of the cases of each night whose scores the store still has, and by subgroup of all of them.

    Raises:
        InputError: none of the scored cases has an outcome there.
    """
    ledger = read_versions(run.context, run.store)
    there = [night for night in nights if ledger[SCORES].is_published(night.version)]
    places = [f"{run.store}/{SCORES}/{version}" for version in dict.fromkeys(night.version for night in there)]
    cases = read_whole(run.spark, outcomes, CASES).where(F.col(LABEL).isNotNull())
    groups = _groups_in(run, nights[-1], cases)
    known = cases.select(CASE_ID, LABEL, *(F.col(quoted(name)).cast("string").alias(GROUP + name) for name in groups))
    for place in places:
        require_whole(run.context, place)
    scores = read_parquet(run.spark, *places).select(RUN_ID, CASE_ID, SUBJECT_ID, PROBABILITY)
    found = scores.join(known, CASE_ID).toPandas()
    if not len(found):
        raise InputError(
            f"{outcomes}: expected cases with outcomes of what was scored, received none of its `case_id`s. Make them "
            "by `medspark clean` and `medspark features` with the bundle's task."
        )
    names = {night.version: name_of(night) for night in there}
    label, risk = found[LABEL].to_numpy(dtype=np.int8), found[PROBABILITY].to_numpy(dtype=np.float64)
    subject = found[SUBJECT_ID].to_numpy()
    periods = by_period(found[RUN_ID].map(names).to_numpy(), label, risk, subject)
    (whole,) = by_period(np.full(len(label), "all runs"), label, risk, subject)
    levels = {name: found[GROUP + name].fillna("missing").to_numpy(dtype=object) for name in groups}
    parts = [part for name, level in levels.items() for part in by_group(name, level, label, risk, subject)]
    return CameTrue(periods, whole, parts)


def _groups_in(run: Run, night: Night, cases: DataFrame) -> list[str]:
    """The subgroups of a night that some cases have as columns."""
    reference = watched_in(run.context, run.store, night.bundle_id).reference
    groups = reference.plan.groups if reference is not None else ()
    return [group.column for group in groups if group.column in cases.columns]


# ---------------------------------------------------------------- written and told


def write_findings(run: Run, found: Judged) -> None:
    """Publish `findings` of a night."""
    rows = [
        (
            found.night.version,
            found.night.bundle_id,
            one.subject,
            f"{one.column}={one.level}" if one.column else None,
            one.measure,
            float(one.value),
            float(one.expected),
            float(one.threshold),
            one.p,
            one.verdict,
            one.sentence,
        )
        for one in found.findings
    ]
    with making(run, (FINDINGS,), run.version):
        table = run.spark.createDataFrame(rows, ddl(FINDING_TYPES)).coalesce(1)
        run.receipt.outputs[FINDINGS] = write_version(table, run.store, FINDINGS, run.version)
        publish_tables(run, (FINDINGS,), run.version)
    receipt = run.receipt
    receipt.bundle_id, receipt.version, receipt.verdict = found.night.bundle_id, found.night.version, found.verdict
    receipt.verdict_reasons = [f"{one.verdict}: {one.sentence}" for one in found.findings]
    receipt.counts["monitor"] = {"findings": len(found.findings), "estimate": found.estimates}


def tell(run: Run, found: Judged) -> None:
    """The verdict and its reasons, and the estimate."""
    run.say(f"  run         {found.night.version}, {found.night.scored:,} scores, of {found.night.at}")
    if found.watched.reference is None:
        run.say(f"  not compared with training: the bundle {found.night.bundle_id} was made before monitoring")
    for name, one in found.estimates.items():
        if one["value"] is not None:
            span = f" ({one['low']:.3f} to {one['high']:.3f})" if one["low"] is not None else ""
            run.say(f"  estimated   {name} {one['value']:.3f}{span}, if the calibration still holds")
    for finding in found.findings:
        run.say(f"  {finding.verdict:<12}{finding.sentence}")
    run.say(f"  verdict     {found.verdict}")
    run.say(f"  page        {run.receipt.outputs['site']}")


def tell_outcomes(run: Run, periods: Sequence[Period]) -> None:
    """What came true, night by night."""
    run.receipt.counts["monitor"]["outcomes"] = [asdict(one) for one in periods]
    for one in periods:
        if one.reason is not None:
            run.say(f"  came true   {one.name}: {one.reason}")
        else:
            figures = ", ".join(f"{name} {plainly(one.figures[name])}" for name in ("auroc", "brier"))
            run.say(f"  came true   {one.name}: {figures}")
