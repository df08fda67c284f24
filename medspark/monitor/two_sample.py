"""Whether a night differs from the nights before in any way at all: a classifier tries to tell their cases apart.

What single features do not show, such as two that no longer go together, a classifier learns (Lopez-Paz and Oquab 2017,
Revisiting classifier two-sample tests). Cases of training may not leave with the bundle, so a night is held against the
samples that the store kept of the nights before it.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_ROWS: Final = 2000
"""Of each side."""
LEAST_ROWS: Final = 200
NAMED_BELOW: Final = 0.01
"""The chance below which it is asked what tells them apart."""


class Told(NamedTuple):
    """How well two samples can be told apart."""

    auroc: float
    """Of cases that the classifier had not seen: .5 where nothing tells them."""
    p: float
    """How often chance alone brings one as high."""
    by: int | None
    """The column that the classifier needs most, by how much is lost when it is shuffled; None where none is needed."""


def told_apart(night: Floats, before: Floats, seed: int = 0) -> Told | None:
    """Two samples by a classifier that learns from half of them and is asked of the other half, so that under the null
    its answers there are in a random order; None where one sample is too small to say.

    Args:
        night: (n, k), NaN where something is missing.
        before: (m, k), the same columns.
        seed: of the halves, the classifier and the shuffling.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # only here: a scoring machine need not have them
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    night, before = _drawn(night, rng), _drawn(before, rng)
    if min(len(night), len(before)) < LEAST_ROWS:
        return None
    rows, label = np.concatenate([before, night]), np.repeat([0, 1], [len(before), len(night)])
    asked = rng.permutation(len(label)) % 2 == 0
    model = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):  # of so few rows the threads would only wait for one another
        model.fit(rows[~asked], label[~asked])
        auroc = _own_auroc(model, rows[asked], label[asked])
    n, m = int(label[asked].sum()), int((1 - label[asked]).sum())
    spread = math.sqrt((n + m + 1) / (12 * n * m))  # of Mann and Whitney's statistic by chance
    p = 0.5 * math.erfc((auroc - 0.5) / spread / math.sqrt(2))
    return Told(auroc, p, _needed(model, rows[asked], label[asked], rng) if p < NAMED_BELOW else None)


def _own_auroc(model: Any, rows: Floats, label: npt.NDArray[np.int64]) -> float:
    return _auroc(label, model.predict_proba(rows)[:, 1])


def _needed(model: Any, rows: Floats, label: npt.NDArray[np.int64], rng: np.random.Generator) -> int | None:
    """The column whose shuffling costs the classifier most (Breiman 2001, Random forests)."""
    own, lost = _own_auroc(model, rows, label), []
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        lost.append(own - _own_auroc(model, shuffled, label))
    return int(np.argmax(lost)) if max(lost) > 0 else None


def _drawn(sample: Floats, rng: np.random.Generator) -> Floats:
    return sample if len(sample) <= MOST_ROWS else sample[rng.choice(len(sample), MOST_ROWS, replace=False)]


def _auroc(label: npt.NDArray[np.int64], score: Floats) -> float:
    """The chance that a case of the one side is scored above one of the other; ties count half."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    n, m = int(label.sum()), int((1 - label).sum())
    return float((rank[place][label == 1].sum() - n * (n + 1) / 2) / (n * m))
