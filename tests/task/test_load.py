"""A task file is loaded with its mapping, or with every problem that it has."""

from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from support.events import ASTHMA
from support.places import PLACES, ROOT
from support.sound import EVENT_TASK
from support.tasks import STAYS

from medspark.errors import TaskError
from medspark.task.columns import Column, UnreadColumn
from medspark.task.event_task import EventTask
from medspark.task.load import check_task, load_task
from medspark.task.table_task import TableTask
from medspark.task.yaml_text import write_yaml

CONF = ROOT / "conf"


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


@pytest.mark.parametrize("path", sorted((CONF / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_task_is_sound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    task = load_task(path)
    assert task.task == path.stem


# ---------------------------------------------------------------- mappings


def written(tmp_path: Path, mapping: str) -> Path:
    """A task file that names its mapping, in a folder beside those of mappings."""
    task, problems = check_task({**EVENT_TASK, "source": {**EVENT_TASK["source"], "mapping": mapping}})
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
    assert " or conf/sources/ompo.yaml. Did you mean 'omop'?" in says


def test_a_task_in_a_folder_of_its_own_finds_a_mapping_that_medspark_brings_along(tmp_path, monkeypatch) -> None:
    task = written(tmp_path, "omop")
    monkeypatch.chdir(tmp_path)
    assert load_task(task).mapping.mapping == "omop"


def test_a_task_of_conf_is_found_where_there_is_no_such_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDSPARK_DATA", "data")
    assert load_task("conf/tasks/splice.yaml").task == "splice"
    (tmp_path / "conf" / "tasks").mkdir(parents=True)
    (tmp_path / "conf" / "tasks" / "splice.yaml").write_text("task: mine\n")
    with pytest.raises(TaskError, match=r"conf/tasks/splice\.yaml"):
        load_task("conf/tasks/splice.yaml")


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


# ---------------------------------------------------------------- columns that cannot be read

KINDS = "boolean, category, code, date, decimal, double, image, integer, interval, long, string, timestamp"


def unread(name: str, kind: str, hint: str) -> str:
    return f"columns.{name}: expected a type of {KINDS}, received '{kind}'. Did you mean '{hint}'?"


def stays(**changes: Any) -> dict[str, Any]:
    """The task of made-up stays, whose columns are changed where `changes` names a column, else whose sections are."""
    raw = deepcopy(STAYS)
    for name, value in changes.items():
        (raw["columns"] if name in raw["columns"] else raw)[name] = value
    return raw


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("stay", {"type": "lng"}, unread("stay", "lng", "long")),  # the case's key wants a whole number or text
        ("patient", {"type": "strng"}, unread("patient", "strng", "string")),
        ("age", {"type": "doubel"}, unread("age", "doubel", "double")),  # a number among the features
        ("sex", {"type": "categroy"}, unread("sex", "categroy", "category")),  # levels, and a subgroup of the report
        ("diag_1", {"type": "srting"}, unread("diag_1", "srting", "string")),
        ("back", {"type": "bolean"}, unread("back", "bolean", "boolean")),  # the outcome reads it
    ],
)
def test_a_column_that_cannot_be_read_is_one_problem_whatever_reads_it(name: str, given: Any, told: str) -> None:
    assert check_task(stays(**{name: given}))[1] == [told]


def test_a_column_that_cannot_be_read_may_be_a_time_a_unit_and_the_reader_of_a_look_up() -> None:
    raw = stays(lookups={"wards": {"entries": {"1": "surgery"}}})
    raw["source"]["time"] = "at"
    raw["columns"]["at"] = {"type": "timestmp", "format": "yyyy"}
    raw["columns"]["dose_unit"] = {"type": "categroy"}
    raw["columns"]["dose"] = {"type": "double", "unit": "g", "units": {"column": "dose_unit", "to_unit": {"g": 1}}}
    raw["columns"]["ward"] = {"type": "categroy", "lookup": "wards"}
    assert check_task(raw)[1] == [
        unread("at", "timestmp", "timestamp"),
        unread("dose_unit", "categroy", "category"),
        unread("ward", "categroy", "category"),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"source": {**STAYS["source"], "duplicates": {"same": ["age"], "keep": "latest", "by": "aeg"}}},
            "source.duplicates.by reads 'aeg', which is no column. Did you mean 'age'?",
        ),
        (
            {"outcome": {"name": "o", "when": "age > 3"}},
            "features: 'age' is read by the outcome too: it would leak the label",
        ),
        ({"features": {"numeric": ["age", "age"]}}, "features.numeric: 'age' is named twice"),
        (
            {"source": {**STAYS["source"], "case": "age"}},
            "features: 'age' identifies a case or a patient, so it cannot be a feature",
        ),
        (
            {"exclude": [{"name": "n", "when": "'age' = agee", "because": "so"}]},
            "exclude.n: \"'age' = agee\" reads 'agee', which is no column. Did you mean 'age'?",
        ),
    ],
)
def test_another_problem_that_names_a_column_that_cannot_be_read_is_told_too(changes: Any, says: str) -> None:
    assert check_task(stays(age={"type": "doubel"}, **changes))[1] == [unread("age", "doubel", "double"), says]


def test_the_name_of_a_column_that_cannot_be_read_is_judged_in_the_files_order() -> None:
    raw = stays()
    raw["columns"] = {"AGE": {"type": "lnog"}, **raw["columns"]}
    assert check_task(raw)[1] == [
        unread("AGE", "lnog", "long"),
        "columns.age: 'AGE' differs from it in case alone, which Spark does not tell apart",
    ]


def ward(**columns: Any) -> dict[str, Any]:
    """An event task whose mapping reads a patient, a time and a code."""
    raw: dict[str, Any] = deepcopy(ASTHMA)
    raw["mapping"]["tables"] = {
        "data": {
            "subject": "patient",
            "columns": {"patient": "long", "at": "timestamp", "code": "string", **columns},
            "duplicates": {"same": ["patient", "at", "code"]},
            "events": [{"code": "DX/{code}", "time": "at"}],
        }
    }
    return raw


@pytest.mark.parametrize("name", ["patient", "at", "code"])
def test_a_column_of_a_mapping_that_cannot_be_read_is_one_problem_whatever_reads_it(name: str) -> None:
    (problem,) = check_task(ward(**{name: "intger"}))[1]
    assert problem == "mapping.tables.data." + unread(name, "intger", "integer")


def test_another_problem_of_a_mapping_that_names_such_a_column_is_told_too() -> None:
    raw = ward(at="timestmp")
    raw["mapping"]["tables"]["data"]["events"][0]["time"] = "att"
    assert check_task(raw)[1] == [
        "mapping.tables.data." + unread("at", "timestmp", "timestamp"),
        "mapping.tables.data: events.0: time: 'att' reads 'att', which is no column. Did you mean 'at'?",
    ]


def test_what_stands_for_a_column_is_in_no_task_and_no_task_file_can_ask_for_it() -> None:
    task, problems = check_task(stays(age={"type": "doubel"}))
    assert isinstance(task, TableTask)
    assert "age" not in task.columns
    task, problems = check_task(ward(at="timestmp"))
    assert isinstance(task, EventTask)
    assert "at" not in task.mapping.tables["data"].columns
    assert UnreadColumn not in get_args(get_args(Column)[0])
    assert "unread" not in (ROOT / "conf" / "task.schema.json").read_text().lower()
    task, problems = check_task(stays(age={"type": "unread"}))
    assert problems == [f"columns.age: expected a type of {KINDS}, received 'unread'."]
