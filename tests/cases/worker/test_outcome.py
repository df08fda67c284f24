"""What happened after the prediction time: events, deaths and follow-up beside the labels they give."""

import pytest
from support.events import LOST, asthma_task, fates, outcome

BEFORE = "outcome before the time at risk"


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
        (10.999, 1, "included", BEFORE),
        (11, 1, "excluded", True),
    ],
)
def test_the_time_at_risk_has_both_its_ends_and_nothing_is_on_both_sides(day, from_days, boundary, label):
    changed = {"name": "asthma", "event": "asthma", "from_days": from_days, "to_days": 10, "follow_up": "keep_all"}
    task = asthma_task(outcome=changed, time={"at_prediction_time": boundary})
    assert fates([(1, 10, "INDEX"), (1, day, "DX/asthma")], task) == [(1, 10, label)]


@pytest.mark.parametrize("follow_up", ["keep_outcomes", "keep_all", "require_full"])
@pytest.mark.parametrize(
    ("as_of", "fate"),
    [(24.999, "time at risk not over"), (25, True), (27, True)],
)
def test_nothing_is_learned_of_a_case_before_its_time_at_risk_is_over_an_early_outcome_neither(follow_up, as_of, fate):
    rows = [(1, 15, "INDEX"), (1, 16, "DX/asthma"), (1, 25, "DX/a"), (2, 26, "INDEX")]
    others = [(2, 26, "time at risk not over")] if as_of > 26 else []
    assert fates(rows, outcome(follow_up=follow_up), as_of=as_of) == [(1, 15, fate), *others]


def test_who_learns_as_of_a_time_knows_no_outcome_that_became_known_later():
    rows = [(1, 10, "INDEX"), (1, 15, "DX/asthma", None, 22), (1, 21, "DX/a")]
    assert fates(rows, outcome(), as_of=21) == [(1, 10, False)]
    assert fates(rows, outcome(), as_of=22) == [(1, 10, True)]


def test_who_learns_as_of_a_time_takes_the_snapshots_of_the_task():
    snapshots = {"population": {"snapshot": {"at": ["2020-01-11", "2020-01-31"]}}}
    task = asthma_task(**snapshots, concepts={"asthma": {"codes": ["DX/asthma"]}}, outcome=TEN_DAYS)
    rows = [(1, 3, "DX/a"), (1, 12, "DX/asthma"), (1, 24, "DX/a")]
    assert fates(rows, task, as_of=25) == [(1, 10, True)]


TEN_DAYS = {"name": "asthma", "event": "asthma", "to_days": 10, "follow_up": "keep_all"}


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


NOON, ITS_DAY, DAY_AFTER = 10.5, 10, 11  # an index event at noon, the same day without a time, and when that is known


@pytest.mark.parametrize(
    ("gap", "asthma", "from_days", "fate"),
    [
        ("exclude", (ITS_DAY, DAY_AFTER), 1, BEFORE),  # a diagnosis of the index day without a time
        ("exclude", (ITS_DAY, DAY_AFTER), 0, BEFORE),
        ("outcome", (ITS_DAY, DAY_AFTER), 1, True),
        ("ignore", (ITS_DAY, DAY_AFTER), 1, False),
        ("exclude", (10.75, 10.75), 1, BEFORE),  # the evening of the index day
        ("exclude", (10.75, 10.75), 0, True),  # which is at risk
        ("exclude", (10.25, 10.25), 1, False),  # the morning: it was known, and is for an exclusion to read
        ("exclude", (9, 10), 1, False),  # the day before without a time: known by then
        ("exclude", (9, 400), 1, False),  # older, and told later
        ("exclude", (11.5, 11.5), 1, True),  # the first moment at risk
        ("exclude", (11.499, 11.499), 1, BEFORE),
    ],
)
def test_what_falls_between_the_known_and_the_time_at_risk_goes_by_a_rule(gap, asthma, from_days, fate):
    day, known = asthma
    rows = [(1, NOON, "INDEX"), (1, day, "DX/asthma", None, known)]
    task = outcome(gap=gap, from_days=from_days, to_days=30, follow_up="keep_all")
    assert fates(rows, task) == [(1, NOON, fate)]


def test_an_outcome_in_the_gap_excludes_even_with_another_at_risk_and_scoring_knows_of_none():
    rows = [(1, NOON, "INDEX"), (1, ITS_DAY, "DX/asthma", None, DAY_AFTER), (1, 20, "DX/asthma")]
    task = outcome(from_days=1, to_days=30, follow_up="keep_all")
    assert fates(rows, task) == [(1, NOON, BEFORE)]
    assert fates(rows, task, scoring=True) == [(1, NOON, None)]
