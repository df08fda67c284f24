"""Gradient boosting that teaches the members: each learns what trees say that saw the same patients as it.

Trees cut where a number tells and are good at few cases of many numbers; a network learns what they say from the same
cases (model compression: Bucila, Caruana and Niculescu-Mizil 2006; distillation: Hinton et al. 2015, arXiv 1503.02531),
is smoother than they are, and is what is served: no tree is. The outcomes come in again where the linear paths are
drawn towards logistic regressions. A member's trees leave out the fold that it leaves out, so
that it hears of no outcome there.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import Input
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.censoring import Truth
from medspark.evaluate.truth import Floats, Reading
from medspark.task.outcome import Kind
from medspark.task.training import Network, Training
from medspark.train.baselines import dense_design, plain_tensors
from medspark.train.batches import Folds, fold_of, windows
from medspark.train.linear import Cases, asked_of
from medspark.train.soft_labels import soft_input, write_beside

READ: Final = ("numbers", "categories", "codes")
"""The parts that trees read as well as a network does; of a sequence's times or an image they would know too little."""
TAUGHT: Final = 1.0
"""The share of the trees' word in what members learn."""
LEAST_CASES: Final = 2_000
"""Of fewer, outcomes and logistic regressions say more than trees do."""
MOST_CASES: Final = 100_000
"""That the trees of a member learn from."""
LEAST_OUTCOMES: Final = 20
"""Cases with and without an outcome, or of each class, from which on a tenth of them says how many trees there are."""
FEW_TREES: Final = 50
"""Where there are fewer."""
MOST_TREES: Final = 800
LEAVES: Final = ((10_000, 7), (MOST_CASES, 15))
"""Up to so many cases so many leaves a tree."""


def leaves_of(cases: int) -> int:
    """How many leaves each tree has, of so many cases.

    >>> leaves_of(2_000), leaves_of(80_000)
    (7, 15)
    """
    return next(leaves for most, leaves in LEAVES if cases <= most)


class Teachers(NamedTuple):
    """Of each member a model for each question: one for all classes, or one for each target."""

    models: list[list[Any]]
    design: Any
    inputs: Sequence[Input]
    kind: Kind


def said_by(teachers: Teachers, tensors: Arrays) -> Floats:
    """The logits that members are taught of n cases, (n, members, k); of horizons none is below an earlier one."""
    x = teachers.design(plain_tensors(tensors, teachers.inputs))
    each = [np.concatenate([_logits(model, x, teachers.kind) for model in models], axis=1) for models in teachers.models]
    found: Floats = np.stack(each, axis=1)
    return np.maximum.accumulate(found, axis=2) if teachers.kind == "horizons" else found


def _logits(model: Any, x: npt.NDArray[Any], kind: Kind) -> Floats:
    """(n, 1) of an outcome, (n, k) of classes."""
    found = np.asarray(model.decision_function(x), np.float64)
    if found.ndim == 2:
        return found
    # trees have one logit of two classes, the network one of each
    return np.stack([-found, found], axis=1) / 2 if kind == "classes" else found[:, None]


@contextmanager
def taught_files(
    files: list[Path], inputs: list[Input], reading: Reading, folds: Folds | None, network: Network, training: Training
) -> Iterator[tuple[list[Path], Input | None]]:
    """Files with what trees say of each case, and the column it stands in; the same files, and None, where none teach.

    They are beside the tensors, where every worker sees them, and go when learning has ended.
    """
    teachers = None
    if folds is not None and can_be_taught(inputs, network, training):
        tensors, truth, subject = next(windows(files, inputs, reading, np.random.default_rng(training.seed)))
        cases = Cases(tensors, truth, fold_of(subject, folds)).first(MOST_CASES)
        if len(cases.fold) >= LEAST_CASES:
            teachers = fit_teachers(cases, inputs, reading.kind, folds.parts, training.seed)
    if folds is None or teachers is None:
        yield files, None
        return
    table = files[0].parent.parent
    with tempfile.TemporaryDirectory(dir=table, prefix=".taught-") as folder:
        os.chmod(folder, table.stat().st_mode & 0o777)  # workers may be other users
        said = partial(_said, teachers)
        yield write_beside(said, files, inputs, Path(folder)), soft_input(folds.parts, reading.size)


def _said(teachers: Teachers, tensors: Arrays, _: npt.NDArray[Any]) -> Floats:
    return said_by(teachers, tensors)


def can_be_taught(inputs: Sequence[Input], network: Network, training: Training) -> bool:
    """Whether trees read all that the network does, and both mean risks by their logits."""
    plain = training.loss == "cross_entropy" and training.class_weight == "none" and training.label_smoothing is None
    wanted = training.taught_by == "boosting" and network.kind == "tabular"
    return wanted and plain and all(one.part in READ for one in inputs)


def fit_teachers(cases: Cases, inputs: Sequence[Input], kind: Kind, members: int, seed: int) -> Teachers | None:
    """Trees of each member, of the folds that it learns from; None where without some fold an outcome is not there."""
    from threadpoolctl import threadpool_limits

    plain = plain_tensors(cases.tensors, inputs)
    design = dense_design(plain, inputs, len(cases.fold))
    x = design(plain)
    models = []
    with threadpool_limits(1, user_api="openmp"):  # sums of more threads hang on their order
        for member in range(members):
            found = [
                _fitted(x, y, weight, (cases.fold != member) & (weight > 0), size, design.categorical, seed + member)
                for y, weight, size in _questions(cases.truth, kind)
            ]
            if any(one is None for one in found):
                return None
            models.append(found)
    return Teachers(models, design, inputs, kind)


def _questions(truth: Truth, kind: Kind) -> list[tuple[npt.NDArray[np.int64], Floats, int]]:
    """Outcome, weight (n,) and number of outcomes of each question."""
    outcomes = truth.label.shape[1] if kind == "classes" else 2
    return [(y, weight, outcomes) for y, weight in asked_of(truth, kind)]


def _fitted(
    x: npt.NDArray[Any],
    y: npt.NDArray[np.int64],
    weight: Floats,
    learned: npt.NDArray[np.bool_],
    outcomes: int,
    categorical: Sequence[bool],
    seed: int,
) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    counts = np.bincount(y[learned], minlength=outcomes)
    if not counts.all():
        return None
    stopping = bool(counts.min() >= LEAST_OUTCOMES)
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_leaf_nodes=leaves_of(int(counts.sum())),
        max_features=0.3,
        max_iter=MOST_TREES if stopping else FEW_TREES,
        early_stopping=stopping,
        n_iter_no_change=15,
        categorical_features=categorical,
        random_state=seed,
    )
    return model.fit(x[learned], y[learned], weight[learned])
