"""What a table says of a patient's own past: the features of the same subject's earlier rows. No Spark here."""

from typing import Final

from pydantic import Field

from medspark.task.base import Closed, Name

EARLIER_ROWS: Final = "earlier_rows"
"""The column of cases that counts a case's earlier rows."""

SINCE_LAST_ROW: Final = "since_last_row"
"""The column of cases with the distance to the last of them: days of a date or a time, else the key's difference."""


class EarlierCodes(Closed):
    """A bag of the codes or levels that earlier rows have in some columns, each once."""

    columns: tuple[str, ...] = Field(min_length=1, alias="from")
    """The columns whose codes are put into one bag."""
    at_least: int = Field(default=20, ge=1)
    """Codes in the past of fewer training cases than this are unknown."""
    most: int = Field(default=256, ge=1, le=65_536)
    """Codes a case that reach the network, the rarest first."""


class History(Closed):
    """Features of the same subject's rows that come before this one.

    A row comes before another one where `order_by` is lower; rows that tie do not see each other. A row without it has
    no place: its past is missing, and it is in nobody's. Rows that an exclusion takes out are part of the past.
    """

    order_by: str
    """A date, a time, or a key that rises, at which all that a row says was known."""
    last: tuple[str, ...] = ()
    """Columns of which the last known value is a feature: as the column itself is one, else by its type."""
    count: bool = False
    """Whether the number of earlier rows is a feature."""
    gap: bool = False
    """Whether the distance to the last earlier row is one: in days, or as the key's difference."""
    codes: dict[Name, EarlierCodes] = Field(default_factory=dict)
    """Bags of the codes of earlier rows, by a name of your own."""
    records: str | None = None
    """A store whose `records` have earlier rows for scoring, beside those that the source has itself."""

    def reads(self) -> list[str]:
        """The source's columns that are read of each row, once each, the order's first."""
        bags = [column for bag in self.codes.values() for column in bag.columns]
        return list(dict.fromkeys([self.order_by, *self.last, *bags]))

    def features(self) -> int:
        """How many features it makes."""
        return self.count + self.gap + len(self.last) + len(self.codes)

    def columns(self) -> list[str]:
        """The columns of cases that it fills; the count among them whether it is a feature or not.

        >>> History(order_by="at", last=("age",), codes={"past": {"from": ["dx"]}}).columns()
        ['earlier_rows', 'last_age', 'past']
        """
        gap = [SINCE_LAST_ROW] if self.gap else []
        return [EARLIER_ROWS, *gap, *map(last_of, self.last), *self.codes]


def last_of(column: str) -> str:
    """The column of cases with another one's last known value.

    >>> last_of("age")
    'last_age'
    """
    return f"last_{column}"
