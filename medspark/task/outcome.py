"""What is predicted: yes or no, one of several classes, several outcomes at once, or one at several horizons.

Each is some targets: what a probability is given for. One of them is the headline: what `probability`, the risk bands,
the gates and the report's first figures speak of. No Spark here.
"""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from medspark.schemas import FOLLOWED, LABEL, TARGETS
from medspark.task.base import MOST_DAYS, Closed, Name, as_tuple, unsaid

Kind = Literal["binary", "classes", "several", "horizons"]

MOST_TARGETS = 64


class Targets(NamedTuple):
    """What probabilities are given for, in the order of the network's logits."""

    kind: Kind
    names: tuple[str, ...]
    headline: int = 0
    """The place of the one that risk bands, gates and the report's first figures speak of."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of scores, one for each target, beside `probability`; none where there is but one.

        >>> Targets("horizons", ("30d", "365d"), 1).columns
        ('probability_30d', 'probability_365d')
        """
        return () if self.kind == "binary" else tuple(f"probability_{name}" for name in self.names)

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of cases with what is known of the outcome."""
        followed = (FOLLOWED,) if self.kind == "horizons" else ()
        return (LABEL,) if self.kind == "binary" else (LABEL, TARGETS, *followed)


BINARY = Targets("binary", ("outcome",))


def horizon_name(days: float) -> str:
    """
    >>> horizon_name(30.0), horizon_name(0.5)
    ('30d', '0_5d')
    """
    return f"{days:g}d".replace(".", "_")


class OutcomeBase(Closed):
    """What every outcome says; exactly one of the ways of its source says what is predicted."""

    name: str
    """What is predicted, in words."""
    classes: Annotated[dict[Name, str], Field(exclude_if=unsaid)] = Field(default_factory=dict)
    """One of several classes: what each is by its name; a case is of the first one that holds."""
    several: Annotated[dict[Name, str], Field(exclude_if=unsaid)] = Field(default_factory=dict)
    """Several outcomes at once: what each is by its name. One that is not known of a case leaves the others as they
    are."""
    horizons_days: Annotated[
        tuple[Annotated[float, Field(gt=0, le=MOST_DAYS)], ...],
        BeforeValidator(as_tuple),
        Field(exclude_if=unsaid),
    ] = ()
    """One outcome within each of so many days, rising. Who was not followed to a horizon, and had no outcome before,
    counts for the shorter ones alone."""
    risk_of: str | None = Field(default=None, exclude_if=unsaid)
    """The class, outcome or horizon (as 30d) that `probability`, the risk bands and the gates are of: the first class
    or outcome, and the longest horizon, where none is named."""

    @property
    def targets(self) -> Targets:
        kind, names = self._kind_and_names()
        default = len(names) - 1 if kind == "horizons" else 0
        return Targets(kind, names, names.index(self.risk_of) if self.risk_of in names else default)

    def _kind_and_names(self) -> tuple[Kind, tuple[str, ...]]:
        if self.classes:
            return "classes", tuple(self.classes)
        if self.several:
            return "several", tuple(self.several)
        if self.horizons_days:
            return "horizons", tuple(map(horizon_name, self.horizons_days))
        return "binary", BINARY.names

    @model_validator(mode="after")
    def _sound_targets(self) -> Self:
        kind, names = self._kind_and_names()
        if kind in ("classes", "several") and len(names) < 2:
            raise ValueError(f"expected two {kind} or more, received {len(names)}; of one alone say what it is")
        if len(names) > MOST_TARGETS:
            raise ValueError(f"expected at most {MOST_TARGETS} {kind}, received {len(names)}")
        if list(self.horizons_days) != sorted(set(self.horizons_days)):
            raise ValueError("expected horizons_days that rise, as [30, 90, 365]")
        if self.risk_of is not None and self.risk_of not in names:
            what = "one outcome alone" if kind == "binary" else ", ".join(names)
            raise ValueError(f"risk_of: expected one of the targets, received {self.risk_of!r}; there is {what}")
        return self

    def _one_way(self, ways: dict[str, bool]) -> None:
        given = [way for way, is_given in ways.items() if is_given]
        if len(given) != 1:
            received = " and ".join(given) or "none"
            raise ValueError(f"expected one of {'; '.join(ways)}; received {received}")


class Outcome(OutcomeBase):
    """Of a table: conditions on a row's columns."""

    when: str | None = Field(default=None, exclude_if=unsaid)
    """The outcome is there where this is true, and not known where it is null."""
    event: str | None = Field(default=None, exclude_if=unsaid)
    """With horizons: whether the outcome ever came, as far as the case was followed."""
    days: str | None = Field(default=None, exclude_if=unsaid)
    """With horizons: the column with the days to the outcome, or where it never came to the end of follow-up."""

    @model_validator(mode="after")
    def _ways(self) -> Self:
        horizons = bool(self.horizons_days or self.event or self.days)
        if horizons and not (self.horizons_days and self.event and self.days):
            raise ValueError("expected event, days and horizons_days together")
        self._one_way(
            {
                "when": self.when is not None,
                "classes": bool(self.classes),
                "several": bool(self.several),
                "event, days and horizons_days": horizons,
            }
        )
        return self

    def conditions(self) -> dict[str, str]:
        """Every condition by its place below `outcome`, in the order of the targets."""
        if self.classes or self.several:
            section, found = ("classes", self.classes) if self.classes else ("several", self.several)
            return {f"{section}.{name}": text for name, text in found.items()}
        name, text = ("when", self.when) if self.when is not None else ("event", self.event)
        return {name: text} if text is not None else {}


class EventOutcome(OutcomeBase):
    """Of events: an event of a concept in the time at risk after the prediction time."""

    event: str | None = Field(default=None, exclude_if=unsaid)
    """The concept; of `classes` and `several` each has its own."""
    label: Literal["boolean_value"] | None = Field(default=None, exclude_if=unsaid)
    """Of a population by labels: the column that says whether, which is null where it is not known."""
    otherwise: Annotated[Name | None, Field(exclude_if=unsaid)] = None
    """With classes: the name of the last one, of cases followed to the end without any of the others' events."""
    from_days: float = Field(default=0.0, ge=0, le=MOST_DAYS)
    """Where the time at risk begins, in days after the prediction time."""
    to_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """Both ends included; an end left out is the end of what is known. An event at the prediction time itself
    counts only where `from_days` is 0 and the task leaves events at that time out of the features."""
    follow_up: Literal["keep_outcomes", "keep_all", "require_full"] = "keep_outcomes"
    """Patients not observed to the end of the time at risk: kept where the outcome was seen; all kept, without
    it taken for negative; all excluded. Of several targets each is known or not by itself, and a case is kept where
    one is; with horizons all are kept, and count as far as they were followed, but where the whole is required."""
    gap: Literal["exclude", "outcome", "ignore"] = "exclude"
    """An outcome that was not known at the prediction time and is before the time at risk: within the day that ends
    there, as a diagnosis of that day without a time, or after it and before `from_days`. Its case is excluded from
    learning, since it is neither known to have had the outcome nor without it; or it is an outcome; or it is as if
    there were none. Scoring knows of none."""
    death: Literal["no_outcome", "outcome", "leave_out"] = "no_outcome"
    """A death after the prediction time, up to the end of the time at risk, without the outcome before it: full
    follow-up without the outcome; the outcome itself; or a reason to leave the case out. An outcome within a day
    after the death counts as before it, since deaths are often dates; a death that was not known at the prediction
    time counts as after it."""

    @model_validator(mode="after")
    def _ways(self) -> Self:
        self._one_way(
            {
                "event": self.event is not None,
                "classes": bool(self.classes),
                "several": bool(self.several),
                "label": self.label is not None,
            }
        )
        if self.horizons_days and (self.event is None or self.to_days is not None):
            raise ValueError("horizons_days are of one event, and take the place of to_days")
        if self.classes and self.otherwise is None:
            raise ValueError("classes: expected otherwise, the name of those without any of their events")
        if not self.classes and self.otherwise is not None:
            raise ValueError("otherwise is the last of the classes, received none")
        if self.otherwise in self.classes:
            raise ValueError(f"otherwise: a class is named {self.otherwise!r} already")
        if self.classes and self.death == "outcome":
            raise ValueError("death: with classes let death be one of them, by the concept of its event")
        return self

    def _kind_and_names(self) -> tuple[Kind, tuple[str, ...]]:
        kind, names = super()._kind_and_names()
        return kind, (*names, self.otherwise) if kind == "classes" and self.otherwise is not None else names

    def concepts(self) -> dict[str, str]:
        """The concept of each event that is looked for, by its place below `outcome`."""
        if self.event is not None:
            return {"event": self.event}
        section, found = ("classes", self.classes) if self.classes else ("several", self.several)
        return {f"{section}.{name}": concept for name, concept in found.items()}

    @property
    def ends(self) -> tuple[float | None, ...]:
        """The last day at risk of each target but the class `otherwise`."""
        return self.horizons_days or (self.to_days,) * max(1, len(self.concepts()))
