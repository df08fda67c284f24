"""Which of two ways was taken, and why, as a receipt has it. No Spark here."""

from typing import Literal, NamedTuple

Asked = Literal["auto", "workers", "spark"]


class Chosen(NamedTuple):
    """Who reads, or who writes, and why."""

    kind: Literal["workers", "spark"]
    because: str
