"""Columns of another table's row beside a table's own: the one that has the same key, as the stay of a diagnosis."""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.events.warehouse import Warehouse, raw_table, table_files
from medspark.schemas import RECORD_RULE, SOURCE_FILE, quoted
from medspark.sources.failures import readable
from medspark.sources.invisible_letters import COMPOSING, normalise
from medspark.sources.read import RawPart, RawRows, read_rows, typed_rows
from medspark.sources.whole_numbers import whole_text
from medspark.task.columns import TextColumn
from medspark.task.mapping import Joined, MappedTable


def with_joined(warehouse: Warehouse, raw: RawRows, name: str, spec: MappedTable) -> RawRows:
    """A table's rows with the columns that it takes of other tables, not judged yet; empty where none has the key.

    Raises:
        InputError: another table is not there, lacks a column, or has two different rows of one key.
    """
    for other, joined in spec.joined.items():
        found = _rows_of(warehouse, name, other, joined)
        parts = [_beside(part, found, joined) for part in raw.parts]
        raw = raw._replace(parts=parts, present=[*raw.present, *joined.columns])
    return raw


def _rows_of(warehouse: Warehouse, name: str, other: str, joined: Joined) -> DataFrame:
    """The keys `_key:0`... as text and the columns that are taken, each key once."""
    parts = _read(warehouse, name, other, joined)
    types = {tuple(dtype for at, dtype in part.rows.dtypes if at in joined.columns) for part in parts}
    if len(types) > 1:
        raise InputError(f"table {other!r}: expected files whose columns have the same types, received several")
    found = reduce(DataFrame.unionByName, [_keyed(part, joined) for part in parts])
    keys = _keys(joined)
    for key in keys:  # a null is in no list
        found = found.where(~F.col(quoted(key)).isin("", *warehouse.mapping.missing))
    with readable(f"{warehouse.place}/{other}"):
        repeated = found.distinct().groupBy(*map(quoted, keys)).count().where("count > 1").count()
    if repeated:
        raise InputError(
            f"table {name!r} takes columns of the row of {other!r} that has the same {', '.join(joined.same)}: "
            f"expected one such row, received several that differ for {repeated} keys"
        )
    return found.dropDuplicates(keys)


def _read(warehouse: Warehouse, name: str, other: str, joined: Joined) -> list[RawPart]:
    columns = {**{key: TextColumn(type="string") for key in joined.same}, **joined.columns}
    spec = warehouse.mapping.tables[other]
    asked = spec.model_copy(update={"columns": columns, "joined": {}, "absent": ()})
    table, database = raw_table(warehouse, other, asked), warehouse.database
    absent = InputError(f"table {name!r} takes columns of {other!r}: expected that table too, received none")
    if database is not None:
        if not database.has_table(other):
            raise absent
        frame = database.read(other, columns=list(columns)).withColumn(SOURCE_FILE, F.lit(other))
        return typed_rows([frame], table, None).parts
    files = table_files(warehouse, other, asked)
    if not files:
        raise absent
    with readable(table.source.place):
        return read_rows(warehouse.spark, table, files, None).parts


def _keyed(part: RawPart, joined: Joined) -> DataFrame:
    dtypes, rows = dict(part.rows.dtypes), part.rows.where(F.col(RECORD_RULE).isNull())
    keys = [_text(name, dtypes[name]).alias(key) for name, key in zip(joined.same, _keys(joined), strict=True)]
    return rows.select(*keys, *map(quoted, joined.columns))


def _beside(part: RawPart, found: DataFrame, joined: Joined) -> RawPart:
    dtypes, keys = dict(part.rows.dtypes), _keys(joined)
    texts = {key: _text(name, dtypes[name]) for name, key in zip(joined.same, keys, strict=True)}
    rows = part.rows.withColumns(texts).join(found, keys, "left").drop(*keys)
    return part._replace(rows=rows, names=[*part.names, *joined.columns], letters=COMPOSING)


def _keys(joined: Joined) -> list[str]:
    return [f"_key:{at}" for at in range(len(joined.same))]


def _text(name: str, dtype: str) -> Column:
    """A key as text, whether a source has it as text or as a number."""
    value = F.col(quoted(name))
    return normalise(value, COMPOSING) if dtype == "string" else whole_text(value, dtype)
