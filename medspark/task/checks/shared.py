"""Rules of any task."""

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from medspark.task.training import TaskBase


def bands_are_sound(task: TaskBase) -> Iterator[str]:
    thresholds = list(task.risk_bands.values())
    if len(set(thresholds)) != len(thresholds):
        yield "risk_bands: two bands start at the same probability"
    if "none" in task.risk_bands:
        yield "risk_bands: `none` stands for scores without a band; expected another name"
    if "low" in task.risk_bands:
        yield "risk_bands: `low` is the band below all others and needs no threshold"


def optimizer_reads_settings(task: TaskBase) -> Iterator[str]:
    if task.training.optimizer != "adamw" and "weight_decay" in changed(task.training):
        yield "training.weight_decay: only adamw reads it; use l2 with other optimisers"


SHARED_RULES: tuple[Callable[[TaskBase], Iterator[str]], ...] = (bands_are_sound, optimizer_reads_settings)


def changed(model: BaseModel) -> set[str]:
    """The settings that differ from their defaults.

    >>> from medspark.task.training import Training
    >>> changed(Training(epochs=3, optimizer="adamw"))
    {'epochs'}
    """
    fields = type(model).model_fields
    return {name for name in model.model_fields_set if getattr(model, name) != fields[name].default}
