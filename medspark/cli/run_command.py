"""Around each command: Spark quietly started, failures as sentences and exit codes, the receipt whatever happens."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from medspark.cli.options import absolute
from medspark.errors import MedsparkError, SparkError, Stopped, TaskError
from medspark.sources.size import SMALL, is_small

if TYPE_CHECKING:  # imported where Spark is needed, so that `medspark --help` is quick
    from pyspark import SparkContext

    from medspark.runs.run import Run
    from medspark.task.tasks import Task


def terminal() -> Console:
    """Standard error, a sentence a line however long: a scheduler's log wraps for itself."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def exit_code_of(console: Console, log: Path | None = None) -> Iterator[None]:
    """End the command with the code of the block: of an expected failure its message too, of any other one sentence
    and the log's place.
    """
    try:
        yield
    except MedsparkError as error:
        if isinstance(error, SparkError):  # the stack without the error's own text
            print(*traceback.format_tb(error.__traceback__), sep="\n", file=sys.stderr)
        console.print(str(error), markup=False, style="red")
        raise typer.Exit(error.exit_code) from None
    except Stopped as stopped:
        console.print(f"{stopped}{'; the receipt is complete' if stopped.in_receipt else ''}", markup=False)
        raise typer.Exit(stopped.exit_code) from None
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None
    except Exception as error:
        # The stack without the error's own text: Spark quotes rows in it, and a log holds no patient's value
        print(type(error).__name__, *traceback.format_tb(error.__traceback__), sep="\n", file=sys.stderr)
        where = f" The whole story: {log}" if log else ""
        console.print(f"medspark failed unexpectedly ({type(error).__name__}).{where}", markup=False, style="red")
        raise typer.Exit(1) from None
    finally:
        sys.stdout.flush()


@contextmanager
def run_task(
    command: str,
    path: Path,
    store: str,
    as_json: bool,
    *,
    imports: str | None = None,
    before: Callable[[str], None] | None = None,
    **arguments: Any,
) -> Iterator[tuple["Run", "Task"]]:
    """A command on a task, which is read before Spark starts, in the store's folder for that task.

    Args:
        imports: a module that the command will need, imported while Spark works.
        before: what else may fail before Spark starts, of that folder.
    """
    from medspark.sources.databases.packages import packages_of
    from medspark.sources.fasta import require_fasta
    from medspark.task.load import load_task

    with exit_code_of(terminal()):
        task = load_task(path)
        require_fasta(task)
    place = f"{store.rstrip('/')}/{task.task}"

    def packages() -> tuple[str, ...]:
        if before is not None:
            before(absolute(place))
        return packages_of(task)

    asked = {"imports": imports, "warms": _read_by_workers(task, arguments), "task": str(path), **arguments}
    with run_command(
        command, place, as_json, packages, lambda: _is_light(task, task.source.path, arguments), **asked
    ) as run:
        yield run, task


@contextmanager
def run_bundle(
    command: str,
    bundle: str,
    store: str,
    as_json: bool,
    *,
    session: bool = True,
    expect: str | None = None,
    **arguments: Any,
) -> Iterator["Run"]:
    """A command on a bundle, with the packages that its source needs.

    Without a session all is workers', and Java has little to do.
    """
    from medspark.sources.databases.packages import packages_of
    from medspark.stages.open_bundle import task_of_bundle

    @cache
    def task() -> "Task | None":  # its failure is one of the command's
        return task_of_bundle(bundle, expect, arguments)

    def packages() -> tuple[str, ...]:
        found = task()
        return () if found is None else packages_of(found)

    def light() -> bool:
        return not session or _is_light(task(), arguments.get("source"), arguments)

    asked = {"session": session, "bundle": bundle, "expect": expect, **arguments}
    with run_command(command, store, as_json, packages, light, **asked) as run:
        yield run


def _read_by_workers(task: "Task", arguments: dict[str, Any]) -> str | None:
    """What Spark's Python workers will read a source with, where it is likely that they do."""
    from medspark.task.table_task import TableTask

    plain = isinstance(task, TableTask) and task.source.format == "csv" and not task.beside
    asked = arguments.get("reader") in ("auto", "workers") and arguments.get("replay") is None
    return "medspark.clean.worker.unit" if plain and asked else None


def _is_light(task: "Task | None", source: str | None, arguments: dict[str, Any]) -> bool:
    """Whether Java has little to do: the source is small, and all that is read."""
    from medspark.task.table_task import TableTask, has_history

    if task is None or arguments.get("history") is not None or has_history(task):
        return False
    return not (isinstance(task, TableTask) and task.beside) and is_small(source, SMALL)


def _no_packages() -> tuple[str, ...]:
    return ()


def _not_light() -> bool:
    return False


@contextmanager
def run_command(
    command: str,
    store: str,
    as_json: bool,
    packages: Callable[[], tuple[str, ...]] = _no_packages,
    light: Callable[[], bool] = _not_light,
    *,
    session: bool = True,
    imports: str | None = None,
    warms: str | None = None,
    **arguments: Any,
) -> Iterator["Run"]:
    """A run of a command in a store, and its receipt, saved whatever happens in the block.

    Args:
        command: its name.
        store: where tables and receipts go.
        as_json: whether the receipt is printed, and nothing else.
        packages: the Maven coordinates that the session needs for its source.
        light: whether Java has little to do, as where the source is small or workers read it; asked after `packages`.
        session: whether one is made on Spark's context; where all is workers' there need be none.
        imports: a module that will be needed, imported beside what follows Spark's start.
        warms: a module that Spark's Python workers will need.
        arguments: for the receipt.
    """
    from medspark.cli.saved import saved
    from medspark.cli.signals import stoppable
    from medspark.runs.console import log_file, send_chatter_to
    from medspark.runs.receipt import Receipt, new_run_id
    from medspark.runs.run import Run
    from medspark.runs.writable import store_writable
    from medspark.task.addresses import REFUSAL, holds_secret

    receipt = Receipt(command, new_run_id(), arguments)
    with exit_code_of(terminal()), store_writable(store, all_is_writing=True):
        if any(holds_secret(given) for given in (store, *arguments.values()) if isinstance(given, str)):
            raise TaskError("arguments", [REFUSAL])
        log = log_file(store, receipt.run_id)
        console = send_chatter_to(log) if log else terminal()
    shown = Console(quiet=True) if as_json else Console(highlight=False, soft_wrap=True)
    try:
        place = absolute(store)
        with exit_code_of(console, log), stoppable() as signals, saved(receipt, place, signals, console) as opened:
            context = _started(receipt.command, console, packages, light, signals.watch, warms)
            run = Run(context, place, shown, receipt, console)
            with _importing(imports):  # not before Java: what is forked beside a busy thread may hang
                if session:
                    _ = run.spark  # here, so that no stage's seconds have it in them
                opened(run)
                yield run
    finally:
        if as_json:
            print(receipt.to_json(), flush=True)


@contextmanager
def _importing(module: str | None) -> Iterator[None]:
    """Import a module beside the block, and wait for it at the end: half an import cannot be left. A signal waits not,
    as Java is to be ended first.
    """
    if module is None:
        yield
        return
    beside = Thread(target=import_module, args=(module,), daemon=True)
    beside.start()
    try:
        yield
    except Stopped:
        raise
    except BaseException:
        beside.join()
        raise
    beside.join()


def _started(
    command: str,
    console: Console,
    packages: Callable[[], tuple[str, ...]],
    light: Callable[[], bool],
    watch: Callable[["SparkContext"], None],
    warms: str | None,
) -> "SparkContext":
    from medspark.spark.session import start_context, warm_workers

    wanted, quickly = packages(), light()
    with console.status("starting Spark"):
        context = start_context(f"medspark {command}", wanted, quickly)
        watch(context)
        if warms is not None:
            warm_workers(context, warms)
    return context
