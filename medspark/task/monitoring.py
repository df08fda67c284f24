"""When a night is said to differ from training, and what is then done. No Spark here."""

from typing import Self

from pydantic import Field, model_validator

from medspark.task.base import Closed

Limit = float | None
"""None: never."""


class WarnAt(Closed):
    """From which size on what is no chance is told."""

    psi: Limit = Field(default=0.1, gt=0)
    """Of a feature the population stability index."""
    scores: Limit = Field(default=0.1, gt=0)
    """The same of the scores."""
    codes: Limit = Field(default=0.1, gt=0, le=1)
    """By how much the share of the cases with a code changed."""
    missing: Limit = Field(default=0.2, gt=0, le=1)
    """Of the values that training would have, the share that is not there: of a feature that vanished 1."""
    unseen: Limit = Field(default=0.05, gt=0, le=1)
    """Share of the cases with a level or code that training did not have, beyond training's own rare ones."""
    outside: Limit = Field(default=0.05, gt=0, le=1)
    """Share of the numbers beyond what all but ten training cases had at each end."""
    units: Limit = Field(default=0.02, gt=0, le=1)
    """Share of the numbers that seem to be in another unit."""
    joint: Limit = Field(default=0.6, gt=0.5, le=1)
    """AUROC at which tonight's cases are told from those of the nights before."""
    rejected: Limit = Field(default=0.05, gt=0, le=1)
    """By how much the share of the rows without a score is above that of the runs before."""
    volume: Limit = Field(default=0.5, gt=0, le=1)
    """By which share the rows are fewer than in the runs before, or those more."""


class StopAt(WarnAt):
    """From which size on the scores should not be used."""

    psi: Limit = Field(default=None, gt=0)
    scores: Limit = Field(default=0.25, gt=0)
    codes: Limit = Field(default=None, gt=0, le=1)
    missing: Limit = Field(default=0.8, gt=0, le=1)
    unseen: Limit = Field(default=0.5, gt=0, le=1)
    outside: Limit = Field(default=0.5, gt=0, le=1)
    units: Limit = Field(default=0.05, gt=0, le=1)
    joint: Limit = Field(default=None, gt=0.5, le=1)
    rejected: Limit = Field(default=0.5, gt=0, le=1)
    volume: Limit = Field(default=0.9, gt=0, le=1)


class Monitoring(Closed):
    """Drift is what chance does not bring and what is large: `medspark monitor`, `medspark score --require-verdict`."""

    false_alarms: float = Field(default=0.01, gt=0, le=0.5)
    """Share of the nights without drift on which anything may be found all the same."""
    warn: WarnAt = WarnAt()
    stop: StopAt = StopAt()
    newest_within_hours: float | None = Field(default=None, gt=0)
    """How long before the run the newest event may lie that the task reads of any case, or of a table the newest
    prediction time; where it lies longer ago the night is stopped."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in WarnAt.model_fields:
            low, high = getattr(self.warn, name), getattr(self.stop, name)
            if low is not None and high is not None and high < low:
                raise ValueError(f"expected stop.{name} at warn.{name} ({low:g}) or above, received {high:g}")
        return self
