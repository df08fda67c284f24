"""Who is a case, at what time, and what is predicted of it. No Spark here."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from medspark.task.base import MOST_DAYS, Closed, unsaid
from medspark.task.spelling import Spelling


class Concept(Closed):
    """A set of codes: given ones, those that begin alike, and in OMOP their descendants and what they map to."""

    codes: tuple[Spelling, ...] = ()
    """Whole codes, as CONDITION/192671."""
    prefixes: tuple[Spelling, ...] = ()
    """First parts of codes, as LAB/."""
    descendants: bool = False
    """With every descendant, by the mapping's table of ancestors; a code's last part is its concept's id."""
    mapped: bool = False
    """With the standard concepts that the given ones map to."""
    as_one: bool = False
    """Whether features take its codes for one code, named as the concept."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.codes and not self.prefixes:
            raise ValueError("expected codes or prefixes, received none")
        if (self.descendants or self.mapped) and not self.codes:
            raise ValueError("descendants and mapped are of codes, received none")
        return self


def _as_texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Index(Closed):
    """The event that makes a patient a case: each patient's first, or every one."""

    event: Annotated[tuple[Spelling, ...], BeforeValidator(_as_texts), Field(min_length=1)]
    """One concept or several."""
    take: Literal["first", "every"] = "first"
    """Each patient's first event, or every one."""


class Snapshot(Closed):
    """Everybody with an event that was known by then, births, deaths and periods of observation aside, at fixed times;
    scoring puts its as-of time in their place."""

    at: tuple[str, ...] = Field(min_length=1)
    """Times such as 2015-01-01T00:00:00, UTC."""


class Labels(Closed):
    """Whoever has a label, at its time; scoring takes everybody with an event that was known by its as-of time."""

    path: str
    """A Parquet file, or a folder of them, as MEDS has labels: `subject_id`, `prediction_time`, and the column that
    `outcome.label` names. A patient has one at a time."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", exclude_if=unsaid)
    """The digest that they must have: of one file, or of the digests of several by their paths' order, a line each. A
    bundle's task says it."""


class Required(Closed):
    """A criterion that a case must meet: an event of a concept in the days before its prediction time."""

    name: str
    """What attrition calls it."""
    had: Spelling
    """The concept."""
    within_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """How far back; without it, ever before."""
    because: str
    """The reason, for the report."""


class Excluded(Closed):
    """A criterion that excludes a case: an event of a concept before its prediction time."""

    name: str
    """What attrition calls it."""
    had: Spelling
    """The concept."""
    within_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """Without it, ever before."""
    after_index: bool = False
    """Only events later than the index event: discharged or dead before the prediction time."""
    because: str
    """The reason, for the report."""


class Population(Closed):
    """Who is a case, and at what time a risk is asked for.

    Every criterion reads what was known at the prediction time, so that scoring at that time decides the same; the
    index event alone makes its case whenever it became known.
    """

    index: Index | None = None
    snapshot: Snapshot | None = None
    labels: Labels | None = Field(default=None, exclude_if=unsaid)
    predict_after_hours: float = Field(default=0.0, ge=0, le=24 * MOST_DAYS)
    """From the index event to the prediction time."""
    age_at_least: float | None = Field(default=None, ge=0)
    """Years at the prediction time."""
    age_at_most: float | None = Field(default=None, ge=0)
    """Years at the prediction time."""
    history_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """Days under observation before the prediction time."""
    observed_by: Literal["events"] | None = Field(default=None, exclude_if=unsaid)
    """From the first event to the last, whatever periods of observation the source tells. Without it by those periods,
    and by events as well where the source that is learned from has no table of them, then and ever after."""
    washout_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """Days without another index event before this one."""
    require: tuple[Required, ...] = ()
    """Criteria that a case must meet."""
    exclude: tuple[Excluded, ...] = ()
    """Criteria that exclude a case."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [way for way in ("index", "snapshot", "labels") if getattr(self, way) is not None]
        if len(given) != 1:
            received = " and ".join(given) or "none"
            raise ValueError(f"expected either index or snapshot, or labels; received {received}")
        if self.index is None and (self.predict_after_hours or self.washout_days):
            raise ValueError("predict_after_hours and washout_days are of an index event, and there is none")
        return self


class Clock(Closed):
    """The boundary between what is known and what is not."""

    at_prediction_time: Literal["included", "excluded"] = "included"
    """Whether an event at the very prediction time is part of the history."""


NO_EVENTS = "no events"

WASHOUT, DIED, UNOBSERVED, HISTORY, AGE = "another index event before", "died before", "not observed", "history", "age"

FOLLOW_UP, DIED_AFTER = "no full follow-up", "died before the outcome"
GAP, STILL_AT_RISK = "outcome before the time at risk", "time at risk not over"

BUILT_IN_CRITERIA = (NO_EVENTS, WASHOUT, DIED, UNOBSERVED, HISTORY, AGE, FOLLOW_UP, DIED_AFTER, GAP, STILL_AT_RISK)
"""Names of the criteria that are medspark's own, which a task's criteria may not have."""


def to_micros(text: str) -> int:
    """A time such as 2015-01-01T00:00:00 in microseconds since 1970, UTC unless it has an offset.

    >>> to_micros("1970-01-01T00:00:01"), to_micros("1970-01-01T01:00:01+01:00")
    (1000000, 1000000)
    """
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
