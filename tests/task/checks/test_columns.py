# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of declared columns and of duplicates: each with what breaks it."""

from typing import Any

import pytest
from support.sound import TABLE_TASK as SOUND
from support.sound import changed, told_by

# fmt: off
RULES_BROKEN = [
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["sty"]}, "source.duplicates.same reads 'sty', which is no column. Did you mean 'stay'?"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "keep": "latest"}, "source.duplicates: keep 'latest' needs a `by` column"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "by": "at"}, "source.duplicates: keep 'first' needs no `by` column"),
    ("duplicates_read_columns",     "source.duplicates",    {"same": ["stay"], "keep": "latest", "by": "a"}, "source.duplicates.by reads 'a', which is no column."),
    ("columns_are_sound",           "columns.ward.lookup",  "ward",     "columns.ward.lookup: no look-up 'ward'. Did you mean 'wards'?"),
    ("columns_are_sound",           "columns._x",           {"type": "long"}, "columns._x: a name that starts with _ is kept"),
    ("columns_are_sound",           "columns.",         {"type": "long"}, "columns: expected a name of each column, received ''"),
    ("columns_are_sound",           "columns. ",        {"type": "long"}, "columns: expected a name of each column, received ' '"),
    ("columns_are_sound",           "columns.a\nb",     {"type": "long"}, "columns: expected a name without control characters, received 'a\\nb'"),
    ("columns_are_sound",           "derived.",         {"type": "long", "expression": "1"}, "derived: expected a name of each column, received ''"),
    ("columns_are_sound",           "columns.AGE",          {"type": "long"}, "columns.AGE: 'age' differs from it in case alone, which Spark does not tell apart"),
    ("columns_are_sound",           "columns.patient.matches", "(",     "columns.patient.matches: expected a regular expression of Java, received '(': a ( that is not closed"),
    ("columns_are_sound",           "columns.patient.matches", "(?P<x>a)", "columns.patient.matches: expected a regular expression of Java, received '(?P<x>a)'"),
    ("columns_are_sound",           "columns.at.format",    "YYYY-MM-DD", "columns.at.format: expected a Spark datetime pattern, received 'YYYY-MM-DD': it has no Y. Did you mean 'yyyy-MM-dd'?"),
    ("columns_are_sound",           "columns.at.format",    "dd-MMM-yy", "columns.at.format: 'dd-MMM-yy' reads years of two digits, whose century is not told. Add pivot_year: 1930"),
    ("columns_are_sound",           "columns.at",           {"type": "date", "format": "yyMMdd", "range": ["1925-01-01", "2025-01-01"]}, "columns.at.format: 'yyMMdd' reads years of two digits"),
    ("columns_are_sound",           "columns.at",           {"type": "date", "format": "yyMMdd", "range": ["1925-01-01", None]}, "columns.at.format: 'yyMMdd' reads years of two digits"),
    ("columns_are_sound",           "columns.at",           {"type": "date", "format": "[yyyy][yy]", "pivot_year": 1930}, "columns.at.format: expected either yy or yyyy, received '[yyyy][yy]'"),
    ("columns_are_sound",           "columns.at.format",    "d.M.y", "columns.at.format: 'd.M.y' reads a year as it stands, 45 as the year 45. Write yyyy, or add a range"),
    ("columns_are_sound",           "columns.at",           {"type": "date", "format": "d.M.y", "range": ["0900-01-01", None]}, "columns.at.format: 'd.M.y' reads a year as it stands"),
    ("columns_are_sound",           "columns.at.pivot_year", 1930,      "columns.at.pivot_year: only a format with yy has it, received 'yyyy-MM-dd HH:mm'"),
    ("columns_are_sound",           "columns.dose.units.column", "dose_unti", "columns.dose.units.column reads 'dose_unti', which is no column. Did you mean 'dose_unit'?"),
    ("columns_are_sound",           "columns.dose.units.column", "age", "columns.dose.units.column: expected a category or string, received 'age'"),
    ("columns_are_sound",           "columns.dose.unit",    None,       "columns.dose.units: expected `unit` beside it"),
    ("columns_are_sound",           "columns.dose.units.when_missing", "gm", "columns.dose.units.when_missing: 'gm' is not in to_unit."),
    ("columns_are_sound",           "columns.dose.type",    "integer",  "columns.dose.units: expected type double, since a conversion makes fractions, received integer"),
    ("columns_are_sound",           "columns.cost",         {"type": "decimal", "precision": 2, "scale": 3}, "columns.cost: expected scale <= precision, received 3 > 2"),
    ("columns_are_sound",           "lookups.wards.entries", {},        "lookups.wards: expected at least one entry, received none"),
]
# fmt: on


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = told_by(rule, changed(SOUND, path, value))
    assert any(problem.startswith(says) for problem in problems), problems


@pytest.mark.parametrize(
    "told",
    [
        {"pivot_year": 1930},
        {"range": ["1930-01-01", "2029-12-31"]},
        {"range": [None, "2029-12-31"], "pivot_year": 1930},
    ],
)
def test_years_of_two_digits_are_sound_with_their_century(told: dict[str, Any]) -> None:
    column = {"type": "date", "format": "dd-MMM-yy 'yy'", **told}
    assert told_by("columns_are_sound", changed(SOUND, "columns.at", column)) == []


def test_a_year_of_however_many_digits_is_sound_where_a_range_leaves_out_those_of_few() -> None:
    column = {"type": "date", "format": "d.M.y", "range": ["1875-01-01", None]}
    assert told_by("columns_are_sound", changed(SOUND, "columns.at", column)) == []
