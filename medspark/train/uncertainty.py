"""What a bundle says beside its scores, learned from patients that the network, or the member that is asked, was not
trained on; and how far that holds for the test split."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

from medspark.encode.inputs import Input
from medspark.encode.statistics import Statistics
from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import Floats
from medspark.evaluate.reliance import Stated, missing_ends, reliance
from medspark.schemas import LABEL, MISSING_SHARE, PROBABILITY, SUBJECT_ID, TEST, TRAIN, VALID
from medspark.score.worker.uncertainty import DISAGREES, Conformal, Tail, Uncertainty, VennAbers, beside_scores
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task
from medspark.task.training import Scoring
from medspark.train.batches import load_split, split_files, windows
from medspark.train.fit import Fitted
from medspark.train.steps import predicted_at_once
from medspark.train.strangeness import strangeness

COVERAGE: Final = 0.9
UNUSUAL_SHARE: Final = 0.01
"""Where the task says none."""
LEAST_OF_EACH: Final = 11
"""Patients with and without the outcome in each group of an interval: fewer could be told from its ends."""
CASES_OF_EACH: Final = 50
"""Cases with and without the outcome in each group of conformal ends: of fewer, chance decides who is left open."""
MISSING_GROUPS: Final = (3, 2, 1)
"""By how much is missing: thirds, else halves, else all together."""
MOST_GROUPS: Final = 100
TAIL_POINTS: Final = 100
SLACK: Final = 1e-3
"""Of the logarithm of a distance."""


class Served(NamedTuple):
    """The network that a bundle keeps."""

    network: Any
    """The logits of k targets, then what `beside` names, (n, k + more)."""
    beside: tuple[str, ...]


class LearnedFrom(NamedTuple):
    """A fitted network and what it was fitted on."""

    table: str
    """The tensors' folder, one folder a split."""
    statistics: Statistics
    fitted: Fitted
    is_student: bool


class HeldOut(NamedTuple):
    """n cases that a network, or the member that is asked, was not trained on."""

    risk: Floats
    """(n, k) of each target."""
    known: Truth
    """Of the same."""
    missing: Floats
    """(n,) the share of each case that is missing."""


def stand_beside(
    learned: LearnedFrom, held_out: HeldOut, task: Task, served: Served | None = None
) -> tuple[Served, Uncertainty]:
    """The network as the bundle keeps it, and what it says beside its scores: distances from the training split, by the
    validation split's.

    Args:
        learned: the network.
        held_out: cases that it, or the member that is asked, was not trained on.
        task: its coverage and share of unusual cases.
        served: the network as a bundle kept it, whose distances then stay those from that bundle's training cases.
    """
    inputs, at, reading = learned.statistics.inputs(), task.outcome.targets.headline, learned.fitted.reading
    if served is None:
        rng = np.random.default_rng(task.training.seed)
        sample, _, _ = next(windows(split_files(learned.table, TRAIN), inputs, reading, rng))
        served = with_beside(learned, sample, at)
    valid = load_split(learned.table, VALID, inputs, reading)
    assert valid is not None, "there are validation cases"
    distances = beside_of(served, valid.tensors, inputs)
    found = fit_uncertainty(served.beside, distances, held_out, at, task.scoring)
    return served, found.model_copy(update={"newest_event": isinstance(task, EventTask)})


def held_out_reliance(
    learned: LearnedFrom, served: Served, uncertainty: Uncertainty, frame: pd.DataFrame, task: Task
) -> dict[str, Any]:
    """How far what stands beside the scores holds for the test split.

    Args:
        learned: the network.
        served: the same as the bundle keeps it.
        uncertainty: what stands beside its scores.
        frame: the test split's rows of `predictions`, with their subgroups.
        task: its subgroups are looked at apart.
    """
    inputs = learned.statistics.inputs()
    test = load_split(learned.table, TEST, inputs, learned.fitted.reading, (MISSING_SHARE,))
    assert test is not None, "there are test cases"
    risk = frame[PROBABILITY].to_numpy(np.float64)
    missing = test.keys[MISSING_SHARE].to_numpy()
    stands = beside_scores(uncertainty, beside_of(served, test.tensors, inputs), risk, missing)
    label = frame[LABEL].to_numpy(np.float64, na_value=np.nan)
    coverage = None if uncertainty.conformal is None else uncertainty.conformal.coverage
    stated = Stated(uncertainty.unusual_share, coverage, uncertainty.absent)
    groups, subject = frame[[*task.report.subgroups]], frame[SUBJECT_ID].to_numpy()
    return reliance(stated, stands, label, missing, groups, subject)


def with_beside(learned: LearnedFrom, sample: Mapping[str, npt.NDArray[Any]], headline: int) -> Served:
    """The fitted network with its members' disagreement on the headline and the distances from a sample of training
    cases behind the logits, which stay what they are. A student is one, whatever learned beside it."""
    fitted = learned.fitted
    tensors, logit = fitted.network.input, fitted.network.output
    far = strangeness(tensors, learned.statistics, sample)
    names, more = far.names, far.outputs
    if not learned.is_student and fitted.members.output.shape[1] > 1:  # the logits are their mean
        off = fitted.members.output[:, :, headline] - keras.ops.expand_dims(logit[:, headline], -1)
        spread = keras.ops.sqrt(keras.ops.mean(keras.ops.square(off), axis=1, keepdims=True))
        names, more = (DISAGREES, *names), [spread, *more]
    return Served(keras.Model(tensors, keras.layers.Concatenate()([logit, *more]), name="with_beside"), names)


def beside_of(served: Served, tensors: Mapping[str, npt.NDArray[Any]], inputs: list[Input]) -> Floats:
    """What the network gives behind its logits for n cases, (n, outputs)."""
    found = served.network.predict(tensors, batch_size=predicted_at_once(inputs), verbose=0)
    return np.asarray(found[:, found.shape[1] - len(served.beside) :], np.float64)


def fit_uncertainty(
    beside: tuple[str, ...], distances: Floats, held_out: HeldOut, headline: int, asked: Scoring
) -> Uncertainty:
    """What stands beside the scores.

    Args:
        beside: what the network gives behind its logits.
        distances: (m, outputs) that of the validation split's cases.
        held_out: cases not learned from.
        headline: the place of the target that all of it is about.
        asked: the task's coverage and share of unusual cases.
    """
    label, weight = held_out.known.label[:, headline], held_out.known.weight[:, headline]
    known = (weight > 0) & np.isfinite(label)
    p, y, w = held_out.risk[known, headline], label[known].astype(bool), weight[known]
    interval = venn_abers(p, y, w)
    conformal = conformal_ends(p, y, w, held_out.missing[known], asked.coverage or COVERAGE)
    few = f"it takes {LEAST_OF_EACH} cases of each outcome that the network did not learn from"
    absent = {} if DISAGREES in beside else {"disagreement": "the network has one member"}
    if interval is None:
        absent["interval"] = few
    tails = {name: tail_of(distances[:, at]) for at, name in enumerate(beside) if name != DISAGREES}
    return Uncertainty(
        beside=beside,
        unusual_share=asked.unusual_share or UNUSUAL_SHARE,
        tails=tails,
        interval=interval,
        conformal=conformal,
        absent=absent,
    )


def tail_of(distances: Floats) -> Tail:
    """How many of n cases are as far away, at TAIL_POINTS distances, close beside each other among the farthest.

    A case must be farther by SLACK, for many may lie at the very same distance, and LiteRT adds up otherwise.

    >>> tail_of(np.array([1.0, 3.0, 2.0])).as_far
    (3, 2, 1, 0)
    """
    ordered = np.sort(np.nan_to_num(distances, posinf=float(np.finfo(np.float32).max))) + SLACK
    count = len(ordered)
    if not count:
        return Tail(cases=0, distances=(0.0,), as_far=(0,))
    as_far = np.unique(np.geomspace(1, count, TAIL_POINTS).round().astype(int))[::-1]
    beyond = float(np.nextafter(ordered[-1], np.inf))
    return Tail(
        cases=count,
        distances=(*(float(ordered[count - far]) for far in as_far), beyond),
        as_far=(*(int(far) for far in as_far), 0),
    )


def venn_abers(p: Floats, y: npt.NDArray[np.bool_], w: Floats) -> VennAbers | None:
    """Inductive Venn-Abers predictors (Vovk & Petej 2014) over groups of cases with neighbouring probabilities; None
    where there are not LEAST_OF_EACH cases of each outcome.

    Each end is the isotonic regression of the outcome with one case more in the group, without the outcome and with it.
    """
    from sklearn.isotonic import isotonic_regression

    edges = _edges(p, y)
    if edges is None:
        return None
    group = np.searchsorted(edges, p, side="right")
    total = np.bincount(group, w, minlength=len(edges) + 1)
    positive = np.bincount(group, w * y, minlength=len(edges) + 1)
    low: list[float] = []
    high: list[float] = []
    for at in range(len(total)):
        one = (np.arange(len(total)) == at).astype(float)
        for more, found in ((0.0, low), (one, high)):
            fitted = isotonic_regression((positive + more) / (total + one), sample_weight=total + one)
            found.append(float(fitted[at]))
    return VennAbers(edges=tuple(map(float, edges)), low=tuple(low), high=tuple(high))


def _edges(p: Floats, y: npt.NDArray[np.bool_]) -> Floats | None:
    """Between groups of neighbours with LEAST_OF_EACH cases of each outcome and not more than MOST_GROUPS in all."""
    values, place = np.unique(p, return_inverse=True)
    so_far = np.cumsum([np.bincount(place, y), np.bincount(place, ~y)], axis=1)  # with and without, up to each value
    whole = so_far[:, -1]
    if whole.min() < LEAST_OF_EACH:
        return None
    least, edges, before = len(p) / MOST_GROUPS, [], np.zeros(2)
    for at, until in enumerate(so_far.T[:-1]):
        held, rest = until - before, whole - until
        if held.min() >= LEAST_OF_EACH and held.sum() >= least and rest.min() >= LEAST_OF_EACH:
            edges.append((values[at] + values[at + 1]) / 2)
            before = until
    return np.array(edges)


def conformal_ends(p: Floats, y: npt.NDArray[np.bool_], w: Floats, missing: Floats, coverage: float) -> Conformal:
    """From which probability on an outcome, and up to which none, is left open, so that of the cases with the outcome,
    and of those without, the stated share has what came true left open: in a new case as well, by exchangeability.

    So it is in each group of cases by how much of them is missing, as many as leave CASES_OF_EACH in each group.
    """
    edges, group = _by_missing(missing, y)
    each = [group == at for at in range(len(edges) + 1)]
    return Conformal(
        coverage=coverage,
        missing_up_to=tuple(map(float, edges)),
        likely_from=tuple(max(0.0, _least_open(p[y & one], w[y & one], coverage)) for one in each),
        unlikely_to=tuple(min(1.0, -_least_open(-p[~y & one], w[~y & one], coverage)) for one in each),
    )


def _by_missing(missing: Floats, y: npt.NDArray[np.bool_]) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The last shares missing of all groups but one, and each case's group (n,)."""
    for groups in MISSING_GROUPS:
        edges = missing_ends(missing, groups)[:-1]
        group = np.searchsorted(edges, missing)
        least = min(np.bincount(group, of_them, minlength=len(edges) + 1).min() for of_them in (y, ~y))
        if least >= CASES_OF_EACH:
            break
    return edges, group


def _least_open(values: Floats, weight: Floats, coverage: float) -> float:
    """The largest of the values that at most a share 1 - coverage of them, and one more case, lies below."""
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    place = np.searchsorted(below, (1 - coverage) * (weight.sum() + 1) + 1e-9, side="right") - 1
    return float(values[order[place]]) if place >= 0 else -np.inf
