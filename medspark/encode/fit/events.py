"""Fit the features of events on the training split: long rows of (column, code), whatever the number of codes.

Vocabularies come from the grouped count that categories share; then one grouped aggregation over the numbers of the
values, one over those of sequences and grids, and one pass for the widths of bags. Each is left out where no group
needs it, and the driver takes rows of known codes only.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.encode.fit.numbers import (
    Counts,
    center_and_scale,
    labelled,
    median_of,
    moments,
    reaches_far,
    rounded,
    spread,
    vocabulary,
)
from medspark.encode.kinds.base import KNOTS
from medspark.encode.kinds.events import (
    PRESENCE,
    BagStatistics,
    GridStatistics,
    SequenceStatistics,
    ValuesStatistics,
    numbers_of,
)
from medspark.encode.worker.events import known_codes
from medspark.schemas import quoted
from medspark.spark.arrow import map_batches
from medspark.task.features import CodesGroup, GridGroup, GroupColumn, SequenceGroup, ValuesGroup

_TIMES = ("time_since", "time_since_first")
_ZERO = ("count", "present", "sd", "slope", "change")
"""What a case without the code has none of; the other numbers are imputed by their median."""
Strange = Literal["constant", "nearly", "far"]
"""What of a number is worth a remark: the field of the statistics that names it."""
Found = dict[tuple[str, str], dict[str, Any]]
"""Aggregates by column and code."""


def events_aggregates(groups: list[GroupColumn]) -> list[Column]:
    """What the one pass over the training split finds out: how many cases have any code of a group."""
    seen = [F.when(F.size(quoted(group.name)) > 0, 1) for group in groups]
    return [F.count(case).alias(f"group {group.name}") for group, case in zip(groups, seen, strict=True)]


def events_levels(groups: list[GroupColumn]) -> list[Column]:
    """Of each case the codes that are counted, each once."""
    return [labelled(_codes_of(group), f"group {group.name}") for group in groups]


def _codes_of(group: GroupColumn) -> Column:
    column = F.col(quoted(group.name))
    if group.kind == "codes":
        return F.array_distinct(F.array_compact(column))
    if group.kind == "sequence":
        return F.array_distinct(F.array_compact(F.transform(column, lambda event: event["code"])))
    return F.map_keys(column)


def fit_events(
    train: DataFrame, groups: list[GroupColumn], numbers: dict[str, Any], counts: Mapping[str, Counts]
) -> dict[str, Any]:
    """The statistics by their field.

    Args:
        train: the labelled cases of the training split.
        groups: their columns.
        numbers: `cases`, their number, and what `events_aggregates` found.
        counts: what `events_levels` found.
    """
    shared = {
        group.name: _shared(group, counts[f"group {group.name}"], numbers[f"group {group.name}"], numbers["cases"])
        for group in groups
    }
    known = [(name, code) for name, found in shared.items() for code in found["codes"]]
    bags, values, sequences, grids = (
        [group for group in groups if group.kind == kind] for kind in ("codes", "values", "sequence", "grid")
    )
    of_values = _aggregate(train, values, known)
    others = _aggregate(train, [*sequences, *grids], known)
    widths = _most_known(train, {group.name: shared[group.name]["codes"] for group in bags})
    return {
        "values": tuple(_values(group, shared[group.name], of_values, numbers["cases"]) for group in values),
        "bags": tuple(_bag(group, shared[group.name], widths) for group in bags),
        "sequences": tuple(_sequence(group, shared[group.name], others) for group in sequences),
        "grids": tuple(_grid(group, shared[group.name], others) for group in grids),
    }


def _shared(group: GroupColumn, counts: Counts, with_code: int, cases: int) -> dict[str, Any]:
    codes, kept, rare = vocabulary(counts, group.group.at_least)
    missing_share = rounded(1 - with_code / cases)
    return {"column": group.name, "codes": codes, "counts": kept, "rare": rare, "missing_share": missing_share}


# ---------------------------------------------------------------- one aggregation over long rows


def _aggregate(train: DataFrame, groups: list[GroupColumn], known: list[tuple[str, str]]) -> Found:
    """By column and code the moments of its first number, `count0` and so on, then of its second."""
    names = {group.name for group in groups}
    wanted = [pair for pair in known if pair[0] in names]
    if not wanted:
        return {}
    width = max(len(group.group.take) if isinstance(group.group, ValuesGroup) else 1 for group in groups)
    vocabularies = train.sparkSession.createDataFrame(wanted, "column string, code string")
    found = (
        train.select(F.explode(F.concat(*map(_entries, groups))).alias("entry"))
        .select("entry.column", "entry.code", "entry.numbers")
        .join(F.broadcast(vocabularies), on=["column", "code"], how="left_semi")
        .groupBy("column", "code")
        .agg(*(part for at in range(width) for part in moments(F.get("numbers", at), at)))
    )
    rows = (row.asDict() for row in found.collect())
    return {(row["column"], row["code"]): row for row in rows}


def _entries(group: GroupColumn) -> Column:
    """A case's entries as an array of (column, code, numbers): one for each code, event, or code and step."""
    column = F.col(quoted(group.name))
    if isinstance(group.group, ValuesGroup):
        takes = group.group.take
        return F.transform(
            F.map_entries(column),
            lambda entry: _entry(group, entry["key"], *(entry["value"][take] for take in takes)),
        )
    if isinstance(group.group, SequenceGroup):
        return F.transform(column, lambda event: _entry(group, event["code"], event["number"]))
    return F.flatten(
        F.transform(
            F.map_entries(column),
            lambda entry: F.transform(entry["value"], lambda number: _entry(group, entry["key"], number)),
        )
    )


def _entry(group: GroupColumn, code: Column, *numbers: Column) -> Column:
    return F.struct(F.lit(group.name).alias("column"), code.alias("code"), F.array(*numbers).alias("numbers"))


def _most_known(train: DataFrame, vocabularies: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """The largest number of known codes in a training case, by column."""
    names = list(vocabularies)
    if not names:
        return {}

    def most(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            largest = [known_codes(batch.column(name), vocabularies[name]).max(initial=0) for name in names]
            yield pa.RecordBatch.from_arrays([pa.array(names), pa.array(largest, pa.int64())], names=["name", "most"])

    found = map_batches(train.select(*map(quoted, names)), most, "name string, most bigint")
    return {row["name"]: row["most"] for row in found.groupBy("name").agg(F.max("most").alias("most")).collect()}


# ---------------------------------------------------------------- aggregates to statistics


def _values(group: GroupColumn, shared: dict[str, Any], found: Found, cases: int) -> ValuesStatistics:
    assert isinstance(group.group, ValuesGroup)
    settings = group.group
    fitted = [
        [_number(settings, take, group.hours, at, found[group.name, code]) for at, take in enumerate(settings.take)]
        for code in shared["codes"]
    ]
    in_all = {code for code, count in zip(shared["codes"], shared["counts"], strict=True) if count == cases}
    return ValuesStatistics(
        **shared,
        takes=settings.take,
        scaling=settings.scaling,
        center=tuple(tuple(number.center for number in row) for row in fitted),
        scale=tuple(tuple(number.scale for number in row) for row in fitted),
        knots=tuple(tuple(number.knots for number in row) for row in fitted if settings.scaling == "quantile"),
        impute=tuple(tuple(number.impute for number in row) for row in fitted),
        **_strange(
            {
                (code, take): _what_is_strange(take, at, found[group.name, code], code in in_all)
                for code in shared["codes"]
                for at, take in enumerate(numbers_of(settings.take))
            }
        ),
    )


def _strange(found: Mapping[Any, Strange | None]) -> dict[str, tuple[Any, ...]]:
    """By the statistics' field the numbers that are constant, nearly constant, and that have a value far away."""
    return {kind: tuple(one for one, what in found.items() if what == kind) for kind in get_args(Strange)}


def _what_is_strange(take: str, at: int, found: dict[str, Any], in_all: bool) -> Strange | None:
    if _is_constant(take, at, found, in_all):
        return "constant"
    if take in (PRESENCE, "present") or not found[f"count{at}"]:
        return None
    knots = found[f"knots{at}"]
    if knots[0] == knots[KNOTS.index(0.99)]:
        return "nearly" if in_all or take != "count" else None
    return "far" if reaches_far(found, at) else None


def _is_constant(take: str, at: int, found: dict[str, Any], in_all: bool) -> bool:
    """Whether a number of a code is the same in all training cases, as far as they have it.

    A count is 0 where there is no code, and presence too: these are numbers as well.
    """
    if take in (PRESENCE, "present"):
        return in_all
    alike = not found[f"count{at}"] or found[f"least{at}"] == found[f"most{at}"]
    return alike and (in_all or take != "count")


class _Number(NamedTuple):
    """How one number of one code is scaled and imputed; as it stands, 0 stays 0."""

    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = KNOTS
    impute: float = 0.0


def _number(settings: ValuesGroup, take: str, hours: float | None, at: int, found: dict[str, Any]) -> _Number:
    if take == "present" or not found[f"count{at}"]:
        return _Number()
    knots = tuple(map(rounded, found[f"knots{at}"]))
    mean, sd = rounded(found[f"mean{at}"]), rounded(found[f"sd{at}"])
    center, scale = center_and_scale(settings.scaling, mean, sd, knots)
    longest = knots[-1] if hours is None else hours
    impute = longest if take in _TIMES else 0.0 if take in _ZERO else median_of(knots)
    return _Number(center, scale, knots, impute)


def _bag(group: GroupColumn, shared: dict[str, Any], widths: dict[str, int]) -> BagStatistics:
    assert isinstance(group.group, CodesGroup)
    return BagStatistics(**shared, width=max(1, min(group.group.most, widths.get(group.name, 0))))


def _sequence(group: GroupColumn, shared: dict[str, Any], found: Found) -> SequenceStatistics:
    assert isinstance(group.group, SequenceGroup)
    scaled = _deviations(group.name, shared["codes"], found)
    knots = tuple(tuple(map(rounded, row["knots0"] or ())) for row in _found_of(group.name, shared["codes"], found))
    return SequenceStatistics(**shared, **scaled, last=group.group.last, knots=knots, ends=True)


def _grid(group: GroupColumn, shared: dict[str, Any], found: Found) -> GridStatistics:
    assert isinstance(group.group, GridGroup)
    scaled = _deviations(group.name, shared["codes"], found)
    return GridStatistics(**shared, **scaled, steps=group.group.steps, carried=True)


def _found_of(name: str, codes: tuple[str, ...], found: Found) -> list[dict[str, Any]]:
    """What was found of each code's numbers; of a code without one, that it has no quantiles."""
    return [found.get((name, code)) or {"knots0": None} for code in codes]


def _deviations(name: str, codes: tuple[str, ...], found: Found) -> dict[str, Any]:
    """The median and the spread of each code's numbers; 0 and 0 where it has none, spread 0 where all are alike. Beside
    them the codes whose numbers are strange."""
    rows = _found_of(name, codes, found)
    knots = [row["knots0"] or (0.0,) * len(KNOTS) for row in rows]
    with_numbers = {code: row for code, row in zip(codes, rows, strict=True) if row["knots0"] is not None}
    return {
        **_strange({code: _what_is_strange("", 0, row, in_all=True) for code, row in with_numbers.items()}),
        "mean": tuple(rounded(median_of(found)) for found in knots),
        "scale": tuple(spread(found) for found in knots),
        "scaling": "smooth",
    }
