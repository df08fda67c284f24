"""Reads a deployment file and reports every problem in it at once. No Spark here."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from medspark.deploy.deployment import Deployment
from medspark.errors import TaskError, did_you_mean
from medspark.task.problems import sentence
from medspark.task.yaml_text import fill_variables, read_yaml

_KINDS = ("parquet", "csv", "ndjson", "fhir", "delta", "jdbc")


def load_deployment(path: Path) -> Deployment:
    """The deployment in a YAML file, checked; its ${VAR} are those of the environment.

    Raises:
        TaskError: with every problem found, each saying what was expected and received.
    """
    raw = fill_variables(path, read_yaml(path))
    try:
        return Deployment.model_validate(raw)
    except ValidationError as error:
        # Of a list whose items are wrong, pydantic also says that it is too short
        told = [detail for detail in error.errors() if detail["type"] != "too_short" or not detail["input"]]
        raise TaskError(str(path), [_sentence(detail) for detail in told]) from None


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
        where = ".".join(str(part) for part in detail["loc"])
        given = detail["input"].get("kind") if isinstance(detail["input"], dict) else None
        return f"{where}: expected a kind of {', '.join(_KINDS)}, received {given!r}.{did_you_mean(str(given), _KINDS)}"
    told = {**detail, "loc": tuple(part for part in detail["loc"] if part not in _KINDS)}
    return sentence(Deployment, told)  # type: ignore[arg-type]
