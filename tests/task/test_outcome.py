"""What a task can predict, and what of it makes no sense."""

import pytest
from support.sound import EVENT_TASK, TABLE_TASK

from medspark.task.load import check_task
from medspark.task.outcome import EventOutcome, Outcome, Targets


@pytest.mark.parametrize(
    ("outcome", "targets"),
    [
        ({"when": "back"}, Targets("binary", ("outcome",), 0)),
        ({"classes": {"a": "back", "b": "not back"}}, Targets("classes", ("a", "b"), 0)),
        ({"classes": {"a": "back", "b": "not back"}, "risk_of": "b"}, Targets("classes", ("a", "b"), 1)),
        ({"several": {"a": "back", "b": "old"}}, Targets("several", ("a", "b"), 0)),
        ({"event": "back", "days": "d", "horizons_days": [30, 365]}, Targets("horizons", ("30d", "365d"), 1)),
        (
            {"event": "back", "days": "d", "horizons_days": [0.5, 1], "risk_of": "0_5d"},
            Targets("horizons", ("0_5d", "1d"), 0),
        ),
    ],
)
def test_the_targets_are_named_in_the_order_of_the_file(outcome, targets):
    assert Outcome(name="o", **outcome).targets == targets


def test_the_last_class_of_events_is_of_those_without_any():
    outcome = EventOutcome(name="o", classes={"died": "death", "back": "visit"}, otherwise="home", to_days=30)
    assert outcome.targets == Targets("classes", ("died", "back", "home"), 0)
    assert outcome.concepts() == {"classes.died": "death", "classes.back": "visit"}


TABLE = [
    ({}, "expected one of when; classes; several; event, days and horizons_days; received none"),
    ({"when": "back", "several": {"a": "back", "b": "old"}}, "received when and several"),
    ({"several": {"a": "back"}}, "expected two several or more, received 1"),
    ({"event": "back", "horizons_days": [30]}, "expected event, days and horizons_days together"),
    ({"event": "back", "days": "age", "horizons_days": [90, 30]}, "expected horizons_days that rise, as [30, 90, 365]"),
    ({"event": "back", "days": "age", "horizons_days": [0]}, "outcome.horizons_days"),
    ({"when": "back", "risk_of": "30d"}, "risk_of: expected one of the targets, received '30d'; there is one outcome"),
    ({"classes": {"a": "back", "b": "old"}, "risk_of": "c"}, "received 'c'; there is a, b"),
]
EVENTS = [
    ({"event": "bleed", "several": {"a": "bleed", "b": "drug"}}, "received event and several"),
    ({"several": {"a": "bleed", "b": "drug"}, "horizons_days": [30]}, "horizons_days are of one event"),
    ({"event": "bleed", "to_days": 30, "horizons_days": [30]}, "horizons_days are of one event, and take the place of"),
    ({"classes": {"a": "bleed", "b": "drug"}}, "classes: expected otherwise, the name of those without any"),
    ({"event": "bleed", "otherwise": "none"}, "otherwise is the last of the classes, received none"),
    ({"classes": {"a": "bleed", "b": "drug"}, "otherwise": "a"}, "otherwise: a class is named 'a' already"),
    (
        {"classes": {"a": "bleed", "b": "drug"}, "otherwise": "c", "death": "outcome", "to_days": 3},
        "death: with classes let death be one of them",
    ),
]


@pytest.mark.parametrize(
    ("sound", "outcome", "says"),
    [(TABLE_TASK, *row) for row in TABLE] + [(EVENT_TASK, *row) for row in EVENTS],
)
def test_an_outcome_that_makes_no_sense_is_refused_in_words(sound, outcome, says):
    _, problems = check_task({**sound, "outcome": {"name": "o", **outcome}})
    assert any(says in problem for problem in problems), problems


def test_isotonic_calibration_is_refused_for_classes():
    raw = {**TABLE_TASK, "outcome": {"name": "o", "classes": {"a": "back", "b": "not back"}}}
    _, problems = check_task({**raw, "training": {"calibration": "isotonic"}})
    assert problems == [
        "training.calibration: isotonic is of one probability; those of classes sum to 1. Use platt or none"
    ]


def test_a_task_of_yes_or_no_says_nothing_of_the_others_when_it_is_written_down():
    """So that the rules of a store made before are those of the same task now."""
    assert Outcome(name="o", when="back").model_dump(mode="json") == {"name": "o", "when": "back"}
    found = EventOutcome(name="o", event="bleed").model_dump(mode="json")
    assert {*found} == {"name", "event", "from_days", "to_days", "follow_up", "gap", "death"}
