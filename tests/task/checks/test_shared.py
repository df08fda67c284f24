# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of any task: each with what breaks it."""

from typing import Any

import pytest
from support.sound import IN_DATABASE, changed, told_by
from support.sound import TABLE_TASK as SOUND

from medspark.task.checks.shared import SHARED_RULES

# fmt: off
RULES_BROKEN = [
    ("url_is_sound",                "source",               {**IN_DATABASE, "database": {"url": "jdbc:h2:mem:d;INIT=x"}}, "source.database.url: expected of the parameters none, received INIT."),
    ("bands_are_sound",             "risk_bands",           {"a": 0.5, "b": 0.5}, "risk_bands: two bands start at the same probability"),
    ("bands_are_sound",             "risk_bands",           {"low": 0.5}, "risk_bands: `low` is the band below all others"),
    ("bands_are_sound",             "risk_bands",           {"none": 0.5}, "risk_bands: `none` stands for scores without a band"),
    ("names_of_few_are_meant",      "features.categorical", [{"column": "ward", "at_least": 4}], "features.categorical.0.at_least: expected 5 or more, received 4"),
    ("a_sequence_network_has_sequences", "network",         {"sequence": "gru"}, "network.sequence: gru reads features.sequences, and the task has none"),
    ("pretraining_has_an_encoder",  "training",             {"pretrain": {}}, "training.pretrain: expected network.sequence of gru, lstm or transformer"),
    ("a_student_has_soft_labels",   "network",              {"student": "small", "members": 2}, "network.student: a student learns what members say of patients that they did not learn from, and network.members is 2."),
    ("a_student_has_soft_labels",   "network",              {"student": "small", "sequence": "gru"}, "network.student: a student learns what members say of patients that they did not learn from, and the members share the encoder of network.sequence: gru."),
    ("optimizer_reads_settings",    "training",             {"optimizer": "sgd", "weight_decay": 0.1}, "training.weight_decay: only adamw reads it"),
    ("another_split_divides_alone",  "split",               {"site": {"column": "wrad", "held_out": ["a"]}}, "split.site.column: expected one of report.subgroups, received 'wrad'."),
    ("another_split_divides_alone",  "split",               {"subjects": {"path": "a.parquet"}, "temporal": {"test_from": "2020-01-01T00:00:00Z"}}, "split: expected one of temporal, site and subjects, received temporal and subjects"),
    ("a_search_tries_what_is_allowed", "tuning",            {"space": {"network.dropout": {"low": 0, "high": 1.5}}}, "tuning.space.network.dropout: expected less than 1, received 1.5"),
]
# fmt: on


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = told_by(rule, changed(SOUND, path, value))
    assert any(problem.startswith(says) for problem in problems), problems


def test_every_rule_has_an_example_that_breaks_it() -> None:
    elsewhere = {"calibration_fits_outcome"}  # in tests/task/test_outcome.py
    assert {rule.__name__ for rule in SHARED_RULES} == {row[0] for row in RULES_BROKEN} | elsewhere


def test_names_of_few_may_leave_where_the_task_says_so() -> None:
    rare = changed(SOUND, "features.categorical", [{"column": "ward", "at_least": 1}])
    assert told_by("names_of_few_are_meant", changed(rare, "privacy", {"names_of_few": True})) == []
