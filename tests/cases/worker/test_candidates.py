"""Candidates with their keys, demographics and features, beside an oracle of SQL on histories by chance."""

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from support import events
from support.events import (
    UNOBSERVED_MAPPING,
    asthma_task,
    events_table,
    fates,
    in_days,
    made_candidates,
    population,
)
from support.oracle.compare import assert_same
from support.oracle.events import read_rows

from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.schemas import CANDIDATE_TYPES


@settings(max_examples=60, deadline=None)
@given(made=events.random_events(), task=events.random_tasks())
def test_any_task_on_any_history_makes_the_oracles_cases(made, task):
    rows, periods = made
    with read_rows(rows, periods) as db:
        assert_same(db, task, made_candidates(events_table(rows, pa.int64()), task))


def test_without_events_there_are_no_candidates_but_every_column():
    table = make_candidates(events_table([]), Plan(asthma_task()))
    assert table.num_rows == 0
    assert table.column_names == [*CANDIDATE_TYPES, "all_all"]


def test_subjects_may_be_text_or_numbers_beyond_those_of_a_double():
    big = 2**53
    assert [fate[0] for fate in fates([("b", 1, "INDEX"), ("a", 1, "INDEX")], asthma_task())] == ["b", "a"]
    assert fates([(big, 1, "INDEX"), (big + 1, 2, "INDEX")], asthma_task()) == [(big, 1, False), (big + 1, 2, False)]


def test_times_are_instants_to_the_microsecond_whatever_zone_they_are_shown_in():
    table = events_table([(1, 1 + 1e-6, "INDEX")])
    place = table.schema.get_field_index("time")
    shown = table.set_column(place, "time", table["time"].cast(pa.timestamp("us", "Asia/Kolkata")))
    assert made_candidates(shown, asthma_task()) == made_candidates(table, asthma_task())


@pytest.mark.parametrize(
    ("rows", "sex"),
    [
        ([], None),
        ([(1, None, "GENDER/M"), (1, None, "GENDER/F")], "F"),  # of several, the first by name
        ([(1, None, "GENDER/M"), (1, 4, "GENDER/F"), (1, 20, "GENDER/X")], "F"),
        ([(1, None, "GENDER/M"), (1, 4, "GENDER/F", None, 11)], "M"),  # not known yet
        ([(1, 3, "GENDER/M"), (1, 4, "GENDER/F", None, 11)], "M"),
        ([(1, 10, "GENDER/M")], "M"),
    ],
)
def test_a_demographic_is_the_last_known_by_then_else_the_static_one(rows, sex):
    task = asthma_task(mapping=UNOBSERVED_MAPPING, features={"demographics": ["sex"]})
    (row,) = made_candidates([(1, 10, "INDEX"), *rows], task)
    assert row["sex"] == sex


@pytest.mark.parametrize(
    ("births", "age"),
    [
        ([], None),
        ([10 - 130 * 365.25], 130),
        ([10 - 131 * 365.25], math.nan),  # longer ago than anybody lives
        ([10], 0),
        ([11], math.nan),  # after the prediction time
        ([10 - 365.25, 11], 1),
    ],
)
def test_an_age_that_nobody_can_have_is_no_number_and_an_unknown_one_is_missing(births, age):
    rows = [(1, 10, "INDEX"), *((1, day, "MEDS_BIRTH") for day in births)]
    (row,) = made_candidates(rows, asthma_task())
    assert row["age"] == (age if age is None else pytest.approx(age, nan_ok=True))
    assert fates(rows, population(age_at_most=200)) == [(1, 10, False if age in (0, 1, 130) else "age")]


@pytest.mark.parametrize(("boundary", "newest"), [("included", [5, 9]), ("excluded", [4, 7])])
def test_a_case_says_when_the_last_event_happened_that_was_known_by_then(boundary, newest):
    """The one of day 8 is known from day 10 on, so that the cases of days 5 and 9 know nothing of it."""
    rows = [(1, 4, "DX/asthma"), (1, 5, "INDEX"), (1, 7, "DX/asthma"), (1, 8, "DX/asthma", None, 10), (1, 9, "INDEX")]
    found = made_candidates(rows, asthma_task(time={"at_prediction_time": boundary}))
    assert [in_days(row["newest_event"]) for row in found] == newest


def test_a_candidate_of_whom_nothing_was_known_has_no_newest_event():
    (row,) = made_candidates([(1, 3, "INDEX", None, 400)], asthma_task())
    assert row["newest_event"] is None
