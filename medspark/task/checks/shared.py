"""Rules of any task."""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from medspark.errors import did_you_mean
from medspark.task.jdbc_urls import url_problems
from medspark.task.training import LEAST_FOLDS, LEAST_NAMED, TaskBase
from medspark.task.tuning import MOVE_RISKS, NEVER_TRIED, SECTIONS, ends_of, with_settings


def url_is_sound(task: TaskBase) -> Iterator[str]:
    database = getattr(getattr(task, "source", None), "database", None)
    if database is not None:
        yield from (f"source.database.{problem}" for problem in url_problems(database.url))


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


def calibration_fits_outcome(task: TaskBase) -> Iterator[str]:
    outcome = getattr(task, "outcome", None)
    if outcome is not None and outcome.targets.kind == "classes" and task.training.calibration == "isotonic":
        yield "training.calibration: isotonic is of one probability; those of classes sum to 1. Use platt or none"


def a_sequence_network_has_sequences(task: TaskBase) -> Iterator[str]:
    if "sequence" in changed(task.network) and not getattr(getattr(task, "features", None), "sequences", None):
        yield f"network.sequence: {task.network.sequence} reads features.sequences, and the task has none"


def pretraining_has_an_encoder(task: TaskBase) -> Iterator[str]:
    if task.training.pretrain is None:
        return
    if task.network.sequence == "attention":
        yield "training.pretrain: expected network.sequence of gru, lstm or transformer; attention foretells nothing"
    if task.split.folds is not None:
        yield "training.pretrain: cross-validation does not pretrain; expected no split.folds"


def a_student_has_soft_labels(task: TaskBase) -> Iterator[str]:
    network = task.network
    if network.student is None or network.cross_fitted:
        return
    why = (
        f"network.members is {network.members}"
        if network.members < LEAST_FOLDS
        else f"the members share the encoder of network.sequence: {network.sequence}"
    )
    yield (
        f"network.student: a student learns what members say of patients that they did not learn from, and {why}. "
        f"Expected {LEAST_FOLDS} or more members without an encoder that all share"
    )


def names_of_few_are_meant(task: TaskBase) -> Iterator[str]:
    if task.privacy.names_of_few:
        return
    for place, floor in _floors(getattr(task, "features", None), "features"):
        if floor < LEAST_NAMED:
            yield (
                f"{place}.at_least: expected {LEAST_NAMED} or more, received {floor}: the names of rarer ones would "
                "leave with the bundle. If they may, say privacy: {names_of_few: true}"
            )


def _floors(value: Any, place: str) -> Iterator[tuple[str, int]]:
    """Every `at_least` below a place of the task."""
    if isinstance(value, BaseModel):
        if "at_least" in type(value).model_fields:
            yield place, value.at_least  # type: ignore[attr-defined]
        for name in type(value).model_fields:
            yield from _floors(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _floors(one, f"{place}.{name}")
    elif isinstance(value, tuple):
        for at, one in enumerate(value):
            yield from _floors(one, f"{place}.{at}")


def another_split_divides_alone(task: TaskBase) -> Iterator[str]:
    split = task.split
    asked = [name for name in ("temporal", "site", "subjects") if getattr(split, name) is not None]
    if len(asked) > 1:
        yield f"split: expected one of temporal, site and subjects, received {' and '.join(asked)}"
    for name in asked:
        if split.folds is not None:
            yield f"split.folds: its parts are of patients alone; expected none beside split.{name}"
        if task.training.pretrain is not None:
            yield f"training.pretrain: it reads the histories of all training patients; expected no split.{name}"
    if split.site is not None and split.site.column not in task.report.subgroups:
        hint = did_you_mean(split.site.column, task.report.subgroups)
        yield f"split.site.column: expected one of report.subgroups, received {split.site.column!r}.{hint}"


def a_search_tries_what_is_allowed(task: TaskBase) -> Iterator[str]:
    """Each key is a setting that may be tried, and the task would be sound with each end of what is tried."""
    space = (task.tuning.space if task.tuning is not None else None) or {}
    known = [f"{section}.{name}" for section in SECTIONS for name in type(getattr(task, section)).model_fields]
    known = [key for key in known if key not in NEVER_TRIED]
    before = {told for rule in RULES_OF_SETTINGS for told in rule(task)}
    for key, choice in space.items():
        if key not in known:
            hint = did_you_mean(key, known)
            yield f"tuning.space.{key}: no setting that can be tried. Expected one of {', '.join(known)}.{hint}"
            continue
        if key in MOVE_RISKS and task.training.stop_on not in ("auroc", "auprc"):
            yield f"tuning.space.{key}: moves the risks before calibration; expected training.stop_on: auroc or auprc"
        for value in ends_of(choice):
            try:
                other = with_settings(task, {key: value})
            except ValidationError as error:
                told = error.errors()[0]["msg"].replace("Input should be", "expected")
                yield f"tuning.space.{key}: {told}, received {value!r}"
                continue
            found = {told for rule in RULES_OF_SETTINGS for told in rule(other)} - before
            yield from (f"tuning.space.{key}: of {value!r}, {problem}" for problem in sorted(found))


RULES_OF_SETTINGS: tuple[Callable[[TaskBase], Iterator[str]], ...] = (
    optimizer_reads_settings,
    calibration_fits_outcome,
    a_sequence_network_has_sequences,
    pretraining_has_an_encoder,
    a_student_has_soft_labels,
)
"""Rules of `network` and `training`."""

SHARED_RULES: tuple[Callable[[TaskBase], Iterator[str]], ...] = (
    url_is_sound,
    bands_are_sound,
    *RULES_OF_SETTINGS,
    names_of_few_are_meant,
    another_split_divides_alone,
    a_search_tries_what_is_allowed,
)


def changed(model: BaseModel) -> set[str]:
    """The settings that differ from their defaults.

    >>> from medspark.task.training import Training
    >>> changed(Training(epochs=3, optimizer="adamw"))
    {'epochs'}
    """
    fields = type(model).model_fields
    return {name for name in model.model_fields_set if getattr(model, name) != fields[name].default}
