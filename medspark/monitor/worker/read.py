"""What a gauge reads of tensors: numbers, levels, codes, and the cells they fall into. No Spark here."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medspark.encode.kinds.base import MISSING_ID
from medspark.encode.kinds.events import TIMES_PREFIX, TOKENS_PREFIX
from medspark.encode.kinds.genes import LETTERS
from medspark.encode.worker.events import LOG_HOURS
from medspark.encode.worker.flat import CLIP
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.logistic import logit
from medspark.monitor.gauges import MISSING, UNSEEN, Gauge
from medspark.monitor.plan import DECADES, LOGIT_END, LOGIT_STEP, SCORE_CELLS, STEPS_A_DECADE, UNIT_CELLS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_GC = np.isin(list(LETTERS), ["G", "C", "S"])
_KNOWN = np.array([letter != "-" for letter in LETTERS])


def levels_of(gauge: Gauge, tensors: Arrays) -> Ints:
    """The ids of one category, (n,): 0 missing, 1 unknown, then its levels."""
    return tensors[gauge.input][:, gauge.at].astype(np.int64) - gauge.offset


def codes_of(gauge: Gauge, tensors: Arrays) -> tuple[Ints, Ints]:
    """Row and cell of each different code of each case; of a case without any the cell is MISSING."""
    ids = tensors[gauge.input].astype(np.int64)
    size = int(ids.max(initial=0)) + 1
    row, place = np.nonzero(ids)
    found = np.unique(row * size + cell_of(ids[row, place], gauge.cells))
    none = np.flatnonzero(~(ids != MISSING_ID).any(axis=1))
    rows, cells = found // size, found % size
    return np.concatenate([rows, none]), np.concatenate([cells, np.full(len(none), MISSING)])


def cell_of(ids: Ints, cells: int) -> Ints:
    """Ids as cells: those that are not told apart are unseen, or too few to be named."""
    return np.where(ids < cells, ids, UNSEEN)


def numbers_of(gauge: Gauge, tensors: Arrays) -> Floats:
    """A number as it is encoded, (n,), NaN where it is missing."""
    return _READ[gauge.reads](gauge, tensors)


def _plain(gauge: Gauge, tensors: Arrays) -> Floats:
    array: npt.NDArray[Any] = tensors[gauge.input]
    number = array[:, gauge.at].astype(np.float64)
    if gauge.missing_at is not None:
        missing = array[:, gauge.missing_at] == 1
    elif gauge.present_at is not None:
        missing = array[:, gauge.present_at] == 0
    elif gauge.missing_as is not None:
        missing = array[:, gauge.at] == np.float32(gauge.missing_as)
    else:
        return number
    return np.where(missing, np.nan, number)


def _last_of_grid(gauge: Gauge, tensors: Arrays) -> Floats:
    """The last number of a code, which the steps after it carry on."""
    grid: npt.NDArray[Any] = tensors[gauge.input]
    grid = grid.reshape(len(grid), gauge.steps, 2, gauge.codes)
    there = grid[:, :, 1, gauge.at].any(axis=1)
    return np.where(there, grid[:, -1, 0, gauge.at], np.nan).astype(np.float64)


def _hours(gauge: Gauge, tensors: Arrays) -> Floats:
    """log1p of the hours since the newest event; missing where a case has none, which its codes say."""
    times: npt.NDArray[Any] = tensors[gauge.input]
    tokens: npt.NDArray[Any] = tensors[tokens_of(gauge)]
    hours = np.where(tokens[:, -1] == MISSING_ID, np.nan, times[:, -1] * LOG_HOURS)
    return hours.astype(np.float64)


def tokens_of(gauge: Gauge) -> str:
    """The input with the codes of the events whose times a gauge reads."""
    return TOKENS_PREFIX + gauge.input.removeprefix(TIMES_PREFIX)


def _brightness(gauge: Gauge, tensors: Arrays) -> Floats:
    pixels: npt.NDArray[Any] = tensors[gauge.input]
    mean = pixels.mean(axis=1, dtype=np.float64)
    return np.where(pixels.any(axis=1), mean, np.nan)


def _share_of_gc(gauge: Gauge, tensors: Arrays) -> Floats:
    ids: npt.NDArray[Any] = tensors[gauge.input]
    known, strong = _KNOWN[ids].sum(axis=1), _GC[ids].sum(axis=1)
    return np.asarray(np.divide(strong, known, out=np.full(len(ids), np.nan), where=known > 0))


_READ = {
    "number": _plain,
    "grid": _last_of_grid,
    "hours": _hours,
    "pixels": _brightness,
    "letters": _share_of_gc,
}


def cell_of_number(number: Floats, gauge: Gauge) -> Ints:
    place = np.ones(len(number), np.int64)
    for edge in gauge.edges:  # a dozen: quicker than a search for each number
        place += number >= edge
    return np.where(np.isnan(number), MISSING, place)


def in_its_unit(number: Floats, gauge: Gauge) -> Floats:
    """What was encoded as `number`: smooth scaling can be undone up to a few thousand spreads.

    >>> gauge = Gauge(name="x", reads="number", input="numeric", center=1.0, scale=0.5, scaling="smooth")
    >>> in_its_unit(np.array([0.0, 3 / 2**0.5]), gauge).round(6).tolist()
    [1.0, 2.5]
    """
    if gauge.scaling == "smooth":
        number = number / np.sqrt(np.maximum(1 - (number / CLIP) ** 2, 1e-12))
    return number * gauge.scale + gauge.center


def unit_counts(value: Floats) -> Ints:
    positive = value[value > 0].astype(np.float32)  # NaN is not; half the bits are enough for a cell
    place = (np.log10(positive) - DECADES[0]) * STEPS_A_DECADE
    return np.bincount(np.clip(place, 0, UNIT_CELLS - 1).astype(np.int64), minlength=UNIT_CELLS)


def score_cell(probability: Floats) -> Ints:
    """The cell of each probability, (n,).

    >>> score_cell(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 201, 401]
    """
    place = 1 + np.floor((logit(probability) + LOGIT_END) / LOGIT_STEP)
    return np.asarray(np.clip(place, 0, SCORE_CELLS - 1), np.int64)
