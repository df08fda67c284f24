"""How a command of a small source begins: Java that compiles quickly, and what takes long to import beside it."""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from pyspark import SparkContext
from support.roads import write
from support.tasks import STAYS, stays_task, task_file

from medspark.cli.run_command import run_bundle, run_command, run_task
from medspark.errors import MedsparkError, Stopped
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


DNA = {"type": "string", "fasta": "genes.fasta", "id": "diag_1"}
PAST: dict[str, Any] = {"features": {**STAYS["features"], "history": {"order_by": "stay", "count": True}}}
MORE = [
    ({}, {}, True),
    ({}, {"history": "store"}, False),
    (PAST, {}, False),
    ({"columns": {**STAYS["columns"], "dna": DNA}}, {}, False),
]
"""Changes of a task, a command's arguments, and whether a small source is all that is read."""


@pytest.mark.parametrize(("changes", "arguments", "quickly"), MORE)
def test_a_task_that_reads_more_than_its_small_source_is_not_small(
    started: list[bool], tmp_path: Path, changes: dict[str, Any], arguments: dict[str, Any], quickly: bool
) -> None:
    (tmp_path / "genes.fasta").write_text(">I10\nAC\n")
    task = task_file(tmp_path, write(tmp_path / "stays.csv", ["1,p1,50,F,I10,E11,false,true"]), **changes)
    with pytest.raises(typer.Exit), run_task("clean", task, str(tmp_path / "store"), True, **arguments):
        pass
    assert started == [quickly]


@pytest.mark.parametrize(("changes", "arguments", "quickly"), MORE)
def test_nor_is_what_a_bundle_reads(
    started: list[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    arguments: dict[str, Any],
    quickly: bool,
) -> None:
    source = str(write(tmp_path / "stays.csv", ["1,p1,50,F,I10,E11,false,true"]))
    task = stays_task(**changes)
    monkeypatch.setattr("medspark.stages.open_bundle.task_of_bundle", lambda *_: task)
    with pytest.raises(typer.Exit), run_bundle("score", "b", str(tmp_path), True, source=source, **arguments):
        pass
    assert started == [quickly]


# ---------------------------------------------------------------- what takes long to import


class Slow(NamedTuple):
    """A module that takes its time, by the files that say so."""

    begun: Path
    """There once its import begins."""
    go: Path
    """Where this is there, or after some seconds, it ends."""
    whole: Path


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow(*(tmp_path / part for part in Slow._fields))
    lines = [
        "import pathlib, time",
        f"begun, go, whole = map(pathlib.Path, {[str(path) for path in slow]})",
        "begun.touch()",
        "until = time.monotonic() + 10",
        "while not go.exists() and time.monotonic() < until:",
        "    time.sleep(0.01)",
        "whole.touch()",
    ]
    (tmp_path / "slow.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow", raising=False)
    return slow


@pytest.fixture
def there(context: SparkContext, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each start of Spark, which is there, whether the import had begun."""
    found: list[bool] = []

    def start(name: str, packages: tuple[str, ...], light: bool) -> SparkContext:
        time.sleep(0.2)
        found.append(slow.begun.exists())
        return context

    monkeypatch.setattr("medspark.spark.session.start_context", start)
    return found


def refuse() -> None:
    raise MedsparkError("no")


@pytest.mark.parametrize("end", [list, refuse])
def test_what_takes_long_to_import_begins_after_java_and_is_whole_when_a_command_has_ended_however_it_ended(
    there: list[bool], slow: Slow, tmp_path: Path, end: Callable[[], object]
) -> None:
    with suppress(typer.Exit), run_command("run", str(tmp_path / "store"), True, imports="slow"):
        slow.go.touch()
        end()
    assert there == [False]
    assert slow.whole.exists()


def test_a_signal_ends_java_without_waiting_for_an_import(
    there: list[bool], slow: Slow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[bool] = []
    monkeypatch.setattr("medspark.cli.signals._end_java", lambda _: whole.append(slow.whole.exists()))
    with pytest.raises(typer.Exit) as ended, run_command("run", str(tmp_path / "store"), True, imports="slow"):
        raise Stopped(signal.SIGTERM)
    assert (whole, slow.whole.exists(), ended.value.exit_code) == ([False], False, 143)
    slow.go.touch()
