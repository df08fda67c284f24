"""The features of events as tensors, one batch at a time."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medspark.encode.kinds.base import KNOTS
from medspark.encode.kinds.events import BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.encode.worker.encoder import encode, encode_batches
from medspark.encode.worker.flat import distinct_ids, entries
from medspark.encode.worker.tensors import arrays


def vocabulary(column, *codes):
    return {"column": column, "codes": codes, "counts": (1,) * len(codes), "rare": 0, "missing_share": 0.0}


BAG = BagStatistics(**vocabulary("dx", "I10", "E11", "Z99"), width=2)
VALUES = ValuesStatistics(
    **vocabulary("labs", "na", "k"),
    takes=("last", "count"),
    scaling="standard",
    center=((140.0, 2.0), (4.0, 1.0)),
    scale=((5.0, 1.0), (0.5, 2.0)),
    impute=((135.0, 0.0), (4.0, 0.0)),
)
SEQUENCE = SequenceStatistics(**vocabulary("past", "na", "visit"), last=3, mean=(140.0, 0.0), scale=(5.0, 1.0))
GRID = GridStatistics(**vocabulary("vitals", "hr", "spo2"), steps=2, mean=(80.0, 98.0), scale=(10.0, 1.0))
NAN = float("nan")


def statistics(**groups):
    return Statistics(cases=10, numeric=(), categorical=(), codes=(), **{k: (v,) for k, v in groups.items()})


ALL = statistics(
    bags=BAG,
    values=VALUES,
    sequences=SEQUENCE.model_copy(update={"knots": (tuple(100 * share for share in KNOTS), ())}),
    grids=GRID.model_copy(update={"carried": True}),
)


STRING = pa.string()


def batch(text=STRING, **columns):
    """Columns of cases as Spark hands them over; `text` is how it writes strings."""
    types = {
        "dx": pa.list_(text),
        "labs": pa.map_(text, pa.struct([("last", pa.float64()), ("count", pa.float64())])),
        "past": pa.list_(pa.struct([("code", text), ("hours_before", pa.float64()), ("number", pa.float64())])),
        "vitals": pa.map_(text, pa.list_(pa.float64())),
    }
    return pa.RecordBatch.from_arrays([pa.array(v, types[k]) for k, v in columns.items()], names=list(columns))


def event(code, hours_before, number):
    return {"code": code, "hours_before": hours_before, "number": number}


def inputs(found, given):
    return {name: array.round(4).tolist() for name, array in encode(found, given).items()}


def test_a_bag_has_the_rarest_codes_first_the_unknown_as_one_and_padding_behind():
    # I10 is 2, E11 3, Z99 4; two unknown codes are one 1; of three known codes the commonest falls out
    found = batch(dx=[["E11", "I10", "Z99"], ["I10"], [], ["???", "I10", "who"], ["!!!", "???"]])
    assert inputs(found, statistics(bags=BAG)) == {"codes_dx": [[4, 3], [2, 0], [0, 0], [2, 1], [1, 0]]}


def test_values_are_scaled_imputed_and_marked_code_after_code():
    found = batch(
        labs=[
            [("na", {"last": 145.0, "count": 3.0}), ("???", {"last": 1.0, "count": 1.0})],
            [("k", {"last": None, "count": 3.0}), ("na", {"last": NAN, "count": 2.0})],
            [],
            [("k", {"last": float("inf"), "count": 1.0}), ("na", None)],
        ]
    )
    # of each code the last value, the count, and whether the case has it; without it 135 and 0, or 4 and 0
    assert inputs(found, statistics(values=VALUES)) == {
        "numeric": [
            [1.0, 1.0, 1.0, 0.0, -0.5, 0.0],
            [-1.0, 0.0, 1.0, 0.0, 1.0, 1.0],
            [-1.0, -2.0, 0.0, 0.0, -0.5, 0.0],
            [-1.0, -2.0, 1.0, 0.0, 0.0, 1.0],
        ]
    }


@pytest.mark.parametrize(("takes", "width"), [(("count",), 1), (("present",), 1), (("count", "present"), 2)])
def test_what_says_itself_whether_there_is_a_code_has_no_indicator(takes, width):
    one = (1.0,) * len(takes)
    zero = (0.0,) * len(takes)
    group = ValuesStatistics(
        **vocabulary("labs", "na"), takes=takes, scaling="none", center=(zero,), scale=(one,), impute=(zero,)
    )
    assert statistics(values=group).widths() == {"numeric": width}


def test_quantile_scaling_is_each_numbers_own_and_leaves_presence_alone():
    tens, flat = tuple(10 * share for share in KNOTS), (7.0,) * len(KNOTS)
    group = ValuesStatistics(
        **vocabulary("labs", "na", "k"),
        takes=("last", "count"),
        scaling="quantile",
        center=((0.0, 0.0),) * 2,
        scale=((1.0, 1.0),) * 2,
        impute=((5.0, 0.0), (7.0, 0.0)),
        knots=((tens, KNOTS), (flat, KNOTS)),
    )
    found = batch(labs=[[("na", {"last": 2.5, "count": 1.0})], [("k", {"last": 9.0, "count": 0.25})]])
    assert inputs(found, statistics(values=group)) == {
        "numeric": [[0.25, 1.0, 1.0, 0.5, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5, 0.25, 1.0]]
    }


def test_a_sequence_ends_with_the_newest_event_and_is_padded_before():
    found = batch(
        past=[
            [event("na", math.expm1(1), 145.0), event("visit", 0.0, None)],
            [],
            [event("???", math.expm1(2), 9.0), event("na", NAN, NAN), event(None, 0.0, 1e9)],
            [event("na", 0.0, 1e9), event("na", 0.0, -1e9), event("visit", 0.0, 2.0), event("visit", 0.0, 3.0)],
        ]
    )
    assert inputs(found, statistics(sequences=SEQUENCE)) == {
        "tokens_past": [[0, 2, 3], [0, 0, 0], [1, 2, 1], [2, 3, 3]],
        "times_past": [[0.0, approx(0.1), 0.0], [0.0] * 3, [approx(0.2), 0.0, 0.0], [0.0] * 3],
        "numbers_past": [[0.0, 1.0, 0.0], [0.0] * 3, [0.0] * 3, [-10.0, 2.0, 3.0]],
    }


def approx(number):
    return pytest.approx(number, abs=1e-6)


TENS = tuple(10 * share for share in KNOTS)
BINNED = SEQUENCE.model_copy(update={"knots": (tuple(100 + ten for ten in TENS), ())})


def test_an_event_has_the_gap_before_it_and_the_bin_of_its_number():
    found = batch(
        past=[
            [event("na", 10 + math.expm1(2), 99.0), event("na", 10.0, 103.0), event("na", 10.0, 1e9)],
            [event("na", 0.0, None), event("visit", 0.0, 5.0), event("???", 0.0, 5.0)],
            [event("na", 5.0, 100.0), event("na", 5 + math.expm1(1), 110.0)],  # a time that runs back is no gap
            [event("na", math.expm1(3), 100.0), *[event("na", 0.0, 100.0)] * 3],  # more than last: the oldest is cut
        ]
    )
    gaps, bins = (inputs(found, statistics(sequences=BINNED))[name] for name in ("gaps_past", "bins_past"))
    assert gaps == [[0.0, approx(0.2), 0.0], [0.0] * 3, [0.0] * 3, [approx(0.3), 0.0, 0.0]]
    # below the least of thirteen quantiles 1, from the fourth on 5, beyond the largest 14; without a number,
    # or of a code without quantiles, 0
    assert bins == [[1, 5, 14], [0, 0, 0], [0, 2, 14], [2, 2, 2]]


def test_a_number_beyond_all_of_training_has_the_bin_of_those_nearest():
    found = batch(past=[[event("na", 0.0, number) for number in (-1e9, 100.0, 109.95, 110.0, 1e9)]])
    within = BINNED.model_copy(update={"last": 5, "ends": True})
    assert inputs(found, statistics(sequences=within))["bins_past"] == [[2, 2, 13, 13, 13]]


def test_a_number_that_training_had_one_value_of_is_in_one_bin_whatever_comes():
    found = batch(past=[[event("na", 0.0, number) for number in (-1e9, 140.0, 1e9)]])
    constant = SEQUENCE.model_copy(update={"knots": ((140.0,) * len(KNOTS), ()), "ends": True})
    assert inputs(found, statistics(sequences=constant))["bins_past"] == [[13, 13, 13]]


def test_codes_of_statistics_from_before_spellings_were_one_are_those_that_are_seen():
    group = VALUES.model_copy(update={"codes": ("na", "k a"), "constant": (("k a", "last"),)})
    text = to_json(statistics(values=group, bags=BAG.model_copy(update={"codes": ("a b", "E11", "Z99")})))
    before = text.replace("k a", "k\u00a0a").replace("a b", "a\u200a\u200bb")
    assert before != text
    assert from_json(before) == from_json(text)


def test_statistics_from_before_bins_and_gaps_encode_a_sequence_as_they_did():
    found = batch(past=[[event("na", 2.0, 145.0), event("visit", 1.0, None)]])
    before, now = (encode(found, statistics(sequences=one)) for one in (SEQUENCE, BINNED))
    assert set(now) - set(before) == {"gaps_past", "bins_past"}
    assert same(before, {name: now[name] for name in before})


def test_a_step_without_a_number_has_the_last_one_before_it_and_how_long_ago_it_was():
    carried = GRID.model_copy(update={"steps": 4, "carried": True})
    found = batch(
        vitals=[[("hr", [None, 90.0, None, None]), ("spo2", [97.0, None, 99.0, NAN])], [], [("hr", [None] * 3)]]
    )
    given = inputs(found, statistics(grids=carried))
    # step by step: hr, spo2, is there an hr, is there an spo2; before the first number the mean, which is 0
    assert given["grid_vitals"][0] == [0, -1, 0, 1, *[1, -1, 1, 0], *[1, 1, 0, 1], *[1, 1, 0, 0]]
    once, twice = round(math.log(2) / math.log(5), 4), round(math.log(3) / math.log(5), 4)
    assert [round(number, 4) for number in given["since_vitals"][0]] == [1, 0, *[0, once], *[once, 0], *[twice, once]]
    assert given["grid_vitals"][1:] == [[0.0] * 16] * 2
    assert given["since_vitals"][1:] == [[1.0] * 8] * 2


def test_a_grid_has_the_numbers_of_a_step_and_then_whether_there_is_one():
    found = batch(vitals=[[("hr", [90.0, None]), ("???", [1.0, 1.0])], [], [("spo2", [NAN, 97.0]), ("hr", None)]])
    # step by step: hr, spo2, is there an hr, is there an spo2
    assert inputs(found, statistics(grids=GRID)) == {
        "grid_vitals": [
            [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0] * 8,
            [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0],
        ]
    }


def test_groups_without_a_known_code_leave_no_input_but_unknown_ids():
    empty = statistics(
        bags=BagStatistics(**vocabulary("dx"), width=1),
        values=VALUES.model_copy(update={"codes": (), "center": (), "scale": (), "impute": ()}),
        sequences=SequenceStatistics(**vocabulary("past"), last=1, mean=(), scale=()),
        grids=GridStatistics(**vocabulary("vitals"), steps=2, mean=(), scale=()),
    )
    found = {name: array.tolist() for name, array in encode(CASES.slice(0, 1), empty).items()}
    assert found == {"codes_dx": [[1]], "tokens_past": [[1]], "times_past": [[approx(0.1)]], "numbers_past": [[0.0]]}
    assert list(found) == list(empty.widths())


CASES = batch(
    dx=[["E11", "I10"], [], None, ["???"]],
    labs=[[("na", {"last": 145.0, "count": 3.0})], [], None, [("k", None)]],
    past=[[event("na", math.expm1(1), 145.0)], [], None, [event("visit", 2.0, None)] * 2],
    vitals=[[("hr", [90.0, None])], [], None, [("spo2", [None, 97.0])]],
)


def test_a_null_column_is_an_empty_one():
    found = encode(CASES, ALL)
    assert all(array[1].tolist() == array[2].tolist() for array in found.values())


def test_names_widths_and_types_are_those_that_the_statistics_say():
    found = encode(CASES, ALL)
    assert {name: array.shape for name, array in found.items()} == {n: (4, w) for n, w in ALL.widths().items()}
    assert {name: array.dtype.name for name, array in found.items()} == {one.name: one.dtype for one in ALL.inputs()}
    assert ALL.columns() == ["labs", "dx", "past", "vitals"]
    assert ALL.sizes() == {"categories": 0, "codes_dx": 5, "tokens_past": 4, "bins_past": 15, "grid_vitals": 2}


def test_strings_of_spark_may_be_large_ones():
    large = batch(pa.large_string(), **{name: CASES.column(name).to_pylist() for name in CASES.schema.names})
    assert same(encode(large, ALL), encode(CASES, ALL))


def test_lists_may_be_large_ones():
    column = CASES.column("dx").cast(pa.large_list(pa.large_string()))
    large = CASES.set_column(0, "dx", column)
    assert same(encode(large, ALL), encode(CASES, ALL))


def same(found, expected):
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def test_an_empty_batch_gives_empty_tensors():
    assert {name: array.shape for name, array in encode(CASES.slice(0, 0), ALL).items()} == {
        name: (0, width) for name, width in ALL.widths().items()
    }


def test_statistics_of_events_come_back_from_json_unchanged():
    assert from_json(to_json(ALL)) == ALL


def test_wide_tensors_come_in_short_batches_and_lose_no_row(monkeypatch):
    monkeypatch.setattr("medspark.encode.worker.encoder.MOST_CELLS", 3 * sum(ALL.widths().values()))
    encoded = list(encode_batches(iter([CASES, CASES.slice(0, 0)]), ALL, ()))
    assert [part.num_rows for part in encoded] == [3, 1, 0]
    whole = pa.Table.from_batches(encoded).combine_chunks().to_batches()[0]
    assert same(arrays(whole, ALL.inputs()), encode(CASES, ALL))


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([NAN, math.inf, -math.inf]))
codes = st.sampled_from(["I10", "E11", "Z99", "na", "k", "hr", "spo2", "visit", "???", ""])


def maps_of(values):
    return st.none() | st.dictionaries(codes, values, max_size=5).map(lambda found: list(found.items()))


case = st.fixed_dictionaries(
    {
        "dx": st.none() | st.lists(st.none() | codes, max_size=6),
        "labs": maps_of(st.none() | st.fixed_dictionaries({"last": numbers, "count": numbers})),
        "past": st.none() | st.lists(st.builds(event, st.none() | codes, numbers, numbers), max_size=5),
        "vitals": maps_of(st.none() | st.lists(numbers, max_size=3)),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(case, min_size=1, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_a_case_has_the_same_tensor_in_every_slice_and_alone(cases, start, length):
    whole = batch(**{name: [row[name] for row in cases] for name in cases[0]})
    expected = encode(whole, ALL)
    part = whole.slice(min(start, len(cases)), length)
    at = slice(min(start, len(cases)), min(start, len(cases)) + part.num_rows)
    assert same(encode(part, ALL), {name: array[at] for name, array in expected.items()})
    alone = batch(**{name: [cases[-1][name]] for name in cases[0]})
    assert same(encode(alone, ALL), {name: array[-1:] for name, array in expected.items()})
    assert all(np.isfinite(array).all() for array in expected.values())


def test_entries_know_their_row_and_place_in_a_slice_of_a_map():
    column = batch(vitals=[[("x", [1.0])], [("a", [2.0]), ("b", None)], None, [], [("c", [])]]).column("vitals")
    found = entries(column.slice(1, 4))
    assert (found.row.tolist(), found.place.tolist(), found.lengths.tolist()) == ([0, 0, 3], [0, 1, 0], [2, 0, 0, 1])
    assert [item["key"] for item in found.items.to_pylist()] == ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=30), st.integers(1, 6))
def test_distinct_ids_are_those_of_a_plain_loop(pairs, width):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    row, ids = (np.array([pair[at] for pair in pairs], dtype) for at, dtype in ((0, np.int64), (1, np.int32)))
    expected = [sorted({i for r, i in pairs if r == at and i}, reverse=True)[:width] for at in range(5)]
    assert distinct_ids(row, ids, 5, width).tolist() == [e + [0] * (width - len(e)) for e in expected]
