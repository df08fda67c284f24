"""Two baselines that a network has to beat, fitted on its own tensors.

A data scientist asks first whether the network is worth it; the report answers with these beside it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from medspark.errors import InputError

Tensors = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

MAX_ROWS: Final = 500_000
DENSE_CELLS: Final = 60_000_000
"""Boosting reads float64: this many cells are half a gigabyte. Beyond it, the rarest codes are left out."""
NUMBER_CELLS: Final = 120_000_000
LEAST_ROWS: Final = 5_000
"""Beyond so many numbers in all fewer cases are drawn, to this least."""
MAX_LEVELS: Final = 255
"""scikit-learn's limit for a categorical feature of gradient boosting."""
PENALTIES: Final = (0.01, 0.1, 1.0)
CATEGORIES: Final = "categories"
CODES: Final = ("codes_", "tokens_")
"""A sequence's events are a bag of codes to a baseline."""
GRID: Final = "grid_"
LEFT_OUT: Final = ("times_", "numbers_")


class _Classifier(Protocol):
    def predict_proba(self, X: Any) -> Floats: ...  # noqa: N803 (scikit-learn's name)


class _Design(Protocol):
    def __call__(self, tensors: Tensors) -> Any: ...


@dataclass(frozen=True)
class Baseline:
    """A fitted model: call it with tensors for the probabilities (n,) of the positive class."""

    classifier: _Classifier
    design: _Design
    description: str
    """How it was fitted, for the report: settings chosen, rows used, what was left out."""
    rows: int
    sizes: Mapping[str, int]

    def __call__(self, tensors: Tensors) -> Floats:
        x = self.design(plain_tensors(tensors, self.sizes))
        return np.asarray(self.classifier.predict_proba(x)[:, 1], dtype=np.float64)


def fit_baselines(tensors: Tensors, label: NDArray[Any], sizes: Mapping[str, int], seed: int) -> dict[str, Baseline]:
    """`logistic_regression` and `gradient_boosting`, fitted on the training split.

    Args:
        tensors: any of `numeric` (n, d) float32, standardised and imputed; `categories` (n, k) int32, ids of
            one table that serves all columns; `codes_<name>` (n, m) int32, ids of codes with 0 as padding; of
            events `tokens_<name>`, as codes, and `grid_<name>` (n, steps * 2 * codes) float32. The times and
            numbers of a sequence are left out.
        label: (n,) of 0 and 1.
        sizes: the table's size for `categories`, the vocabulary's for each `codes_<name>` and `tokens_<name>`, the
            number of codes for each `grid_<name>`.
        seed: draws the rows of fits beyond 500,000, or fewer where the numbers are many, and the held-back parts.

    Raises:
        InputError: no tensor, tensors of different lengths, a NaN, or one outcome only.
    """
    y = _checked(tensors, label)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))[: _most_rows(tensors, sizes)]
    sample = plain_tensors({name: tensor[order] for name, tensor in tensors.items()}, sizes)
    used = f"{len(order):,} of {len(y):,} training rows, drawn by seed {seed}" if len(order) < len(y) else "all rows"
    used += _of_events(tensors)
    return {
        "logistic_regression": _fit_logistic(sample, y[order], sizes, used),
        "gradient_boosting": _fit_boosting(sample, y[order], sizes, seed, used),
    }


def plain_tensors(tensors: Tensors, sizes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """The tensors that a baseline can read: grids become numbers, the times and numbers of sequences are left out."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith((GRID, *LEFT_OUT))}
    grids = [grid_summary(tensors[name], sizes[name]) for name in sorted(tensors) if name.startswith(GRID)]
    if grids:
        kept["numeric"] = np.concatenate([*([kept["numeric"]] if "numeric" in kept else []), *grids], axis=1)
    return kept


def grid_summary(grid: NDArray[Any], codes: int) -> NDArray[np.float32]:
    """Of each code of a grid (n, steps * 2 * codes): all last observed values, all means, all shares of steps observed.

    Returns:
        (n, 3 * codes), 0 where a code has no value: the code's mean in training.
    """
    steps = grid.shape[1] // (2 * codes)
    by_step = grid.reshape(len(grid), steps, 2, codes)
    value, observed = by_step[:, :, 0], by_step[:, :, 1]
    last = steps - 1 - np.argmax(observed[:, ::-1], axis=1)  # a code never observed: the last step, which holds 0
    newest = np.take_along_axis(value, last[:, None], axis=1)[:, 0]
    count = observed.sum(axis=1)
    mean = value.sum(axis=1) / np.maximum(count, 1)
    return np.concatenate([newest, mean, count / steps], axis=1).astype(np.float32)


def _most_rows(tensors: Tensors, sizes: Mapping[str, int]) -> int:
    """Numbers are dense in both baselines: of thousands a case, fewer cases."""
    width = tensors["numeric"].shape[1] if "numeric" in tensors else 0
    width += sum(3 * sizes[name] for name in tensors if name.startswith(GRID))
    return min(MAX_ROWS, max(LEAST_ROWS, NUMBER_CELLS // max(width, 1)))


def _of_events(tensors: Tensors) -> str:
    """What the baselines make of sequences and grids, for their descriptions."""
    said = ""
    if any(name.startswith("tokens_") for name in tensors):
        said += "; sequences as bags of codes, without times and numbers"
    if any(name.startswith(GRID) for name in tensors):
        said += "; of grids each code's last value, mean and share of steps with one"
    return said


def _checked(tensors: Tensors, label: NDArray[Any]) -> NDArray[np.int64]:
    y = np.asarray(label).astype(np.int64)
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    if not lengths or set(lengths.values()) != {len(y)}:
        raise InputError(f"baselines: expected tensors with {len(y)} rows each, received {lengths}")
    if "numeric" in tensors and not np.isfinite(tensors["numeric"]).all():
        raise InputError("baselines: expected finite numbers, received NaN or infinity")
    if y.min(initial=1) == y.max(initial=0):
        raise InputError(f"baselines: expected both outcomes, received one among {len(y)} rows")
    return y


# ---------------------------------------------------------------- logistic regression


@dataclass(frozen=True)
class SparseDesign:
    """Numbers as they are, then one column per category and per code: 1 if the case has it."""

    sizes: Mapping[str, int]

    def __call__(self, tensors: Tensors) -> Any:
        blocks = [
            sparse.csr_matrix(tensor.astype(np.float64)) if name == "numeric" else self._indicators(name, tensor)
            for name, tensor in sorted(tensors.items())
        ]
        return sparse.hstack(blocks, format="csr")

    def _indicators(self, name: str, ids: NDArray[Any]) -> Any:
        rows = np.repeat(np.arange(len(ids)), ids.shape[1])
        table = sparse.csr_matrix((np.ones(ids.size), (rows, ids.ravel())), shape=(len(ids), self.sizes[name]))
        table.data[:] = 1.0  # a code written twice for a case counts once
        return table[:, 1:] if name.startswith(CODES) else table


def _fit_logistic(tensors: Tensors, y: NDArray[np.int64], sizes: Mapping[str, int], used: str) -> Baseline:
    """The penalty is the best of three by the log loss of the last fifth; rows come in random order."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    design = SparseDesign(dict(sizes))
    x = design(tensors)
    cut = len(y) - len(y) // 5

    def fitted(penalty: float, rows: int) -> Any:
        return LogisticRegression(C=penalty, solver="lbfgs", max_iter=300, tol=1e-3).fit(x[:rows], y[:rows])

    best = PENALTIES[1]
    if len(set(y[:cut])) == 2 and cut < len(y):
        losses = {
            penalty: log_loss(y[cut:], fitted(penalty, cut).predict_proba(x[cut:]), labels=[0, 1])
            for penalty in PENALTIES
        }
        best = min(losses, key=lambda penalty: losses[penalty])
    tried = ", ".join(f"{penalty:g}" for penalty in PENALTIES)
    note = f"L2 penalty C={best:g}, the best of {tried} on a fifth held back; {used}"
    return Baseline(fitted(best, len(y)), design, note, len(y), sizes)


# ---------------------------------------------------------------- gradient boosting


@dataclass(frozen=True)
class DenseDesign:
    """Numbers, a categorical column per source column and an indicator per code kept: (n, d) float32.

    `ranks` (table size,) renumbers each column's ids from its most frequent level, the rarest sharing one
    number.
    """

    ranks: NDArray[np.int64] | None
    codes: Mapping[str, NDArray[np.int64]]

    def __call__(self, tensors: Tensors) -> NDArray[np.float32]:
        blocks = []
        if "numeric" in tensors:
            blocks.append(tensors["numeric"].astype(np.float32))
        if self.ranks is not None:
            blocks.append(self.ranks[tensors[CATEGORIES]].astype(np.float32))
        blocks += [_multi_hot(tensors[name], kept) for name, kept in self.codes.items()]
        return np.concatenate(blocks, axis=1)


def _multi_hot(ids: NDArray[Any], kept: NDArray[np.int64]) -> NDArray[np.float32]:
    place = np.full(max(int(ids.max(initial=0)), int(kept.max(initial=0))) + 1, len(kept))
    place[kept] = np.arange(len(kept))
    table = np.zeros((len(ids), len(kept) + 1), dtype=np.float32)
    np.put_along_axis(table, place[ids], 1.0, axis=1)
    return table[:, :-1]


def _ranks(categories: NDArray[Any], size: int) -> NDArray[np.int64]:
    """For each id of the table, its place among its own column's ids by frequency, at most MAX_LEVELS - 1."""
    ranks = np.full(size, MAX_LEVELS - 1, dtype=np.int64)
    for column in categories.T:
        ids, counts = np.unique(column, return_counts=True)
        ranks[ids[np.argsort(-counts, kind="stable")]] = np.minimum(np.arange(len(ids)), MAX_LEVELS - 1)
    return ranks


def _frequent(tensors: Tensors, sizes: Mapping[str, int], room: int) -> dict[str, NDArray[np.int64]]:
    """The ids of the `room` most frequent codes over all code tensors; never the padding."""
    counts = {
        name: np.bincount(ids.ravel(), minlength=sizes[name])
        for name, ids in sorted(tensors.items())
        if name.startswith(CODES)
    }
    for count in counts.values():
        count[0] = 0
    every = np.concatenate([np.zeros(0, dtype=np.int64), *counts.values()])
    least = max(1, int(np.sort(every)[::-1][room])) + 1 if room < len(every) else 1
    return {name: np.flatnonzero(count >= least) for name, count in counts.items()}


def _fit_boosting(tensors: Tensors, y: NDArray[np.int64], sizes: Mapping[str, int], seed: int, used: str) -> Baseline:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    numeric = tensors["numeric"].shape[1] if "numeric" in tensors else 0
    columns = tensors[CATEGORIES].shape[1] if CATEGORIES in tensors else 0
    room = max(0, DENSE_CELLS // len(y) - numeric - columns)
    codes = _frequent(tensors, sizes, room)
    kept = sum(len(ids) for ids in codes.values())
    design = DenseDesign(_ranks(tensors[CATEGORIES], sizes[CATEGORIES]) if columns else None, codes)
    stopping = min(np.bincount(y)) >= 20  # a tenth of fewer can't say when to stop
    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        max_iter=300,
        early_stopping=bool(stopping),
        n_iter_no_change=10,
        categorical_features=[numeric <= i < numeric + columns for i in range(numeric + columns + kept)],
        random_state=seed,
    )
    # OpenMP's threads spin while they wait: beside other work, one for each processor took four times as long
    with threadpool_limits(max(1, (os.cpu_count() or 2) // 2), user_api="openmp"):
        model.fit(design(tensors), y)
    every = sum(sizes[name] - 1 for name in codes)
    left_out = f"; the {kept:,} most frequent of {every:,} codes" if kept < every else ""
    note = f"{model.n_iter_} trees of 15 leaves, stopped early on a tenth held back; {used}{left_out}"
    return Baseline(model, design, note, len(y), sizes)
