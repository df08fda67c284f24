"""The features of events to tensors: bags, values, sequences and grids of one Arrow batch. No Spark here.

Rows never meet: entries are flattened, looked up in the vocabulary, and scattered to their own row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.inputs import NUMERIC
from medspark.encode.kinds.base import FIRST_ID, KNOTS, UNKNOWN_ID
from medspark.encode.kinds.events import NO_BIN, BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.worker.flat import (
    Entries,
    Floats,
    Ints,
    Shares,
    as_float,
    distinct_ids,
    drawn_in,
    entries,
    ids_of,
    quantile_place,
)

MOST_DEVIATIONS = 10.0
"""Numbers of a sequence further from their code's mean, in standard deviations, count as this far."""
LOG_HOURS = 10.0
"""log1p(hours) is divided by it: 2.5 years are 1."""

Array32 = npt.NDArray[np.float32]


def encode_bags(batch: pa.RecordBatch, bags: Sequence[BagStatistics]) -> Shares:
    """`codes_NAME` of each bag, (n, width) int32: the rarest first, unknown ones as one, 0 where a case has fewer."""
    for bag in bags:
        (codes,) = bag.inputs()
        found = entries(batch.column(bag.column))
        yield codes.name, distinct_ids(found.row, ids_of(found.items, bag.codes), batch.num_rows, bag.width)


def known_codes(column: pa.Array, codes: tuple[str, ...]) -> Ints:
    """How many entries of each list are in the vocabulary, (n,)."""
    found = entries(column)
    return np.bincount(found.row[ids_of(found.items, codes) >= FIRST_ID], minlength=len(column))


def encode_values(batch: pa.RecordBatch, groups: Sequence[ValuesStatistics]) -> Shares:
    """Of `numeric` each group's share, (n, codes * (takes and presence)) float32, code after code."""
    for group in groups:
        yield NUMERIC, _values(batch.column(group.column), group)


def _values(column: pa.Array, group: ValuesStatistics) -> Array32:
    """Maps from a code to a struct of numbers to (n, codes * (takes and presence)), code after code."""
    takes = len(group.takes)
    shape = (len(group.codes), takes)
    known, code = _known(entries(column), group.codes)
    impute = np.asarray(group.impute, np.float64).reshape(shape)
    out = np.zeros((len(column), len(group.codes), takes + group.marks_presence), np.float32)
    out[:, :, :takes] = _scaled(impute, group, np.arange(len(group.codes)))
    number = _numbers(pc.struct_field(known.items, "value"), group.takes)
    number = np.where(np.isfinite(number), number, impute[code])
    out[known.row, code, :takes] = _scaled(number, group, code)
    if group.marks_presence:
        out[known.row, code, takes] = 1.0
    for name, take in group.constant:
        out[:, group.codes.index(name), group.numbers.index(take)] = 0.0
    return out.reshape(len(column), group.width)


def _known(found: Entries, codes: tuple[str, ...]) -> tuple[Entries, Ints]:
    """The entries of a map whose code is in the vocabulary, and which code each has."""
    code = ids_of(pc.struct_field(found.items, "key"), codes).astype(np.int64) - FIRST_ID
    known = code >= 0
    items = found.items.filter(pa.array(known))
    return Entries(found.row[known], found.place[known], found.lengths, items), code[known]


def _numbers(structs: pa.Array, names: tuple[str, ...]) -> Floats:
    """The fields of structs as (m, names), NaN where a field or the struct is null."""
    return np.stack([as_float(pc.struct_field(structs, name)) for name in names], axis=1)


def _scaled(number: Floats, group: ValuesStatistics, code: Ints) -> Floats:
    """Numbers (m, takes) of the codes (m,), each scaled as its code and take are."""
    shape = (len(group.codes), len(group.takes))
    if group.scaling == "quantile":
        knots = np.asarray(group.knots, np.float64).reshape(*shape, -1)
        places = [quantile_place(number[:, take], knots[code, take]) for take in range(shape[1])]
        return np.stack(places, axis=1)  # one take at a time: the knots of all at once are thirteen times as much
    center, scale = (np.asarray(numbers, np.float64).reshape(shape) for numbers in (group.center, group.scale))
    deviation = (number - center[code]) / scale[code]
    return drawn_in(deviation) if group.scaling == "smooth" else deviation


def encode_sequences(batch: pa.RecordBatch, sequences: Sequence[SequenceStatistics]) -> Shares:
    """Of each sequence its inputs of (n, last), the newest event last, 0 on the left where a case has fewer.

    `tokens_NAME` int32 with 1 for an unknown code; `times_NAME` float32, log1p(hours before) / LOG_HOURS;
    `numbers_NAME` float32 in standard deviations of the code, 0 where an event has no number; `gaps_NAME` float32,
    log1p(hours since the event before) / LOG_HOURS, 0 of the first; `bins_NAME` int32, 0 where an event has no number,
    else 1 and one for each of its code's quantiles that it reaches, the least as one and the largest as none.
    """
    for sequence in sequences:
        arrays = _sequence(batch.column(sequence.column), sequence)
        yield from zip((found.name for found in sequence.inputs()), arrays, strict=True)


def _sequence(column: pa.Array, sequence: SequenceStatistics) -> list[npt.NDArray[Any]]:
    """Lists of events, oldest first, to their ids, times and numbers."""
    found = entries(column)
    token = np.maximum(ids_of(pc.struct_field(found.items, "code"), sequence.codes), UNKNOWN_ID)
    hours = as_float(pc.struct_field(found.items, "hours_before"))
    hours = np.where(np.isfinite(hours), np.maximum(hours, 0.0), 0.0)
    number = as_float(pc.struct_field(found.items, "number"))
    mean, scale = (np.array([0.0] * FIRST_ID + list(numbers)) for numbers in (sequence.mean, sequence.scale))
    usable = np.isfinite(number) & (scale[token] > 0)
    deviation = np.divide(number - mean[token], scale[token], out=np.zeros(len(number)), where=usable)
    if sequence.scaling == "smooth":
        deviation = drawn_in(deviation)
    place = sequence.last - found.lengths[found.row] + found.place
    fits = place >= 0
    tokens = token.astype(np.int32)
    times = (np.log1p(hours) / LOG_HOURS).astype(np.float32)
    numbers = np.clip(deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS).astype(np.float32)
    made = [tokens, times, numbers]
    if sequence.knots is not None:
        made += [_gaps(hours, found.place), _bins(number, token, sequence)]
    shape = (len(column), sequence.last)
    return [_scatter(values, shape, found.row[fits], place[fits], fits) for values in made]


def _gaps(hours: Floats, place: Ints) -> Array32:
    """log1p of the hours from the event before to each, (m,), over LOG_HOURS; 0 of the first of its row."""
    gap = np.where(place > 0, np.maximum(-np.diff(hours, prepend=0.0), 0.0), 0.0)
    return (np.log1p(gap) / LOG_HOURS).astype(np.float32)


def _bins(number: Floats, token: npt.NDArray[np.int32], sequence: SequenceStatistics) -> npt.NDArray[np.int32]:
    """The bin of each number, (m,), by the quantiles of its code."""
    none = (np.inf,) * len(KNOTS)
    edges = np.array([none] * FIRST_ID + [each or none for each in sequence.knots or ()], np.float64)
    binned = np.isfinite(number) & np.isfinite(edges[token, 0])
    reached = (edges[token] <= number[:, None]).sum(axis=1)
    if sequence.ends:
        reached = np.clip(reached, 1, len(KNOTS) - 1)
        reached[edges[token, 0] == edges[token, -1]] = len(KNOTS) - 1  # of a constant there is one bin, whatever comes
    return np.where(binned, NO_BIN + 1 + reached, NO_BIN).astype(np.int32)


def _scatter(
    values: npt.NDArray[Any], shape: tuple[int, int], row: Ints, place: Ints, fits: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    out = np.zeros(shape, values.dtype)
    out[row, place] = values[fits]
    return out


def encode_grids(batch: pa.RecordBatch, grids: Sequence[GridStatistics]) -> Shares:
    """`grid_NAME` of each grid, (n, steps * 2 * codes) float32, and `since_NAME`, (n, steps * codes) float32.

    In a step come first all codes' numbers in standard deviations, the last one before where there is none, 0 where
    there was none, then all codes' 0 or 1 for whether there is one. How long ago the last one was is
    log1p(steps) / log1p(all steps): 0 where there is one, 1 where there was none. Missingness and time beside the
    values are what GRU-D learns from (Che et al. 2018, Sci Rep 8:6085).
    """
    for grid in grids:
        arrays = _grid(batch.column(grid.column), grid)
        yield from zip((found.name for found in grid.inputs()), arrays, strict=True)


def _grid(column: pa.Array, grid: GridStatistics) -> list[Array32]:
    """Maps from a code to its numbers a step to (n, steps * 2 * codes) and (n, steps * codes)."""
    codes = len(grid.codes)
    known, code = _known(entries(column), grid.codes)
    steps = entries(pc.struct_field(known.items, "value"))
    number = as_float(steps.items)
    observed = np.isfinite(number) & (steps.place < grid.steps)
    row, code, step = known.row[steps.row][observed], code[steps.row][observed], steps.place[observed]
    mean, scale = np.array(grid.mean), np.array(grid.scale)
    out = np.zeros((len(column), grid.steps, 2, codes), np.float32)
    deviation = np.divide(number[observed] - mean[code], scale[code], out=np.zeros(len(row)), where=scale[code] > 0)
    out[row, step, 0, code] = drawn_in(deviation) if grid.scaling == "smooth" else deviation
    out[row, step, 1, code] = 1.0
    if not grid.carried:
        return [out.reshape(len(column), grid.width)]
    seen = np.zeros((len(column), grid.steps, codes), np.int64)
    seen[row, step, code] = step + 1
    seen = np.maximum.accumulate(seen, axis=1)  # 1 and the step of the last number, 0 where there was none
    carried = np.take_along_axis(out[:, :, 0], np.maximum(seen - 1, 0), axis=1)
    out[:, :, 0] = np.where(seen > 0, carried, 0.0)
    ago = np.where(seen > 0, np.arange(1, grid.steps + 1)[:, None] - seen, grid.steps)
    since = (np.log1p(ago) / np.log1p(grid.steps)).astype(np.float32)
    return [out.reshape(len(column), grid.width), since.reshape(len(column), grid.steps * codes)]
