"""Write the network that explains scores, and measure how well what it says adds up."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from medspark.bundles.bundle import EXPLAIN, EXPLAIN_FACTS, LITERT
from medspark.encode.inputs import CATEGORIES, NUMERIC, SEEN_PREFIX, Input, pixels_of, rows_at_once
from medspark.encode.kinds.events import SINCE_PREFIX
from medspark.encode.statistics import Statistics
from medspark.score.worker.calibration import TargetCalibrations
from medspark.score.worker.engine import Engine, litert_engine
from medspark.score.worker.explanations.facts import ExplainFacts, explained_logit
from medspark.score.worker.explanations.gradients import ALPHA, Slopes, slopes_of
from medspark.score.worker.explanations.integrated import (
    MOST_NODES,
    Explainer,
    along,
    by_gradients,
    integrated,
    tensorflow_slopes,
)
from medspark.score.worker.explanations.layout import layout_of
from medspark.task.event_task import EventTask
from medspark.task.tasks import Task
from medspark.train.export import MOST_DIFFERENCE, Arrays, keras_logits, too_long, unrolled
from medspark.train.steps import predicted_at_once

ROWS: Final = 256
"""That the network explains at a time; fewer where each is large."""
NODES: Final = (4, 8, 16, 32, MOST_NODES)
"""That are tried: the fewest that add up are taken."""
OFF: Final = 1e-3
"""What contributions may miss of the range of the logits."""
LEAST_TOLERANCE: Final = 1e-5
"""Logits: what 32 bits leave of a sum."""
MEASURED: Final = 512
"""Cases that this is measured on."""


class _Explained(NamedTuple):
    """What explains a network."""

    engine: Engine
    difference: float | None
    because: str | None


class _Measured(NamedTuple):
    """What `ExplainFacts` says of how well contributions add up."""

    baseline_logit: float
    nodes: int
    tolerance: float
    logit_range: float
    cases: int
    errors: dict[int, float]


class Explains(NamedTuple):
    """What a bundle scores and explains by."""

    engine: Engine
    explain: Explainer
    facts: ExplainFacts


def export_explanations(
    folder: Path,
    network: Any,
    statistics: Statistics,
    calibration: TargetCalibrations,
    task: Task,
    learned: Arrays,
    sample: Arrays,
    names: dict[str, str] | None = None,
) -> Explains:
    """Write `explain.tflite`, where LiteRT can explain the network, and `explain.json` into a bundle's folder.

    Args:
        folder: the bundle's, with its scoring network.
        network: Keras's, that is served.
        statistics: of the features.
        calibration: of the network's logits.
        task: whose units are told.
        learned: training cases, of which the baseline is made.
        sample: other cases, on which it is measured.
        names: of codes, in words.
    """
    inputs = statistics.inputs()
    sample = {name: array[: min(MEASURED, 4 * rows_of(inputs))] for name, array in sample.items()}
    baseline = baseline_cases(learned, inputs)
    explained = _explained(folder / EXPLAIN, slopes_of(network, inputs, baseline, calibration), network, inputs, sample)
    scoring = litert_engine(folder / LITERT) if (folder / LITERT).exists() else _by_keras(network)
    measured = _measured(explained.engine, scoring, calibration, sample, baseline)
    facts = ExplainFacts(
        target=_target(calibration),
        baseline={name: tuple(array[0].tolist()) for name, array in baseline.items() if array.any()},
        difference=explained.difference,
        why_tensorflow=explained.because,
        units=_units(task),
        hours=_hours(task),
        names=names or {},
        **measured._asdict(),
    )
    (folder / EXPLAIN_FACTS).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
    return Explains(scoring, by_gradients(along(explained.engine), facts, layout_of(statistics)), facts)


def rows_of(inputs: list[Input]) -> int:
    """How many cases are explained at a time: a power of two."""
    return rows_at_once(min(ROWS, predicted_at_once(inputs)), 4 * pixels_of(inputs))


def baseline_cases(learned: Arrays, inputs: list[Input]) -> Arrays:
    """A case that is all baseline, (1, width) of each input.

    Of numbers the median of the training cases as they are encoded, so what is mostly missing is missing; of categories
    the commonest; of an image whether it is mostly there, and black; no code, no event, no letter, and a grid without a
    number.
    """
    found: Arrays = {}
    for one in inputs:
        values = np.zeros((1, one.width), one.dtype)
        if one.name == NUMERIC or one.name.startswith(SEEN_PREFIX):
            numbers = np.asarray(learned[one.name], np.float64)
            values = np.quantile(numbers, [0.5], axis=0, method="inverted_cdf").astype(one.dtype)
        elif one.name == CATEGORIES:
            values[0] = [np.bincount(column).argmax() for column in learned[one.name].T]
        elif one.name.startswith(SINCE_PREFIX):
            values[:] = 1
        found[one.name] = values
    return found


def _explained(path: Path, slopes: Slopes, network: Any, inputs: list[Input], sample: Arrays) -> _Explained:
    """What explains by LiteRT where it can, or by TensorFlow and the reason why."""
    by_tensorflow = tensorflow_slopes(slopes)
    long = too_long(network)
    if long:
        return _Explained(by_tensorflow, None, f"a recurrent layer reads {long} events")
    try:
        with unrolled(network):
            path.write_bytes(_converted(slopes, inputs))
        by_litert = litert_engine(path)
        difference = _difference(by_litert, by_tensorflow, sample)
    except Exception as error:  # whatever a converter or an interpreter raises, TensorFlow explains instead
        path.unlink(missing_ok=True)
        return _Explained(by_tensorflow, None, f"its gradient cannot be converted ({type(error).__name__})")
    if not difference <= MOST_DIFFERENCE:
        path.unlink()
        return _Explained(by_tensorflow, None, f"its gradient differs from TensorFlow's by {difference:.1e}")
    return _Explained(by_litert, difference, None)


def _converted(slopes: Slopes, inputs: list[Input]) -> bytes:
    """The slopes as a LiteRT network of a fixed number of rows, by its built-in operators alone.

    Where the number of rows is known, no gradient asks for a shape, for which LiteRT has no operator.
    """
    rows = rows_of(inputs)
    specs = {one.name: tf.TensorSpec((rows, one.width), one.dtype, name=one.name) for one in inputs}
    alpha = tf.TensorSpec((rows, 1), tf.float32, name=ALPHA)
    concrete = tf.function(slopes).get_concrete_function(specs, alpha)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])  # without its variables: as constants
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    found: bytes = converter.convert()
    return found


def _difference(one: Engine, other: Engine, sample: Arrays) -> float:
    """The largest difference of a slope in the middle of the path, of some cases."""
    some = {name: array[:ROWS] for name, array in sample.items()}
    some[ALPHA] = np.full((len(next(iter(some.values()))), 1), 0.5, np.float32)
    return float(np.max(np.abs(one(some) - other(some)), initial=0.0))


def _measured(
    engine: Engine, scoring: Engine, calibration: TargetCalibrations, sample: Arrays, baseline: Arrays
) -> _Measured:
    """How far the rise from the baseline is missed by each number of nodes, and the fewest that keep the tolerance."""
    logit = explained_logit(calibration, scoring(sample))
    start = float(explained_logit(calibration, scoring(baseline))[0])
    span = float(np.ptp(logit)) if len(logit) else 0.0
    tolerance, errors, slopes = max(OFF * span, LEAST_TOLERANCE), {}, along(engine)
    for nodes in NODES:
        off = np.abs(integrated(slopes, sample, nodes).sum(axis=1) - (logit - start))
        errors[nodes] = float(np.max(off, initial=0.0))
        if errors[nodes] <= tolerance:
            break
    return _Measured(start, nodes, tolerance, span, len(logit), errors)


def _by_keras(network: Any) -> Engine:
    return lambda tensors: keras_logits(network, tensors)


def _target(calibration: TargetCalibrations) -> str:
    return calibration.targets.names[calibration.targets.headline]


def _units(task: Task) -> dict[str, str]:
    """By column what its numbers are in, where the task says so; an age of events is in years."""
    if isinstance(task, EventTask):
        return {"age": "years"}
    named = {name: getattr(column, "unit", None) for name, column in task.columns.items()}
    return {name: unit for name, unit in named.items() if unit}


def _hours(task: Task) -> dict[str, float]:
    """By grid how long a step is."""
    return {name: grid.every_hours for name, grid in task.features.grids.items()} if isinstance(task, EventTask) else {}
