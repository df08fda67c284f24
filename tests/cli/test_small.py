"""How a command of a small source begins: Java that compiles quickly, and what takes long to import beside it."""

from pathlib import Path
from typing import Any

import pytest
import typer
from support.roads import write
from support.tasks import task_file

from medspark.cli.run_command import run_command, run_task
from medspark.errors import MedsparkError
from medspark.sources import size


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each start of Spark, which fails, whether Java was to compile quickly."""
    found: list[bool] = []

    def start(name: str, packages: tuple[str, ...], light: bool) -> Any:
        found.append(light)
        raise MedsparkError("far enough")

    monkeypatch.setattr("medspark.spark.session.start_context", start)
    return found


@pytest.mark.parametrize(("most", "quickly"), [(size.SMALL, True), (20, False)])
def test_java_compiles_quickly_rather_than_well_where_the_source_is_small(
    started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, quickly: bool
) -> None:
    monkeypatch.setattr("medspark.cli.run_command.SMALL", most)
    task = task_file(tmp_path, write(tmp_path / "stays.csv", ["1,p1,50,F,I10,E11,false,true"]))
    with pytest.raises(typer.Exit), run_task("clean", task, str(tmp_path / "store"), True):
        pass
    assert started == [quickly]


def test_what_takes_long_to_import_is_whole_when_a_command_has_ended_however_it_ended(
    started: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "whole"
    text = f"import pathlib, time\ntime.sleep(0.2)\npathlib.Path({str(place)!r}).touch()\n"
    (tmp_path / "takes_long.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(typer.Exit), run_command("run", str(tmp_path / "store"), True, imports="takes_long"):
        pass
    assert place.exists()
