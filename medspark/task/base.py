"""What every section of a task file is: closed, frozen, named."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Closed(BaseModel):
    """A section of the task file: an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=80)]


MOST_DAYS: Final = 100_000.0
"""Of a window: 270 years, so that no time within it leaves the calendar."""


class Range(Closed):
    """Allowed values, both ends included; written `[1, 14]`, with `null` for an open end."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected at least one end, as in [0, 120] or [0, null]")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected the lower end first, received [{self.low:g}, {self.high:g}]")
        return self
