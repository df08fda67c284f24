"""Who is a case, when, and what excludes a candidate: the events of a few patients beside what becomes of them."""

import math

import pytest
from support.events import INDEXED, MAPPING, asthma_task, day_text, fates, in_days, made_candidates, population


def test_a_patient_without_an_index_event_is_no_candidate():
    assert fates([(1, 5, "DX/asthma")], asthma_task()) == []


def test_the_first_index_event_or_every_one_and_two_at_one_time_are_one():
    rows = [(1, 7, "INDEX"), (1, 3, "INDEX"), (1, 3, "INDEX"), (2, 5, "INDEX")]
    assert fates(rows, asthma_task()) == [(1, 3, False), (1, 7, False), (2, 5, False)]
    assert fates(rows, population(index={"event": "index", "take": "first"})) == [(1, 3, False), (2, 5, False)]


def test_the_prediction_time_is_hours_after_the_index_event():
    (row,) = made_candidates([(1, 3, "INDEX")], population(predict_after_hours=36))
    assert (in_days(row["index_time"]), in_days(row["prediction_time"])) == (3, 4.5)


@pytest.mark.parametrize(("before", "fate"), [(5, "another index event before"), (5.001, False)])
def test_a_washout_counts_the_index_events_from_its_far_end_on(before, fate):
    rows = [(1, 20 - before, "INDEX"), (1, 20, "INDEX"), (1, 20, "INDEX")]
    assert fates(rows, population(washout_days=5))[-1] == (1, 20, fate)


def test_a_washout_knows_no_index_event_that_was_known_later():
    rows = [(1, 18, "INDEX", None, 20.001), (1, 20, "INDEX"), (2, 18, "INDEX", None, 20), (2, 20, "INDEX")]
    found = fates(rows, population(washout_days=5))
    assert found[1::2] == [(1, 20, False), (2, 20, "another index event before")]


def test_the_index_event_makes_its_case_however_late_it_is_known():
    assert fates([(1, 3, "INDEX", None, 400)], asthma_task()) == [(1, 3, False)]


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ([(1, 4, "DX/a", None, 10)], True),  # known at the very time
        ([(1, 4, "DX/a", None, 10.001)], False),
        ([(1, 4, "MEDS_BIRTH"), (1, 5, "MEDS_DEATH"), (1, 5, "OBSERVED_FROM"), (1, 6, "OBSERVED_TO")], False),
        ([(1, None, "GENDER/F")], False),
    ],
)
@pytest.mark.parametrize("boundary", ["included", "excluded"])
def test_a_snapshot_takes_nobody_of_whom_no_care_was_known_by_then(rows, taken, boundary):
    task = asthma_task(
        mapping=MAPPING,
        concepts={"asthma": {"codes": ["DX/asthma"]}},
        population={"snapshot": {"at": [day_text(10)]}},
        time={"at_prediction_time": boundary},
    )
    assert [fate[:2] for fate in fates(rows, task)] == ([(1, 10)] if taken else [])


def test_a_snapshot_takes_everybody_with_an_event_by_then():
    task = asthma_task(
        concepts={"asthma": {"codes": ["DX/asthma"]}},
        population={"snapshot": {"at": [day_text(10), day_text(4), day_text(10)]}},
    )
    rows = [(1, 4, "DX/a"), (2, 5, "DX/a"), (3, 11, "DX/a")]
    assert fates(rows, task) == [(1, 4, False), (1, 10, False), (2, 10, False)]
    assert fates(rows, task, as_of=12, scoring=True) == [(1, 12, None), (2, 12, None), (3, 12, None)]


def test_scoring_knows_no_candidate_after_its_time_and_no_label():
    rows = [(1, 3, "INDEX"), (1, 5, "DX/asthma"), (1, 9, "INDEX"), (2, 4, "INDEX", None, 8)]
    assert fates(rows, asthma_task(), as_of=7, scoring=True) == [(1, 3, None)]


@pytest.mark.parametrize(("boundary", "fate"), [("included", "died before"), ("excluded", False)])
def test_a_death_at_the_prediction_time_is_before_it_where_that_is_included(boundary, fate):
    task = asthma_task(time={"at_prediction_time": boundary})
    assert fates([(1, 3, "INDEX"), (1, 3, "MEDS_DEATH")], task) == [(1, 3, fate)]
    assert fates([(1, 3, "INDEX"), (1, 2, "MEDS_DEATH")], task) == [(1, 3, "died before")]


@pytest.mark.parametrize(
    ("known", "boundary", "fate"),
    [
        (3, "included", "died before"),
        (3.001, "included", False),
        (2.9, "excluded", "died before"),
        (3, "excluded", False),
    ],
)
def test_a_death_that_was_not_known_by_then_is_not_before_the_prediction_time(known, boundary, fate):
    task = asthma_task(time={"at_prediction_time": boundary})
    assert fates([(1, 2, "MEDS_DEATH", None, known), (1, 3, "INDEX")], task) == [(1, 3, fate)]


@pytest.mark.parametrize(("known", "age"), [(10, 18), (10.001, None)])
@pytest.mark.parametrize("boundary", ["included", "excluded"])
def test_an_age_is_unknown_until_the_birth_is_known(known, age, boundary):
    rows = [(1, 10 - 18 * 365.25, "MEDS_BIRTH", None, known), (1, 10, "INDEX")]
    (row,) = made_candidates(rows, asthma_task(time={"at_prediction_time": boundary}))
    assert row["age"] == age


@pytest.mark.parametrize(("years", "age"), [(129.9, 129.9), (130.1, math.nan), (2019, math.nan)])
def test_an_age_that_no_patient_could_have_is_unknown_and_marked(years, age):
    rows = [(1, 10 - years * 365.25, "MEDS_BIRTH"), (1, 10, "INDEX"), (2, 10, "INDEX")]
    (row, unknown) = made_candidates(rows, asthma_task())
    assert row["age"] == pytest.approx(age, nan_ok=True)
    assert unknown["age"] is None, "no birth is another thing"
    fate = False if years < 130 else "age"
    assert fates(rows, population(age_at_least=18)) == [(1, 10, fate), (2, 10, "age")]


@pytest.mark.parametrize(("born", "fate"), [(None, "age"), (10 - 18 * 365.25, False), (10.001 - 18 * 365.25, "age")])
def test_an_age_is_in_years_and_an_unknown_one_is_outside(born, fate):
    rows = [(1, 10, "INDEX")] + ([(1, born, "MEDS_BIRTH")] if born is not None else [])
    assert fates(rows, population(age_at_least=18, age_at_most=18)) == [(1, 10, fate)]
    (row,) = made_candidates(rows, asthma_task())
    assert row["age"] is None if born is None else math.isclose(row["age"], 18, abs_tol=1e-5)


@pytest.mark.parametrize(
    ("day", "within", "boundary", "had"),
    [
        (10, None, "included", True),
        (10, None, "excluded", False),
        (9.999, None, "excluded", True),
        (8, 2, "included", True),
        (8, 2, "excluded", True),
        (7.999, 2, "included", False),
        (-900, None, "included", True),
        (10.001, 2, "included", False),
    ],
)
def test_a_criterion_looks_back_from_the_prediction_time_both_ends_counted(day, within, boundary, had):
    rows = [(1, 10, "INDEX"), (1, day, "DX/a")]
    rule = {"name": "ill", "had": "DX/", "within_days": within, "because": "so"}
    clock = {"time": {"at_prediction_time": boundary}, "outcome": {"name": "asthma", "event": "asthma"}}
    required = asthma_task(population={"index": INDEXED, "require": [rule]}, **clock)
    excluded = asthma_task(population={"index": INDEXED, "exclude": [rule]}, **clock)
    assert fates(rows, required) == [(1, 10, False if had else "ill")]
    assert fates(rows, excluded) == [(1, 10, "ill" if had else False)]


def test_what_was_not_known_by_the_prediction_time_is_no_criterion():
    rule = {"name": "ill", "had": "DX/", "because": "so"}
    rows = [(1, 10, "INDEX"), (1, 5, "DX/a", None, 10.001), (2, 10, "INDEX"), (2, 5, "DX/a", None, 10)]
    assert fates(rows, population(exclude=[rule])) == [(1, 10, False), (2, 10, "ill")]


@pytest.mark.parametrize(("day", "within", "fate"), [(3, None, False), (3.001, None, "left"), (4, 1, "left")])
def test_a_criterion_after_the_index_event_counts_later_events_only(day, within, fate):
    rule = {"name": "left", "had": "DX/", "after_index": True, "within_days": within, "because": "so"}
    task = population(predict_after_hours=48, exclude=[rule])
    assert fates([(1, 3, "INDEX"), (1, day, "DX/a")], task) == [(1, 5, fate)]


def test_a_candidate_counts_under_the_first_criterion_that_it_fails():
    rules = [{"name": name, "had": "DX/", "because": "so"} for name in ("one", "two")]
    rows = [(1, 3, "DX/a"), (1, 10, "INDEX")]
    assert fates(rows, population(exclude=rules)) == [(1, 10, "one")]
    assert fates([*rows, (1, 4, "MEDS_DEATH")], population(exclude=rules)) == [(1, 10, "died before")]
