"""The members' linear paths, drawn towards logistic regressions of the same folds.

A mean of logits w * regression + (1 - w) * network is a network of the same layers: the head is scaled by 1 - w, and
the linear path becomes the mean of both. So where cases are few and a line says all there is, the network is no worse
than logistic regression, and it costs nothing to serve. w is what makes the cross-entropy least of patients that were
not learned from (stacking: Wolpert 1992; Breiman 1996, Machine Learning 24:49), drawn towards a half: a few hundred
patients do not tell, and of two models that are equally good the mean is better than each.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize_scalar

from medspark.encode.inputs import Input, size_of
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.censoring import Truth
from medspark.evaluate.truth import Floats
from medspark.task.outcome import Kind
from medspark.train.losses import cross_entropy
from medspark.train.networks.genes import BASES, strands_of
from medspark.train.networks.members import HEAD, straight_name

MOST_CASES: Final = 20_000
"""That the regressions learn from: of more they learn little more, and the network much."""
MOST_CELLS: Final = 2**25
"""Of the design, cases times columns: 256 MB, and a copy of most of it for each regression."""
LEAST_CASES: Final = 1_000
"""Where so many columns leave room for fewer, though there are more, nothing is drawn."""
PENALTIES: Final = (0.01, 0.1, 1.0)
"""scikit-learn's C; the best by the patients that were not learned from."""
DRAWN: Final = 20.0
"""What w = 0 or 1 must gain over a half, in nats of all cases together, four times over."""
DENSE: Final = 500
"""Columns up to which a dense design is the faster."""


class Cases(NamedTuple):
    """Cases (n,) that members learned from."""

    tensors: Arrays
    truth: Truth
    fold: npt.NDArray[np.int64]
    """Of the member that did not."""

    def first(self, count: int) -> "Cases":
        tensors = {name: array[:count] for name, array in self.tensors.items()}
        return Cases(tensors, self.truth.take(np.arange(min(count, len(self.fold)))), self.fold[:count])


class Lines(NamedTuple):
    """A logistic regression for each member and target."""

    weight: Floats
    """(columns, members, k)"""
    level: Floats
    """(members, k)"""
    logit: Floats
    """(n, k), of each case by the one that did not learn from it."""


def cases_drawn(inputs: Sequence[Input], count: int) -> int:
    """How many of so many cases the regressions learn from; 0 where they would be too few for their columns.

    >>> numbers = Input("numeric", 100, "float32", part="numbers")
    >>> [cases_drawn([numbers._replace(width=width)], 50_000) for width in (100, 10_000, 100_000)]
    [20000, 3355, 0]
    """
    columns = sum(_width(one) for one in inputs)
    found = min(count, MOST_CASES, MOST_CELLS // max(1, columns))
    return found if columns and (found >= LEAST_CASES or found == count) else 0


def _width(one: Input) -> int:
    """How many columns the linear path of an input has; 0 where it has none."""
    match one.part:
        case "numbers":
            return one.width
        case "categories" | "codes":
            return size_of(one)
        case "gene":
            return int(BASES.shape[1]) * one.width
    return 0


def draw_to_lines(members: Any, inputs: Sequence[Input], cases: Cases, logit: Floats, kind: Kind) -> float:
    """Draw the members' linear paths towards logistic regressions; w, 0 where there are none.

    Args:
        members: the network of all members, tabular.
        inputs: the network's.
        cases: as many as there are, in an order by chance.
        logit: (n, k) what of each case the member says that did not learn from it.
        kind: of the outcome.
    """
    design = design_of(cases.tensors, inputs)
    lines = None if design is None else fit_lines(design, cases, kind, int(members.output.shape[1]))
    if lines is None:
        return 0.0
    share = share_of_lines(kind, lines.logit, logit, cases.truth)
    _mix(members, inputs, lines, share)
    return share


def design_of(tensors: Arrays, inputs: Sequence[Input]) -> Any:
    """What the linear paths read (n, columns), an input after the other; None where there is none."""
    parts = [part for one in inputs if (part := _columns(tensors, one)) is not None]
    if not parts:
        return None
    found = sparse.hstack(parts, format="csr")
    return found.toarray() if found.shape[1] <= DENSE else found


def _columns(tensors: Arrays, one: Input) -> Any:
    if one.part == "numbers":
        return sparse.csr_matrix(tensors[one.name].astype(np.float64))
    if one.part in ("categories", "codes"):
        ids = tensors[one.name]
        rows, there = np.repeat(np.arange(len(ids)), ids.shape[1]), np.ones(ids.size)
        if one.part == "codes":
            there[ids.ravel() == 0] = 0.0
        return sparse.csr_matrix((there, (rows, ids.ravel())), shape=(len(ids), size_of(one)))
    if one.part == "gene":
        strands = [BASES[ids].reshape(len(ids), -1) for ids in strands_of(tensors, one).values()]
        return sparse.csr_matrix(np.sum(strands, axis=0, dtype=np.float64))
    return None


def fit_lines(design: Any, cases: Cases, kind: Kind, members: int) -> Lines | None:
    """Those of the best penalty; None where without some fold an outcome or a class is not there."""
    found, size = [], cases.truth.label.shape[1] if kind == "classes" else 1
    for penalty in PENALTIES:
        of_targets = [
            _of_target(design, *one, cases.fold, members, penalty, size) for one in asked_of(cases.truth, kind)
        ]
        lines = [one for one in of_targets if one is not None]
        if len(lines) < len(of_targets):
            return None
        found.append(Lines(*(np.concatenate(part, axis=-1) for part in zip(*lines, strict=True))))
    return min(found, key=lambda one: cross_entropy(kind, one.logit, cases.truth))


def asked_of(truth: Truth, kind: Kind) -> list[tuple[npt.NDArray[np.int64], Floats]]:
    """Outcome and weight (n,) of each regression: of classes one for all, else one for each target."""
    if kind == "classes":
        return [(truth.label.argmax(axis=1), truth.weight[:, 0])]
    label = np.nan_to_num(truth.label).astype(np.int64)
    return [(label[:, at], truth.weight[:, at]) for at in range(label.shape[1])]


def _of_target(
    design: Any,
    y: npt.NDArray[np.int64],
    weight: Floats,
    fold: npt.NDArray[np.int64],
    members: int,
    penalty: float,
    size: int,
) -> Lines | None:
    """The regressions of one target, with `size` logits each."""
    from sklearn.linear_model import LogisticRegression

    found = Lines(np.empty((design.shape[1], members, size)), np.empty((members, size)), np.zeros((len(y), size)))
    for member in range(members):
        learned, left_out = (fold != member) & (weight > 0), fold == member
        if len(np.unique(y[learned])) < max(2, size):
            return None
        line = LogisticRegression(C=penalty, max_iter=300).fit(design[learned], y[learned], weight[learned])
        coefficients, level = line.coef_, line.intercept_
        if size == 2:  # the regression has one logit of two classes, the network one of each
            coefficients, level = np.concatenate([-coefficients, coefficients]) / 2, np.array([-1, 1]) * level / 2
        found.weight[:, member], found.level[member] = coefficients.T, level
        found.logit[left_out] = design[left_out] @ coefficients.T + level
    return found


def share_of_lines(kind: Kind, line: Floats, network: Floats, truth: Truth) -> float:
    """w, by logits (n, k) of cases that neither learned from.

    >>> truth = Truth(np.array([[1.0], [0.0]] * 500), np.ones((1000, 1)))
    >>> good, bad = np.array([[2.0], [-2.0]] * 500), np.array([[-0.1], [0.1]] * 500)
    >>> [round(share_of_lines("binary", *pair, truth), 1) for pair in ((good, bad), (good, good), (bad, good))]
    [1.0, 0.5, 0.0]
    """

    def lost(share: float) -> float:
        return cross_entropy(kind, share * line + (1 - share) * network, truth) + DRAWN * (share - 0.5) ** 2

    return float(minimize_scalar(lost, bounds=(0.0, 1.0), method="bounded").x)


def _mix(members: Any, inputs: Sequence[Input], lines: Lines, share: float) -> None:
    head = members.get_layer(HEAD)
    head.kernel.assign((1 - share) * np.asarray(head.kernel))
    head.bias.assign((1 - share) * np.asarray(head.bias) + share * lines.level.reshape(head.bias.shape))
    at = 0
    for one in inputs:
        width = _width(one)
        if not width:
            continue
        variable = members.get_layer(straight_name(one.name)).trainable_variables[0]
        mixed = (1 - share) * np.asarray(variable)  # numbers have ramps behind them, which the regression lacks
        mixed[:width] += share * lines.weight[at : at + width].reshape(width, -1)
        variable.assign(mixed)
        at += width
