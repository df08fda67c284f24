"""The `medspark` command. Each subcommand is also a job: `spark-submit jobs/X.py` takes the same arguments.

Exit codes: 0 done; 2 the task or arguments are wrong; 3 the input breaks its contract; 4 a gate refused; 1 else.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from medspark.errors import MedsparkError
from medspark.synth import DEFAULT_PARTS

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)

TaskFile = Annotated[Path, typer.Argument(metavar="TASK", help="A task file, such as conf/tasks/NAME.yaml.")]
Store = Annotated[str, typer.Option(help="Where the tables, bundles and receipts go.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print the receipt as JSON, for a scheduler.")]
Folds = Annotated[bool, typer.Option("--cross-validate", help="Also train once for each of the task's split.folds.")]
BundleFolder = Annotated[
    str,
    typer.Argument(metavar="BUNDLE", help="The folder that training printed, or its copy, such as hdfs://HOST/FOLDER."),
]
Source = Annotated[
    str | None, typer.Option(help="The file, folder or pattern to score; without it the one trained on.")
]
AsOf = Annotated[
    str | None, typer.Option(help="Score the population as it stood at this time, such as 2026-11-23T06:00 (UTC).")
]
STORE = "store"


@app.command()
def check(task: TaskFile) -> None:
    """Report every problem in a task file, without starting Spark."""
    from medspark.task.load import load_task

    def work() -> None:
        print(f"{task}: fine. {summary(load_task(task))}")

    _end(_guarded(work, terminal()))


def summary(task: Any) -> str:
    """What a task reads and learns from, in one sentence."""
    from medspark.task.event_task import EventTask

    if isinstance(task, EventTask):
        groups = [column.name for column in task.features.columns()]
        return f"Events by {task.source.mapping}; features: {', '.join([*task.features.demographics, *groups])}."
    features = task.features
    bags = f"{len(features.codes)} {'bag' if len(features.codes) == 1 else 'bags'} of codes"
    kinds = f"{len(features.numeric)} numeric, {len(features.categorical)} categorical features, {bags}"
    return f"{len(task.columns)} columns; {kinds}."


@app.command()
def schema() -> None:
    """Print the JSON Schema of task files, for editors."""
    from pydantic import TypeAdapter

    from medspark.task.tasks import Task

    print(json.dumps(TypeAdapter(Task).json_schema(by_alias=True), indent=1))


@app.command()
def synth(
    patients: Annotated[int, typer.Option(min=1, help="How many.")] = 20_000,
    out: Annotated[str, typer.Option(help="The folder to write.")] = "hospital",
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same hospital.")] = 0,
    parts: Annotated[str, typer.Option(help="What to write of flat, omop and meds.")] = ",".join(DEFAULT_PARTS),
    json_: Json = False,
) -> None:
    """Make a synthetic hospital, dirty on purpose, with a known signal."""
    from medspark.commands import synth_command

    named = [part.strip() for part in parts.split(",") if part.strip()]
    asked: dict[str, Any] = {"seed": seed, "patients": patients, "parts": named}
    _run("synth", out, json_, lambda run: synth_command(run, patients, run.store, seed, named), **asked)


@app.command()
def clean(
    task: TaskFile,
    store: Store = STORE,
    replay: Annotated[str | None, typer.Option(help="Repaired quarantine rows: Parquet, or JSON lines.")] = None,
    json_: Json = False,
) -> None:
    """Source to records and quarantine."""
    from medspark.commands import clean_command

    _run_task("clean", task, store, json_, lambda run, found: clean_command(run, found, replay), replay=replay)


@app.command()
def features(task: TaskFile, store: Store = STORE, json_: Json = False) -> None:
    """Records to cases and attrition."""
    from medspark.commands import features_command

    _run_task("features", task, store, json_, features_command)


@app.command()
def concepts(task: TaskFile, store: Store = STORE, json_: Json = False) -> None:
    """Count the codes, events and patients of each concept of an event task."""
    from medspark.commands import concepts_command

    _run_task("concepts", task, store, json_, concepts_command)


@app.command()
def meds(
    task: TaskFile,
    out: Annotated[str, typer.Option(help="The dataset's folder, empty or absent.")],
    store: Store = STORE,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="From which a prediction is positive.")] = 0.5,
    json_: Json = False,
) -> None:
    """Write an event task's records, labels and predictions as a MEDS dataset."""
    from medspark.commands import meds_command

    place = absolute(out)
    _run_task("meds", task, store, json_, lambda run, found: meds_command(run, found, place, threshold), out=out)


@app.command()
def train(task: TaskFile, store: Store = STORE, cross_validate: Folds = False, json_: Json = False) -> None:
    """Cases to a bundle: the network, its measure and its report."""
    from medspark.commands import train_command

    _run_task("train", task, store, json_, lambda run, found: train_command(run, found, cross_validate))


@app.command()
def run(task: TaskFile, store: Store = STORE, cross_validate: Folds = False, json_: Json = False) -> None:
    """The whole road: clean, features, train, then score the source from the bundle alone."""
    from medspark.commands import run_command

    _run_task("run", task, store, json_, lambda run, found: run_command(run, found, cross_validate))


@app.command()
def score(
    bundle: BundleFolder,
    to: Annotated[str, typer.Option(help="Where the scores go.")],
    source: Source = None,
    as_of: AsOf = None,
    tensors: Annotated[
        str | None, typer.Option(help="A store that `medspark encode` wrote: what it encoded is scored.")
    ] = None,
    engine: Annotated[
        Literal["auto", "litert", "tensorflow"], typer.Option(help="auto: litert where the bundle has it.")
    ] = "auto",
    reader: Annotated[
        Literal["auto", "workers", "spark"],
        typer.Option(help="Who reads tensors. auto: the workers themselves where they can, else Spark."),
    ] = "auto",
    writer: Annotated[
        Literal["auto", "workers", "spark"],
        typer.Option(help="Who writes the scores. auto: the workers themselves where they can, else Spark."),
    ] = "auto",
    json_: Json = False,
) -> None:
    """Score a source with a bundle alone: one score for each eligible case, or a reason."""
    from medspark.commands import is_left_to_workers, score_command

    place = absolute(tensors) if tensors is not None else None
    asked: dict[str, Any] = {"source": source, "as_of": as_of, "tensors": place, "engine": engine}
    asked |= {"reader": reader, "writer": writer}
    light = is_left_to_workers(place, to, reader, writer)
    _run_bundle("score", bundle, to, json_, lambda run: score_command(run, bundle, **asked), light=light, **asked)


@app.command()
def encode(
    bundle: BundleFolder,
    to: Annotated[str, typer.Option(help="The store that the tensors go to.")],
    source: Source = None,
    as_of: AsOf = None,
    json_: Json = False,
) -> None:
    """Write a source's eligible cases as a bundle's tensors, for `medspark score --tensors`."""
    from medspark.commands import encode_command

    asked: dict[str, Any] = {"source": source, "as_of": as_of}
    _run_bundle("encode", bundle, to, json_, lambda run: encode_command(run, bundle, source, as_of), **asked)


@app.command()
def report(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
) -> None:
    """Verify a bundle and say where its report is and what it found."""
    from medspark.commands import report_command

    _end(_guarded(lambda: report_command(bundle), terminal()))


@app.command()
def pack(
    out: Annotated[Path, typer.Option(help="The archive to write.")] = Path("environment.tar.gz"),
    with_tensorflow: Annotated[
        bool, typer.Option("--with-tensorflow", help="For bundles that only TensorFlow can serve.")
    ] = False,
) -> None:
    """Pack the Python packages that scoring needs, for clusters whose machines lack them."""
    from medspark.commands import pack_command

    _end(_guarded(lambda: pack_command(out, with_tensorflow), terminal()))


@app.command()
def share_classes() -> None:
    """Archive the classes of a Spark session for this machine's Java: each later command starts 2 s sooner."""
    from medspark.spark.class_archive import make_archive
    from medspark.spark.session import require_java

    _end(_guarded(lambda: print(make_archive(require_java())), terminal()))


@app.command()
def demo(
    patients: Annotated[int, typer.Option(min=2000, help="Of the synthetic hospital.")] = 20_000,
    out: Annotated[str, typer.Option(help="The folder to write.")] = "build/demo",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    task: Annotated[Path, typer.Option(help="The task to run on it.")] = Path("conf/tasks/readmission-synthetic.yaml"),
) -> None:
    """A synthetic hospital, the whole road on it, and its newest stays scored."""
    from medspark.commands import demo_command

    asked: dict[str, Any] = {"patients": patients, "seed": seed}
    _run("demo", out, False, lambda run: demo_command(run, task, patients, run.store, seed), **asked)


# ---------------------------------------------------------------- around each command


def _run_task(
    command: str, path: Path, store: str, as_json: bool, work: Callable[[Any, Any], object], **arguments: Any
) -> None:
    """Read the task before Spark starts, then work in the store's folder for that task."""
    from medspark.task.load import load_task

    found: list[Any] = []
    code = _guarded(lambda: found.append(load_task(path)), terminal())
    if code:
        _end(code)
    place = f"{store.rstrip('/')}/{found[0].task}"
    from medspark.commands import packages_of

    _run(
        command,
        place,
        as_json,
        lambda run: work(run, found[0]),
        lambda: packages_of(found[0]),
        task=str(path),
        **arguments,
    )


def _run_bundle(
    command: str,
    bundle: str,
    store: str,
    as_json: bool,
    work: Callable[[Any], object],
    *,
    light: bool = False,
    **arguments: Any,
) -> None:
    """Work on a bundle, with the packages that its source needs."""
    from medspark.commands import packages_of_bundle

    _run(command, store, as_json, work, lambda: packages_of_bundle(bundle), light=light, bundle=bundle, **arguments)


def _no_packages() -> tuple[str, ...]:
    return ()


def _run(
    command: str,
    store: str,
    as_json: bool,
    work: Callable[[Any], object],
    packages: Callable[[], tuple[str, ...]] = _no_packages,
    *,
    light: bool = False,
    **arguments: Any,
) -> None:
    """Start Spark quietly, do the work, write the receipt whatever happens, and end with the exit code.

    `packages` are the Maven coordinates that the session needs for its source; where Java's work is `light`, it only
    hands out work to Python, for which there need be no session.
    """
    from medspark.runs.console import log_file, send_chatter_to
    from medspark.runs.receipt import Receipt, new_run_id

    receipt = Receipt(command, new_run_id(), arguments)
    log = log_file(store, receipt.run_id)
    console = send_chatter_to(log) if log else terminal()
    shown = Console(quiet=True) if as_json else Console(highlight=False, soft_wrap=True)

    def whole() -> None:
        from medspark.spark.session import start_context
        from medspark.stages import Run, save_receipt

        wanted = packages()
        with console.status("starting Spark"):
            run = Run(start_context(f"medspark {command}", wanted, light), absolute(store), shown, receipt, console)
            if not light:
                _ = run.spark  # here, so that no stage's seconds have it in them
        try:
            work(run)
            receipt.exit_code = 0
        except Exception as error:
            receipt.exit_code = getattr(error, "exit_code", 1)
            receipt.error = str(error) if isinstance(error, MedsparkError) else type(error).__name__
            raise
        finally:
            save_receipt(run)

    code = _guarded(whole, console, log)
    if as_json:
        print(receipt.to_json())
    _end(code)


def terminal() -> Console:
    """Standard error, a sentence a line however long: a scheduler's log wraps for itself."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def absolute(path: str) -> str:
    """A path of this machine in full, since Spark's own working folder is another; others as they are."""
    return path if "://" in path else os.path.abspath(path)


def _guarded(work: Callable[[], object], console: Console, log: Path | None = None) -> int:
    """Do the work; an expected failure is its message and exit code, any other one sentence and the log's place."""
    try:
        work()
    except MedsparkError as error:
        console.print(str(error), markup=False, style="red")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("stopped")
        return 1
    except Exception as error:
        # The stack without the error's own text: Spark quotes rows in it, and a log holds no patient's value
        print(type(error).__name__, *traceback.format_tb(error.__traceback__), sep="\n", file=sys.stderr)
        where = f" The whole story: {log}" if log else ""
        console.print(f"medspark failed unexpectedly ({type(error).__name__}).{where}", markup=False, style="red")
        return 1
    return 0


def _end(code: int) -> None:
    """Leave at once: a JVM or TensorFlow thread that is still winding down has nothing more to say."""
    sys.stdout.flush()
    raise typer.Exit(code)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
