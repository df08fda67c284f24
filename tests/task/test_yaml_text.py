# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""YAML's traps, and variables of the environment."""

from pathlib import Path

import pytest

from medspark.errors import TaskError
from medspark.task.yaml_text import read_yaml


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
