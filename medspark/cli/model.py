"""Commands from cases to a bundle, and what a bundle found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from medspark.cli.compare import compare
from medspark.cli.options import STORE, Expect, Folds, Json, MLflow, Store, TaskFile, TensorBoard
from medspark.cli.run_command import exit_code_of, run_task, terminal
from medspark.errors import TaskError

if TYPE_CHECKING:
    from medspark.runs.run import Run
    from medspark.task.tasks import Task

TRAINING: Final = "keras"
"""What takes seconds to import, with TensorFlow below it, and is needed by nothing before."""


def train(
    task: TaskFile,
    store: Store = STORE,
    cross_validate: Folds = False,
    sizes: Annotated[
        str | None,
        typer.Option(help="Train a network of each size, such as small,medium,large, and put them side by side."),
    ] = None,
    tensorboard: TensorBoard = None,
    mlflow: MLflow = None,
    json_: Json = False,
) -> None:
    """Cases to a bundle: the network, its measure and its report."""
    from medspark.bundles.bundle import REPORT
    from medspark.stages.freeze import freeze
    from medspark.task.tuning import with_settings

    wanted = [None] if sizes is None else _sizes(sizes)
    made: list[str] = []
    for size in wanted:
        with run_task("train", task, store, json_, imports=TRAINING, size=size) as (run, found):
            from medspark.stages.train import Watched, train_stage  # TensorFlow takes seconds to import

            frozen = freeze(run, found)
            if size is not None:
                run.say(f"network.size: {size}")
                frozen = with_settings(frozen, {"network.size": size, "network.hidden": None})
            train_stage(run, frozen, cross_validate, Watched(tensorboard, mlflow))
            run.say(f"bundle: {run.receipt.outputs['bundle']}")
            run.say(f"report: {run.receipt.outputs['bundle']}/{REPORT}")
            made.append(run.receipt.outputs["bundle"])
    if len(made) > 1:
        compare(run.store, made, json_)


def _sizes(text: str) -> list[str]:
    """Two or more of those that a network may have."""
    from medspark.task.training import Network

    wanted, known = text.split(","), get_args(Network.model_fields["size"].annotation)
    if len(set(wanted)) < 2 or len(set(wanted)) < len(wanted) or not set(wanted) <= set(known):
        with exit_code_of(terminal()):
            raise TaskError("--sizes", [f"expected two or more of {', '.join(known)}, each once, received {text!r}"])
    return wanted


def run(task: TaskFile, store: Store = STORE, cross_validate: Folds = False, json_: Json = False) -> None:
    """The whole road: clean, features, train, then score the source from the bundle alone."""
    with run_task("run", task, store, json_, imports=TRAINING) as (run, found):
        walk(run, found, cross_validate)


def walk(run: "Run", task: "Task", with_folds: bool = False) -> Path:
    """The whole road; the source is scored from the bundle alone, as every night after will be."""
    from medspark.bundles.bundle import REPORT, load_bundle
    from medspark.runs.lock import holding
    from medspark.stages.clean import clean_stage
    from medspark.stages.features import features_stage
    from medspark.stages.score import score_stage

    run.say(task.title)
    with holding(run):
        frozen = clean_stage(run, task)
        features_stage(run, frozen)
        from medspark.stages.train import train_stage

        bundle = train_stage(run, frozen, with_folds)
        score_stage(run, load_bundle(bundle), None)
    run.say(f"bundle: {run.receipt.outputs['bundle']}")
    run.say(f"report: {run.receipt.outputs['bundle']}/{REPORT}")
    run.say(f"scores: {run.receipt.outputs['scores']}")
    return bundle


def report(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    expect: Expect = None,
) -> None:
    """Verify a bundle and say where its report is and what it found."""
    from medspark.bundles.bundle import METRICS, REPORT, load_bundle
    from medspark.evaluate.report.format import plainly
    from medspark.evaluate.report.model_card import CARD_JSON

    with exit_code_of(terminal()):
        found = load_bundle(bundle, expect)
        print(f"{found.task.title}: bundle {found.bundle_id}, {found.manifest['created_at']}, every file as written")
        for name, metric in found.read_json(METRICS)["test"]["metrics"].items():
            print(f"  {name:<22} {plainly(metric)}")
        print(f"report: {found.path / REPORT}")
        if CARD_JSON in found.manifest["files"]:
            print(f"card: {found.path / CARD_JSON}")
