"""Whatever ends a command, before Spark's start too, one receipt is left, complete, and nobody is told otherwise."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from pyspark import SparkContext

from medspark.bundles.bundle import load_bundle
from medspark.cli import saved
from medspark.cli.run_command import run_bundle, run_command
from medspark.errors import BundleError, MedsparkError, Stopped, TaskError


def end_by_a_signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def end_by(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


def receipts(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (store / "runs").glob("*.json")]


@pytest.fixture
def sayings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a command says at its end."""
    said: list[str] = []
    monkeypatch.setattr("rich.console.Console.print", lambda self, *words, **how: said.append(" ".join(words)))
    return said


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medspark.spark.session.start_context", lambda *_: end_by(MedsparkError("no Java"))())


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (end_by_a_signal, ("interrupted", 143, "stopped by SIGTERM")),
        (end_by(KeyboardInterrupt()), ("interrupted", 130, "stopped by SIGINT")),
        (end_by(BundleError("damaged")), ("failed", 3, "damaged")),
        (end_by(TaskError("--expect", ["another"])), ("failed", 2, "--expect: 1 problem\n  - another")),
        (end_by(ZeroDivisionError("a patient's value")), ("failed", 1, "ZeroDivisionError")),
        (lambda: None, ("failed", 1, "no Java")),
    ],
    ids=["SIGTERM", "Ctrl-C", "a damaged bundle", "another bundle", "a mistake of ours", "no Java"],
)
def test_what_ends_a_command_before_spark_is_there_leaves_one_complete_receipt(
    tmp_path: Path, no_java: None, end: Callable[[], Any], left: tuple[str, int, str]
) -> None:
    def packages() -> tuple[str, ...]:
        (begun,) = receipts(tmp_path)
        assert (begun["status"], begun["finished_at"]) == ("running", None)
        end()
        return ()

    with pytest.raises(typer.Exit) as ended, run_command("clean", str(tmp_path), True, packages):
        pass
    (receipt,) = receipts(tmp_path)
    assert (receipt["status"], receipt["exit_code"], receipt["error"]) == left
    assert receipt["finished_at"] is not None
    assert ended.value.exit_code == receipt["exit_code"]


def test_so_does_a_bundle_that_is_none(tmp_path: Path, no_java: None) -> None:
    with pytest.raises(BundleError) as refused:
        load_bundle(tmp_path)
    with pytest.raises(typer.Exit), run_bundle("score", str(tmp_path), str(tmp_path / "store"), True):
        pass
    (receipt,) = receipts(tmp_path / "store")
    assert (receipt["status"], receipt["exit_code"], receipt["error"]) == ("failed", 3, str(refused.value))


def test_a_receipt_is_called_complete_where_it_is_and_not_where_it_could_not_be_written(
    tmp_path: Path, sayings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        with pytest.raises(typer.Exit), run_command("clean", str(tmp_path), True, end_by(Stopped(signal.SIGTERM))):
            pass

    stop()
    monkeypatch.setattr(saved, "save_receipt_here", end_by_full_disk)
    stop()
    assert sayings == [
        "stopped by SIGTERM; the receipt is complete",
        f"the receipt in {tmp_path}/runs could not be completed (OSError)",
        "stopped by SIGTERM",
    ]
    assert sorted(receipt["status"] for receipt in receipts(tmp_path)) == ["interrupted", "running"]


def end_by_full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_signal_that_comes_while_the_receipt_is_completed_changes_nothing(
    tmp_path: Path, context: SparkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medspark.spark.session.start_context", lambda *_: context)
    save = saved.save_receipt

    def late(run: Any) -> None:
        end_by_a_signal()
        save(run)

    monkeypatch.setattr(saved, "save_receipt", late)
    with run_command("clean", str(tmp_path), True):
        pass
    (receipt,) = receipts(tmp_path)
    assert (receipt["status"], receipt["exit_code"]) == ("done", 0)
