"""What scoring asks of a source: no outcome, no leaking column, no exclusion that reads either."""

from typing import Any

from support.sound import EVENT_TASK, TABLE_TASK, changed

from medspark.task.event_task import EventTask
from medspark.task.load import check_task
from medspark.task.notes import notes
from medspark.task.scoring import (
    asked_by_scoring,
    columns_asked_for,
    columns_that_say,
    exclusions_in_force,
)
from medspark.task.table_task import TableTask

SURVIVAL: dict[str, Any] = {
    "task": "survival",
    "title": "Death within a year",
    "source": {"kind": "table", "path": "p", "format": "csv", "case": "id", "subject": "id", "time": "at"},
    "columns": {
        "id": {"type": "long"},
        "at": {"type": "date", "format": "yyyy-MM-dd"},
        "age": {"type": "double"},
        "weight": {"type": "double", "unit": "kg", "units": {"column": "weight_unit", "to_unit": {"kg": 1}}},
        "weight_unit": {"type": "category"},
        "hospice": {"type": "boolean"},
        "ward": {"type": "category"},
        "days": {"type": "double"},
        "status": {"type": "integer"},
        "charges": {"type": "double", "range": [0, None]},
    },
    "derived": {"censored": {"type": "boolean", "expression": "status = 0 and days < 365"}},
    "checks": [{"name": "dates", "expect": "days >= 0"}, {"name": "grown", "expect": "age >= 18"}],
    "exclude": [
        {"name": "censored", "when": "censored", "because": "the outcome is not known"},
        {"name": "hospice", "when": "hospice", "because": "no cure is meant"},
    ],
    "outcome": {"name": "died", "when": "status = 2 and days <= 365"},
    "features": {"numeric": ["age", "weight"]},
    "report": {"subgroups": ["ward"]},
}


def survival() -> TableTask:
    task, problems = check_task(SURVIVAL)
    assert problems == []
    assert isinstance(task, TableTask)
    return task


def test_scoring_asks_for_keys_features_and_what_rules_in_force_read() -> None:
    assert columns_asked_for(survival()) == ["id", "at", "age", "weight", "weight_unit", "hospice"]


def test_of_events_the_columns_that_say_something_are_those_of_codes_and_values_that_features_and_population_read() -> (
    None
):
    task, _ = check_task(EVENT_TASK)
    assert isinstance(task, EventTask)
    assert columns_that_say(task) == {"labs": ["loinc", "result", "unit"]}
    rules = [
        {"code": "DEAD", "time": "at"},
        {"code": "DX/{loinc}", "time": "at", "text": "short"},
        {"code": "OTHER/{loinc}", "time": "at", "number": "result"},
    ]
    for rule, columns in zip(rules, ({}, {"labs": ["loinc"]}, {}), strict=True):
        task, _ = check_task(changed(EVENT_TASK, "mapping.tables.labs.events", [rule]))
        assert isinstance(task, EventTask)
        assert columns_that_say(task) == columns


def test_an_exclusion_that_reads_the_outcomes_columns_is_not_in_force_when_scoring() -> None:
    assert [item.name for item in exclusions_in_force(survival())] == ["hospice"]
    assert [note for note in notes(survival()) if note.startswith("exclude.")] == [
        "exclude.censored reads the outcome's columns: training applies it, scoring does not."
    ]


def test_what_scoring_asks_for_is_listed_with_types() -> None:
    assert list(asked_by_scoring(survival())) == [
        "id: long",
        "at: date",
        "age: double",
        "weight: double",
        "weight_unit: category",
        "hospice: boolean",
        "exclude.censored reads the outcome's columns, so that scoring does not apply it",
    ]
    task, _ = check_task(EVENT_TASK)
    assert task is not None
    assert list(asked_by_scoring(task)) == [
        "labs",
        "  patient: long",
        "  loinc: string",
        "  at: timestamp",
        "  result: string",
        "  unit: string (may be absent)",
    ]


def test_a_task_without_such_an_exclusion_has_nothing_to_say() -> None:
    task, _ = check_task(TABLE_TASK)
    assert task is not None
    assert list(notes(task)) == []


def test_check_names_the_dates_that_may_be_any_where_something_reads_them() -> None:
    (note,) = (note for note in notes_of(SURVIVAL) if note.startswith("columns "))
    assert note.startswith("columns at: without a range, what stands for no day, as 0001-01-01 or 9999-12-31, is a day")
    of_days = changed(SURVIVAL, "columns.at.range", ["1875-01-01", "2100-12-31"])
    assert [note for note in notes_of(of_days) if note.startswith("columns ")] == []


def test_check_says_what_becomes_of_an_outcome_between_the_known_and_the_time_at_risk() -> None:
    (note,) = notes_of(EVENT_TASK)
    assert note == (
        "outcome.gap: an outcome of the prediction's day that is not known by then, as a diagnosis without a time, "
        "or one before day 1, excludes its case from learning."
    )
    assert notes_of(changed(EVENT_TASK, "outcome.from_days", 0)) == []  # no date without a time, and no day left out
    dated = changed(EVENT_TASK, "mapping.tables.labs.events.0.date", "at")
    (note,) = notes_of(changed(changed(dated, "outcome.from_days", 0), "outcome.gap", "outcome"))
    assert note.endswith("or one before day 0, is an outcome.")


def test_check_says_what_keeping_outcomes_does_where_nothing_tells_who_was_observed() -> None:
    unobserved = changed(EVENT_TASK, "mapping.observation", None)
    lost = [note for note in notes_of(unobserved) if note.startswith("outcome.follow_up")]
    assert len(lost) == 1
    assert "the mapping names no period of observation" in lost[0]
    everybody = changed(unobserved, "outcome.follow_up", "keep_all")
    told = changed(EVENT_TASK, "mapping.observation", {"start": "OBSERVED_FROM", "end": "OBSERVED_TO"})
    assert [note for task in (everybody, told) for note in notes_of(task) if "follow_up" in note] == []


def notes_of(raw: dict[str, Any]) -> list[str]:
    task, problems = check_task(raw)
    assert task is not None, problems
    return list(notes(task))
