"""The slope of a network's logit on the straight path from a baseline to a case: integrated gradients are its mean.

The path is straight where each input has become numbers (the network's marks): vectors of ids, ramps, pixels. So ids
need no gradient of their own, and what lies behind is smooth. A case's contributions are the slopes' mean over a few
places of the path, weighed by Gauss and Legendre; they add up to the case's logit less the baseline's.

TensorFlow is imported here, where it is asked for: by training, which writes the slopes for LiteRT, and by workers of
a bundle that LiteRT cannot explain. No Spark here.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from medspark.encode.inputs import NUMERIC, Input, size_of
from medspark.encode.kinds.events import GRID_PREFIX, SINCE_PREFIX
from medspark.encode.marks import Mark, mark_of
from medspark.encode.worker.tensors import Arrays
from medspark.score.worker.calibration import TargetCalibrations
from medspark.score.worker.explanations.facts import vectors_of
from medspark.score.worker.explanations.layout import part_side, parts_of, spans

ALPHA: Final = "alpha"
"""The input that says at which place of the path the slope is taken, (n, 1), from 0 to 1."""

Slopes = Callable[[dict[str, Any], Any], Any]
"""From tensors, (n, width) each, and places on the path, (n, 1), to slopes, (n, places)."""
_AtMark = Callable[[str, Any], Any]


def slopes_of(network: Any, inputs: Sequence[Input], baseline: Arrays, calibration: TargetCalibrations) -> Slopes:
    """The slopes as a function of TensorFlow's tensors; for LiteRT their shapes must be known.

    Args:
        network: Keras's, that gives logits (n, k).
        inputs: the network's.
        baseline: from where the paths start, (1, width) each.
        calibration: says which logit is asked for.
    """
    import tensorflow as tf

    starts: dict[str, Any] = {}
    owners = _run(network, {name: tf.constant(array) for name, array in baseline.items()}, _noted(starts))
    start = {name: value.numpy() for name, value in starts.items()}

    def slopes(tensors: dict[str, Any], alpha: Any) -> Any:
        ends: dict[str, Any] = {}
        _run(network, tensors, _noted(ends))
        leaves: dict[str, Any] = {}

        def between(name: str, found: Any) -> Any:
            place = tf.reshape(alpha, (-1, *(1 for _ in found.shape[1:])))
            leaves[name] = start[name] + place * (ends[name] - start[name])
            return leaves[name]

        logits: dict[str, Any] = {}
        _run(network, tensors, between, logits)
        asked = _asked(logits["logits"], calibration)
        found = tf.gradients(asked, list(leaves.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        changes = {name: slope * (ends[name] - start[name]) for name, slope in zip(leaves, found, strict=True)}
        return _by_place(changes, tensors, inputs, owners)

    return slopes


def _noted(into: dict[str, Any]) -> _AtMark:
    def at_mark(name: str, found: Any) -> Any:
        into[name] = found
        return found

    return at_mark


def _run(network: Any, tensors: dict[str, Any], at_mark: _AtMark, into: dict[str, Any] | None = None) -> Any:
    """Run a network with something else at its marks, its logits in `into`; give which number each ramp is of."""
    import tensorflow as tf

    owners: list[Any] = []

    def each(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if hasattr(operation, "_run_through_graph"):  # a network in the network
                return walk(operation, args[0])
            if "training" in inspect.signature(operation.call).parameters:
                kwargs["training"] = False
            if type(operation).__name__ == "Take" and not tf.is_tensor(args[1]):
                owners.append(np.asarray(args[1]))
            found = operation(*args, **kwargs)
            return found if mark_of(operation.name) is None else at_mark(operation.name, found)

        return call

    def walk(model: Any, given: Any) -> Any:
        named = [given[one.name] for one in model.inputs] if isinstance(given, dict) else given
        return model._run_through_graph(named, operation_fn=each)

    logits = walk(network, tensors)
    if into is not None:
        into["logits"] = logits
    return owners


def _asked(logits: Any, calibration: TargetCalibrations) -> Any:
    """As `explained_logit` says, (n,)."""
    import tensorflow as tf

    headline, count = calibration.targets.headline, len(calibration.targets.names)
    chosen = np.eye(count, dtype=np.float32)[headline]
    if logits.shape[1] > count:  # behind them stands what a bundle says beside its scores; LiteRT cuts no gradient
        logits = logits[:, :count]
    if calibration.targets.kind != "classes":
        return tf.reduce_sum(logits * chosen, axis=1)
    slope, intercept = (vector.astype(np.float32) for vector in vectors_of(calibration))
    calibrated = logits * slope + intercept
    others = tf.matmul(calibrated, np.delete(np.eye(count, dtype=np.float32), headline, axis=1))
    most = tf.stop_gradient(tf.reduce_max(others, axis=1, keepdims=True))
    total = tf.math.log(tf.reduce_sum(tf.exp(others - most), axis=1)) + most[:, 0]
    return tf.reduce_sum(calibrated * chosen, axis=1) - total


def _by_place(changes: dict[str, Any], tensors: dict[str, Any], inputs: Sequence[Input], owners: list[Any]) -> Any:
    """What marks contribute, summed by place, (n, places)."""
    import tensorflow as tf

    by_name = {one.name: one for one in inputs}
    found: dict[str, list[Any]] = {name: [] for name in spans(inputs)}
    images: dict[str, dict[int, list[Any]]] = {}
    for name, change in changes.items():
        mark = mark_of(name)
        assert mark is not None, f"{name} is a mark"
        one = by_name[mark.input]
        if one.shape is not None or (one.plain == "numbers" and one.name != NUMERIC):
            images.setdefault(one.name, {}).setdefault(mark.at, []).append(_of_image(change, one))
        else:
            found[one.name].append(_of_mark(mark, change, one, tensors, owners))
    for name, each in images.items():
        found[name] = [tf.concat([_sum(each[at]) for at in sorted(each)], axis=1)]
    return tf.concat([_sum(parts) for parts in found.values()], axis=1)


def _sum(parts: list[Any]) -> Any:
    import tensorflow as tf

    return parts[0] if len(parts) == 1 else tf.add_n(parts)


def _of_mark(mark: Mark, change: Any, one: Input, tensors: dict[str, Any], owners: list[Any]) -> Any:
    """What one mark contributes by the places of its input, (n, places)."""
    import tensorflow as tf

    rows = tf.shape(change)[0] if change.shape[0] is None else change.shape[0]
    if mark.role == "ramps":
        of = next(owner for owner in owners if len(owner) == change.shape[1])
        return tf.matmul(change, np.eye(one.width, dtype=np.float32)[of])
    if one.name.startswith(GRID_PREFIX):
        codes, steps = size_of(one), one.width // (2 * size_of(one))
        if mark.role == "embedded":
            each = tf.reshape(change, (rows, steps, change.shape[-1] // codes, codes))
            return tf.reshape(tf.reduce_sum(each, axis=2), (rows, steps * codes))
        return _to_codes_there(change, one, tensors, (steps, codes), rows)
    return tf.reduce_sum(change, axis=list(range(2, len(change.shape)))) if len(change.shape) > 2 else change


def _to_codes_there(change: Any, one: Input, tensors: dict[str, Any], shape: tuple[int, int], rows: Any) -> Any:
    """What a step of a grid contributes by being there, (n, steps, 1, 1), in equal parts to the codes that had a number
    by then."""
    import tensorflow as tf

    steps, codes = shape
    since = tf.reshape(tensors[SINCE_PREFIX + one.name.removeprefix(GRID_PREFIX)], (rows, steps, codes))
    there = tf.cast(since < 1.0, tf.float32)
    share = there / tf.maximum(tf.reduce_sum(there, axis=2, keepdims=True), 1.0)
    return tf.reshape(tf.reshape(change, (rows, steps, 1)) * share, (rows, steps * codes))


def _of_image(change: Any, one: Input) -> Any:
    """What an image's pixels, (n, height, width, channels), contribute by its squares, (n, squares); whether it is
    there, (n, 1), by itself."""
    import tensorflow as tf

    if one.shape is None:
        return change
    side, (_, rows, columns) = part_side(one), parts_of(one)
    summed = tf.reduce_sum(change, axis=3, keepdims=True)
    if side > 1:
        below, right = rows * side - one.shape[1], columns * side - one.shape[2]
        padded = tf.pad(summed, ((0, 0), (0, below), (0, right), (0, 0)))
        summed = tf.nn.avg_pool2d(padded, side, side, "VALID") * float(side * side)
    return tf.reshape(summed, (-1, rows * columns))
