# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""YAML's traps, and variables of the environment."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.sound import TABLE_TASK, changed

from medspark.errors import TaskError
from medspark.task.load import load_frozen_task, load_task
from medspark.task.table_task import TableTask
from medspark.task.yaml_text import fill_variables, read_yaml


def yaml_of(tmp_path: Path, text: str) -> dict[str, Any]:
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


NINES = "9" * 5000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghij")
)
HOSTILE = [
    # what the file holds                           says
    ("a: " + "[" * 100_000,                         "lists or keys nested more than 50 deep in line 1, column 53."),
    ("a: " + "{b: " * 100_000,                      "lists or keys nested more than 50 deep in line 1"),
    ("".join(f"{' ' * n}a:\n" for n in range(3000)), "lists or keys nested more than 50 deep in line 51"),
    ("a: &a [*a]",                                  "the alias *a within what it stands for in line 1"),
    ("a: &a {b: [*a]}",                             "the alias *a within what it stands for in line 1"),
    (BOMB,                                          "aliases that stand for more than 100,000 values in line"),
    (f"a: &a {'x' * 70_000}\nb: [{'*a, ' * 1000}]", "aliases that stand for more than 100,000 values in line 2"),
    ("a: 1e999",                                    "a number that no computer holds (text stands in quotes): 1e999 in line 1"),
    ("a: -1e999",                                   "a number that no computer holds (text stands in quotes): -1e999"),
    (f"a: {NINES}",                                 "a number that no computer holds (text stands in quotes): 999"),
    ("a: 9223372036854775808",                      "a number that no computer holds (text stands in quotes): 9223372036854775808"),
    ("a: !!timestamp 2024-99-99",                   "month must be in 1..12"),
    ("[a]: 1",                                      "a list or keys and values as a key in line 1"),
    ("? {a: 1}\n: 1",                               "a list or keys and values as a key in line 1"),
    ("source: {path: ${X}/a.csv}",                  'did not find expected \',\' or \'}\' in line 1, column 17. Within braces or brackets it wants quotes: "${X}/a.csv".'),
    ("a: 1\nb: [x,\n  ${X}]",                       'Within braces or brackets it wants quotes: "${X}".'),
    ("a: \0",                                       "control characters are not"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), HOSTILE, ids=[row[1][:40] for row in HOSTILE])
def test_a_hostile_file_is_one_short_sentence(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as error:
        yaml_of(tmp_path, text)
    (problem,) = error.value.problems
    assert problem.startswith("expected YAML in UTF-8: ")
    assert says in problem
    assert len(problem) < 250
    assert "\n" not in problem


def test_aliases_are_read_where_they_stand_for_little(tmp_path: Path) -> None:
    assert yaml_of(tmp_path, "a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "expected a task file here, received a folder"),
        ("x" * 300, "expected a task file that can be read: File name too long"),
        ("a\0b", "expected a task file that can be read: embedded null byte"),
    ],
)
def test_what_is_no_file_is_one_sentence(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as error:
        read_yaml(tmp_path / name)
    assert error.value.problems == [says]


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TaskError) as error:
        read_yaml(tmp_path / "task.yaml")
    assert error.value.problems == ["expected a task file that can be read: Permission denied"]


def test_a_file_without_an_end_is_one_sentence() -> None:
    with pytest.raises(TaskError, match="expected a task file of up to 33,554,432 bytes, received more"):
        read_yaml(Path("/dev/zero"))


def filled(tmp_path: Path, text: str) -> dict[str, Any]:
    return fill_variables(tmp_path / "task.yaml", yaml_of(tmp_path, text))


def test_a_bundles_task_reads_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    frozen = changed(TABLE_TASK, "title", "${SECRET}")
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(frozen), encoding="utf-8")
    assert load_task(tmp_path / "task.yaml").title == "hunter2"
    assert load_frozen_task(tmp_path / "task.yaml").title == "${SECRET}"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("columns.at.format", "d.M.y"),
        ("derived.on", {"type": "timestamp", "expression": "try_to_timestamp(ward, 'd.M.y')"}),
    ],
)
def test_a_bundle_from_before_a_year_as_it_stands_was_refused_is_read_as_it_was(
    tmp_path: Path, path: str, written: Any
) -> None:
    frozen = changed(TABLE_TASK, path, written)
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(frozen), encoding="utf-8")
    with pytest.raises(TaskError, match="reads a year as it stands"):
        load_task(tmp_path / "task.yaml")
    assert isinstance(load_frozen_task(tmp_path / "task.yaml"), TableTask)
    (tmp_path / "task.yaml").write_text(yaml.safe_dump({**frozen, "titel": "x"}), encoding="utf-8")
    with pytest.raises(TaskError, match="titel: unknown key"):
        load_frozen_task(tmp_path / "task.yaml")


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/data")
    assert filled(tmp_path, "a: ${HERE}/x\nb: [{c: '${HERE}${HERE}'}]\nd: $HERE\n") == {
        "a": "/data/x",
        "b": [{"c": "/data/data"}],
        "d": "$HERE",
    }


def test_every_unset_variable_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_1", raising=False)
    monkeypatch.delenv("NO_2", raising=False)
    with pytest.raises(TaskError) as error:
        filled(tmp_path, "a: ${NO_1}\nb: [x, '${NO_2} ${NO_1}']\n")
    assert error.value.problems == [
        "${NO_1} is not set in the environment. Set it: export NO_1=...",
        "${NO_2} is not set in the environment. Set it: export NO_2=...",
    ]
