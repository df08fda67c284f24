# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""What a section does not allow, told with what is expected, what was received and a hint."""

from typing import Any

import pytest
from support.sound import DATABASE, EVENT_TASK, IN_DATABASE, TABLE_TASK, changed

from medspark.task.load import check_task

TABLE = "mapping.tables.labs"
# fmt: off
OF_A_TABLE = [
    # change at                     to                      says
    ("intended_us",                 "x",                    "intended_us: unknown key. Allowed: task, title, intended_use"),
    ("intended_us",                 "x",                    "Did you mean 'intended_use'?"),
    ("columns.age.rnage",           [0, 1],                 "columns.age.integer.rnage: unknown key."),
    ("columns.age.rnage",           [0, 1],                 "Did you mean 'range'?"),
    ("checks.0.otherwis",           "fail",                 "checks.0.otherwis: unknown key. Allowed: name, expect, otherwise. Did you mean 'otherwise'?"),
    ("title",                       None,                   "title: expected a value, received none"),
    ("columns.age.type",            "intger",               "Did you mean 'integer'?"),
    ("columns.age",                 {"range": [0, 1]},      "columns.age: expected a type of boolean, category, code"),
    ("source.format",               "cvs",                  "source.format: expected 'csv', 'json', 'ndjson', 'parquet', 'orc', 'delta', 'catalog' or 'jdbc', received 'cvs'. Did you mean 'csv'?"),
    ("source.format",               "jdbc",                 "source: expected `database` with format jdbc and only with it, received jdbc"),
    ("source.format",               "catalog",              "source: expected `table` with format jdbc or catalog and only with them, received catalog"),
    ("source.table",                "stays",                "source: expected `table` with format jdbc or catalog and only with them, received csv"),
    ("source.path",                 None,                   "source: expected `path` with every format but jdbc, received format csv"),
    ("source",                      {**IN_DATABASE, "path": "p"}, "source: expected `path` with every format but jdbc, received format jdbc"),
    ("source",                      {**IN_DATABASE, "tabel": "x"}, "source.tabel: unknown key. Allowed: kind, path, format, database, table, case, subject, time"),
    ("source",                      {**IN_DATABASE, "database": {**DATABASE, "shema": "x"}}, "source.database.shema: unknown key. Allowed: url, schema, user_variable"),
    ("columns.age.range",           [9, 1],                 "expected the lower end first, received [9, 1]"),
    ("columns.at.range",            ["2020-01-01", "1990-01-01"], "expected the earlier day first, received [2020-01-01, 1990-01-01]"),
    ("columns.at.range",            [None, None],           "expected at least one end, as in [1900-01-01, null]"),
    ("columns.at.range",            [1900, 2100],           "expected a day such as 1990-12-31, received 1900"),
    ("columns.at.range",            ["1900-02-30", None],   "columns.at.timestamp.range.low: "),
    ("columns.at.pivot_year",       30,                     "columns.at.timestamp.pivot_year: expected greater than or equal to 1800"),
    ("columns.age.range",           [None, None],           "expected at least one end"),
    ("split",                       {"train": 0.5},         "expected train + valid + test = 1, received 0.8"),
    ("lookups.wards",               {"path": "p"},          "expected either path, key and value, or entries"),
    ("network",                     {"dropout": 2},         "network.dropout: expected less than 1, received 2"),
    ("task",                        "Stays of 2024",        "task: expected a name such as readmission-2026: small letters, digits, - and _, a letter first, received 'Stays of 2024'"),
    ("split",                       7,                      "split: expected a section with keys of its own, received 7"),
    ("features.numeric",            "age",                  "features.numeric: expected a list, received 'age'"),
    ("columns",                     [],                     "columns: expected keys with values, received []"),
    ("source.header",               "perhaps",              "source.header: expected true or false, received 'perhaps'"),
    ("network.members",             2.5,                    "network.members: expected a whole number, received 2.5"),
    ("network.hidden",              [],                     "network.hidden: expected at least one, received []"),
]
OF_EVENTS = [
    # change at                             to                          says
    ("poplation",                           {},                         "poplation: unknown key. Allowed: task, title, intended_use"),
    ("poplation",                           {},                         "Did you mean 'population'?"),
    ("columns",                             {"a": {"type": "long"}},    "columns: unknown key."),
    ("source.databse",                      DATABASE,                   "source.databse: unknown key. Allowed: kind, mapping, format, path, database, increment. Did you mean 'database'?"),
    ("source.format",                       "delt",                     "source.format: expected 'csv', 'parquet', 'orc', 'fhir', 'delta', 'catalog' or 'jdbc', received 'delt'. Did you mean 'delta'?"),
    ("source.format",                       "jdbc",                     "source: expected `database` with format jdbc and only with it, received jdbc"),
    ("source.path",                         None,                       "source: expected `path` with every format but jdbc, received format csv"),
    ("source.database",                     DATABASE,                   "source: expected `database` with format jdbc and only with it, received csv"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": {**DATABASE, "shema": "x"}}, "source.database.shema: unknown key. Allowed: url, schema, user_variable"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": {**DATABASE, "shema": "x"}}, "Did you mean 'schema'?"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": DATABASE, "path": "p"}, "source: expected `path` with every format but jdbc, received format jdbc"),
    ("population.snapshot",                 {"at": ["2020-01-01T00:00:00"]}, "population: expected either index or snapshot"),
    ("population.index",                    None,                       "population: expected either index or snapshot"),
    ("population",                          {"snapshot": {"at": ["2020-01-01T00:00:00"]}, "washout_days": 3}, "population: predict_after_hours and washout_days are of an index event, and there is none"),
    ("population.snapshot",                 {"at": []},                 "population.snapshot.at: "),
    ("population.index.event",              [],                         "population.index.event: "),
    ("population.index.taek",               "first",                    "population.index.taek: unknown key. Allowed: event, take. Did you mean 'take'?"),
    ("population.exclude.0.withn_days",     3,                          "population.exclude.0.withn_days: unknown key. Allowed: name, had, within_days, after_index, because. Did you mean 'within_days'?"),
    ("outcome.follow_up",                   "keep_al",                  "received 'keep_al'. Did you mean 'keep_all'?"),
    ("outcome.to_day",                      3,                          "outcome.to_day: unknown key. Allowed: name, classes, several, horizons_days, risk_of, event, label, otherwise, from_days, to_days, follow_up, gap, death. Did you mean 'to_days'?"),
    ("concepts.drug",                       {},                         "concepts.drug: expected codes or prefixes, received none"),
    ("concepts.drug",                       {"prefixes": ["D/"], "descendants": True}, "concepts.drug: descendants and mapped are of codes, received none"),
    ("concepts.drug.descendents",           True,                       "concepts.drug.descendents: unknown key. Allowed: codes, prefixes, descendants, mapped, as_one. Did you mean 'descendants'?"),
    ("concepts.Drug",                       {"codes": ["D/1"]},         "concepts.Drug.[key]: expected a name such as readmission-2026"),
    ("features.code",                       {},                         "features.code: unknown key. Allowed: demographics, codes, values, sequences, grids. Did you mean 'codes'?"),
    ("features.values.labs.take",           ["lats"],                   "received 'lats'. Did you mean 'last'?"),
    ("features.values.labs.look_back_day",  3,                          "features.values.labs.look_back_day: unknown key."),
    ("features.values.labs.look_back_hours", -3,                        "features.values.labs: expected look-backs above 0"),
    ("features.grids.course.every_hours",   7,                          "features.grids.course: expected look_back_hours in whole steps of 7"),
    ("features.sequences.story.last",       5000,                       "features.sequences.story.last: expected less than or equal to 4096, received 5000"),
    ("mapping.time_zone",                   "UTC",                      "mapping.time_zone: unknown key."),
    ("mapping.time_zone",                   "UTC",                      "Did you mean 'timezone'?"),
    ("mapping.midnight",                    "date",                     "mapping.midnight: expected 'time' or 'date_only', received 'date'."),
    ("mapping",                             None,                       "mapping: expected a value, received none"),
    ("mapping.tables",                      {},                         "mapping.tables: "),
    (f"{TABLE}.sbject",                     "patient",                  f"{TABLE}.sbject: unknown key. Allowed: files, delimiter, dialect, optional, subject, view, columns, joined"),
    (f"{TABLE}.columns.at",                 "timestmp",                 f"{TABLE}.columns.at: expected a type of boolean, category, code"),
    (f"{TABLE}.columns.at",                 "timestmp",                 "received 'timestmp'. Did you mean 'timestamp'?"),
    (f"{TABLE}.columns.loinc",              {"type": "string", "matchs": "x"}, f"{TABLE}.columns.loinc.string.matchs: unknown key. Allowed: missing, required, otherwise, type, matches, fasta, id. Did you mean 'matches'?"),
    (f"{TABLE}.events.0.numbr",             "1",                        f"{TABLE}.events.0.numbr: unknown key. Allowed: code, time, date, available, value, number, text, unit"),
    (f"{TABLE}.events.0.code",              [],                         f"{TABLE}.events.0.code: "),
    ("mapping.values.LAB/1.rnage",          [0, 1],                     "mapping.values.LAB/1.rnage: unknown key. Allowed: unit, to_unit, when_missing, range. Did you mean 'range'?"),
    ("mapping.tables.date",                 {"sbject": "a"},            "mapping.tables.date.sbject: unknown key. Allowed: files, delimiter, dialect, optional, subject, view, columns, joined"),
]
# fmt: on


@pytest.mark.parametrize(("path", "value", "says"), OF_A_TABLE)
def test_what_a_task_of_a_table_does_not_allow_is_told_with_a_hint(path: str, value: Any, says: str) -> None:
    problems = check_task(changed(TABLE_TASK, path, value))[1]
    assert any(says in problem for problem in problems), problems


@pytest.mark.parametrize(("path", "value", "says"), OF_EVENTS)
def test_what_a_task_of_events_does_not_allow_is_told_with_a_hint(path: str, value: Any, says: str) -> None:
    problems = check_task(changed(EVENT_TASK, path, value))[1]
    assert any(says in problem for problem in problems), problems


def test_a_required_value_that_is_wrong_is_told_once() -> None:
    assert len(check_task(changed(TABLE_TASK, "source.format", "cvs"))[1]) == 1
