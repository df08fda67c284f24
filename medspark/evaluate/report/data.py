"""Everything the report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medspark.task.tasks import Task


@dataclass(frozen=True)
class Evaluated:
    """Which bundle was measured on other data than it was made from, and what it said of itself."""

    bundle_id: str
    made_at: str
    source: str
    """Where the other data lie."""
    same_source: bool
    """Whether they are the very data that the bundle was made from."""
    unscored: int
    """Cases that had no score, with their reasons in the receipt."""
    unknown: int
    """Cases whose outcome is not known: they count in no figure."""
    then: Mapping[str, Any]
    """The bundle's own `test` of metrics.json."""


@dataclass(frozen=True)
class ReportData:
    """Everything the report shows; no patient's value is among it.

    metrics: of `evaluate`, and optionally `cross_validation`: {"folds", "metrics": {name: {"mean", "sd"}}}.
    attrition: {"criterion", "removed", "remaining", "because"} in the order applied.
    counts: `rows_in`, `blank_lines`, `records`, `duplicates`, `quarantined` and `set_missing` (rule → rows),
        and
        `splits`: {"train" | "valid" | "test": {"cases", "positives"}}.
    features: {"name", "kind", "missing_share", "summary"}, of the training split.
    history: {"epoch", "loss", "valid_loss"}.
    engine: `litert_max_difference` (largest difference of a logit, or None) and `parameters`; of a student also
        `rows_per_second`, `rows_measured`, and `teacher` with the same of its teacher.
    """

    task: Task
    decides_scores: str
    """Of what decides its scores one digest: the bundle's id is of this report too, which cannot hold it."""
    created_at: str
    metrics: Mapping[str, Any]
    attrition: Sequence[Mapping[str, Any]] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    features: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, float]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    parent: str | None = None
    """The bundle that this one takes the place of."""
    period: tuple[str, str] | None = None
    """The first and the last month of the prediction times, as 2019-03; None where the source has no time."""
    characteristics: Sequence[Mapping[str, Any]] = ()
    """Of the training split: `name`, `level`, `cases` and `share`, or `name`, `mean` and `sd`."""
    evaluated: Evaluated | None = None
    """Where it is no report of a training run, but of a bundle on other data."""
