"""Which settings `medspark tune` tries, and how many. No Spark here."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from medspark.task.base import Closed

Setting = bool | int | float | str | tuple[int, ...]
SECTIONS: Final = ("network", "training")
NEVER_TRIED: Final = frozenset(
    {
        "network.members",
        "network.student",
        "network.images",
        "training.seed",
        "training.stop_on",
        "training.pretrain",
        "training.calibration",
        "training.window_mb",
        "training.workers",
    }
)
"""Settings that a trial is not judged by, or that have a key of their own."""
MOVE_RISKS: Final = frozenset({"training.loss", "training.class_weight", "training.label_smoothing"})
"""Settings by which the cross-entropy before calibration says nothing of that after it."""


class Between(Closed):
    """A number, both ends included; whole where both ends are written whole."""

    low: int | float
    """The least that is tried."""
    high: int | float
    """The most."""
    log: bool = False
    """Whether each order of magnitude is tried as often as the next."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"expected low below high, received {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"expected low above 0 where log is asked for, received {self.low:g}")
        return self


OneOf = Annotated[tuple[Setting, ...], Field(min_length=2)]


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list | tuple) else "between"


Choice = Annotated[Annotated[Between, Tag("between")] | Annotated[OneOf, Tag("list")], Discriminator(_kind)]
"""What a setting is chosen from: numbers, or a list."""

SPACE: Final[Mapping[str, Choice]] = {
    "training.learning_rate": Between(low=5e-4, high=8e-3, log=True),
    "training.weight_decay": Between(low=1e-3, high=0.3, log=True),
    "network.size": ("small", "medium", "large"),
    "network.dropout": Between(low=0.0, high=0.5),
    "network.embedding": Between(low=2, high=16),
}
"""What is tried where the task says nothing."""


class Tuning(Closed):
    trials: int = Field(default=20, ge=2, le=10_000)
    """Settings that are tried."""
    members: int = Field(default=3, ge=1, le=20)
    """Members of a network that is tried; the one that is kept has the task's."""
    space: Annotated[dict[str, Choice], Field(min_length=1)] | None = None
    """By key of `network` or `training`, such as `network.dropout`, the numbers or the list to choose from; learning
    rate, weight decay, size, dropout and embedding where it says none."""


T = TypeVar("T")


def space_of(task: Any) -> dict[str, Choice]:
    """What is tried: what the task says, or those of the usual settings that count in its network."""
    if task.tuning is not None and task.tuning.space is not None:
        return dict(task.tuning.space)
    idle = set()
    if task.training.optimizer != "adamw":
        idle.add("training.weight_decay")
    if task.network.hidden is not None:
        idle.add("network.size")
    if task.network.dropout is None and boosting_may_teach(task):
        idle.add("network.dropout")
    return {key: choice for key, choice in SPACE.items() if key not in idle}


def boosting_may_teach(task: Any) -> bool:
    """Whether it teaches the members where there are cases enough; without dropout, which was best."""
    network, training, features = task.network, task.training, task.features
    more = ("sequences", "grids", "genes", "images")
    return bool(
        training.taught_by == "boosting"
        and training.is_plain
        and network.cross_fitted
        and network.kind == "tabular"
        and not any(getattr(features, name, None) for name in more)
    )


def ends_of(choice: Choice) -> tuple[Any, ...]:
    """What must be allowed for all that may be chosen to be."""
    return (choice.low, choice.high) if isinstance(choice, Between) else choice


def with_settings(task: T, settings: Mapping[str, Any]) -> T:
    """A task with other settings, by key such as `network.dropout`.

    Raises:
        ValidationError: a setting is not allowed.
        AttributeError: there is no such key.
    """
    changed = {}
    for section in SECTIONS:
        values = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{section}.")}
        if values:
            before = getattr(task, section)
            changed[section] = type(before).model_validate(before.model_dump() | values)
    return task.model_copy(update=changed)  # type: ignore[attr-defined, no-any-return]


def setting_of(task: Any, key: str) -> Any:
    """What a task says of a key such as `network.dropout`."""
    if key == "network.dropout":
        return task.network.dropout_rate
    section, _, name = key.partition(".")
    return getattr(getattr(task, section), name)


def holds(choice: Choice, value: Any) -> bool:
    """Whether a value is among those to choose from.

    >>> holds(Between(low=2, high=16), 6), holds(Between(low=0.1, high=0.5), None), holds(("small", "large"), "small")
    (True, False, True)
    """
    if isinstance(choice, Between):
        return isinstance(value, int | float) and choice.low <= value <= choice.high
    return value in choice


def in_yaml(settings: Mapping[str, Any]) -> list[str]:
    """Settings as lines of a task file, a section each.

    >>> in_yaml({"network.size": "small", "training.ema": 0.99, "network.hidden": (64, 32)})
    ['network: {size: small, hidden: [64, 32]}', 'training: {ema: 0.99}']
    """
    found = {section: [key for key in settings if key.startswith(f"{section}.")] for section in SECTIONS}
    told = {
        section: ", ".join(f"{key.partition('.')[2]}: {_in_yaml(settings[key])}" for key in keys)
        for section, keys in found.items()
    }
    return [f"{section}: {{{text}}}" for section, text in told.items() if text]


def _in_yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
