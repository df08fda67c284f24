"""What every section of a task file is: closed, frozen, named."""

from datetime import date
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from medspark.task.addresses import without_secret


class Closed(BaseModel):
    """A section of the task file: an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, use_attribute_docstrings=True)


Place = Annotated[str, AfterValidator(without_secret)]
"""An address of files."""

NAME: Final = r"^[a-z][a-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=80)]


def unsaid(value: object) -> bool:
    """Whether a setting that came later says nothing: it is then not written down, so that the rules of a store made
    before it came are still those of the same task."""
    return not value


def as_tuple(value: Any) -> Any:
    """A single number where several may stand."""
    return (value,) if isinstance(value, int | float) else value


MOST_DAYS: Final = 100_000.0
"""Of a window: 270 years, so that no time within it leaves the calendar."""


def _ends(value: Any) -> Any:
    """`[low, high]` as the two keys."""
    return {"low": value[0], "high": value[1]} if isinstance(value, list) and len(value) == 2 else value


class Range(Closed):
    """Allowed values, both ends included; written `[1, 14]`, with `null` for an open end."""

    low: float | None = None
    """The lower end; null is open."""
    high: float | None = None
    """The upper end; null is open."""

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        return _ends(value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected at least one end, as in [0, 120] or [0, null]")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected the lower end first, received [{self.low:g}, {self.high:g}]")
        return self


def _is_day(value: Any) -> Any:
    """Only text is a day: a number would be read as seconds since 1970."""
    if value is not None and not (isinstance(value, date) or (isinstance(value, str) and len(value) == 10)):
        raise ValueError(f"expected a day such as 1990-12-31, received {value!r}")
    return value


Day = Annotated[date | None, BeforeValidator(_is_day)]


class DateRange(Closed):
    """Allowed days, both ends included; written `[1900-01-01, 2099-12-31]`, with `null` for an open end."""

    low: Day = None
    """The first day; null is open."""
    high: Day = None
    """The last day; null is open."""

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        return _ends(value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected at least one end, as in [1900-01-01, null]")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected the earlier day first, received [{self.low}, {self.high}]")
        return self

    def century(self) -> int | None:
        """The first of the hundred years that it tells two digits of; None where the days span more.

        >>> DateRange(low="1926-05-01", high="2026-04-30").century()
        1926
        >>> DateRange(low="1926-05-01", high="2026-05-01").century() is None
        True
        """
        if self.low is None or self.high is None:
            return None
        first, last = self.low, self.high
        spans = (last.year - first.year, (last.month, last.day) >= (first.month, first.day))
        return first.year if spans < (100, True) else None
