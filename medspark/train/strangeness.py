"""How far a case lies from those that the network learned from, as outputs beside its logits.

Two kinds of distance, each fitted on the training split alone:

- numbers: the squared Mahalanobis distance under probabilistic principal components (Tipping & Bishop 1999, J R Stat
  Soc B 61:611) of a case's numbers, of its grids' means and shares, and of its images' means by parts;
- ids: the surprise of what is there, the negative logarithm of its share of the training cases; of a bag of codes under
  independence, of a sequence's events and a gene's letters their mean, so that a longer one is no stranger.

Each is given as the logarithm of one and the distance. What is strange is told by the validation split's distances: a
share of patients like those of training that are as far away (`score/worker/uncertainty.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import NUMERIC, Input, size_of
from medspark.encode.statistics import Statistics
from medspark.encode.worker.flat import CLIP
from medspark.train.networks.parts import Tensors, presence

NUMBERS: Final = "numbers"
COMPONENTS: Final = 32
LEAST_SPREAD: Final = 0.05
"""Of a number, in the units that it is encoded in: one that never changed in training is strange once it does."""
LEAST_VARIANCE: Final = 0.01
"""Of a direction that no component holds, in spreads squared."""
MOST_CELLS: Final = 20_000_000
"""Numbers that components are fitted on: of wide cases fewer."""
PARTS_OF_IMAGE: Final = 8
"""Of its height and of its width, whose means are compared."""

Sample = Mapping[str, npt.NDArray[Any]]


class Strangeness(NamedTuple):
    """Distances by the name of what they are of, each (n, 1) of Keras."""

    names: tuple[str, ...]
    outputs: list[Any]


def strangeness(tensors: Tensors, statistics: Statistics, sample: Sample) -> Strangeness:
    """Distances from a sample of training cases.

    Args:
        tensors: Keras's inputs, by name.
        statistics: of the features.
        sample: training cases, (n, width) each.
    """
    inputs = statistics.inputs()
    found: dict[str, Any] = {}
    dense = _dense(tensors, inputs, _drawn_in(statistics))
    if dense is not None:
        rows = max(1, MOST_CELLS // int(dense.shape[-1]))
        few = {name: array[:rows] for name, array in sample.items()}
        values = keras.Model(tensors, dense).predict(few, batch_size=256, verbose=0)
        found[NUMBERS] = _distance(dense, np.asarray(values, np.float64))
    for one in inputs:
        if one.plain in ("categories", "codes", "events", "positions"):
            found[one.name] = _surprise(tensors[one.name], one, sample[one.name])
    return Strangeness(tuple(found), [keras.ops.log(1.0 + keras.ops.relu(one)) for one in found.values()])


# ---------------------------------------------------------------- numbers


def _dense(tensors: Tensors, inputs: Sequence[Input], drawn_in: npt.NDArray[np.bool_]) -> Any:
    """All that is a number of a case, (n, width), far ones drawn in by no more than a logarithm; None without any."""
    found = []
    for one in inputs:
        read = tensors[one.name]
        if one.plain == "numbers":
            found.append(_unbounded(read, drawn_in) if one.name == NUMERIC and drawn_in.any() else read)
        elif one.plain == "grid":
            found.append(_grid_means(read, size_of(one)))
        elif one.plain == "image":
            found.append(_image_means(read, one))
    if not found:
        return None
    dense = found[0] if len(found) == 1 else keras.layers.Concatenate()(found)
    return keras.ops.sign(dense) * keras.ops.log(1.0 + keras.ops.abs(dense))


def _drawn_in(statistics: Statistics) -> npt.NDArray[np.bool_]:
    """Which of the shared numbers are scaled smoothly, so that none passes CLIP spreads, (width,)."""
    numeric = [feature.scaling == "smooth" for feature in statistics.numeric if feature.varies]
    indicators = [False for feature in statistics.numeric if feature.missing_indicator]
    values = [feature.scaling == "smooth" for feature in statistics.values for _ in range(feature.width)]
    return np.array([*numeric, *indicators, *values], bool)


def _unbounded(numbers: Any, drawn_in: npt.NDArray[np.bool_]) -> Any:
    """Smoothly scaled numbers in spreads again, up to some hundreds."""
    share = keras.ops.square(numbers / CLIP)
    wide = numbers * keras.ops.rsqrt(keras.ops.maximum(1.0 - share, 1e-4))
    return keras.ops.where(drawn_in[None], wide, numbers)


def _grid_means(grid: Any, codes: int) -> Any:
    """Of each code of a grid (n, steps * 2 * codes) the mean, and the share of steps with a number: (n, 2 * codes)."""
    steps = int(grid.shape[1]) // (2 * codes)
    by_step = keras.layers.Reshape((steps, 2, codes))(grid)
    observed = by_step[:, :, 1]
    count = keras.ops.sum(observed, axis=1)
    mean = keras.ops.sum(by_step[:, :, 0] * observed, axis=1) / keras.ops.maximum(count, 1.0)
    return keras.layers.Concatenate()([mean, count / steps])


def _image_means(pixels: Any, one: Input) -> Any:
    """Of each part of an image the mean of each channel, from black 0 to white 1."""
    assert one.shape is not None, f"{one.name} has pixels"
    count, height, width, channels = one.shape
    images = keras.ops.reshape(keras.ops.cast(pixels, "float32") / 255.0, (-1, height, width, channels))
    sides = (max(1, height // PARTS_OF_IMAGE), max(1, width // PARTS_OF_IMAGE))
    means = keras.ops.average_pool(images, sides, sides, padding="valid")
    return keras.ops.reshape(means, (-1, count * int(np.prod(means.shape[1:]))))


def _distance(dense: Any, values: npt.NDArray[np.float64]) -> Any:
    """The squared Mahalanobis distance of each case, (n, 1), under the components of a sample (m, width)."""
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), LEAST_SPREAD)
    directions, variances, rest = _components((values - mean) / spread)
    z = (dense - mean.astype(np.float32)[None]) * (1 / spread).astype(np.float32)[None]
    total = keras.ops.sum(keras.ops.square(z), axis=1, keepdims=True) * np.float32(1 / rest)
    if not len(variances):
        return total
    less = directions * np.sqrt(np.maximum(1 / rest - 1 / variances, 0))
    layer = keras.layers.Dense(len(variances), use_bias=False, trainable=False)
    along = layer(z)
    layer.set_weights([less.astype(np.float32)])
    return total - keras.ops.sum(keras.ops.square(along), axis=1, keepdims=True)


def _components(z: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """The strongest directions (width, r), their variances (r,), and the mean variance of all others."""
    from sklearn.decomposition import PCA

    rows, width = z.shape
    kept = min(COMPONENTS, width - 1, rows - 1)
    everything = float(z.var(axis=0).sum())
    if kept < 1:
        return np.empty((width, 0)), np.empty(0), max(everything / width, LEAST_VARIANCE)
    fitted = PCA(kept, svd_solver="randomized" if width > 4 * kept else "full", random_state=0).fit(z)
    rest = max((everything - float(fitted.explained_variance_.sum())) / (width - kept), LEAST_VARIANCE)
    return fitted.components_.T, np.maximum(fitted.explained_variance_, rest), rest


# ---------------------------------------------------------------- ids


def _surprise(ids: Any, one: Input, sample: npt.NDArray[Any]) -> Any:
    """How surprising the ids (n, width) of each case are, (n, 1)."""
    if one.plain == "positions":
        # As floats: LiteRT has no addition of whole numbers to a constant's row
        ids = keras.ops.cast(keras.ops.cast(ids, "float32") + _places(one).astype(np.float32), "int32")
        sample = sample + _places(one)
        weights = _rarity(sample, size_of(one) * one.width, one)
    else:
        weights = _rarity(sample, size_of(one), one)
    layer = keras.layers.Embedding(len(weights), 1, trainable=False)
    each = layer(ids)
    layer.set_weights([weights.astype(np.float32)[:, None]])
    if one.plain == "categories":
        return keras.ops.sum(each, axis=1)
    if one.plain == "positions":
        return keras.ops.mean(each, axis=1)
    there = presence(ids)
    total = keras.ops.sum(each * there, axis=1)
    return total if one.plain == "codes" else total / keras.ops.maximum(keras.ops.sum(there, axis=1), 1.0)


def _places(one: Input) -> npt.NDArray[np.int32]:
    """What makes of a letter's id one of its place's own, (1, width)."""
    return (size_of(one) * np.arange(one.width, dtype=np.int32))[None]


def _rarity(sample: npt.NDArray[Any], size: int, one: Input) -> npt.NDArray[np.float64]:
    """Of each id (size,) the negative logarithm of its share, one case more than there are having it.

    Of categories and places the share of cases; of a bag's codes as well, against the share that has not; of events
    the share of all events.
    """
    counts = np.bincount(sample.ravel(), minlength=size).astype(np.float64)
    if one.plain in ("codes", "events"):
        counts[0] = 0  # of padding, which is never looked at
    if one.plain == "events":
        return np.asarray(-np.log((counts + 1) / (counts.sum() + 2)))
    share = (counts + 1) / (len(sample) + 2)
    found = -np.log(share)
    if one.plain == "codes":
        found += np.log1p(-share)
    return np.asarray(found)
