"""The labels of classes, of several outcomes and of horizons: each beside the yes or no of a task of its own."""

import pytest
from hypothesis import given, settings
from support.events import asthma_task, in_days, made_candidates, random_events

INDEX = (1, 10, "INDEX")


def labels(rows, **outcome):
    """Patient, and what is known of each target, or the criterion that takes the candidate out."""
    task = asthma_task(outcome={"name": "o", **outcome})
    return [(row["subject_id"], row["_excluded"] or row["boolean_values"]) for row in made_candidates(rows, task)]


def alone(rows, **outcome):
    """The label of yes or no by patient and time; None where the outcome's criteria leave the candidate out."""
    unread = {} if outcome["event"] == "asthma" else {"concepts": {"index": {"codes": ["INDEX"]}}}
    task = asthma_task(outcome={"name": "o", **outcome}, **unread)
    return {key(row): row["boolean_value"] for row in made_candidates(rows, task)}


def key(row):
    return row["subject_id"], row["prediction_time"]


def together(rows, **outcome):
    task = asthma_task(outcome={"name": "o", **outcome})
    return {key(row): row["boolean_values"] for row in made_candidates(rows, task)}


SEVERAL = {"asthma": "asthma", "b": "DX/b/"}
RULES = [
    {"follow_up": follow_up, "gap": gap, "death": death, "from_days": from_days}
    for follow_up in ("keep_outcomes", "require_full", "keep_all")
    for gap, death, from_days in (("exclude", "no_outcome", 0), ("outcome", "outcome", 1), ("ignore", "leave_out", 1))
]


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=25, deadline=None)
@given(found=random_events())
def test_each_of_several_outcomes_is_the_one_it_would_be_alone(rules, found):
    rows, _ = found
    each = [alone(rows, event=concept, to_days=2, **rules) for concept in SEVERAL.values()]
    for at, values in together(rows, several=SEVERAL, to_days=2, **rules).items():
        expected = [one[at] for one in each]
        assert values == expected or (values is None and expected == [None, None])


@pytest.mark.parametrize("rules", [rules for rules in RULES if rules["follow_up"] != "keep_all"])
@settings(max_examples=25, deadline=None)
@given(found=random_events())
def test_each_horizon_is_the_outcome_of_a_task_that_ends_there(rules, found):
    rows, _ = found
    each = [alone(rows, event="asthma", to_days=days, **rules) for days in (1.5, 3)]
    for at, values in together(rows, event="asthma", horizons_days=[1.5, 3], **rules).items():
        assert values is None or values == [one[at] for one in each]


@pytest.mark.parametrize(
    ("asthma", "seen_to", "expected", "days"),
    [
        (12, 12, [True, True, True], 2),
        (25, 25, [False, True, True], 15),
        (None, 40, [False, False, False], 30),
        (None, 35, [False, False, None], 25),
        (None, 22, [False, None, None], 12),
        (None, 15, [None, None, None], 5),  # kept: it says how many are lost so early
        (45, 45, [False, False, False], 30),
    ],
)
def test_a_patient_counts_for_the_horizons_that_follow_up_reached(asthma, seen_to, expected, days):
    rows = [INDEX, (1, seen_to, "DX/a")] + ([(1, asthma, "DX/asthma")] if asthma else [])
    task = asthma_task(outcome={"name": "o", "event": "asthma", "horizons_days": [10, 20, 30]})
    (found,) = made_candidates(rows, task)
    assert (found["_excluded"], found["boolean_values"], found["days_followed"]) == (None, expected, days)
    assert found["boolean_value"] == expected[-1], "the headline is the longest horizon"


def test_a_death_ends_the_time_at_risk_and_not_the_follow_up():
    rows = [INDEX, (1, 15, "MEDS_DEATH")]
    task = asthma_task(outcome={"name": "o", "event": "asthma", "horizons_days": [10, 20]})
    (found,) = made_candidates(rows, task)
    assert (found["boolean_values"], found["days_followed"]) == ([False, False], 20)


CLASSES = {"classes": {"asthma": "asthma", "b": "DX/b/"}, "otherwise": "neither", "to_days": 10}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(12, "DX/asthma"), (13, "DX/b/1"), (20, "DX/a")], [True, False, False]),
        ([(13, "DX/asthma"), (12, "DX/b/1"), (20, "DX/a")], [False, True, False]),
        ([(12, "DX/asthma"), (12, "DX/b/1"), (20, "DX/a")], [True, False, False]),  # at one time: the first named
        ([(20, "DX/a")], [False, False, True]),
        ([(12, "MEDS_DEATH"), (14, "DX/b/1")], [False, False, True]),
        ([(12, "DX/b/1")], [False, True, False]),
        ([(19, "DX/a")], "no full follow-up"),
        ([(20.001, "DX/asthma")], [False, False, True]),
    ],
)
def test_a_class_is_that_of_the_first_event_and_the_last_one_of_those_followed_without_any(events, expected):
    assert labels([INDEX, *((1, day, code) for day, code in events)], **CLASSES) == [(1, expected)]


def test_the_label_of_yes_or_no_stands_alone():
    (found,) = made_candidates([INDEX, (1, 12, "DX/asthma")], asthma_task())
    assert "boolean_values" not in found
    assert in_days(found["prediction_time"]) == 10
