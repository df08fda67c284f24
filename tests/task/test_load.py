# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The task file: YAML's traps, variables, and a round trip of every task that comes with medspark."""

from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from support.events import ASTHMA
from support.places import ROOT
from support.tasks import STAYS

from medspark.errors import TaskError
from medspark.task.columns import Column, UnreadColumn
from medspark.task.event_task import EventTask
from medspark.task.load import check_task, load_task
from medspark.task.table_task import TableTask
from medspark.task.tasks import dump_task
from medspark.task.yaml_text import read_yaml

TASKS = sorted((ROOT / "conf" / "tasks").glob("*.yaml"))


def yaml_of(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("No", "No"), ("yes", "yes"), ("on", "on"), ("true", True), ("010", "010"), ("0o10", "0o10"), ("1e3", 1000.0), ("1_000", "1_000"),
        ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), (".5", 0.5), ("-7", -7), ("~", None), ("null", None), ("", None), ("None", "None"),
        ("NULL", "NULL"), (".inf", ".inf"), ("'5'", "5"), ("=", "="), ("<", "<"),
    ],
)  # fmt: skip
def test_yaml_reads_what_is_written_and_no_more(text: str, value: object, tmp_path: Path) -> None:
    received = yaml_of(tmp_path, f"key: {text}\n")["key"]
    assert (received, type(received)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' is written twice"),
        ("a: {b: 1, b: 2}\n", "the key 'b' is written twice"),
        ("- a\n", "expected keys and values, received list"),
        ("", "expected keys and values, received NoneType"),
        ("a: [1\n", "expected YAML in UTF-8"),
        ("a: !!python/object/apply:os.system [ls]\n", "expected YAML in UTF-8"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as error:
        yaml_of(tmp_path, text)
    assert words in str(error.value)


def test_a_file_that_is_absent_or_not_utf8_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="expected a task file here, received none"):
        read_yaml(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    with pytest.raises(TaskError, match="expected YAML in UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/data")
    assert yaml_of(tmp_path, "a: ${HERE}/x\nb: [{c: '${HERE}${HERE}'}]\nd: $HERE\n") == {
        "a": "/data/x",
        "b": [{"c": "/data/data"}],
        "d": "$HERE",
    }


def test_every_unset_variable_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_1", raising=False)
    monkeypatch.delenv("NO_2", raising=False)
    with pytest.raises(TaskError) as error:
        yaml_of(tmp_path, "a: ${NO_1}\nb: [x, '${NO_2} ${NO_1}']\n")
    assert error.value.problems == [
        "${NO_1} is not set in the environment. Set it: export NO_1=...",
        "${NO_2} is not set in the environment. Set it: export NO_2=...",
    ]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_written_out_is_read_as_the_same_task(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MEDSPARK_DATA", "MEDSPARK_SYNTH", "CINC2012"):
        monkeypatch.setenv(name, "/data")
    task = load_task(path)
    written = dump_task(task)
    (tmp_path / "task.yaml").write_text(written, encoding="utf-8")
    assert load_task(tmp_path / "task.yaml") == task
    assert dump_task(load_task(tmp_path / "task.yaml")) == written


def test_texts_that_look_like_other_things_survive_the_round_trip(tmp_path: Path) -> None:
    words = ("No", "010", "1e3", "null", "~", "", "true", "5", "a: b", "#", "é", "- x", "12:30", " x ", "a\nb")
    task = TableTask.model_validate(
        {
            "task": "t",
            "title": "t",
            "source": {"kind": "table", "path": "p", "format": "csv", "case": "id", "subject": "id"},
            "columns": {
                "id": {"type": "long"},
                "c": {"type": "category", "levels": words},
                "d": {"type": "category", "lookup": "l"},
            },
            "lookups": {"l": {"entries": {"1": "one", "010": None, "No": "true"}}},
            "outcome": {"name": "o", "when": "c = 'x'"},
            "features": {"categorical": ["d"]},
        }
    )
    (tmp_path / "task.yaml").write_text(dump_task(task), encoding="utf-8")
    assert TableTask.model_validate(read_yaml(tmp_path / "task.yaml")) == task


# ---------------------------------------------------------------- columns that cannot be read

KINDS = "boolean, category, code, date, decimal, double, integer, interval, long, string, timestamp"


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
