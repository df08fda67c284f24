# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of a mapping: each with what breaks it, and none that a shipped mapping breaks."""

from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from support.sound import EVENT_TASK as SOUND
from support.sound import changed, told_by

from medspark.task.load import check_task
from medspark.task.mapping import Mapping
from medspark.task.yaml_text import read_yaml

CONF = ROOT / "conf"
TABLE = "mapping.tables.labs"
# fmt: off
RULES_BROKEN = [
    ("mapping_zone_exists",   "mapping.timezone",               "Europe/Amsterdm",  "mapping.timezone: expected an IANA zone such as Europe/Paris, received 'Europe/Amsterdm'. Did you mean 'Europe/Amsterdam'?"),
    ("tables_are_sound",      f"{TABLE}.subject",               "patinet",          f"{TABLE}: subject reads 'patinet', which is no column. Did you mean 'patient'?"),
    ("tables_are_sound",      f"{TABLE}.absent",                ["unti"],           f"{TABLE}: absent reads 'unti', which is no column. Did you mean 'unit'?"),
    ("tables_are_sound",      f"{TABLE}.columns._x",            "long",             f"{TABLE}: columns._x: a name that starts with _ is kept for medspark's own columns"),
    ("tables_are_sound",      f"{TABLE}.columns.AT",            "date",             f"{TABLE}: columns.AT: 'at' differs from it in case alone, which Spark does not tell apart"),
    ("tables_are_sound",      f"{TABLE}.columns.at",            {"type": "date", "format": "YYYY"}, f"{TABLE}: columns.at.format: expected a Spark datetime pattern, received 'YYYY': it has no Y."),
    ("tables_are_sound",      f"{TABLE}.columns.ward",          {"type": "category", "lookup": "ward"}, f"{TABLE}: columns.ward.lookup: no look-up 'ward'. Did you mean 'wards'?"),
    ("tables_are_sound",      f"{TABLE}.columns.dna",           {"type": "string", "fasta": "x.fasta", "id": "loinc"}, f"{TABLE}: columns.dna.fasta: a mapping reads no file beside its tables"),
    ("tables_are_sound",      f"{TABLE}.lookups.wards",         {"path": "w.csv", "key": "k", "value": "v"}, f"{TABLE}: lookups.wards: expected entries, received a path; a mapping reads no file beside its tables"),
    ("tables_are_sound",      f"{TABLE}.derived.short.expression", "left(lonic, 3)", f"{TABLE}: derived.short: 'left(lonic, 3)' reads 'lonic', which is no column. Did you mean 'loinc'?"),
    ("tables_are_sound",      f"{TABLE}.derived.loinc",         {"type": "category", "expression": "unit"}, f"{TABLE}: derived.loinc: a column has this name already"),
    ("tables_are_sound",      f"{TABLE}.checks.0.expect",       "reslt is not null", f"{TABLE}: checks.has a value: 'reslt is not null' reads 'reslt', which is no column. Did you mean 'result'?"),
    ("tables_are_sound",      f"{TABLE}.skip.0.when",           "result =",         f"{TABLE}: skip.void: expected a Spark SQL expression"),
    ("tables_are_sound",      f"{TABLE}.duplicates",            {"same": ["a"]},    f"{TABLE}: duplicates.same reads 'a', which is no column."),
    ("tables_are_sound",      f"{TABLE}.duplicates",            {"same": ["at"], "keep": "latest"}, f"{TABLE}: duplicates: keep 'latest' needs a `by` column"),
    ("tables_are_sound",      "source.increment",               {"by": "files"},    f"{TABLE}: duplicates: expected none of a source with `increment`, but of the whole row in a table without `row`"),
    ("tables_are_sound",      "source.increment",               {"by": "column"},   f"{TABLE}: expected `row` in each table of a source with `increment: {{by: column}}`"),
    ("tables_are_sound",      f"{TABLE}.events.0.code",         "LAB/{lonic}",      f"{TABLE}: events.0: code 'LAB/{{lonic}}' names 'lonic', which is no column. Did you mean 'loinc'?"),
    ("tables_are_sound",      f"{TABLE}.events.0.time",         "att",              f"{TABLE}: events.0: time: 'att' reads 'att', which is no column. Did you mean 'at'?"),
    ("tables_are_sound",      f"{TABLE}.events.0.available",    "now()",            f"{TABLE}: events.0: available: 'now()'"),
    ("tables_are_sound",      f"{TABLE}.events.0.time",         "to_timestamp('now')", f"{TABLE}: events.0: time: \"to_timestamp('now')\" depends on when it is run: 'now'"),
    ("tables_are_sound",      f"{TABLE}.events.0.time",         "to_timestamp(result)", f"{TABLE}: events.0: time: 'to_timestamp(result)' depends on when it is run: result as a timestamp"),
    ("tables_are_sound",      f"{TABLE}.skip.0.when",           "at > 'today'",     f"{TABLE}: skip.void: \"at > 'today'\" depends on when it is run: 'today'"),
    ("tables_are_sound",      f"{TABLE}.checks.0.expect",       "result",           f"{TABLE}: checks.has a value: 'result' is a text; expected true or false, as of: result = 'yes'"),
    ("tables_are_sound",      f"{TABLE}.skip.0.when",           "patient",          f"{TABLE}: skip.void: 'patient' is a number; expected true or false, as of: patient = 2"),
    ("tables_are_sound",      f"{TABLE}.events.0.when",         "short",            f"{TABLE}: events.0: when: 'short' is a text; expected true or false, as of: short = 'yes'"),
    ("tables_are_sound",      f"{TABLE}.events.0.when",         "count(loinc) > 1", f"{TABLE}: events.0: when: 'count(loinc) > 1' is more than an expression over one row"),
    ("tables_are_sound",      f"{TABLE}.events.0.number",       "java_method('a', 'b')", f"{TABLE}: events.0: number: \"java_method('a', 'b')\" calls java_method(), which is not allowed here."),
    ("tables_are_sound",      f"{TABLE}.columns.unit",          {"type": "image"},  f"{TABLE}: columns.unit: only a table task has images"),
    ("tables_are_sound",      f"{TABLE}.view",                  {"resource": "Observation", "select": [{"column": [{"name": "at", "path": "id"}]}]}, f"{TABLE}: expected `view` of a source of format fhir and only of it, received format csv"),
    ("tables_are_sound",      f"{TABLE}.view",                  {"resource": "Observation", "select": [{"column": [{"name": "att", "path": "id"}]}]}, f"{TABLE}: view: column 'att' is not in `columns`. Did you mean 'at'?"),
    ("tables_are_sound",      f"{TABLE}.view",                  {"resource": "Observation", "select": [{"column": [{"name": "at", "path": "id"}]}]}, f"{TABLE}: columns.unit: the view makes no such column."),
    ("tables_are_sound",      f"{TABLE}.view",                  {"resource": "Observation", "select": [{"column": [{"name": "at", "path": "id.frist()"}]}]}, f"{TABLE}: view: path 'id.frist()': no function 'frist'. Did you mean 'first'?"),
    ("tables_are_sound",      "source.format",                  "fhir",             f"{TABLE}: expected `view` of a source of format fhir and only of it, received format fhir"),
    ("tables_are_sound",      f"{TABLE}.dialect",               {"escape": ","},    f"{TABLE}: dialect: expected quote and escape to differ from the delimiter ','"),
    ("tables_are_sound",      "mapping.dialect",                {"decimal": ","},   f"{TABLE}: events.0.value: reads numbers with a point"),
    ("deletions_are_of_fhir", "mapping.deleted",                "*Bundle*",         "mapping.deleted: only a source of format fhir takes resources back, received csv"),
    ("values_have_units",     "mapping.values.LAB/718-7.unit",  None,               "mapping.values.LAB/718-7: expected `unit` beside to_unit, the unit that all numbers are brought to"),
    ("values_have_units",     "mapping.values.LAB/718-7",       {"unit": "g/L"},    "mapping.values.LAB/718-7: expected `to_unit` beside unit, the conversions into it"),
    ("values_have_units",     "mapping.values.LAB/718-7.when_missing", "g/l",       "mapping.values.LAB/718-7.when_missing: 'g/l' is not in to_unit."),
]
# fmt: on


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    problems = told_by(rule, changed(SOUND, path, value))
    assert any(problem.startswith(says) for problem in problems), problems


@pytest.mark.parametrize(("row", "problems"), [(None, 0), ({"same": ["loinc"]}, 1)])
def test_a_source_that_grows_may_have_duplicates_of_the_whole_row_unless_rows_have_an_id(
    row: Any, problems: int
) -> None:
    raw = changed(changed(SOUND, "source.increment", {"by": "files"}), f"{TABLE}.duplicates", {"same": "whole_row"})
    raw = raw if row is None else changed(raw, f"{TABLE}.row", row)
    assert len(told_by("tables_are_sound", raw)) == problems


@pytest.mark.parametrize(
    ("by", "row", "says"),
    [
        (
            "files",
            {"same": ["loinc"], "written": "at"},
            "row.written: expected it of a source with `increment: {by: col",
        ),
        (
            "column",
            {"same": ["loinc"]},
            "row.written: expected a column of type timestamp, with the time of each writing, received none",
        ),
        ("column", {"same": ["loinc"], "written": "loinc"}, "received 'loinc' of type"),
        ("changes", {"same": ["loinc"], "deleted": "result = 'D'"}, "row: expected `same` alone of a source with"),
    ],
)
def test_a_source_that_grows_says_which_writing_of_a_row_is_the_newest(by: str, row: Any, says: str) -> None:
    raw = changed(changed(SOUND, f"{TABLE}.duplicates", None), f"{TABLE}.row", row)
    raw = changed(
        raw, "source", {**raw["source"], "format": {"changes": "delta"}.get(by, "csv"), "increment": {"by": by}}
    )
    assert any(says in problem for problem in told_by("tables_are_sound", raw)), told_by("tables_are_sound", raw)


@pytest.mark.parametrize("path", sorted((CONF / "sources").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_mapping_is_sound(path: Path) -> None:
    raw = changed(SOUND, "concepts", {})
    raw["mapping"] = read_yaml(path)
    raw = changed(raw, "source.format", "fhir") if path.stem == "fhir" else raw
    raw["population"] = {"index": {"event": "X/"}}
    raw["outcome"] = {"name": "y", "event": "Y/"}
    raw["features"] = {"demographics": ["age", *raw["mapping"].get("demographics", {})]}
    raw["report"] = {}
    assert check_task(raw)[1] == []
    assert raw["mapping"]["mapping"] == path.stem


def test_a_mapping_may_be_read_without_a_task() -> None:
    for path in (CONF / "sources").glob("*.yaml"):
        assert Mapping.model_validate(read_yaml(path)).mapping == path.stem


def test_a_mapping_with_views_is_the_same_written_and_read_again() -> None:
    mapping = Mapping.model_validate(read_yaml(CONF / "sources" / "fhir.yaml"))
    written = mapping.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "forEachOrNull" in str(written["tables"]["condition"]["view"])
    assert Mapping.model_validate(written) == mapping


STAYS = {
    "subject": "patient",
    "columns": {"patient": "long", "ended": "date", "unit": "long"},
    "events": [{"code": "E", "date": "ended"}],
}
JOINED_BROKEN = [
    (
        {"lab": {"same": "patient", "columns": "ended"}},
        "joined.lab: expected another table of the mapping that joins none itself.",
    ),
    (
        {"labs": {"same": "patient", "columns": "ended"}},
        "joined.labs: expected another table of the mapping that joins none itself.",
    ),
    (
        {"stays": {"same": "patinet", "columns": "ended"}},
        "joined.stays.same reads 'patinet', which is no column. Did you mean 'patient'?",
    ),
    (
        {"stays": {"same": "unit", "columns": "ended"}},
        "joined.stays.same: 'unit' is string here and long there; expected one type",
    ),
    (
        {"stays": {"same": "patient", "columns": "endde"}},
        "joined.stays.columns reads 'endde', which is no column. Did you mean 'ended'?",
    ),
    ({"stays": {"same": "patient", "columns": "unit"}}, "joined.stays.columns: this table has a column 'unit' already"),
]


@pytest.mark.parametrize(("joined", "says"), JOINED_BROKEN)
def test_what_a_table_joins_is_there_and_of_its_key(joined: dict[str, Any], says: str) -> None:
    problems = check_task(changed(changed(SOUND, "mapping.tables.stays", STAYS), f"{TABLE}.joined", joined))[1]
    assert any(problem.startswith(f"{TABLE}: {says}") for problem in problems), problems


def test_a_source_that_grows_joins_no_tables() -> None:
    raw = changed(SOUND, "mapping.tables.stays", STAYS)
    raw = changed(raw, f"{TABLE}.joined", {"stays": {"same": "patient", "columns": "ended"}})
    raw = changed(raw, f"{TABLE}.events.0.time", "ended")
    assert check_task(raw)[1] == []
    problems = check_task(changed(raw, "source.increment", {"by": "files"}))[1]
    assert any(
        problem.startswith(f"{TABLE}: joined: expected none of a source with `increment`") for problem in problems
    )
