"""A row knows its own patient's earlier rows, and nothing else of the table."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.past import PAST, at, past_of, past_task

from medspark.cases.earlier_rows import with_past
from medspark.cases.table import build_cases, mark_excluded

KINDS = {"long": ("stay", "bigint"), "date": ("at", "date"), "timestamp": ("at", "timestamp"), "integer": ("at", "int")}
SCHEMA = (
    "stay bigint, patient string, age double, sex string, diag_1 string, diag_2 string, died boolean, back boolean, "
    "back_then boolean"
)
NAMES = [column.split()[0] for column in SCHEMA.split(", ")]


def frame(spark, rows, order="long"):
    """Rows given as dictionaries; what they leave out is missing."""
    schema = SCHEMA if order == "long" else f"{SCHEMA}, at {KINDS[order][1]}"
    names = NAMES if order == "long" else [*NAMES, "at"]
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], schema)


def pasts(spark, rows, order="long", earlier=None, **history):
    """What the past of each row is found to be, by case id."""
    more = frame(spark, earlier, order) if earlier is not None else None
    found = with_past(frame(spark, rows, order), past_task(order, history=history), more).collect()
    assert len(found) == len(rows)
    return {row["stay"]: {name: row[name] for name in PAST} for row in found}


def expected(rows, order="long", asked=None):
    whole = [{**dict.fromkeys([*NAMES, "at"]), **row} for row in rows]
    wanted = {row["stay"] for row in (rows if asked is None else asked)}
    return {row["stay"]: past_of(whole, row, KINDS[order][0]) for row in whole if row["stay"] in wanted}


def test_each_row_has_the_last_values_the_count_the_gap_and_the_codes_of_its_patients_earlier_rows(spark):
    rows = [
        {"stay": 10, "patient": "a", "age": 50.0, "sex": "F", "diag_1": "I10", "diag_2": "E11"},
        {"stay": 14, "patient": "a", "sex": "M", "diag_1": "I10", "diag_2": "I50", "back_then": False},
        {"stay": 20, "patient": "a", "age": 52.0},
        {"stay": 12, "patient": "b", "age": 70.0, "diag_1": "J44"},
    ]
    assert pasts(spark, rows) == {
        10: dict(zip(PAST, (0, None, None, None, None, []), strict=True)),
        14: dict(zip(PAST, (1, 4.0, 50.0, "F", None, ["E11", "I10"]), strict=True)),
        20: dict(zip(PAST, (2, 6.0, 50.0, "M", False, ["E11", "I10", "I50"]), strict=True)),
        12: dict(zip(PAST, (0, None, None, None, None, []), strict=True)),
    }


def test_rows_that_tie_do_not_see_each_other_and_the_larger_case_is_the_last_for_those_after(spark):
    day = date(2026, 3, 1)
    rows = [
        {"stay": 2, "patient": "a", "at": day, "age": 2.0, "diag_1": "two"},
        {"stay": 1, "patient": "a", "at": day, "age": 1.0, "diag_1": "one"},
        {"stay": 3, "patient": "a", "at": date(2026, 3, 5)},
    ]
    found = pasts(spark, rows, "date")
    assert [found[stay]["earlier_rows"] for stay in (1, 2, 3)] == [0, 0, 2]
    assert (found[3]["last_age"], found[3]["since_last_row"], found[3]["past"]) == (2.0, 4.0, ["one", "two"])


def test_a_row_without_a_place_in_the_order_has_no_past_and_is_in_nobodys(spark):
    rows = [
        {"stay": 1, "patient": "a", "at": None, "age": 1.0, "diag_1": "lost"},
        {"stay": 2, "patient": "a", "at": None, "age": 2.0},
        {"stay": 3, "patient": "a", "at": at("2026-03-01T10:00"), "age": 3.0, "diag_1": "I10"},
        {"stay": 4, "patient": "a", "at": at("2026-03-01T22:00"), "age": 4.0},
    ]
    found = pasts(spark, rows, "timestamp")
    assert found[1] == found[2] == dict.fromkeys(PAST)
    assert found[4] == dict(zip(PAST, (1, 0.5, 3.0, None, None, ["I10"]), strict=True))


@pytest.mark.parametrize(
    ("keys", "gaps"),
    [
        ((2**53, 2**53 + 1, 2**53 + 2), (None, 1.0, 1.0)),
        ((-(2**63), 0, 2**63 - 1), (None, 2.0**63, 2.0**63)),
        ((-(2**63), 2**63 - 1), (None, 2.0**64)),
    ],
    ids=["beyond 2^53", "the ends of a bigint", "from end to end"],
)
def test_keys_are_compared_exactly(spark, keys, gaps):
    found = pasts(spark, [{"stay": key, "patient": "a"} for key in keys])
    assert [found[key]["earlier_rows"] for key in keys] == list(range(len(keys)))
    assert tuple(found[key]["since_last_row"] for key in keys) == gaps


def test_times_are_ordered_as_instants_whatever_the_zone_they_are_shown_in(spark):
    rows = [  # the hour that a clock shows twice in autumn
        {"stay": 1, "patient": "a", "at": at("2026-10-25T00:30"), "age": 1.0},
        {"stay": 2, "patient": "a", "at": at("2026-10-25T01:30"), "age": 2.0},
        {"stay": 3, "patient": "a", "at": at("2026-10-25T01:30:00.000001")},
    ]
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Europe/Paris")
    try:
        found = pasts(spark, rows, "timestamp")
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    assert [found[stay]["last_age"] for stay in (1, 2, 3)] == [None, 1.0, 2.0]
    assert [found[stay]["since_last_row"] for stay in (2, 3)] == [1 / 24, 1 / 86_400e6]


def test_a_case_that_is_tonight_and_in_the_store_counts_once_as_tonight_has_it(spark):
    """Even where the store has it for another patient, as before two records of one person were merged."""
    tonight = [{"stay": 5, "patient": "a", "age": 50.0}, {"stay": 9, "patient": "a"}]
    stored = [
        {"stay": 5, "patient": "a", "age": 1.0, "diag_1": "old"},
        {"stay": 5, "patient": "b", "age": 2.0},
        {"stay": 9, "patient": "b"},
        {"stay": 4, "patient": "a", "diag_1": "I10"},
        {"stay": 3, "patient": "c", "diag_1": "other"},
    ]
    found = pasts(spark, tonight, earlier=stored)
    assert found[9] == dict(zip(PAST, (2, 4.0, 50.0, None, None, ["I10"]), strict=True))
    assert found[5]["earlier_rows"] == 1


def test_one_row_and_no_row(spark):
    assert pasts(spark, [{"stay": 1, "patient": "a"}])[1]["earlier_rows"] == 0
    assert pasts(spark, []) == {}


def test_without_history_rows_stay_as_they_are(spark):
    rows = frame(spark, [{"stay": 1, "patient": "a"}])
    task = past_task()
    plain = task.model_copy(update={"features": task.features.model_copy(update={"history": None})})
    assert with_past(rows, plain) is rows


def test_one_window_finds_everything_after_one_shuffle_by_patient(spark):
    missing = (f"cast(null as {kind}) as {name}" for name, kind in map(str.split, SCHEMA.split(", ")[2:]))
    rows = spark.range(3).selectExpr("id as stay", "concat('p', id) as patient", *missing)
    plan = with_past(rows, past_task())._jdf.queryExecution().executedPlan().toString().splitlines()
    nodes = [line.lstrip(" +-:").split("(")[0].split(" ")[0] for line in plan]
    assert [nodes.count(node) for node in ("Exchange", "Sort", "Window")] == [1, 1, 1]
    (shuffle,) = (line for line in plan if "Exchange" in line)
    assert "hashpartitioning(patient" in shuffle


def test_excluded_rows_are_past_for_those_that_come_after(spark):
    rows = [
        {"stay": 1, "patient": "a", "age": 1.0, "died": True},
        {"stay": 2, "patient": "a", "age": 2.0, "died": False},
    ]
    task = past_task()
    records = frame(spark, rows).selectExpr("*", "'f.csv' as _source_file", "stay as _source_line")
    (case,) = build_cases(mark_excluded(records, task), task).collect()
    assert (case["case_id"], case["earlier_rows"], case["last_age"]) == (2, 1, 1.0)


# ---------------------------------------------------------------- against plain Python, and against leaks

MOMENTS = {
    "long": st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, 2**62]),
    "integer": st.none() | st.integers(-2, 2),
    "date": st.none() | st.dates(date(2026, 2, 27), date(2026, 3, 2)),
    "timestamp": st.none()
    | st.datetimes(datetime(2026, 3, 28, 23), datetime(2026, 3, 29, 4)).map(lambda time: time.replace(tzinfo=UTC)),
}
VALUES = {
    "patient": st.sampled_from("abcd"),
    "age": st.none() | st.sampled_from([1.0, 2.0, 3.0]),
    "sex": st.none() | st.sampled_from("FM"),
    "back_then": st.none() | st.booleans(),
    "diag_1": st.none() | st.sampled_from(["I10", "E11", "I50"]),
    "diag_2": st.none() | st.sampled_from(["I10", "J44"]),
}
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
orders = st.sampled_from(sorted(KINDS))


@st.composite
def tables(draw, order, least=0):
    """Rows of stays, each id once; the order's values tie often."""
    key = KINDS[order][0]
    rows = draw(st.lists(st.fixed_dictionaries({**VALUES, key: MOMENTS[order]}), min_size=least, max_size=40))
    if key == "stay":
        return list({row["stay"]: row for row in rows}.values())
    return [{**row, "stay": at} for at, row in enumerate(rows)]


@few
@given(orders, st.data())
def test_the_past_is_what_plain_python_finds(spark, order, data):
    rows = data.draw(tables(order))
    assert pasts(spark, rows, order) == expected(rows, order)


@few
@given(orders, st.data())
def test_no_later_row_and_no_row_of_another_patient_changes_anything(spark, order, data):
    """Whatever is changed, added or taken away that is not earlier and the same patient's."""
    rows = data.draw(tables(order, least=1))
    key = KINDS[order][0]
    case = data.draw(st.sampled_from(rows))
    seen = [row for row in rows if row["patient"] == case["patient"] and is_before(row[key], case[key])]
    others = data.draw(tables(order))
    more = [
        {**row, "stay": row["stay"] if key == "stay" else 1000 + row["stay"]}
        for row in others
        if not (row["patient"] == case["patient"] and is_before(row[key], case[key]))
    ]
    taken = {row["stay"] for row in (*seen, case)}
    changed = [case, *seen, *(row for row in more if row["stay"] not in taken)]
    assert pasts(spark, changed, order)[case["stay"]] == pasts(spark, rows, order)[case["stay"]]


def is_before(one, other):
    return one is not None and other is not None and one < other


@few
@given(orders, st.data())
def test_no_outcome_of_any_row_changes_anything(spark, order, data):
    rows = data.draw(tables(order))
    turned = [{**row, "back": data.draw(st.none() | st.booleans())} for row in rows]
    assert pasts(spark, turned, order) == pasts(spark, rows, order)


@few
@given(orders, st.data())
def test_the_order_of_rows_and_the_partitions_change_nothing(spark, order, data):
    rows = data.draw(tables(order))
    shuffled = data.draw(st.permutations(rows))
    assert pasts(spark, shuffled, order) == pasts(spark, rows, order)


@few
@given(orders, st.data())
def test_rows_split_between_tonight_and_a_store_have_the_past_that_they_have_together(spark, order, data):
    rows = data.draw(tables(order))
    tonight = [row for row in rows if data.draw(st.booleans())]
    stored = [row for row in rows if row not in tonight or data.draw(st.booleans())]
    assert pasts(spark, tonight, order, earlier=stored) == expected(rows, order, asked=tonight)
