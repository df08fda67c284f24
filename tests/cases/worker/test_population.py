"""Who is a case and what happened to it: the events of a few patients beside what becomes of them."""

import math

import pyarrow as pa
import pytest
from support.events import MAPPING, UNOBSERVED_MAPPING, asthma_task, day_text, events_table, in_days, made_candidates

INDEXED = {"event": "index", "take": "every"}


def fates(rows, task, **plan):
    """Patient, day of the prediction, and the label or the criterion that takes the candidate out."""
    return [
        (row["subject_id"], in_days(row["prediction_time"]), row["_excluded"] or row["boolean_value"])
        for row in made_candidates(rows, task, **plan)
    ]


def population(**changes):
    return asthma_task(population={"index": INDEXED, **changes})


def outcome(**changes):
    return asthma_task(outcome={"name": "asthma", "event": "asthma", "to_days": 10, **changes})


def test_without_events_there_are_no_candidates_but_every_column():
    table = made_candidates(events_table([]), asthma_task())
    assert table == []


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


# ---------------------------------------------------------------- observation


def period(start, stop):
    """A period whose last day is known to its end."""
    opening = [] if start is None else [(1, start, "OBSERVED_FROM")]
    return opening + ([] if stop is None else [(1, stop, "OBSERVED_TO", None, stop + 1)])


@pytest.mark.parametrize(
    ("periods", "fate"),
    [
        ([], "not observed"),
        ([(10, 50)], "history"),
        ([(5, 50)], False),
        ([(5.001, 50)], "history"),
        ([(0, 9)], False),  # the last day is day 9 until its end
        ([(0, 8)], "not observed"),
        ([(0, 6), (6, 50)], False),  # they touch
        ([(0, 6), (7.5, 50)], "history"),
        ([(0, 30), (2, 3)], False),  # one within the other
        ([(0, 6), (7, 50)], False),  # one ends the day before the other starts
        ([(0, 7), (6, 50)], False),  # they overlap
        ([(0, None)], False),  # still open
        ([(None, 50)], "not observed"),  # nobody knew of it yet
        ([(0, 4), (11, 50)], "not observed"),
    ],
)
def test_a_case_is_observed_on_its_day_and_for_its_history(periods, fate):
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED, "history_days": 5})
    rows = [(1, 10, "INDEX"), *(row for start, stop in periods for row in period(start, stop))]
    assert fates(rows, task) == [(1, 10, fate)]


@pytest.mark.parametrize("known", [(9.7, 10.5), (10.5, 9.7)])
def test_of_two_ends_at_one_time_the_later_known_counts_whatever_the_order_of_rows(known):
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED, "history_days": 5})
    ends = [(1, 9.5, "OBSERVED_TO", None, by) for by in known]
    assert fates([(1, 10, "INDEX"), (1, 0, "OBSERVED_FROM"), (1, 1, "OBSERVED_FROM"), *ends], task) == [(1, 10, False)]


@pytest.mark.parametrize(("known", "fate"), [(10, False), (10.001, "not observed")])
@pytest.mark.parametrize("boundary", ["included", "excluded"])
def test_a_period_counts_once_its_start_is_known(known, fate, boundary):
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED}, time={"at_prediction_time": boundary})
    rows = [(1, 10, "INDEX"), (1, 0, "OBSERVED_FROM", None, known), (1, 50, "OBSERVED_TO", None, 51)]
    assert fates(rows, task) == [(1, 10, fate)]


def test_joined_periods_are_followed_to_the_end_of_the_last_one():
    outcome = {"name": "asthma", "event": "asthma", "to_days": 30, "follow_up": "require_full"}
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED}, outcome=outcome)
    rows = [(1, 10, "INDEX"), *period(0, 19)]
    assert fates([*rows, *period(20, 50)], task) == [(1, 10, False)]
    assert fates([*rows, *period(21, 50)], task) == [(1, 10, LOST)]


@pytest.mark.parametrize(
    ("stop", "known", "fate"), [(20, 20, False), (19.5, 20.5, False), (19.5, 20, "no full follow-up")]
)
def test_follow_up_lasts_to_an_end_or_past_the_end_of_its_last_day(stop, known, fate):
    outcome = {"name": "asthma", "event": "asthma", "to_days": 10, "follow_up": "require_full"}
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED}, outcome=outcome)
    rows = [(1, 10, "INDEX"), (1, 0, "OBSERVED_FROM"), (1, stop, "OBSERVED_TO", None, known)]
    assert fates(rows, task) == [(1, 10, fate)]


def test_without_periods_an_event_that_was_not_known_by_then_begins_no_observation():
    task = population(history_days=5)
    late = (1, 5, "DX/a", None, 10.001)
    assert fates([late, (1, 10, "INDEX", None, 11)], task) == [(1, 10, "not observed")]
    assert fates([(1, 5, "DX/a", None, 10), (1, 10, "INDEX")], task) == [(1, 10, False)]


def test_without_periods_observation_is_from_the_first_event_to_the_last_but_birth_and_death():
    task = asthma_task(
        population={"index": INDEXED, "history_days": 5},
        outcome={"name": "asthma", "event": "asthma", "to_days": 10, "follow_up": "require_full"},
    )
    assert fates([(1, 0, "MEDS_BIRTH"), (1, 6, "DX/a"), (1, 10, "INDEX")], task) == [(1, 10, "history")]
    assert fates([(1, 5, "DX/a"), (1, 10, "INDEX"), (1, 20, "DX/a")], task) == [(1, 10, False)]
    assert fates([(1, 5, "DX/a"), (1, 10, "INDEX"), (1, 19, "DX/a")], task) == [(1, 10, "no full follow-up")]


# ---------------------------------------------------------------- outcome


@pytest.mark.parametrize(
    ("day", "from_days", "boundary", "label"),
    [
        (10, 0, "included", False),  # history already
        (10, 0, "excluded", True),
        (10.001, 0, "included", True),
        (9.999, 0, "excluded", False),
        (20, 0, "included", True),
        (20.001, 0, "included", False),
        (11, 1, "included", True),
        (10.999, 1, "included", False),
        (11, 1, "excluded", True),
    ],
)
def test_the_time_at_risk_has_both_its_ends_and_nothing_is_on_both_sides(day, from_days, boundary, label):
    changed = {"name": "asthma", "event": "asthma", "from_days": from_days, "to_days": 10, "follow_up": "keep_all"}
    task = asthma_task(outcome=changed, time={"at_prediction_time": boundary})
    assert fates([(1, 10, "INDEX"), (1, day, "DX/asthma")], task) == [(1, 10, label)]


LOST = "no full follow-up"


@pytest.mark.parametrize(
    ("follow_up", "seen_to", "asthma", "fate"),
    [
        ("keep_outcomes", 20, None, False),
        ("keep_outcomes", 19, None, LOST),
        ("keep_outcomes", 12, 12, True),
        ("require_full", 12, 12, LOST),
        ("require_full", 20, 12, True),
        ("keep_all", 12, None, False),
        ("keep_all", 12, 12, True),
    ],
)
def test_follow_up_says_who_is_kept(follow_up, seen_to, asthma, fate):
    rows = [(1, 10, "INDEX"), (1, seen_to, "DX/a")] + ([(1, asthma, "DX/asthma")] if asthma else [])
    assert fates(rows, outcome(follow_up=follow_up)) == [(1, 10, fate)]


@pytest.mark.parametrize(
    ("death", "died", "asthma", "fate"),
    [
        ("no_outcome", 15, None, False),  # full follow-up, without the outcome
        ("no_outcome", 21, None, LOST),
        ("no_outcome", 15, 12, True),
        ("outcome", 15, None, True),
        ("outcome", 20, None, True),
        ("outcome", 20.001, None, LOST),
        ("outcome", 15, 12, True),
        ("leave_out", 15, None, "died before the outcome"),
        ("leave_out", 15, 12, True),
        ("leave_out", 15, 15, True),  # at one time: the outcome was seen
        ("leave_out", 21, None, LOST),
    ],
)
def test_a_death_is_no_outcome_or_one_or_a_reason_to_leave_out(death, died, asthma, fate):
    rows = [(1, 10, "INDEX"), (1, died, "MEDS_DEATH")] + ([(1, asthma, "DX/asthma")] if asthma else [])
    assert fates(rows, outcome(death=death)) == [(1, 10, fate)]


def test_an_outcome_after_a_death_is_full_follow_up_without_the_outcome():
    rows = [(1, 10, "INDEX"), (1, 12, "MEDS_DEATH"), (1, 15, "DX/asthma")]
    assert fates(rows, outcome(death="no_outcome")) == [(1, 10, False)]


@pytest.mark.parametrize("asthma", [12.5, 13, 13.001])
@pytest.mark.parametrize("death", ["no_outcome", "outcome", "leave_out"])
def test_an_outcome_within_a_day_after_the_death_counts_as_before_it(asthma, death):
    rows = [(1, 10, "INDEX"), (1, 12, "MEDS_DEATH"), (1, asthma, "DX/asthma")]
    died = {"no_outcome": False, "outcome": True, "leave_out": "died before the outcome"}[death]
    assert fates(rows, outcome(death=death)) == [(1, 10, True if asthma <= 13 else died)]


def test_an_outcome_counts_by_its_time_however_late_it_is_known():
    rows = [(1, 10, "INDEX"), (1, 12, "DX/asthma", None, 400)]
    assert fates(rows, outcome()) == [(1, 10, True)]


def test_without_an_end_the_time_at_risk_is_all_that_is_known():
    task = asthma_task(outcome={"name": "asthma", "event": "asthma"})
    assert fates([(1, 10, "INDEX"), (1, 9000, "DX/asthma"), (2, 10, "INDEX")], task) == [(1, 10, True), (2, 10, False)]


# ---------------------------------------------------------------- keys and demographics


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
