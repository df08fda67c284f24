"""The command that searches for settings."""

from typing import Annotated

import typer

from medspark.cli.options import STORE, Folds, Json, MLflow, Store, TaskFile, TensorBoard
from medspark.cli.run_command import run_task


def tune(
    task: TaskFile,
    store: Store = STORE,
    trials: Annotated[
        int | None, typer.Option(min=2, max=10_000, help="Settings to try; without it the task's tuning.trials.")
    ] = None,
    cross_validate: Folds = False,
    tensorboard: TensorBoard = None,
    mlflow: MLflow = None,
    json_: Json = False,
) -> None:
    """Try settings of the network on the cases, in parallel, and train the best to a bundle; goes on where it died."""
    from medspark.bundles.bundle import REPORT
    from medspark.stages.freeze import freeze
    from medspark.task.tuning import Tuning

    with run_task("tune", task, store, json_, trials=trials) as (run, found):
        from medspark.stages.train import Watched
        from medspark.stages.tune import tune_stage  # TensorFlow takes seconds to import

        frozen = freeze(run, found)
        if trials is not None:
            asked = (frozen.tuning or Tuning()).model_copy(update={"trials": trials})
            frozen = frozen.model_copy(update={"tuning": asked})
        bundle = tune_stage(run, frozen, Watched(tensorboard, mlflow), cross_validate)
        run.say(f"bundle: {bundle}")
        run.say(f"report: {bundle / REPORT}")
