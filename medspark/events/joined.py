"""Columns of another table's row beside a table's own: of the row that has the same key, as the stay of a diagnosis."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, STATUS
from medspark.errors import InputError
from medspark.events.count import JudgedTable
from medspark.schemas import quoted
from medspark.sources.failures import readable
from medspark.task.mapping import Joined, MappedTable


def with_joined(judged: DataFrame, name: str, spec: MappedTable, others: Mapping[str, JudgedTable]) -> DataFrame:
    """A table's judged rows with the columns that it takes of other tables; null where no row that counts has the key.

    Args:
        judged: the rows.
        name: of the table.
        spec: its declaration.
        others: the tables that were read before, by name.

    Raises:
        InputError: another table is not there, or has two rows that count of one key, and they differ.
    """
    for other, joined in spec.joined.items():
        if other not in others:
            raise InputError(f"table {name!r} takes columns of {other!r}: expected that table too, received none")
        found = _by_key(others[other], joined)
        _require_one_row_a_key(found, name, other, joined)
        judged = judged.join(found, list(joined.same), "left")
    return judged


def _by_key(other: JudgedTable, joined: Joined) -> DataFrame:
    kept = other.judged.where(F.col(STATUS) == KEPT)
    whole = " and ".join(f"{quoted(key)} is not null" for key in joined.same)
    return kept.where(whole).select(*map(quoted, [*joined.same, *joined.columns])).distinct()


def _require_one_row_a_key(found: DataFrame, name: str, other: str, joined: Joined) -> None:
    with readable(other):
        repeated = found.groupBy(*map(quoted, joined.same)).count().where("count > 1").count()
    if repeated:
        raise InputError(
            f"table {name!r} takes columns of the row of {other!r} that has the same {', '.join(joined.same)}: "
            f"expected one such row, received several that differ for {repeated} keys"
        )
