# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of a task of a table: each with what breaks it."""

from typing import Any

import pytest
from support.sound import IN_DATABASE, changed, told_by
from support.sound import TABLE_TASK as SOUND

from medspark.task.checks.table import TABLE_RULES
from medspark.task.load import check_task

ELSEWHERE = {"columns_are_sound", "duplicates_read_columns", "images_are_alike", "names_are_free"}
ELSEWHERE |= {"nothing_lies_beside_a_database"}
"""Rules whose examples are in test_columns.py or test_images.py, or in a test of their own."""

# fmt: off
RULES_BROKEN = [
    ("keys_are_columns",            "source.case",          "sty",      "source.case reads 'sty', which is no column. Did you mean 'stay'?"),
    ("keys_are_columns",            "source.subject",       "back",     "source.subject: expected a column of integer or long or string, received 'back' of boolean"),
    ("keys_are_columns",            "source.time",          "when",     "source.time reads 'when', which is no column."),
    ("keys_are_columns",            "source.time",          "age",      "source.time: expected a date or timestamp, received 'age' of integer"),
    ("table_zone_exists",             "source.timezone",      "Europe/Pariss", "source.timezone: expected an IANA zone such as Europe/Paris, received 'Europe/Pariss'. Did you mean 'Europe/Paris'?"),
    ("expressions_are_sound",       "derived.old.expression", "agee > 80", "derived.old: 'agee > 80' reads 'agee', which is no column. Did you mean 'age'?"),
    ("expressions_are_sound",       "derived.age",          {"type": "double", "expression": "dose"}, "derived.age: a column has this name already"),
    ("expressions_are_sound",       "checks.0.expect",      "reflect('a', 'b')", "checks.grown: \"reflect('a', 'b')\" calls reflect(), which is not allowed here."),
    ("expressions_are_sound",       "exclude.0.when",       "old and",  "exclude.young: expected a Spark SQL expression"),
    ("expressions_are_sound",       "derived.old.expression", "at > 'yesterday'", "derived.old: \"at > 'yesterday'\" depends on when it is run: 'yesterday'"),
    ("expressions_are_sound",       "checks.0.expect",      "at < timestamp 'now'", "checks.grown: \"at < timestamp 'now'\" depends on when it is run: 'now'"),
    ("expressions_are_sound",       "outcome.when",         "age",      "outcome: 'age' is a number; expected true or false, as of: age = 2"),
    ("expressions_are_sound",       "exclude.0.when",       "ward",     "exclude.young: 'ward' is a text; expected true or false, as of: ward = 'yes'"),
    ("expressions_are_sound",       "checks.0.expect",      "age and back", "checks.grown: 'age' in 'age and back' is a number; expected true or false, as of: age = 2"),
    ("expressions_are_sound",       "derived.old.expression", "age",    "derived.old: 'age' is a number; expected true or false, as of: age = 2"),
    ("expressions_are_sound",       "outcome.when",         "bak",      "outcome: 'bak' reads 'bak', which is no column. Did you mean 'back'?"),
    ("expressions_are_sound",       "outcome",              {"name": "o", "classes": {"a": "back", "b": "age"}}, "outcome.classes.b: 'age' is a number; expected true or false"),
    ("limits_are_of_columns",       "limits",               {"missing_at_most": {"agee": 0.1}}, "limits.missing_at_most reads 'agee', which is no column. Did you mean 'age'?"),
    ("days_are_numbers",            "outcome",              {"name": "o", "event": "back", "days": "ward", "horizons_days": 30}, "outcome.days: expected a column of decimal or double or integer or long, received 'ward' of category"),
    ("days_are_numbers",            "outcome",              {"name": "o", "event": "back", "days": "dys", "horizons_days": [30]}, "outcome.days reads 'dys', which is no column."),
    ("features_do_not_leak",        "outcome",              {"name": "o", "event": "back", "days": "age", "horizons_days": [30]}, "features: 'age' is read by the outcome too: it would leak the label"),
    ("features_read_columns",       "features.numeric",     ["agee"],   "features.numeric reads 'agee', which is no column. Did you mean 'age'?"),
    ("features_read_columns",       "features.numeric",     ["ward"],   "features.numeric: expected a column of boolean or"),
    ("features_read_columns",       "features.numeric",     ["age", "age"], "features.numeric: 'age' is named twice"),
    ("features_read_columns",       "features",             {},         "features: expected at least one feature, received none"),
    ("sequences_have_ids",          "columns.dna",          {"type": "string", "fasta": "x.fasta", "id": "wrad"}, "columns.dna.id reads 'wrad', which is no column. Did you mean 'ward'?"),
    ("sequences_have_ids",          "columns.dna",          {"type": "string", "fasta": "x.fasta", "id": "at"}, "columns.dna.id: expected a column of boolean or"),
    ("sequences_have_ids",          "columns.patient",      {"type": "string", "fasta": "x.fasta", "id": "ward"}, "columns.patient.fasta: it is looked up by the source's keys"),
    ("features_do_not_leak",        "features.categorical", ["back"],   "features: 'back' is read by the outcome too: it would leak the label"),
    ("features_do_not_leak",        "outcome.when",         "old",      "features: 'age' is read by the outcome too"),
    ("features_do_not_leak",        "features.categorical", ["stay"],   "features: 'stay' identifies a case or a patient"),
    ("history_is_sound",            "features.history",     {"order_by": "at"}, "features.history: expected last, count, gap or codes, received none"),
    ("history_is_sound",            "features.history",     {"order_by": "patient", "count": True}, "features.history.order_by: 'patient' identifies a case or a patient"),
    ("history_is_sound",            "features.history",     {"order_by": "at", "last": ["stay"]}, "features.history.last: 'stay' identifies a case or a patient"),
    ("history_is_sound",            "features.history",     {"order_by": "at", "last": ["back"]}, "features.history.last: 'back' is read by the outcome: that of an earlier row need not be known"),
    ("history_is_sound",            "features.history",     {"order_by": "at", "codes": {"ward": {"from": ["ward"]}}}, "features.history: cases get a column 'ward', and there is one already"),
    ("history_is_sound",            "features.history",     {"order_by": "at", "last": ["age"], "codes": {"last_age": {"from": ["ward"]}}}, "features.history: cases get a column 'last_age', and there is one already"),
    ("history_is_sound",            "features.history",     {"order_by": "at", "codes": {"split": {"from": ["ward"]}}}, "features.history: cases get a column 'split', and there is one already"),
    ("features_read_columns",       "features.history",     {"order_by": "ward", "count": True}, "features.history.order_by: expected a column of date or integer or long or timestamp, received 'ward' of category"),
    ("features_read_columns",       "features.history",     {"order_by": "att", "count": True}, "features.history.order_by reads 'att', which is no column. Did you mean 'at'?"),
    ("features_read_columns",       "features.history",     {"order_by": "at", "last": ["at"]}, "features.history.last: expected a column of boolean or category or code or decimal"),
    ("features_read_columns",       "features.history",     {"order_by": "at", "last": ["age", "age"]}, "features.history.last: 'age' is named twice"),
    ("features_read_columns",       "features.history",     {"order_by": "at", "codes": {"past": {"from": ["dose"]}}}, "features.history.codes.past: expected a column of category or code or string, received 'dose' of double"),
    ("subgroups_read_columns",      "report.subgroups",     ["wrad"],   "report.subgroups reads 'wrad', which is no column. Did you mean 'ward'?"),
    ("subgroups_read_columns",      "report.subgroups",     ["dose"],   "report.subgroups: expected a column with levels, received 'dose' of double"),
    ("exclusions_have_names",       "exclude",              [SOUND["exclude"][0]] * 2, "exclude: two entries are named 'young'; counts need one name each"),
    ("exclusions_have_names",       "checks",               [SOUND["checks"][0]] * 2, "checks: two entries are named 'grown'"),
    ("settings_do_something",       "columns.age.scale",    2,          "columns.age: only a decimal has scale"),
    ("a_temporal_split_has_times",  "split",                {"temporal": {"test_from": "2020-01-01T00:00:00Z"}}, "split.temporal: expected source.time"),
    ("settings_do_something",       "lookups.more",         {"entries": {"1": "x"}}, "lookups.more: no column reads it"),
]
# fmt: on


def test_a_sound_task_has_no_problem() -> None:
    assert check_task(SOUND)[1] == []


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = told_by(rule, changed(SOUND, path, value))
    assert any(problem.startswith(says) for problem in problems), problems


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule.__name__ for rule in TABLE_RULES} == {row[0] for row in RULES_BROKEN} | ELSEWHERE


def test_settings_of_csv_are_refused_for_other_formats() -> None:
    raw = changed(
        SOUND, "source", {**SOUND["source"], "format": "parquet", "delimiter": ";", "encoding": "windows-1252"}
    )
    assert check_task(raw)[1] == [
        "source: only csv has delimiter, received format 'parquet'",
        "source: parquet has no encoding",
    ]


def test_a_table_of_a_database_is_as_sound_as_one_in_a_file() -> None:
    assert check_task({**SOUND, "source": IN_DATABASE})[1] == []


def test_what_would_lie_beside_a_table_of_a_database_has_a_whole_path() -> None:
    raw = changed({**SOUND, "source": IN_DATABASE}, "columns.xray", {"type": "image"})
    raw = changed(raw, "columns.dna", {"type": "string", "fasta": "x.fasta", "id": "ward"})
    raw = changed(raw, "columns.rna", {"type": "string", "fasta": "s3a://bucket/x.fasta", "id": "ward"})
    assert told_by("nothing_lies_beside_a_database", raw) == [
        "columns.xray.folder: expected what paths begin at, since no folder lies beside a table of format jdbc",
        "columns.dna.fasta: expected a whole path, since no folder lies beside a table of format jdbc",
    ]
    assert told_by("nothing_lies_beside_a_database", {**raw, "source": SOUND["source"]}) == []


def test_a_dialect_that_its_source_contradicts_is_told_each_time() -> None:
    source = {**SOUND["source"], "header": False, "quoted_newlines": True}
    raw = changed(SOUND, "source", {**source, "dialect": {"widths": [3], "header_lines": 2}})
    assert check_task(raw)[1] == [
        "source.quoted_newlines: the dialect has no quotes, within which a line could end",
        "source.dialect.header_lines: expected 1 of files without a header",
        f"source.dialect.widths: expected one for each of {len(SOUND['columns'])} columns, received 1",
    ]
    raw = changed(SOUND, "source", {**SOUND["source"], "delimiter": ";", "dialect": {"delimiter": "||"}})
    assert check_task(raw)[1] == ["source: expected one delimiter, received one of the source and one of its dialect"]


def test_a_feature_may_not_take_a_name_of_the_table_of_cases() -> None:
    raw = changed(SOUND, "columns.split", {"type": "category"})
    raw["features"]["categorical"].append("split")
    assert check_task(raw)[1] == [
        "columns.split: this name is kept for the table of cases; rename the column in the source"
    ]


def test_everything_wrong_with_a_history_is_told_at_once() -> None:
    history = {"order_by": "ward", "last": ["back", "agee"], "codes": {"split": {"from": ["dose"]}}}
    assert check_task(changed(SOUND, "features.history", history))[1] == [
        "features.history.order_by: expected a column of date or integer or long or timestamp, received 'ward' of "
        "category",
        "features.history.last reads 'agee', which is no column. Did you mean 'age'?",
        "features.history.codes.split: expected a column of category or code or string, received 'dose' of double",
        "features.history.last: 'back' is read by the outcome: that of an earlier row need not be known by the time "
        "of this one",
        "features.history: cases get a column 'split', and there is one already; expected another name",
    ]


def test_a_table_with_a_row_a_patient_has_no_history() -> None:
    raw = changed(changed(SOUND, "source.subject", "stay"), "features.history", {"order_by": "at", "count": True})
    assert check_task(raw)[1] == ["features.history: 'stay' is case and subject, so no row has an earlier one"]


def test_rows_may_be_ordered_by_their_own_time_even_where_the_outcome_reads_it() -> None:
    raw = changed(SOUND, "features.history", {"order_by": "at", "count": True})
    raw["outcome"]["when"] = "back and at > timestamp'2020-01-01 00:00:00'"
    assert any("'at' is read by the outcome" in problem for problem in check_task(raw)[1])
    raw["source"]["time"] = "at"
    assert check_task(raw)[1] == []
