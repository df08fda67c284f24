"""Two baselines that a network has to beat, fitted on its own tensors.

A data scientist asks first whether the network is worth it; the report answers with these beside it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from medspark.encode.inputs import NUMERIC, Input, Plain, size_of
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
CODES: Final = ("codes", "events")
"""Inputs of ids that are read as indicators; a sequence's events are a bag of codes to a baseline."""
LEVELS: Final = ("categories", "positions")
"""Inputs of ids that are read as columns of levels; each place of a gene is one, with its letter as its level."""
SAID: Final[Mapping[Plain, str]] = {
    "events": "; sequences as bags of codes, without times and numbers",
    "grid": "; of grids each code's last value, mean and share of steps with one",
    "positions": "; genes as the letter at each place, of one strand",
    "image": "; of images means of 8 by 8 parts and the spread in each, not what is in them",
}
"""What is lost of an input, for the descriptions."""


class _Classifier(Protocol):
    def predict_proba(self, X: Any) -> Floats: ...  # noqa: N803 (scikit-learn's name)


class _Design(Protocol):
    def __call__(self, tensors: Tensors) -> Any: ...


@dataclass(frozen=True)
class Baseline:
    """A fitted model: call it with tensors for the probabilities (n,) of the positive class; of more than two classes
    for those of all, (n, classes)."""

    classifier: _Classifier
    design: _Design
    description: str
    """How it was fitted, for the report: settings chosen, rows used, what was left out."""
    rows: int
    inputs: Sequence[Input]

    def __call__(self, tensors: Tensors) -> Floats:
        x = self.design(plain_tensors(tensors, self.inputs))
        found = np.asarray(self.classifier.predict_proba(x), dtype=np.float64)
        return np.ascontiguousarray(found[:, 1]) if found.shape[1] == 2 else found


def fit_baselines(
    tensors: Tensors, label: NDArray[Any], inputs: Sequence[Input], seed: int, weight: NDArray[Any] | None = None
) -> dict[str, Baseline]:
    """`logistic_regression` and `gradient_boosting`, fitted on the training split.

    Args:
        tensors: of each input an array (n, width): numbers and grids float32, standardised and imputed; ids int32,
            in categories of one table that serves all columns, in bags and sequences with 0 as padding.
        label: (n,) of 0 and 1, or of more classes from 0 on.
        inputs: what each tensor is taken for by a plain model; what it leaves out are a sequence's times and numbers.
        seed: draws the rows of fits beyond 500,000, or fewer where the numbers are many, and the held-back parts.
        weight: (n,) of each case; 1 where there is none.

    Raises:
        InputError: no tensor, tensors of different lengths, a NaN, or one outcome only.
    """
    y = _checked(tensors, label, inputs)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))[: _most_rows(inputs)]
    sample = plain_tensors({name: tensor[order] for name, tensor in tensors.items()}, inputs)
    weights = None if weight is None else np.asarray(weight, np.float64)[order]
    used = f"{len(order):,} of {len(y):,} training rows, drawn by seed {seed}" if len(order) < len(y) else "all rows"
    used += "".join(said for plain, said in SAID.items() if _taken_for(inputs, plain))
    return {
        "logistic_regression": _fit_logistic(sample, y[order], weights, inputs, used),
        "gradient_boosting": _fit_boosting(sample, y[order], weights, inputs, seed, used),
    }


def _taken_for(inputs: Sequence[Input], *plain: Plain) -> list[Input]:
    """The inputs that a plain model takes for any of these, by name."""
    return sorted((found for found in inputs if found.plain in plain), key=lambda found: found.name)


def plain_tensors(tensors: Tensors, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
    """What a baseline can read: all numbers, and grids' summaries, as `numeric`, and ids by their inputs' names."""
    kept = {found.name: tensors[found.name] for found in _taken_for(inputs, "categories", *CODES)}
    kept |= {found.name: _placed(tensors[found.name], found) for found in _taken_for(inputs, "positions")}
    numbers = [tensors[found.name] for found in _taken_for(inputs, "numbers")]
    numbers += [grid_summary(tensors[found.name], size_of(found)) for found in _taken_for(inputs, "grid")]
    numbers += [image_summary(tensors[found.name], found) for found in _taken_for(inputs, "image")]
    if numbers:
        kept[NUMERIC] = numbers[0] if len(numbers) == 1 else np.concatenate(numbers, axis=1)
    return kept


def _placed(ids: NDArray[Any], found: Input) -> NDArray[Any]:
    """Ids of letters (n, width) with a range of their own for each place, as each column of categories has one."""
    placed: NDArray[Any] = ids + size_of(found) * np.arange(found.width, dtype=ids.dtype)
    return placed


def _levels(found: Input) -> int:
    """How many ids are behind an input of columns of levels."""
    return size_of(found) * (found.width if found.plain == "positions" else 1)


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
    mean = (value * observed).sum(axis=1) / np.maximum(count, 1)  # a step without a number may have the one before
    return np.concatenate([newest, mean, count / steps], axis=1).astype(np.float32)


THUMBNAIL: Final = 8
"""Of an image's height and width, or as many as it has pixels."""


def image_summary(pixels: NDArray[Any], found: Input) -> NDArray[np.float32]:
    """Of each part of an image the mean and the standard deviation of each channel, from black 0 to white 1.

    Args:
        pixels: (n, images * height * width * channels), bytes.
        found: the input, whose shape it is.

    Returns:
        (n, 2 * images * 8 * 8 * channels); an image that is absent is black.
    """
    assert found.shape is not None, f"{found.name} has pixels"
    _, height, width, _ = found.shape
    rows, columns = (np.linspace(0, side, min(THUMBNAIL, side) + 1).astype(int) for side in (height, width))
    out = []
    for at in range(0, len(pixels), 1024):
        image = pixels[at : at + 1024].reshape(-1, *found.shape).astype(np.float32) / 255
        parts = [image[:, :, a:b, c:d] for a, b in pairwise(rows) for c, d in pairwise(columns)]
        out.append(np.stack([of for part in parts for of in (part.mean(axis=(2, 3)), part.std(axis=(2, 3)))], axis=1))
    width_out = 2 * (len(rows) - 1) * (len(columns) - 1) * found.shape[0] * found.shape[3]
    return np.concatenate([np.empty((0, width_out), np.float32), *(one.reshape(len(one), -1) for one in out)])


def _most_rows(inputs: Sequence[Input]) -> int:
    """Numbers are dense in both baselines: of thousands a case, fewer cases."""
    width = sum(found.width for found in _taken_for(inputs, "numbers", "positions"))
    width += sum(3 * size_of(found) for found in _taken_for(inputs, "grid"))
    shapes = [found.shape for found in inputs if found.shape is not None]
    width += sum(2 * THUMBNAIL**2 * count * channels for count, _, _, channels in shapes)
    return min(MAX_ROWS, max(LEAST_ROWS, NUMBER_CELLS // max(width, 1)))


def _checked(tensors: Tensors, label: NDArray[Any], inputs: Sequence[Input]) -> NDArray[np.int64]:
    y = np.asarray(label).astype(np.int64)
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    if not lengths or set(lengths.values()) != {len(y)}:
        raise InputError(f"baselines: expected tensors with {len(y)} rows each, received {lengths}")
    if not all(np.isfinite(tensors[found.name]).all() for found in _taken_for(inputs, "numbers")):
        raise InputError("baselines: expected finite numbers, received NaN or infinity")
    if y.min(initial=1) == y.max(initial=0):
        raise InputError(f"baselines: expected both outcomes, received one among {len(y)} rows")
    return y


# ---------------------------------------------------------------- logistic regression


@dataclass(frozen=True)
class SparseDesign:
    """Numbers as they are, then one column per category and per code: 1 if the case has it."""

    inputs: Sequence[Input]

    def __call__(self, tensors: Tensors) -> Any:
        ids = _taken_for(self.inputs, *LEVELS, *CODES)
        blocks = {found.name: _indicators(tensors[found.name], found) for found in ids}
        if NUMERIC in tensors:
            blocks[NUMERIC] = sparse.csr_matrix(tensors[NUMERIC].astype(np.float64))
        return sparse.hstack([blocks[name] for name in sorted(blocks)], format="csr")


def _indicators(ids: NDArray[Any], found: Input) -> Any:
    rows = np.repeat(np.arange(len(ids)), ids.shape[1])
    table = sparse.csr_matrix((np.ones(ids.size), (rows, ids.ravel())), shape=(len(ids), _levels(found)))
    table.data[:] = 1.0  # a code written twice for a case counts once
    return table[:, 1:] if found.plain in CODES else table


def _fit_logistic(
    tensors: Tensors, y: NDArray[np.int64], weight: Floats | None, inputs: Sequence[Input], used: str
) -> Baseline:
    """The penalty is the best of three by the log loss of the last fifth; rows come in random order."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    design = SparseDesign(inputs)
    x = design(tensors)
    cut = len(y) - len(y) // 5

    def fitted(penalty: float, rows: int) -> Any:
        model = LogisticRegression(C=penalty, solver="lbfgs", max_iter=300, tol=1e-3)
        return model.fit(x[:rows], y[:rows], None if weight is None else weight[:rows])

    best = PENALTIES[1]
    classes = np.unique(y)
    if len(set(y[:cut])) == len(classes) and cut < len(y):
        held = None if weight is None else weight[cut:]
        losses = {
            penalty: log_loss(y[cut:], fitted(penalty, cut).predict_proba(x[cut:]), labels=classes, sample_weight=held)
            for penalty in PENALTIES
        }
        best = min(losses, key=lambda penalty: losses[penalty])
    tried = ", ".join(f"{penalty:g}" for penalty in PENALTIES)
    note = f"L2 penalty C={best:g}, the best of {tried} on a fifth held back; {used}"
    return Baseline(fitted(best, len(y)), design, note, len(y), inputs)


# ---------------------------------------------------------------- gradient boosting


@dataclass(frozen=True)
class DenseDesign:
    """Numbers, a categorical column per source column and an indicator per code kept: (n, d) float32."""

    ranks: Mapping[str, NDArray[np.int64]]
    """By input of categories (table size,), each column's ids renumbered from its most frequent level, the rarest
    sharing one number."""
    codes: Mapping[str, NDArray[np.int64]]
    """By input of codes the ids that are kept."""
    categorical: Sequence[bool]
    """(d,) which columns have levels."""

    def __call__(self, tensors: Tensors) -> NDArray[np.float32]:
        blocks = []
        if NUMERIC in tensors:
            blocks.append(tensors[NUMERIC].astype(np.float32))
        blocks += [ranks[tensors[name]].astype(np.float32) for name, ranks in self.ranks.items()]
        blocks += [_multi_hot(tensors[name], kept) for name, kept in self.codes.items()]
        return np.concatenate(blocks, axis=1)


def dense_design(tensors: Tensors, inputs: Sequence[Input], rows: int) -> DenseDesign:
    """What boosting reads of tensors that `plain_tensors` gives, of so many rows."""
    numeric = tensors[NUMERIC].shape[1] if NUMERIC in tensors else 0
    levels = _taken_for(inputs, *LEVELS)
    columns = sum(found.width for found in levels)
    codes = _frequent(tensors, inputs, max(0, DENSE_CELLS // rows - numeric - columns))
    kept = sum(len(ids) for ids in codes.values())
    ranks = {found.name: _ranks(tensors[found.name], _levels(found)) for found in levels}
    return DenseDesign(ranks, codes, [False] * numeric + [True] * columns + [False] * kept)


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


def _frequent(tensors: Tensors, inputs: Sequence[Input], room: int) -> dict[str, NDArray[np.int64]]:
    """The ids of the `room` most frequent codes over all inputs of codes; never the padding."""
    counts = {
        found.name: np.bincount(tensors[found.name].ravel(), minlength=size_of(found))
        for found in _taken_for(inputs, *CODES)
    }
    for count in counts.values():
        count[0] = 0
    every = np.concatenate([np.zeros(0, dtype=np.int64), *counts.values()])
    least = max(1, int(np.sort(every)[::-1][room])) + 1 if room < len(every) else 1
    return {name: np.flatnonzero(count >= least) for name, count in counts.items()}


def _fit_boosting(
    tensors: Tensors, y: NDArray[np.int64], weight: Floats | None, inputs: Sequence[Input], seed: int, used: str
) -> Baseline:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    design = dense_design(tensors, inputs, len(y))
    kept = sum(len(ids) for ids in design.codes.values())
    stopping = min(np.bincount(y)) >= 20  # a tenth of fewer can't say when to stop
    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        max_iter=300,
        early_stopping=bool(stopping),
        n_iter_no_change=10,
        categorical_features=design.categorical,
        random_state=seed,
    )
    # OpenMP's threads spin while they wait: beside other work, one for each processor took four times as long
    with threadpool_limits(max(1, (os.cpu_count() or 2) // 2), user_api="openmp"):
        model.fit(design(tensors), y, weight)
    every = sum(size_of(found) - 1 for found in _taken_for(inputs, *CODES))
    left_out = f"; the {kept:,} most frequent of {every:,} codes" if kept < every else ""
    note = f"{model.n_iter_} trees of 15 leaves, stopped early on a tenth held back; {used}{left_out}"
    return Baseline(model, design, note, len(y), inputs)
