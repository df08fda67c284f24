"""Explain the rows of Arrow batches: the items that raise or lower each one's risk most. No Spark here.

A row's contributions and the logit of the baseline add up to the row's own logit, within the bundle's tolerance; a row
where they do not is explained once more with more nodes, and told where they still do not.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medspark.encode.kinds.base import FeatureStatistics
from medspark.encode.kinds.events import BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.arrow import number_array, text_array, truth_array
from medspark.encode.worker.encoder import short_batches
from medspark.encode.worker.tensors import Arrays, Reasons
from medspark.errors import BundleError
from medspark.evaluate.logistic import Floats, sigmoid
from medspark.schemas import (
    ADDS_UP,
    CONTRIBUTION,
    DIRECTION,
    FEATURE,
    ITEM,
    METHOD,
    RANK,
    RISK_POINTS,
    SALIENCY,
    VALUE,
)
from medspark.score.worker.calibration import TargetCalibrations, apply_calibration, apply_calibrations
from medspark.score.worker.engine import EngineKind
from medspark.score.worker.explanations.about import About, Said
from medspark.score.worker.explanations.events import say_events, say_grids, say_values
from medspark.score.worker.explanations.facts import ExplainFacts, Method, explained_logit, read_explain_facts
from medspark.score.worker.explanations.genes import say_genes
from medspark.score.worker.explanations.images import saliency, say_images
from medspark.score.worker.explanations.integrated import Contributed, Explainer
from medspark.score.worker.explanations.layout import Block, Ints, Layout, layout_of, part_side, parts_of, spans
from medspark.score.worker.explanations.methods import explainer_for
from medspark.score.worker.explanations.table import say_categories, say_codes, say_numbers
from medspark.score.worker.predict import KEYS, Served, load_engine, statistics_of, tensors_of

CELLS: Final = 2**20
"""Contributions of places that are held at a time."""
NEGLIGIBLE: Final = 1e-6
"""Logits: what 32 bits leave of a contribution that is none."""
RAISES, LOWERS = "raises", "lowers"

_TEXT = pa.dictionary(pa.int32(), pa.string())
NO_EXPLANATIONS: Final = (
    pa.field(RANK, pa.int32()),
    pa.field(FEATURE, _TEXT),
    pa.field(ITEM, _TEXT),
    pa.field(VALUE, pa.string()),
    pa.field(DIRECTION, _TEXT),
    pa.field(CONTRIBUTION, pa.float64()),
    pa.field(RISK_POINTS, pa.float64()),
    pa.field(ADDS_UP, pa.bool_()),
    pa.field(METHOD, _TEXT),
    pa.field(SALIENCY, pa.binary()),
)
"""What explanations have beside KEYS."""

_Say = Callable[[Any, Block, Arrays, Ints, Ints, About], list[Said]]
SAYERS: Final[dict[type[FeatureStatistics], _Say]] = {
    NumericStatistics: say_numbers,
    CategoricalStatistics: say_categories,
    CodesStatistics: say_codes,
    ValuesStatistics: say_values,
    BagStatistics: say_codes,
    SequenceStatistics: say_events,
    GridStatistics: say_grids,
    GeneStatistics: say_genes,
    ImageStatistics: say_images,
}
"""For each kind of feature what is said of some of its items: rows (m,) of the tensors, and items (m,)."""


class Explaining(NamedTuple):
    """What a worker needs of a bundle to explain its scores, and what is asked of it."""

    kind: EngineKind
    network: str
    """The file's path, or its name among the session's files."""
    digest: str
    facts: str
    """JSON of `ExplainFacts`."""
    facts_digest: str
    top: int
    method: Method = "gradients"
    least: float = 0.0
    """The probability from which on a row is explained."""


class Explained(NamedTuple):
    """Some rows' explanations, KEYS and what `_table` says, and what they count."""

    table: pa.Table
    cases: int
    unsound: int
    """Cases whose contributions do not add up to their logit."""


def facts_of(asked: Explaining) -> ExplainFacts:
    """The bundle's facts, compared once in each process with what was written.

    Raises:
        BundleError: they are not the bundle's.
    """
    if _digest(asked.facts) != asked.facts_digest:
        raise BundleError("the facts of the explanations reached this worker altered. Run the command again.")
    return read_explain_facts(asked.facts)


@lru_cache(maxsize=2)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=2)
def _layout(text: str, statistics: Statistics) -> Layout:
    return layout_of(statistics)


def explain_batches(batches: Iterable[pa.RecordBatch], served: Served, asked: Explaining) -> Iterator[Explained]:
    """Explain the rows of batches that have a score, and a probability of `least` or more."""
    statistics, facts = statistics_of(served), facts_of(asked)
    engine = load_engine(served)
    explain = explainer_for(asked.method, asked.kind, Path(asked.network), asked.digest, facts, served, engine)
    rows = max(1, CELLS // max(1, *(span.stop for span in spans(statistics.inputs()).values())))
    for batch in short_batches(batches, statistics):
        tensors, reasons = tensors_of(batch, served)
        logit = engine(tensors)[:, : len(served.calibration.targets.names)]
        chosen = _chosen(logit, reasons, served.calibration, asked.least)
        for at in range(0, len(chosen), rows):
            some = chosen[at : at + rows]
            part = {name: array[some] for name, array in tensors.items()}
            keys = pa.Table.from_batches([batch.select(KEYS).take(number_array(some))])
            yield _explained(keys, part, explained_logit(served.calibration, logit[some]), explain, asked, served)


def _chosen(logit: Floats, reasons: Reasons | None, calibration: TargetCalibrations, least: float) -> Ints:
    """Which of n rows are explained, (m,)."""
    scored = np.isfinite(logit).all(axis=1)
    if reasons is not None:
        scored &= np.array([reason is None for reason in reasons])
    risk = apply_calibrations(calibration, logit)[:, calibration.targets.headline]
    return np.flatnonzero(scored & (risk >= least))


def _explained(
    keys: pa.Table, tensors: Arrays, logit: Floats, explain: Explainer, asked: Explaining, served: Served
) -> Explained:
    statistics, facts = statistics_of(served), facts_of(asked)
    found = explain(tensors, logit)
    layout = _layout(served.statistics, statistics)
    items = top_items(found.items, asked.top)
    chosen = np.take_along_axis(found.items, items, axis=1)
    row, rank = np.nonzero(np.abs(chosen) > NEGLIGIBLE)
    item, size = items[row, rank], chosen[row, rank]
    points = 100 * (risk_at(served.calibration, logit)[row] - risk_at(served.calibration, logit[row] - size))
    about = About(statistics, facts)
    said = _said(layout, tensors, row, item, about)
    blocks = np.searchsorted([block.first for block in layout.blocks], item, side="right") - 1
    table = {
        **{name: keys[name].take(number_array(row)) for name in KEYS},
        RANK: number_array((rank + 1).astype(np.int32)),
        FEATURE: _named([name_of(block.feature) for block in layout.blocks], blocks),
        ITEM: _texts([one for one, _ in said]),
        VALUE: text_array([value for _, value in said]),
        DIRECTION: _named([LOWERS, RAISES], (size > 0).astype(np.int64)),
        CONTRIBUTION: number_array(size),
        RISK_POINTS: number_array(points),
        ADDS_UP: _booleans(found.adds_up, row),
        METHOD: _named([asked.method], np.zeros(len(row), np.int64)),
        SALIENCY: _salient(layout, tensors, row, item, found, statistics),
    }
    unsound = 0 if found.adds_up is None else int((~found.adds_up).sum())
    return Explained(pa.table(table), len(logit), unsound)


def name_of(feature: FeatureStatistics) -> str:
    """What a feature is called in the task file."""
    return str(getattr(feature, "name", feature.title))


def top_items(contributions: Floats, most: int) -> Ints:
    """Of each row the items with the largest contributions, either way, the largest first: (n, m) to (n, most).

    >>> top_items(np.array([[0.1, -0.5, 0.3], [0.0, 0.2, 2.0]]), 2).tolist()
    [[1, 2], [2, 1]]
    """
    size = -np.abs(contributions)
    most = min(most, size.shape[1])
    if most < size.shape[1]:
        first = np.sort(np.argpartition(size, most - 1, axis=1)[:, :most], axis=1)
    else:
        first = np.broadcast_to(np.arange(most), size.shape)
    order = np.argsort(np.take_along_axis(size, first, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(first, order, axis=1))


def risk_at(calibration: TargetCalibrations, logit: Floats) -> Floats:
    """The headline's probability at explained logits, each by itself."""
    if calibration.targets.kind == "classes":
        return sigmoid(np.asarray(logit, np.float64))
    return apply_calibration(calibration.parts[calibration.targets.headline], logit)


def _said(layout: Layout, tensors: Arrays, row: Ints, item: Ints, about: About) -> list[Said]:
    """The item and the value of each of the chosen, in their order."""
    said: list[Said] = [(None, "")] * len(row)
    order = np.argsort(item, kind="stable")
    ordered = item[order]
    for block in layout.blocks:
        first, last = np.searchsorted(ordered, [block.first, block.first + block.items])
        if first == last:
            continue
        places = order[first:last]
        told = SAYERS[type(block.feature)](block.feature, block, tensors, row[places], item[places], about)
        for place, one in zip(places.tolist(), told, strict=True):
            said[place] = one
    return said


def _salient(
    layout: Layout, tensors: Arrays, row: Ints, item: Ints, found: Contributed, statistics: Statistics
) -> pa.Array:
    """A picture for each of the chosen items that is an image; null for the others."""
    if found.places is None or not statistics.images:
        return pa.nulls(len(row), pa.binary())
    pictures = [b""] * len(row)
    places = spans(statistics.inputs())
    for block in layout.blocks:
        if not isinstance(block.feature, ImageStatistics):
            continue
        pixels, _ = block.feature.inputs()
        shape, (images, *squares) = pixels.shape, parts_of(pixels)
        for at in np.flatnonzero((item >= block.first) & (item < block.first + block.items)).tolist():
            image = tensors[pixels.name][row[at]].reshape(shape)[item[at] - block.first]
            parts = found.places[row[at], places[pixels.name]].reshape(images, *squares)[item[at] - block.first]
            pictures[at] = saliency(image.astype(np.uint8), parts, part_side(pixels))
    ends = np.cumsum([0, *map(len, pictures)], dtype=np.int32)
    there = np.packbits(np.array([bool(one) for one in pictures]), bitorder="little")
    buffers = [pa.py_buffer(there), pa.py_buffer(ends), pa.py_buffer(b"".join(pictures))]
    return pa.Array.from_buffers(pa.binary(), len(row), buffers)


def _named(names: list[str], places: NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(number_array(places.astype(np.int32)), text_array(names))


def _texts(texts: list[str | None]) -> pa.DictionaryArray:
    """Texts, null where None, each different one written once."""
    known: dict[str, int] = {}
    places = np.array([-1 if one is None else known.setdefault(one, len(known)) for one in texts], np.int32)
    there = pa.py_buffer(np.packbits(places >= 0, bitorder="little"))
    indices = pa.Array.from_buffers(pa.int32(), len(places), [there, pa.py_buffer(np.maximum(places, 0))])
    return pa.DictionaryArray.from_arrays(indices, text_array([*known]))


def _booleans(adds_up: NDArray[np.bool_] | None, row: Ints) -> pa.Array:
    if adds_up is None:
        return pa.nulls(len(row), pa.bool_())
    return truth_array(adds_up[row])
