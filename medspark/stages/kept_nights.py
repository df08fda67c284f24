"""The nights that a store keeps: what was counted of each, what it is judged by, and how it is judged."""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pyspark import SparkContext
from pyspark.sql import functions as F

from medspark.bundles.bundle import MONITOR, Bundle
from medspark.encode.kinds.base import Frozen
from medspark.errors import InputError
from medspark.monitor.drift import Compared, compare
from medspark.monitor.gauges import Gauge
from medspark.monitor.night import COMPARED, Night, beside_before, newest_of
from medspark.monitor.plan import kept_gauges
from medspark.monitor.reference import Reference
from medspark.monitor.two_sample import told_apart
from medspark.monitor.verdict import ORDER, Finding, Joint, findings_beside, findings_joint, findings_of
from medspark.monitor.worker.tally import Tally, empty, unpacked
from medspark.runs.run import Run
from medspark.schemas import SCORES, SUBJECT_ID
from medspark.store.files import delete, exists, list_paths, read_text, write_text
from medspark.store.tables import read_parquet
from medspark.task.monitoring import Monitoring

MONITORING: Final = "monitoring"
"""The store's folder of nights and of what each bundle's nights are compared with."""
SAMPLED: Final = f"{MONITORING}/samples"
"""Of it the folder of some nights' cases."""
LEAST_COUNTED: Final = 0.5
"""Share of a night's scores."""
SAMPLES: Final = 5
"""Nights of which some cases are kept."""


class Watched(Frozen):
    """What a bundle's nights are judged by: kept in the store, so that judging them later needs no bundle."""

    bundle_id: str
    title: str
    settings: Monitoring
    reference: Reference | None
    """None of a bundle that was made before there was monitoring."""


def watched_of(bundle: Bundle) -> Watched:
    """What a bundle says of the nights to come."""
    reference = None
    if MONITOR in bundle.manifest["files"]:
        reference = Reference.model_validate_json(bundle.read_bytes(MONITOR))
    settings = bundle.task.monitoring or Monitoring()
    return Watched(bundle_id=bundle.bundle_id, title=bundle.task.title, settings=settings, reference=reference)


# ---------------------------------------------------------------- what the store keeps


def write_night(run: Run, night: Night, watched: Watched) -> None:
    write_text(run.context, _place_of_watched(run.store, watched.bundle_id), watched.model_dump_json())
    write_text(run.context, f"{run.store}/{MONITORING}/nights/{night.run_id}.json", night.model_dump_json())


def write_sample(run: Run, night: Night, kept: npt.NDArray[np.float32]) -> None:
    """Keep some of a night's cases, as they were encoded and without their keys, for the nights to come."""
    folder = f"{run.store}/{SAMPLED}"
    content = base64.b64encode(zlib.compress(kept.tobytes(), 1)).decode()
    text = json.dumps({"bundle_id": night.bundle_id, "columns": kept.shape[1], "rows": content})
    write_text(run.context, f"{folder}/{night.run_id}.json", text)
    for path in [path for path in list_paths(run.context, folder) if path.endswith(".json")][:-SAMPLES]:
        delete(run.context, path)


def sample_in(run: Run, night: Night) -> npt.NDArray[np.float32] | None:
    """What was kept of a night's cases, (m, columns); None where it is long ago."""
    path = f"{run.store}/{SAMPLED}/{night.run_id}.json"
    if not exists(run.context, path):
        return None
    found = json.loads(read_text(run.context, path))
    rows = np.frombuffer(zlib.decompress(base64.b64decode(found["rows"])), np.float32)
    return rows.reshape(-1, found["columns"])


def joint_of(
    run: Run, watched: Watched, night: Night, before: Sequence[Night], sample: npt.NDArray[np.float32] | None
) -> Joint | None:
    """A night's cases held against those of the nights before that were encoded alike, by the same bundle or by one of
    which it is an update, and that were not stopped; None where there are too few."""
    usual = [one for one in before if one.verdict != "stop"][-SAMPLES:]
    alike = _encoded_alike(run, watched, night, usual)
    found = [part for one in alike if (part := sample_in(run, one)) is not None and len(part)]
    if watched.reference is None or sample is None or not found:
        return None
    try:
        told = told_apart(sample.astype(np.float64), np.concatenate(found).astype(np.float64))
    except ImportError:
        run.say("  not compared with the nights before as a whole: scikit-learn is not installed")
        return None
    if told is None:
        return None
    plan = watched.reference.plan
    by = plan.gauges[kept_gauges(plan)[told.by]].name if told.by is not None else None
    return Joint(told, by, len(found))


def _encoded_alike(run: Run, watched: Watched, night: Night, before: Sequence[Night]) -> list[Night]:
    """Of the nights before those whose kept cases have a night's columns, in the same numbers."""
    alike = {night.bundle_id: True}
    for bundle_id in {one.bundle_id for one in before} - {night.bundle_id}:
        there = exists(run.context, _place_of_watched(run.store, bundle_id))
        alike[bundle_id] = there and _columns(watched_in(run.context, run.store, bundle_id)) == _columns(watched)
    return [one for one in before if alike[one.bundle_id]]


def _columns(watched: Watched) -> list[Gauge] | None:
    if watched.reference is None:
        return None
    plan = watched.reference.plan
    return [plan.gauges[at] for at in kept_gauges(plan)]


def nights_of(context: SparkContext, store: str) -> list[Night]:
    """All nights of a store, the oldest first."""
    return list(newest_nights(context, store))[::-1]


def newest_nights(context: SparkContext, store: str) -> Iterator[Night]:
    """The same, the newest first, each read when it is asked for: a file has the name of its run, which says when."""
    for path in reversed(list_paths(context, f"{store}/{MONITORING}/nights")):
        if path.endswith(".json"):
            yield Night.model_validate_json(read_text(context, path))


def nights_before(newest: Iterable[Night], night: Night) -> list[Night]:
    """The published nights before one that it is compared with, each version once, the oldest first.

    Args:
        newest: a store's nights, the newest first; none is asked for beyond those.
        night: the one in question.
    """
    earlier = (one for one in newest if one.run_id < night.run_id and one.version != night.version)
    return newest_compared(earlier)[::-1]


def newest_compared(newest: Iterable[Night]) -> list[Night]:
    """Of nights, the newest first, the published ones that a night after them is compared with, each version once."""
    found: dict[str, Night] = {}
    for one in newest:
        if one.published:
            found.setdefault(one.version, one)
        if len(found) == COMPARED:
            break
    return list(found.values())


def watched_in(context: SparkContext, store: str, bundle_id: str) -> Watched:
    """What a store's nights of a bundle are judged by."""
    path = _place_of_watched(store, bundle_id)
    try:
        return Watched.model_validate_json(read_text(context, path))
    except ValueError:
        raise InputError(f"{path}: expected what a scoring run wrote, received something else. Score again.") from None


def _place_of_watched(store: str, bundle_id: str) -> str:
    return f"{store}/{MONITORING}/bundles/{bundle_id}.json"


# ---------------------------------------------------------------- judged


def with_patients(run: Run, night: Night) -> Night:
    """A night that knows how many cases a patient has, from its scores, whether they are published or not."""
    scores = read_parquet(run.spark, f"{run.store}/{SCORES}/{night.version}").groupBy(SUBJECT_ID).count()
    mean = F.sum(F.col("count") * F.col("count")) / F.sum("count")
    found = scores.agg(mean.alias("mean")).collect()[0]["mean"]
    return night.model_copy(update={"cases_a_patient": float(found or 1.0)})


class Judgement(NamedTuple):
    """What was found of a night, the gravest first, and all that was compared with training."""

    findings: list[Finding]
    compared: list[Compared]


def judged(watched: Watched, night: Night, before: Sequence[Night], joint: Joint | None = None) -> Judgement:
    """A night beside training, by what its bundle says of it, and beside the nights before."""
    findings: list[Finding] = []
    compared: list[Compared] = []
    newest = None
    if watched.reference is not None and night.tally is not None:
        tally = tally_in(watched.reference, night)
        newest = newest_of(tally)
        compared = compare(watched.reference, tally, cases_a_patient=night.cases_a_patient)
        findings += uncounted(night, tally)
        plan, training = watched.reference.plan, watched.reference.tally()
        findings += findings_of(plan, compared, training, tally, watched.settings)
    beside = beside_before(night, before, newest, watched.settings)
    found = [*findings_beside(beside, watched.settings), *findings_joint(joint, watched.settings), *findings]
    return Judgement(sorted(found, key=lambda one: -ORDER.index(one.verdict)), compared)


def uncounted(night: Night, tally: Tally) -> list[Finding]:
    """Where most of a night's scores were not counted, nothing was found of them: that is no reason to trust them."""
    counted = int(tally.counts[0, -1]) * night.step
    if counted >= LEAST_COUNTED * night.scored:
        return []
    told = f"about {counted:,} of {night.scored:,} scores were counted: a run that stopped had made the others"
    share = counted / night.scored
    return [Finding("scores", "", "", "counted", share, 1.0, LEAST_COUNTED, None, "stop", told)]


def tally_in(reference: Reference, night: Night) -> Tally:
    """What was counted of a night; nothing of a night whose bundle could not be watched."""
    return unpacked(night.tally, reference.plan) if night.tally is not None else empty(reference.plan)
