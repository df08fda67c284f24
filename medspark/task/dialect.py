"""How a text file is written that is no CSV as RFC 4180 has it: quotes, escapes, comments, preambles, fixed widths."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medspark.task.base import Closed

Letter = Annotated[str, Field(min_length=1, max_length=1)]
Lines = Annotated[int, Field(ge=0, le=1000)]
NAMES_JOINED_BY = "_"
"""What a column's name from several header lines is joined by."""


class Dialect(Closed):
    """What sets a text file apart from plain CSV. Such a file is read by one task, from its beginning to its end."""

    delimiter: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """What separates the fields, of several letters such as `||`; without it the source's own `delimiter`."""
    quote: Letter | None = '"'
    """What stands around a field that may hold delimiters, doubled where the field holds it; null: nothing does."""
    escape: Letter | None = None
    r"""A letter, such as `\`, after which the next one stands for itself, within quotes and without."""
    comment: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """Lines that begin with it are no records."""
    skip_lines: Lines = 0
    """Lines above the header, or above the first record where there is no header."""
    header_lines: Annotated[int, Field(ge=1, le=10)] = 1
    """Lines of the header; of several, a column's name is its parts joined by `_`, the empty ones left out."""
    footer_lines: Lines = 0
    """Lines below the last record, blank ones at the file's end not counted."""
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1)] | None = None
    """Letters of each field, in place of delimiters; spaces at a field's ends are no part of it. The last field may be
    shorter."""
    decimal: Literal[".", ","] = "."
    """What separates a number's whole part from its decimals."""
    thousands: Literal[".", ",", " ", "'", "\u00a0", "\u202f"] | None = None
    """What may stand between groups of three digits; elsewhere in a number it is a fault."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.widths is not None and (self.delimiter or self.escape or self.quote not in ('"', None)):
            raise ValueError("expected either widths or delimiter, quote and escape: a field of fixed width has none")
        marks = [mark for mark in (self.quote, self.escape, self.delimiter) if mark is not None]
        if len({*marks}) < len(marks):
            raise ValueError("expected quote, escape and delimiter to differ")
        if self.thousands == self.decimal:
            raise ValueError(f"expected thousands and decimal to differ, received {self.decimal!r} for both")
        if not self.model_fields_set:
            raise ValueError("expected at least one setting; without any it is plain CSV")
        return self

    @property
    def writes_numbers_otherwise(self) -> bool:
        """Whether numbers are written with other marks than a point alone."""
        return (self.decimal, self.thousands) != (".", None)
