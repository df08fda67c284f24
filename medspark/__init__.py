"""medspark: calibrated patient risks, from raw records to published scores.

Each name is imported when it is first asked for: TensorFlow takes seconds, and scoring workers need neither it nor
Spark's session.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medspark.bundles.bundle import load_bundle
    from medspark.score.in_memory import score_frame, score_table
    from medspark.stages.clean import clean_stage
    from medspark.stages.encode import encode_stage
    from medspark.stages.evaluate import evaluate_stage
    from medspark.stages.features import features_stage
    from medspark.stages.monitor import monitor_stage
    from medspark.stages.open_run import open_run
    from medspark.stages.score import score_stage, score_tensors_stage
    from medspark.stages.train import train_stage
    from medspark.task.load import load_task

__version__ = "0.1.0"

_ROOMS = {
    "load_task": "medspark.task.load",
    "open_run": "medspark.stages.open_run",
    "clean_stage": "medspark.stages.clean",
    "features_stage": "medspark.stages.features",
    "train_stage": "medspark.stages.train",
    "load_bundle": "medspark.bundles.bundle",
    "score_stage": "medspark.stages.score",
    "encode_stage": "medspark.stages.encode",
    "evaluate_stage": "medspark.stages.evaluate",
    "score_tensors_stage": "medspark.stages.score",
    "monitor_stage": "medspark.stages.monitor",
    "score_table": "medspark.score.in_memory",
    "score_frame": "medspark.score.in_memory",
}

__all__ = [
    "clean_stage",
    "encode_stage",
    "evaluate_stage",
    "features_stage",
    "load_bundle",
    "load_task",
    "monitor_stage",
    "open_run",
    "score_frame",
    "score_stage",
    "score_table",
    "score_tensors_stage",
    "train_stage",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'medspark' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
