# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The rules of an event task and its mapping: each with what breaks it, hints for what is misspelt, and round trips."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT

from medspark.errors import TaskError
from medspark.task.checks.events import EVENT_RULES
from medspark.task.event_task import EventTask
from medspark.task.load import check_task, load_task
from medspark.task.mapping import Mapping
from medspark.task.tasks import dump_task
from medspark.task.yaml_text import read_yaml, write_yaml

CONF = ROOT / "conf"
PLACES = {"MEDSPARK_DATA": "/data", "MEDSPARK_SYNTH": "/synth", "CINC2012": "/cinc2012"}

SOUND: dict[str, Any] = {
    "task": "bleeds",
    "title": "Bleeds",
    "source": {"kind": "events", "mapping": "ward", "format": "csv", "path": "p"},
    "mapping": {
        "mapping": "ward",
        "title": "A ward",
        "demographics": {"sex": "GENDER"},
        "observation": {"start": "IN", "end": "OUT"},
        "concepts": {"ancestors": "concept_ancestor", "relationships": "concept_relationship"},
        "values": {
            "LAB/718-7": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}, "when_missing": "g/dL", "range": [1, 300]}
        },
        "tables": {
            "labs": {
                "subject": "patient",
                "columns": {
                    "patient": "long",
                    "loinc": "string",
                    "at": "timestamp",
                    "result": "string",
                    "unit": {"type": "string"},
                },
                "absent": ["unit"],
                "derived": {"short": {"type": "category", "expression": "left(loinc, 3)"}},
                "lookups": {"wards": {"entries": {"1": "surgery"}}},
                "checks": [{"name": "has a value", "expect": "result is not null"}],
                "duplicates": {"same": ["patient", "loinc", "at"]},
                "skip": [{"name": "void", "when": "result = 'void'", "because": "no result"}],
                "events": [{"code": ["LAB/{loinc}", "LAB/0"], "time": "at", "value": "result", "unit": "unit"}],
            }
        },
    },
    "concepts": {
        "drug": {"codes": ["DRUG/1"], "descendants": True},
        "bleed": {"codes": ["DX/2"], "prefixes": ["DX/K92"], "mapped": True, "as_one": True},
        "scope": {"codes": ["PROC/3"]},
    },
    "population": {
        "index": {"event": ["drug"], "take": "every"},
        "age_at_least": 18,
        "washout_days": 30,
        "require": [{"name": "seen", "had": "LAB/", "within_days": 90, "because": "unknown otherwise"}],
        "exclude": [{"name": "bled", "had": "bleed", "because": "of the past"}],
    },
    "outcome": {"name": "bleed", "event": "bleed", "from_days": 1, "to_days": 30},
    "features": {
        "demographics": ["age", "sex"],
        "codes": {"past": {"of": ["DX/", "scope"], "look_back_days": [30, 365]}},
        "values": {"labs": {"of": ["LAB/"], "look_back_hours": 12, "take": ["last", "slope"]}},
        "sequences": {"story": {"of": ["LAB/"], "last": 8}},
        "grids": {"course": {"of": ["LAB/"], "look_back_hours": 48, "every_hours": 6}},
    },
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["sex"]},
}
DATABASE = {
    "url": "jdbc:postgresql://host:5432/ward",
    "schema": "cdm",
    "user_variable": "USER",
    "password_variable": "WORD",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """SOUND with another value at a dotted path; None takes the key away. A code's dots are no steps."""
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


def test_a_sound_event_task_has_no_problem() -> None:
    assert check_task(SOUND)[1] == []


TABLE = "mapping.tables.labs"
# fmt: off
SECTIONS = [
    # change at                             to                          says
    ("poplation",                           {},                         "poplation: unknown key. Allowed: task, title, intended_use"),
    ("poplation",                           {},                         "Did you mean 'population'?"),
    ("columns",                             {"a": {"type": "long"}},    "columns: unknown key."),
    ("source.databse",                      DATABASE,                   "source.databse: unknown key. Allowed: kind, mapping, format, path, database. Did you mean 'database'?"),
    ("source.format",                       "delt",                     "source.format: expected 'csv', 'parquet', 'orc', 'delta', 'catalog' or 'jdbc', received 'delt'. Did you mean 'delta'?"),
    ("source.format",                       "jdbc",                     "source: expected `database` with format jdbc and only with it, received jdbc"),
    ("source.path",                         None,                       "source: expected `path` with every format but jdbc, received format csv"),
    ("source.database",                     DATABASE,                   "source: expected `database` with format jdbc and only with it, received csv"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": {**DATABASE, "shema": "x"}}, "source.database.shema: unknown key. Allowed: url, schema, user_variable"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": {**DATABASE, "shema": "x"}}, "Did you mean 'schema'?"),
    ("source",                              {"kind": "events", "mapping": "ward", "format": "jdbc", "database": DATABASE, "path": "p"}, "source: expected `path` with every format but jdbc, received format jdbc"),
    ("population.snapshot",                 {"at": ["2020-01-01T00:00:00"]}, "population: expected either index or snapshot"),
    ("population.index",                    None,                       "population: expected either index or snapshot"),
    ("population",                          {"snapshot": {"at": ["2020-01-01T00:00:00"]}, "washout_days": 3}, "population: predict_after_hours and washout_days are of an index event, received a snapshot"),
    ("population.snapshot",                 {"at": []},                 "population.snapshot.at: "),
    ("population.index.event",              [],                         "population.index.event: "),
    ("population.index.taek",               "first",                    "population.index.taek: unknown key. Allowed: event, take. Did you mean 'take'?"),
    ("population.exclude.0.withn_days",     3,                          "population.exclude.0.withn_days: unknown key. Allowed: name, had, within_days, after_index, because. Did you mean 'within_days'?"),
    ("outcome.follow_up",                   "keep_al",                  "received 'keep_al'. Did you mean 'keep_all'?"),
    ("outcome.to_day",                      3,                          "outcome.to_day: unknown key. Allowed: name, event, from_days, to_days, follow_up, death. Did you mean 'to_days'?"),
    ("concepts.drug",                       {},                         "concepts.drug: expected codes or prefixes, received none"),
    ("concepts.drug",                       {"prefixes": ["D/"], "descendants": True}, "concepts.drug: descendants and mapped are of codes, received none"),
    ("concepts.drug.descendents",           True,                       "concepts.drug.descendents: unknown key. Allowed: codes, prefixes, descendants, mapped, as_one. Did you mean 'descendants'?"),
    ("concepts.Drug",                       {"codes": ["D/1"]},         "concepts.Drug.[key]: String should match pattern"),
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
    (f"{TABLE}.sbject",                     "patient",                  f"{TABLE}.sbject: unknown key. Allowed: files, optional, subject, columns"),
    (f"{TABLE}.columns.at",                 "timestmp",                 f"{TABLE}.columns.at: expected a type of boolean, category, code"),
    (f"{TABLE}.columns.at",                 "timestmp",                 "received 'timestmp'. Did you mean 'timestamp'?"),
    (f"{TABLE}.columns.loinc",              {"type": "string", "matchs": "x"}, f"{TABLE}.columns.loinc.string.matchs: unknown key. Allowed: missing, required, otherwise, type, matches. Did you mean 'matches'?"),
    (f"{TABLE}.events.0.numbr",             "1",                        f"{TABLE}.events.0.numbr: unknown key. Allowed: code, time, date, available, value, number, text, unit"),
    (f"{TABLE}.events.0.code",              [],                         f"{TABLE}.events.0.code: "),
    ("mapping.values.LAB/1.rnage",          [0, 1],                     "mapping.values.LAB/1.rnage: unknown key. Allowed: unit, to_unit, when_missing, range. Did you mean 'range'?"),
    ("mapping.tables.date",                 {"sbject": "a"},            "mapping.tables.date.sbject: unknown key. Allowed: files, optional, subject, columns"),
]
RULES_BROKEN = [
    ("mapping_zone_exists",   "mapping.timezone",               "Europe/Amsterdm",  "mapping.timezone: expected an IANA zone such as Europe/Paris, received 'Europe/Amsterdm'. Did you mean 'Europe/Amsterdam'?"),
    ("tables_are_sound",      f"{TABLE}.subject",               "patinet",          f"{TABLE}: subject reads 'patinet', which is no column. Did you mean 'patient'?"),
    ("tables_are_sound",      f"{TABLE}.absent",                ["unti"],           f"{TABLE}: absent reads 'unti', which is no column. Did you mean 'unit'?"),
    ("tables_are_sound",      f"{TABLE}.columns._x",            "long",             f"{TABLE}: columns._x: a name that starts with _ is kept for medspark's own columns"),
    ("tables_are_sound",      f"{TABLE}.columns.AT",            "date",             f"{TABLE}: columns.AT: 'at' differs from it in case alone, which Spark does not tell apart"),
    ("tables_are_sound",      f"{TABLE}.columns.at",            {"type": "date", "format": "YYYY"}, f"{TABLE}: columns.at.format: expected a Spark datetime pattern, received 'YYYY': it has no Y."),
    ("tables_are_sound",      f"{TABLE}.columns.ward",          {"type": "category", "lookup": "ward"}, f"{TABLE}: columns.ward.lookup: no look-up 'ward'. Did you mean 'wards'?"),
    ("tables_are_sound",      f"{TABLE}.lookups.wards",         {"path": "w.csv", "key": "k", "value": "v"}, f"{TABLE}: lookups.wards: expected entries, received a path; a mapping reads no file beside its tables"),
    ("tables_are_sound",      f"{TABLE}.derived.short.expression", "left(lonic, 3)", f"{TABLE}: derived.short: 'left(lonic, 3)' reads 'lonic', which is no column. Did you mean 'loinc'?"),
    ("tables_are_sound",      f"{TABLE}.derived.loinc",         {"type": "category", "expression": "unit"}, f"{TABLE}: derived.loinc: a column has this name already"),
    ("tables_are_sound",      f"{TABLE}.checks.0.expect",       "reslt is not null", f"{TABLE}: checks.has a value: 'reslt is not null' reads 'reslt', which is no column. Did you mean 'result'?"),
    ("tables_are_sound",      f"{TABLE}.skip.0.when",           "result =",         f"{TABLE}: skip.void: expected a Spark SQL expression"),
    ("tables_are_sound",      f"{TABLE}.duplicates",            {"same": ["a"]},    f"{TABLE}: duplicates.same reads 'a', which is no column."),
    ("tables_are_sound",      f"{TABLE}.duplicates",            {"same": ["at"], "keep": "latest"}, f"{TABLE}: duplicates: keep 'latest' needs a `by` column"),
    ("tables_are_sound",      f"{TABLE}.events.0.code",         "LAB/{lonic}",      f"{TABLE}: events.0: code 'LAB/{{lonic}}' names 'lonic', which is no column. Did you mean 'loinc'?"),
    ("tables_are_sound",      f"{TABLE}.events.0.time",         "att",              f"{TABLE}: events.0: time: 'att' reads 'att', which is no column. Did you mean 'at'?"),
    ("tables_are_sound",      f"{TABLE}.events.0.available",    "now()",            f"{TABLE}: events.0: available: 'now()'"),
    ("tables_are_sound",      f"{TABLE}.events.0.when",         "count(loinc) > 1", f"{TABLE}: events.0: when: 'count(loinc) > 1' is more than an expression over one row"),
    ("tables_are_sound",      f"{TABLE}.events.0.number",       "java_method('a', 'b')", f"{TABLE}: events.0: number: \"java_method('a', 'b')\" calls java_method(), which is not allowed here."),
    ("values_have_units",     "mapping.values.LAB/718-7.unit",  None,               "mapping.values.LAB/718-7: expected `unit` beside to_unit, the unit that all numbers are brought to"),
    ("values_have_units",     "mapping.values.LAB/718-7",       {"unit": "g/L"},    "mapping.values.LAB/718-7: expected `to_unit` beside unit, the conversions into it"),
    ("values_have_units",     "mapping.values.LAB/718-7.when_missing", "g/l",       "mapping.values.LAB/718-7.when_missing: 'g/l' is not in to_unit."),
    ("concepts_exist",        "outcome.event",                  "blede",            "outcome.event: 'blede' is neither a concept of this task nor the first part of codes, as LAB/. Did you mean 'bleed'?"),
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
    ("settings_do_something", "population.index.take",          "first",            "population.washout_days: a first event has none before it; use it with `take: every`"),
    ("settings_do_something", "outcome",                        {"name": "b", "event": "bleed", "follow_up": "keep_all"}, "outcome.follow_up: without to_days there is no end to follow to"),
    ("settings_do_something", "outcome.from_days",              30,                 "outcome: expected from_days below to_days, received 30 to 30"),
    ("settings_do_something", "population",                     {"snapshot": {"at": ["2020-01-01T00:00:00"]}, "exclude": [{"name": "x", "had": "bleed", "after_index": True, "because": "y"}]}, "population.exclude: after_index is of an index event, received a snapshot"),
    ("settings_do_something", "population.age_at_most",         17,                 "population: expected age_at_least up to age_at_most, received 18 and 17"),
    ("features_are_sound",    "features",                       {},                 "features: expected at least one feature, received none"),
    ("features_are_sound",    "features.sequences.past",        {"of": ["DX/"], "last": 3, "look_back_days": 30}, "features: the column 'past_30d' would stand twice; rename a group"),
    ("features_are_sound",    "features.grids.split",           {"of": ["DX/"], "look_back_hours": 2, "every_hours": 1}, "features: the column 'split' would stand twice; rename a group"),
    ("demographics_exist",    "features.demographics",          ["age", "sexx"],    "features.demographics: 'sexx' is none of age, sex. Did you mean 'sex'?"),
    ("demographics_exist",    "report.subgroups",               ["race"],           "report.subgroups: expected a demographic of the features with levels, received 'race'."),
    ("demographics_exist",    "report.subgroups",               ["age"],            "report.subgroups: expected a demographic of the features with levels, received 'age'."),
]
# fmt: on


@pytest.mark.parametrize(("path", "value", "says"), SECTIONS)
def test_what_a_section_does_not_allow_is_told_with_a_hint(path: str, value: Any, says: str) -> None:
    problems = check_task(changed(path, value))[1]
    assert any(says in problem for problem in problems), problems


@pytest.mark.parametrize(("rule", "path", "value", "says"), RULES_BROKEN)
def test_each_rule_tells_what_breaks_it(rule: str, path: str, value: Any, says: str) -> None:
    task, _ = check_task(changed(path, value))
    assert isinstance(task, EventTask)
    (found,) = [list(each(task)) for each in EVENT_RULES if each.__name__ == rule]
    assert any(problem.startswith(says) for problem in found), found
    assert check_task(changed(path, value))[1] == [problem for each in EVENT_RULES for problem in each(task)]


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule.__name__ for rule in EVENT_RULES} == {row[0] for row in RULES_BROKEN}


# ---------------------------------------------------------------- mappings


def written(tmp_path: Path, mapping: str) -> Path:
    """A task file that names its mapping, in a folder beside those of mappings."""
    task, problems = check_task({**SOUND, "source": {**SOUND["source"], "mapping": mapping}})
    assert task is not None
    assert problems == []
    raw = task.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"mapping"})
    (tmp_path / "tasks").mkdir()
    path = tmp_path / "tasks" / "task.yaml"
    path.write_text(write_yaml(raw), encoding="utf-8")
    return path


def test_an_unknown_mapping_is_told_with_the_places_looked_at_and_a_hint(tmp_path: Path) -> None:
    task = written(tmp_path, "ompo")
    (tmp_path / "sources").mkdir()
    with pytest.raises(TaskError) as error:
        load_task(task)
    says = str(error.value)
    assert "source.mapping: expected a mapping at " in says
    assert f"{tmp_path}/sources/ompo.yaml or conf/sources/ompo.yaml. Did you mean 'omop'?" in says


def test_a_mapping_is_found_beside_the_task_before_the_working_folder(tmp_path: Path) -> None:
    task = written(tmp_path, "omop")
    (tmp_path / "sources").mkdir()
    own = (CONF / "sources" / "omop.yaml").read_text().replace("point_zero: true", "point_zero: false")
    (tmp_path / "sources" / "omop.yaml").write_text(own)
    found = load_task(task)
    assert isinstance(found, EventTask)
    assert not found.mapping.point_zero


def test_a_mapping_that_is_a_path_is_found_from_the_task(tmp_path: Path) -> None:
    task = written(tmp_path, "mine.yaml")
    (tmp_path / "tasks" / "mine.yaml").write_text((CONF / "sources" / "omop.yaml").read_text())
    found = load_task(task)
    assert isinstance(found, EventTask)
    assert found.mapping.mapping == "omop"


@pytest.mark.parametrize("path", sorted((CONF / "sources").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_mapping_is_sound(path: Path) -> None:
    raw = changed("concepts", {})
    raw["mapping"] = read_yaml(path)
    raw["population"] = {"index": {"event": "X/"}}
    raw["outcome"] = {"name": "y", "event": "Y/"}
    raw["features"] = {"demographics": ["age", *raw["mapping"].get("demographics", {})]}
    raw["report"] = {}
    assert check_task(raw)[1] == []
    assert raw["mapping"]["mapping"] == path.stem


@pytest.mark.parametrize("path", sorted((CONF / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_task_is_sound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    task = load_task(path)
    assert task.task == path.stem


# ---------------------------------------------------------------- round trips


def read_back(task: EventTask, tmp_path: Path) -> EventTask:
    path = tmp_path / "written.yaml"
    path.write_text(dump_task(task), encoding="utf-8")
    found, problems = check_task(read_yaml(path))
    assert problems == []
    assert isinstance(found, EventTask)
    return found


@pytest.mark.parametrize("path", sorted((CONF / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_event_task_survives_being_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    task = load_task(path)
    if isinstance(task, EventTask):
        assert read_back(task, tmp_path) == task


def test_a_task_of_a_database_survives_with_its_schema_its_tuples_and_its_concepts(tmp_path: Path) -> None:
    raw = changed("source", {"kind": "events", "mapping": "ward", "format": "jdbc", "database": DATABASE})
    task, problems = check_task(raw)
    assert problems == []
    assert isinstance(task, EventTask)
    found = read_back(task, tmp_path)
    assert found == task
    assert found.source.database is not None
    assert found.source.database.schema_ == "cdm"
    assert found.population.index is not None
    assert found.population.index.event == ("drug",)
    assert found.features.codes["past"].look_back_days == (30.0, 365.0)
    assert found.concepts["bleed"].model_dump() == {
        "codes": ("DX/2",),
        "prefixes": ("DX/K92",),
        "descendants": False,
        "mapped": True,
        "as_one": True,
    }
    assert found.mapping.values["LAB/718-7"].to_unit["g/dL"].factor == 10
    assert found.mapping.tables["labs"].columns["at"].type == "timestamp"


def test_codes_that_look_like_other_things_survive_as_text(tmp_path: Path) -> None:
    raw = changed("concepts.drug.codes", ["010", "1e3", "true", "null", "250.00", "A: b", "{x}", "é"])
    task, problems = check_task(raw)
    assert problems == []
    assert isinstance(task, EventTask)
    assert read_back(task, tmp_path).concepts["drug"].codes == task.concepts["drug"].codes


def test_a_mapping_may_be_read_without_a_task() -> None:
    for path in (CONF / "sources").glob("*.yaml"):
        assert Mapping.model_validate(read_yaml(path)).mapping == path.stem
