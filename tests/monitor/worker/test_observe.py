"""What workers count of a night is the same however its rows come."""

import json

import numpy as np
import pyarrow as pa
import pytest
from support.nights import batch_of, cases, risk_of, tally, trained

from medspark.encode.kinds.base import FIRST_ID
from medspark.encode.kinds.events import GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.monitor.gauges import gauges_of
from medspark.monitor.plan import Group, Plan
from medspark.monitor.worker.observe import columns_watched, observe, take
from medspark.monitor.worker.read import in_its_unit, numbers_of
from medspark.monitor.worker.tally import empty, packed, together, unpacked
from medspark.schemas import NEWEST_EVENT, PREDICTION_TIME


@pytest.fixture(scope="module")
def bundle():
    return trained(2000)


def observed(bundle, columns, parts, newest_event=None, **settings):
    """What a worker counts of cases that come in parts of some rows."""
    statistics, reference = bundle
    plan = Plan.model_validate(reference.plan.model_dump() | settings)
    text, at = plan.model_dump_json(), 0
    times = pa.array(range(len(columns["age"])), pa.timestamp("us"))
    batch = batch_of(columns).append_column(PREDICTION_TIME, times)
    if newest_event is not None:
        batch = batch.append_column(NEWEST_EVENT, pa.array(newest_event, pa.timestamp("us", "UTC")))
    take(text)
    for rows in parts:
        part = batch.slice(at, rows)
        risk = risk_of({name: values[at : at + rows] for name, values in columns.items()})
        observe(text, part, encode(part, statistics), lambda chosen, risk=risk: risk[chosen])
        at += rows
    return plan, unpacked(take(text), plan)


def test_batches_change_no_count(bundle):
    columns = cases(700, 9)
    _, whole = observed(bundle, columns, [700])
    _, parts = observed(bundle, columns, [1, 299, 400])
    assert (whole.counts == parts.counts).all()
    assert (whole.units == parts.units).all()
    assert whole.newest == parts.newest == 699
    assert (whole.counts == tally(bundle[1].plan, bundle[0], columns).counts).all()


def test_the_newest_event_of_any_case_is_told_and_a_table_has_none(bundle):
    columns = cases(5, 9)
    _, found = observed(bundle, columns, [1, 4], newest_event=[None, 30, None, 90, 20])
    assert (found.newest, found.newest_event) == (4, 90)
    assert together(found, found._replace(newest_event=None)).newest_event == 90
    assert observed(bundle, columns, [5])[1].newest_event is None


def test_what_was_packed_before_there_was_a_newest_event_is_read(bundle):
    plan, found = observed(bundle, cases(5, 9), [5])
    said = json.loads(packed(found))
    before = json.dumps([said[name] for name in ("counts", "units", "kept", "newest")])
    assert unpacked(before, plan).newest_event is None
    assert unpacked(before, plan).newest == found.newest == 4
    later = json.dumps({**said, "what a later medspark counts": 1})
    assert unpacked(later, plan).newest == 4
    assert (unpacked(before, plan).counts == found.counts).all()


def test_every_third_case_is_counted_across_batches(bundle):
    columns = cases(700, 9)
    _, found = observed(bundle, columns, [10, 290, 400], step=3)
    third = {name: values[::3] for name, values in columns.items()}
    assert (found.counts == tally(bundle[1].plan, bundle[0], third).counts).all()


def test_kept_cases_have_a_column_for_each_number_and_level_and_no_key(bundle):
    columns = cases(700, 9)
    plan, found = observed(bundle, columns, [700], keep=100)
    names = [gauge.name for gauge in plan.gauges if gauge.reads != "codes"]
    assert found.kept.shape == (7, len(names))
    assert (
        np.isnan(found.kept[:, names.index("creatinine")]).tolist() == np.isnan(columns["creatinine"][::100]).tolist()
    )


def test_a_row_without_a_score_is_not_counted(bundle):
    columns, text = cases(5, 9), bundle[1].plan.model_dump_json()
    batch = batch_of(columns).append_column(PREDICTION_TIME, pa.nulls(5, pa.timestamp("us")))
    take(text)
    scored = np.array([True, False, True, True, False])
    observe(text, batch, encode(batch, bundle[0]), lambda rows: risk_of(columns)[rows], scored)
    found = unpacked(take(text), bundle[1].plan)
    assert found.counts[0, -1] == 3
    assert found.newest is None


def test_what_was_taken_is_not_taken_twice(bundle):
    _, found = observed(bundle, cases(50, 9), [50])
    assert found.counts[0, -1] == 50
    assert unpacked(take(bundle[1].plan.model_dump_json()), bundle[1].plan).counts.sum() == 0
    assert take("") is None


def test_tallies_add_up_and_survive_their_packing(bundle):
    plan = bundle[1].plan
    one, other = (tally(plan, bundle[0], cases(n, 9)) for n in (30, 40))
    both = together(together(empty(plan), one), unpacked(packed(other), plan))
    assert (both.counts == one.counts + other.counts).all()
    assert (both.units == one.units + other.units).all()


def test_a_subgroups_rows_add_up_to_all_cases(bundle):
    plan, found = observed(bundle, cases(300, 9), [300])
    rows = [at for at, (column, _) in enumerate(plan.rows) if column == "sex"]
    assert (found.counts[rows].sum(axis=0) == found.counts[0]).all()


def test_a_subgroup_that_no_feature_reads_comes_with_the_cases(bundle):
    columns = cases(300, 9)
    columns["ward"] = np.where(np.arange(300) % 3 == 0, None, np.where(np.arange(300) % 2 == 0, "a", "z"))
    ward = Group(column="ward", levels=("a",))
    plan, found = observed(bundle, columns, [100, 200], groups=(ward,))
    assert columns_watched(plan.model_dump_json()) == ["ward"]
    assert dict(zip(plan.rows, found.counts[:, -1].tolist(), strict=True)) == {
        ("", ""): 300,
        ("ward", "missing"): 100,
        ("ward", "other"): 100,
        ("ward", "a"): 100,
    }


def test_a_smooth_number_is_told_in_its_unit_a_thousand_spreads_away(bundle):
    statistics, reference = bundle
    gauge = next(gauge for gauge in reference.plan.gauges if gauge.name == "creatinine")
    columns = cases(4, 9, creatinine=np.array([0.7, 88.4, 300.0, np.nan]))
    number = numbers_of(gauge, encode(batch_of(columns), statistics))
    assert in_its_unit(number, gauge)[:3].tolist() == pytest.approx([0.7, 88.4, 300.0], rel=0.02)
    assert np.isnan(number[3])


# ---------------------------------------------------------------- events


def shared(column):
    return {"column": column, "codes": ("crp", "sodium"), "counts": (90, 60), "rare": 0, "missing_share": 0.0}


def test_a_result_that_every_training_case_had_is_read_though_nothing_says_that_it_is_there():
    values = ValuesStatistics(
        **shared("labs"),
        takes=("last", "count"),
        scaling="smooth",
        center=((10.0, 0.0), (140.0, 0.0)),
        scale=((4.0, 1.0), (3.0, 1.0)),
        impute=((10.0, 0.0), (140.0, 0.0)),
        constant=(("crp", "presence"), ("crp", "count")),
    )
    statistics = Statistics(cases=100, numeric=(), categorical=(), codes=(), values=(values,))
    numbers = pa.map_(pa.string(), pa.struct([("last", pa.float64()), ("count", pa.float64())]))
    labs = pa.array([[("crp", {"last": 30.0, "count": 1.0})], []], numbers)
    tensors = encode(pa.RecordBatch.from_pydict({"labs": labs}), statistics)
    found = {gauge.name: gauge for gauge in gauges_of(statistics)}
    assert set(found) == {"labs: last of crp", "labs: last of sodium", "labs: count of sodium"}
    crp = found["labs: last of crp"]
    assert in_its_unit(numbers_of(crp, tensors), crp).tolist() == pytest.approx([30.0, np.nan], rel=1e-5, nan_ok=True)


def test_values_sequences_and_grids_of_events_are_read_as_they_are():
    values = ValuesStatistics(
        **shared("labs"),
        takes=("last",),
        scaling="smooth",
        center=((10.0,), (140.0,)),
        scale=((4.0,), (3.0,)),
        impute=((10.0,), (140.0,)),
    )
    sequence = SequenceStatistics(**shared("path"), last=4, mean=(10.0, 140.0), scale=(4.0, 3.0), knots=((), ()))
    grid = GridStatistics(
        **shared("curve"), steps=3, mean=(10.0, 140.0), scale=(4.0, 3.0), scaling="smooth", carried=True
    )
    statistics = Statistics(
        cases=100, numeric=(), categorical=(), codes=(), values=(values,), sequences=(sequence,), grids=(grid,)
    )
    event = pa.struct([("code", pa.string()), ("hours_before", pa.float64()), ("number", pa.float64())])
    batch = pa.RecordBatch.from_pydict(
        {
            "labs": pa.array(
                [[("crp", {"last": 30.0})], []], pa.map_(pa.string(), pa.struct([("last", pa.float64())]))
            ),
            "path": pa.array([[{"code": "crp", "hours_before": 5.0, "number": 1.0}], []], pa.list_(event)),
            "curve": pa.array([[("sodium", [None, 150.0, None])], []], pa.map_(pa.string(), pa.list_(pa.float64()))),
        }
    )
    tensors = encode(batch, statistics)
    found = {gauge.name: gauge for gauge in gauges_of(statistics)}
    read = {
        name: in_its_unit(numbers_of(gauge, tensors), gauge).tolist()
        for name, gauge in found.items()
        if gauge.is_number
    }
    expected = {
        "labs: last of crp": [30.0, np.nan],
        "labs: last of sodium": [np.nan, np.nan],
        "curve: crp": [np.nan, np.nan],
        "curve: sodium": [150.0, np.nan],
        "path: hours since the newest event": [np.log1p(5.0), np.nan],
    }
    assert read.keys() == expected.keys()
    for name, numbers in expected.items():
        assert read[name] == pytest.approx(numbers, rel=1e-3, nan_ok=True), name
    assert found["path"].cells == FIRST_ID + 2
