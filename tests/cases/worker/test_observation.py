"""Who is under observation, from when on and for how long: periods, and what becomes of the patients they are of."""

import pytest
from support.events import INDEXED, LOST, MAPPING, asthma_task, fates, population


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
        ([(None, 2), (8, None), (8, None)], "history"),  # one that nothing opened, and one that was opened twice
        ([(None, 2), (4, None), (4, None)], False),
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


@pytest.mark.parametrize("follow_up", ["require_full", "keep_outcomes"])
def test_patients_who_are_observed_by_events_are_so_whatever_periods_the_source_tells(follow_up):
    outcome = {"name": "asthma", "event": "asthma", "to_days": 30, "follow_up": follow_up}
    population = {"index": INDEXED, "history_days": 5}
    rows = [(1, 10, "INDEX"), (1, 2, "LAB/1"), (1, 41, "LAB/1"), (2, 10, "INDEX"), (2, 1, "LAB/1"), (2, 30, "LAB/1")]
    untold = asthma_task(population=population, outcome=outcome)
    told = asthma_task(mapping=MAPPING, population={**population, "observed_by": "events"}, outcome=outcome)
    assert fates(rows, untold) == [(1, 10, False), (2, 10, LOST)]
    assert fates([*rows, *period(11, 12)], told) == fates(rows, untold)
    assert fates([*rows, *period(11, 12)], asthma_task(mapping=MAPPING, population=population, outcome=outcome)) == [
        (1, 10, "not observed"),
        (2, 10, "not observed"),
    ]


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
