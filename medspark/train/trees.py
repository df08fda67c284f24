"""One fit of gradient boosting, of those that teach members; no network here, so that processes begin at once."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TAUGHT: Final = 1.0
"""The share of the trees' word in what members learn."""
LEAST_CASES: Final = 2_000
"""Of fewer, outcomes and logistic regressions say more than trees do."""
MOST_CASES: Final = 100_000
"""That the trees of a member learn from."""
MOST_CELLS: Final = 60_000_000
"""Cases times columns that the trees of a member read, of all its targets together."""
LEAST_SHARE: Final = 0.25
"""Of the cases, up to the most: trees that may read fewer know less than members who learn from all outcomes."""
LEAST_OUTCOMES: Final = 20
"""Cases with and without an outcome, or of each class, from which on a tenth of them says how many trees there are."""
FEW_TREES: Final = 50
"""Where there are fewer."""
MOST_TREES: Final = 800
"""Of a target."""
ALL_TREES: Final = 6_400
"""At most, of all targets or classes of a member together."""
LEAVES: Final = ((10_000, 7, 20), (30_000, 15, 20), (MOST_CASES, 63, 40))
"""Up to so many cases so many leaves a tree, of at least so many cases each."""
TENTHS: Final = 10
"""Parts of the patients, of which one says how many trees there are."""
SETTINGS: Final = {"learning_rate": 0.05, "max_features": 0.3, "n_iter_no_change": 15}
"""scikit-learn's."""
RULE: Final = {
    "taught": TAUGHT,
    "cases": [LEAST_CASES, MOST_CASES, MOST_CELLS, LEAST_SHARE],
    "trees": [LEAST_OUTCOMES, FEW_TREES, MOST_TREES, ALL_TREES, TENTHS],
    "leaves": LEAVES,
    "settings": SETTINGS,
}
"""All that decides what trees say of the same cases, but for the libraries."""


class Fit(NamedTuple):
    """What one model learns of n cases."""

    y: npt.NDArray[np.int64]
    weight: Floats
    learned: npt.NDArray[np.bool_]
    """Cases that it learns from."""
    watched: npt.NDArray[np.bool_]
    """Those of them that say when there are trees enough, of patients of their own."""
    outcomes: int
    seed: int
    most: int
    """Trees, each of all classes."""

    def lacks_outcome(self) -> bool:
        """Whether an outcome or a class is not among what it learns from."""
        return not self._counts(self.learned).all()

    def stops_early(self) -> bool:
        """Whether those that are watched can say when."""
        counts = self._counts(self.learned)
        apart = (self._counts(self.learned & part) for part in (self.watched, ~self.watched))
        return bool(counts.min() >= LEAST_OUTCOMES) and all(part.all() for part in apart)

    def _counts(self, some: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.bincount(self.y[some], minlength=self.outcomes)


def cases_taught(seen: int, cases: int, columns: int, targets: int) -> int:
    """How many cases the trees learn from, of those that are seen of all; 0 where they would be too few to teach.

    >>> [cases_taught(50_000, 50_000, 100, targets) for targets in (1, 25, 100)]
    [50000, 24000, 0]
    >>> [cases_taught(seen, cases, 100, 1) for seen, cases in ((1_999, 1_999), (4_096, 50_000), (200_000, 1_000_000))]
    [0, 0, 100000]
    """
    found = min(seen, MOST_CASES, MOST_CELLS // max(1, columns * targets))
    return found if found >= max(LEAST_CASES, LEAST_SHARE * min(cases, MOST_CASES)) else 0


def most_trees(targets: int) -> int:
    """How many trees each of so many targets or classes has at most.

    >>> [most_trees(targets) for targets in (1, 8, 25, 1_000)]
    [800, 800, 256, 50]
    """
    return max(FEW_TREES, min(MOST_TREES, ALL_TREES // targets))


def leaves_of(cases: int) -> tuple[int, int]:
    """How many leaves each tree has, of so many cases, and how many cases a leaf has at least.

    >>> leaves_of(2_000), leaves_of(80_000)
    ((7, 20), (63, 40))
    """
    return next((leaves, least) for most, leaves, least in LEAVES if cases <= most)


def fit_trees(x: npt.NDArray[Any], categorical: Sequence[bool], fit: Fit) -> Any:
    """The model of one fit, of what it reads (n, columns); by one thread, for sums of more hang on their order."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    stopping = fit.stops_early()
    leaves, least = leaves_of(int(fit.learned.sum()))
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=leaves,
        min_samples_leaf=least,
        max_iter=fit.most if stopping else FEW_TREES,
        early_stopping=stopping,
        categorical_features=categorical,
        random_state=fit.seed,
        **SETTINGS,
    )
    learned = fit.learned & ~fit.watched if stopping else fit.learned
    beside = {}
    if stopping:
        seen = fit.learned & fit.watched
        beside = {"X_val": x[seen], "y_val": fit.y[seen], "sample_weight_val": fit.weight[seen]}
    with threadpool_limits(1, user_api="openmp"):
        return model.fit(x[learned], fit.y[learned], fit.weight[learned], **beside)
