"""A training run as MLflow tracks it: parameters, metrics by epoch, what the test patients say, the bundle."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from medspark.errors import TaskError
from medspark.runs.progress import Progress, Told
from medspark.task.tasks import Task

RETRIES: Final = "2"
"""Of a request, where the environment says nothing: MLflow's own seven would halt training for minutes."""


class Tracking:
    """One run of MLflow. A server that fails in its middle is told of once, and does not stop training."""

    def __init__(self, client: Any, run_id: str, failure: type[Exception], say: Callable[[str], None]) -> None:
        self._client, self._run_id, self._failure, self._say = client, run_id, failure, say
        self._failed = False

    def add(self, told: Told) -> None:
        """Metrics of an epoch that has ended, by the name of what learns."""
        named = {"loss": told.loss, "examples_per_second": told.examples_per_second, **told.watched}
        self._log_metrics({f"{told.fit}_{name}": value for name, value in named.items()}, told.epoch)

    def finish(self, metrics: Mapping[str, Any], bundle: Path) -> None:
        """What the test patients say, and the bundle as an artefact."""
        values = {f"test_{name}": found["value"] for name, found in metrics["test"]["metrics"].items()}
        self._log_metrics({name: value for name, value in values.items() if value is not None}, 0)
        self._ask(lambda: self._client.set_tag(self._run_id, "bundle", bundle.name))
        self._ask(lambda: self._client.log_artifacts(self._run_id, str(bundle), "bundle"))

    def end(self, status: str) -> None:
        self._ask(lambda: self._client.set_terminated(self._run_id, status))

    def _log_metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(name, value, now, step) for name, value in values.items()]
        self._ask(lambda: self._client.log_batch(self._run_id, metrics=found))

    def _ask(self, request: Callable[[], Any]) -> None:
        if self._failed:
            return
        try:
            request()
        except (self._failure, OSError) as error:
            self._failed = True
            self._say(f"MLflow tracks no more of this run ({type(error).__name__}); training goes on")


@contextmanager
def tracked(uri: str | None, task: Task, version: str, say: Callable[[str], None]) -> Iterator[Tracking | None]:
    """A run of the experiment that is named as the task, ended with the block; None without an address.

    Raises:
        TaskError: MLflow is not installed, or nothing that it can track with is at the address.
    """
    if uri is None:
        yield None
        return
    found = _begin(uri, task, version, say)
    try:
        yield found
    except BaseException:
        found.end("FAILED")
        raise
    found.end("FINISHED")


def _begin(uri: str, task: Task, version: str, say: Callable[[str], None]) -> Tracking:
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer clients refuse a folder otherwise
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise TaskError("--mlflow", ["MLflow is not installed; pip install 'medspark[mlflow]' has it"]) from None
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(task.task)
        number = client.create_experiment(task.task) if experiment is None else experiment.experiment_id
        run_id = client.create_run(number, run_name=version).info.run_id
        params = [Param(name, value) for name, value in parameters_of(task).items()]
        client.log_batch(run_id, params=params)
    except (MlflowException, OSError) as error:
        problem = (
            "expected the address of a tracking server that answers, such as http://HOST:5000, or a folder that can be "
            f"written, such as file:///FOLDER; what was given does not track ({type(error).__name__})"
        )
        raise TaskError("--mlflow", [problem]) from None
    return Tracking(client, run_id, MlflowException, say)


def parameters_of(task: Task) -> dict[str, str]:
    """All settings of the network and its training, by their places in the task file.

    >>> from medspark.task.training import Training
    >>> _flat("training", Training(epochs=3))["training.epochs"]
    '3'
    """
    return _flat("network", task.network) | _flat("training", task.training) | _flat("split", task.split)


def _flat(place: str, section: BaseModel) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        found |= _flat(f"{place}.{name}", value) if isinstance(value, BaseModel) else {f"{place}.{name}": str(value)}
    return found


def telling(tracking: Tracking | None, progress: Progress) -> Progress:
    """What tells `progress`, and MLflow of each epoch that has ended."""
    if tracking is None:
        return progress

    def tell(told: Told) -> None:
        progress(told)
        if told.ended:
            tracking.add(told)

    return tell
