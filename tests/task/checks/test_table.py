# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of a task file: each with what breaks it, and all problems told at once with a hint."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from medspark.errors import TaskError
from medspark.task.checks.shared import SHARED_RULES
from medspark.task.checks.table import TABLE_RULES
from medspark.task.load import check_task, load_task

SOUND: dict[str, Any] = {
    "task": "stays",
    "title": "Stays",
    "source": {"kind": "table", "path": "p", "format": "csv", "case": "stay", "subject": "patient"},
    "columns": {
        "stay": {"type": "long"},
        "patient": {"type": "string"},
        "at": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"},
        "age": {"type": "integer", "range": [0, 120]},
        "dose": {"type": "double", "unit": "mg", "units": {"column": "dose_unit", "to_unit": {"mg": 1}}},
        "dose_unit": {"type": "category"},
        "ward": {"type": "category", "lookup": "wards"},
        "back": {"type": "boolean"},
    },
    "derived": {"old": {"type": "boolean", "expression": "age > 80"}},
    "lookups": {"wards": {"entries": {"1": "surgery"}}},
    "checks": [{"name": "grown", "expect": "age >= 18"}],
    "exclude": [{"name": "young", "when": "age < 21", "because": "of age"}],
    "outcome": {"name": "back", "when": "back"},
    "features": {"numeric": ["age", "dose"], "categorical": ["ward"]},
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["ward"]},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """SOUND with another value at a dotted path; None takes the key away."""
    raw = deepcopy(SOUND)
    *above, last = path.split(".")
    section: Any = raw
    for key in above:
        section = section.setdefault(key, {}) if isinstance(section, dict) else section[int(key)]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return raw


def test_a_sound_task_has_no_problem() -> None:
    assert check_task(SOUND)[1] == []


# fmt: off
SECTIONS = [
    # change at                     to                      says
    ("intended_us",                 "x",                    "intended_us: unknown key. Allowed: task, title, intended_use"),
    ("intended_us",                 "x",                    "Did you mean 'intended_use'?"),
    ("columns.age.rnage",           [0, 1],                 "columns.age.integer.rnage: unknown key."),
    ("columns.age.rnage",           [0, 1],                 "Did you mean 'range'?"),
    ("checks.0.otherwis",           "fail",                 "checks.0.otherwis: unknown key. Allowed: name, expect, otherwise. Did you mean 'otherwise'?"),
    ("title",                       None,                   "title: expected a value, received none"),
    ("columns.age.type",            "intger",               "Did you mean 'integer'?"),
    ("columns.age",                 {"range": [0, 1]},      "columns.age: expected a type of boolean, category, code"),
    ("source.format",               "cvs",                  "source.format: expected 'csv', 'json', 'ndjson', 'parquet' or 'orc', received 'cvs'. Did you mean 'csv'?"),
    ("columns.age.range",           [9, 1],                 "expected the lower end first, received [9, 1]"),
    ("columns.age.range",           [None, None],           "expected at least one end"),
    ("split",                       {"train": 0.5},         "expected train + valid + test = 1, received 0.8"),
    ("lookups.wards",               {"path": "p"},          "expected either path, key and value, or entries"),
    ("network",                     {"dropout": 2},         "network.dropout: expected less than 1, received 2"),
    ("task",                        "Stays of 2024",        "task: String should match pattern"),
]
RULES_BROKEN = [
    ("keys_are_columns",            "source.case",          "sty",      "source.case reads 'sty', which is no column. Did you mean 'stay'?"),
    ("keys_are_columns",            "source.subject",       "back",     "source.subject: expected a column of integer or long or string, received 'back' of boolean"),
    ("keys_are_columns",            "source.time",          "when",     "source.time reads 'when', which is no column."),
    ("keys_are_columns",            "source.time",          "age",      "source.time: expected a date or timestamp, received 'age' of integer"),
    ("table_zone_exists",             "source.timezone",      "Europe/Pariss", "expected an IANA zone such as Europe/Paris, received 'Europe/Pariss'. Did you mean 'Europe/Paris'?"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["sty"]}, "source.duplicates.same reads 'sty', which is no column. Did you mean 'stay'?"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "keep": "latest"}, "keep 'latest' needs a `by` column"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "by": "at"}, "keep 'first' needs no `by` column"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "keep": "latest", "by": "a"}, "source.duplicates.by reads 'a', which is no column."),
    ("columns_are_sound",           "columns.ward.lookup",  "ward",     "columns.ward.lookup: no look-up 'ward'. Did you mean 'wards'?"),
    ("columns_are_sound",           "columns._x",           {"type": "long"}, "a name that starts with _ is kept"),
    ("columns_are_sound",           "columns.AGE",          {"type": "long"}, "columns.AGE: 'age' differs from it in case alone, which Spark does not tell apart"),
    ("columns_are_sound",           "columns.patient.matches", "(",     "columns.patient.matches: expected a regular expression, received '('"),
    ("columns_are_sound",           "columns.patient.matches", "(?P<x>a)", "columns.patient.matches: expected a regular expression of Java, received '(?P<x>a)'"),
    ("columns_are_sound",           "columns.at.format",    "YYYY-MM-DD", "columns.at.format: expected a Spark datetime pattern, received 'YYYY-MM-DD': it has no Y. Did you mean 'yyyy-MM-dd'?"),
    ("columns_are_sound",           "columns.dose.units.column", "dose_unti", "columns.dose.units.column reads 'dose_unti', which is no column. Did you mean 'dose_unit'?"),
    ("columns_are_sound",           "columns.dose.units.column", "age", "columns.dose.units.column: expected a category or string, received 'age'"),
    ("columns_are_sound",           "columns.dose.unit",    None,       "columns.dose.units: expected `unit` beside it"),
    ("columns_are_sound",           "columns.dose.units.when_missing", "gm", "columns.dose.units.when_missing: 'gm' is not in to_unit."),
    ("columns_are_sound",           "columns.dose.type",    "integer",  "columns.dose.units: expected type double, since a conversion makes fractions, received integer"),
    ("columns_are_sound",           "columns.cost",         {"type": "decimal", "precision": 2, "scale": 3}, "expected scale <= precision, received 3 > 2"),
    ("columns_are_sound",           "lookups.wards.entries", {},        "lookups.wards: expected at least one entry, received none"),
    ("expressions_are_sound",       "derived.old.expression", "agee > 80", "derived.old: 'agee > 80' reads 'agee', which is no column. Did you mean 'age'?"),
    ("expressions_are_sound",       "derived.age",          {"type": "double", "expression": "dose"}, "derived.age: a column has this name already"),
    ("expressions_are_sound",       "checks.0.expect",      "reflect('a', 'b')", "checks.grown: \"reflect('a', 'b')\" calls reflect(), which is not allowed here."),
    ("expressions_are_sound",       "exclude.0.when",       "old and",  "exclude.young: expected a Spark SQL expression"),
    ("expressions_are_sound",       "outcome.when",         "bak",      "outcome: 'bak' reads 'bak', which is no column. Did you mean 'back'?"),
    ("features_read_columns",       "features.numeric",     ["agee"],   "features.numeric reads 'agee', which is no column. Did you mean 'age'?"),
    ("features_read_columns",       "features.numeric",     ["ward"],   "features.numeric: expected a column of boolean or"),
    ("features_read_columns",       "features.numeric",     ["age", "age"], "features.numeric: 'age' is named twice"),
    ("features_read_columns",       "features",             {},         "features: expected at least one feature, received none"),
    ("features_do_not_leak",        "features.categorical", ["back"],   "features: 'back' is read by the outcome too: it would leak the label"),
    ("features_do_not_leak",        "outcome.when",         "old",      "features: 'age' is read by the outcome too"),
    ("features_do_not_leak",        "features.categorical", ["stay"],   "features: 'stay' identifies a case or a patient"),
    ("subgroups_read_columns",      "report.subgroups",     ["wrad"],   "report.subgroups reads 'wrad', which is no column. Did you mean 'ward'?"),
    ("subgroups_read_columns",      "report.subgroups",     ["dose"],   "report.subgroups: expected a column with levels, received 'dose' of double"),
    ("bands_are_sound",             "risk_bands",           {"a": 0.5, "b": 0.5}, "risk_bands: two bands start at the same probability"),
    ("bands_are_sound",             "risk_bands",           {"low": 0.5}, "risk_bands: `low` is the band below all others"),
    ("exclusions_have_names",       "exclude",              [SOUND["exclude"][0]] * 2, "exclude: two entries are named 'young'; counts need one name each"),
    ("exclusions_have_names",       "checks",               [SOUND["checks"][0]] * 2, "checks: two entries are named 'grown'"),
    ("optimizer_reads_settings",    "training",             {"optimizer": "sgd", "weight_decay": 0.1}, "training.weight_decay: only adamw reads it"),
    ("settings_do_something",       "columns.age.scale",    2,          "columns.age: only a decimal has scale"),
    ("settings_do_something",       "source.format",        "orc",      None),
    ("settings_do_something",       "lookups.more",         {"entries": {"1": "x"}}, "lookups.more: no column reads it"),
]
# fmt: on


@pytest.mark.parametrize(("path", "value", "says"), SECTIONS)
def test_what_a_section_does_not_allow_is_told_with_a_hint(path: str, value: Any, says: str) -> None:
    problems = check_task(changed(path, value))[1]
    assert any(says in problem for problem in problems), problems


@pytest.mark.parametrize(("rule", "path", "value", "says"), [row for row in RULES_BROKEN if row[3]])
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = check_task(changed(path, value))[1]
    assert any(says in problem for problem in problems), problems


def test_settings_of_csv_are_refused_for_other_formats() -> None:
    raw = changed("source", {**SOUND["source"], "format": "parquet", "delimiter": ";", "encoding": "windows-1252"})
    assert check_task(raw)[1] == [
        "source: only csv has delimiter, received format 'parquet'",
        "source: parquet has no encoding",
    ]


def test_a_feature_may_not_take_a_name_of_the_table_of_cases() -> None:
    raw = changed("columns.split", {"type": "category"})
    raw["features"]["categorical"].append("split")
    assert check_task(raw)[1] == [
        "columns.split: this name is kept for the table of cases; rename the column in the source"
    ]


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule.__name__ for rule in (*SHARED_RULES, *TABLE_RULES)} == {row[0] for row in RULES_BROKEN} | {
        "names_are_free"
    }


def test_a_required_value_that_is_wrong_is_told_once() -> None:
    assert len(check_task(changed("source.format", "cvs"))[1]) == 1


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(
        """
        task: stays
        title: Stays
        source: {kind: table, path: p, format: csv, case: sty, subject: patient, timezoen: UTC}
        columns:
          stay: {type: long}
          patient: {type: string, matchs: x}
          age: {type: integr}
          back: {type: boolean}
        outcome: {name: back, when: bck}
        features: {numeric: [age, weight]}
        trainin: {epochs: 3}
        """
    )
    with pytest.raises(TaskError) as error:
        load_task(tmp_path / "task.yaml")
    problems = "\n".join(error.value.problems)
    for words in ("timezoen", "'sty'", "matchs", "integr", "bck", "'weight'", "trainin: unknown key"):
        assert words in problems, problems
    assert len(error.value.problems) == 7
    assert str(error.value).startswith(f"{tmp_path}/task.yaml: 7 problems\n  - ")
