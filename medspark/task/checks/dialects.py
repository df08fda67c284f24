"""What of a source goes together with the dialect of its text files."""

from collections.abc import Iterator, Mapping

from medspark.task.columns import Column, IntervalColumn
from medspark.task.dialect import Dialect


def dialect_problems(
    dialect: Dialect, form: str, delimiter: str, quoted_newlines: bool, columns: Mapping[str, Column]
) -> Iterator[str]:
    """What contradicts a dialect, a sentence each.

    Args:
        dialect: of the files.
        form: the source's format.
        delimiter: the source's own.
        quoted_newlines: whether a field may run over several lines.
        columns: of the table.
    """
    if form != "csv":
        yield f"dialect: only csv has one, received format {form!r}"
    if dialect.delimiter is None and dialect.widths is None and delimiter in (dialect.quote, dialect.escape):
        yield f"dialect: expected quote and escape to differ from the delimiter {delimiter!r}"
    if quoted_newlines and (dialect.quote is None or dialect.widths is not None):
        yield "quoted_newlines: the dialect has no quotes, within which a line could end"
    if dialect.writes_numbers_otherwise:
        for name, column in columns.items():
            if isinstance(column, IntervalColumn):
                yield f"columns.{name}: an interval has points; of a dialect with decimal or thousands expected text"
