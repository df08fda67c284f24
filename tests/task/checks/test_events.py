# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of a task of events: each with what breaks it."""

from typing import Any

import pytest
from support.sound import EVENT_TASK as SOUND
from support.sound import changed, told_by

from medspark.task.checks.events import EVENT_RULES
from medspark.task.load import check_task

ELSEWHERE = {"deletions_are_of_fhir", "mapping_zone_exists", "tables_are_sound", "values_have_units"}
"""Rules whose examples are in test_mapping.py."""

# fmt: off
RULES_BROKEN = [
    ("concepts_exist",        "outcome.event",                  "blede",            "outcome.event: 'blede' is neither a concept of this task nor the first part of codes, as LAB/. Did you mean 'bleed'?"),
    ("concepts_exist",        "outcome",                        {"name": "b", "several": {"bled": "bleed", "drugged": "drgu"}, "to_days": 30}, "outcome.several.drugged: 'drgu' is neither a concept"),
    ("settings_do_something", "outcome",                        {"name": "b", "event": "bleed", "from_days": 40, "horizons_days": [30, 60]}, "outcome: expected from_days below the first of horizons_days, received 40 to 30"),
    ("settings_do_something", "outcome",                        {"name": "b", "event": "bleed", "horizons_days": [30, 60], "follow_up": "keep_all"}, "outcome.follow_up: with horizons nobody is taken for negative before they were followed so far"),
    ("concepts_exist",        "population.index.event",         ["drug", "drgu"],   "population.index.event: 'drgu' is neither a concept of this task nor"),
    ("concepts_exist",        "population.require.0.had",       "LAB",              "population.require.seen: 'LAB' is neither a concept"),
    ("concepts_exist",        "population.exclude.0.had",       "bled",             "population.exclude.bled: 'bled' is neither a concept"),
    ("concepts_exist",        "features.codes.past.of",         ["scop"],           "features.past_30d: 'scop' is neither a concept"),
    ("concepts_exist",        "concepts.idle",                  {"codes": ["A/1"]}, "concepts.idle: nothing reads it"),
    ("concept_tables_exist",  "mapping.concepts",               None,               "concepts.drug: the mapping 'ward' names no tables that relate concepts"),
    ("concept_tables_exist",  "mapping.concepts",               None,               "concepts.bleed: the mapping 'ward' names no tables that relate concepts"),
    ("times_are_sound",       "population",                     {"snapshot": {"at": ["2020-13-01"]}}, "population.snapshot.at: expected a time such as 2015-01-01T00:00:00, received '2020-13-01'"),
    ("criteria_have_names",   "population.exclude.0.name",      "seen",             "population: two criteria are named 'seen'; counts need one name each"),
    ("criteria_have_names",   "population.exclude.0.name",      "age",              "population: the name 'age' is kept for a criterion of medspark's own"),
    ("settings_do_something", "network",                        {"images": {"flip": True}}, "network.images: only a table task has images"),
    ("settings_do_something", "population.index.take",          "first",            "population.washout_days: a first event has none before it; use it with `take: every`"),
    ("settings_do_something", "outcome",                        {"name": "b", "event": "bleed", "follow_up": "keep_all"}, "outcome.follow_up: without to_days there is no end to follow to"),
    ("settings_do_something", "outcome.from_days",              30,                 "outcome: expected from_days below to_days, received 30 to 30"),
    ("settings_do_something", "population",                     {"snapshot": {"at": ["2020-01-01T00:00:00"]}, "exclude": [{"name": "x", "had": "bleed", "after_index": True, "because": "y"}]}, "population.exclude: after_index is of an index event, and there is none"),
    ("settings_do_something", "population.age_at_most",         17,                 "population: expected age_at_least up to age_at_most, received 18 and 17"),
    ("features_are_sound",    "features",                       {},                 "features: expected at least one feature, received none"),
    ("features_are_sound",    "features.sequences.past",        {"of": ["DX/"], "last": 3, "look_back_days": 30}, "features: the column 'past_30d' would stand twice; rename a group"),
    ("features_are_sound",    "features.grids.split",           {"of": ["DX/"], "look_back_hours": 2, "every_hours": 1}, "features: the column 'split' would stand twice; rename a group"),
    ("demographics_exist",    "features.demographics",          ["age", "sexx"],    "features.demographics: 'sexx' is none of age, sex. Did you mean 'sex'?"),
    ("demographics_exist",    "report.subgroups",               ["race"],           "report.subgroups: expected a demographic of the features with levels, received 'race'."),
    ("demographics_exist",    "report.subgroups",               ["age"],            "report.subgroups: expected a demographic of the features with levels, received 'age'."),
]
# fmt: on


def test_a_sound_task_has_no_problem() -> None:
    assert check_task(SOUND)[1] == []


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = told_by(rule, changed(SOUND, path, value))
    assert any(problem.startswith(says) for problem in problems), problems


def test_patients_are_observed_by_events_where_the_mapping_tells_no_periods_whatever_the_task_says() -> None:
    by_events = changed(SOUND, "population.observed_by", "events")
    assert told_by("settings_do_something", by_events) == []
    says = "population.observed_by: the mapping names no periods, so patients are observed by events anyway"
    assert told_by("settings_do_something", changed(by_events, "mapping.observation", None)) == [says]


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule.__name__ for rule in EVENT_RULES} == {row[0] for row in RULES_BROKEN} | ELSEWHERE
