"""A task written out is read as the same task."""

from pathlib import Path

import pytest
from support.places import PLACES, ROOT
from support.sound import DATABASE, EVENT_TASK, changed

from medspark.task.event_task import EventTask
from medspark.task.load import check_task, load_task
from medspark.task.table_task import TableTask
from medspark.task.tasks import dump_task
from medspark.task.yaml_text import read_yaml

TASKS = sorted((ROOT / "conf" / "tasks").glob("*.yaml"))


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_written_out_is_read_as_the_same_task(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
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


def read_back(task: EventTask, tmp_path: Path) -> EventTask:
    path = tmp_path / "written.yaml"
    path.write_text(dump_task(task), encoding="utf-8")
    found, problems = check_task(read_yaml(path))
    assert problems == []
    assert isinstance(found, EventTask)
    return found


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_shipped_event_task_survives_being_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    task = load_task(path)
    if isinstance(task, EventTask):
        assert read_back(task, tmp_path) == task


def test_a_task_of_a_database_survives_with_its_schema_its_tuples_and_its_concepts(tmp_path: Path) -> None:
    raw = changed(EVENT_TASK, "source", {"kind": "events", "mapping": "ward", "format": "jdbc", "database": DATABASE})
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
    raw = changed(EVENT_TASK, "concepts.drug.codes", ["010", "1e3", "true", "null", "250.00", "A: b", "{x}", "é"])
    task, problems = check_task(raw)
    assert problems == []
    assert isinstance(task, EventTask)
    assert read_back(task, tmp_path).concepts["drug"].codes == task.concepts["drug"].codes
