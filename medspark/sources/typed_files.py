"""Parquet and ORC files, whose rows have types of their own, and their values back to text."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Final, NamedTuple

from pyspark.sql import DataFrame, SparkSession

from medspark.schemas import SOURCE_FILE, quoted
from medspark.sources.headers import compare_columns, other_columns
from medspark.sources.parquet import look_at_parquet
from medspark.sources.stored import (
    NANOSECONDS,
    NANOSECONDS_NTZ,
    NULL,
    READ_AS,
    ReadColumn,
    StoredFile,
    lost_digits,
    plan_columns,
    stored_value,
)
from medspark.sources.survey import LOST
from medspark.sources.whole_numbers import is_number, whole_text
from medspark.spark.columns import literal, select, when
from medspark.task.columns import (
    BooleanColumn,
    CategoryColumn,
    ColumnBase,
    DateColumn,
    ImageColumn,
    NumberColumn,
    TextColumn,
)
from medspark.task.raw_table import RawTable

_NO_TYPE_OF_SPARK: Final = frozenset({"nested", "time", "uuid", "interval", "bson", "variant", "geometry", "geography"})


class TypedFiles(NamedTuple):
    """Files with types of their own: a frame for each set of types, and the columns that the table does not declare.

    Each frame has the table's columns, the file of each row in SOURCE_FILE, and maybe LOST. `firsts` has the first
    file of each.
    """

    frames: list[DataFrame]
    firsts: list[str]
    unread: list[str]


def read_typed(spark: SparkSession, files: list[str], table: RawTable) -> TypedFiles:
    """Parquet or ORC files with their own types, after a look at the columns of each.

    What loses nothing by it is first made one type, and a column without any value is of every type.

    Raises:
        InputError: a file cannot be read, or has other columns than the task.
    """
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(partial(_look, spark, table.source.format), files))
    problems = [problem for file in stored for problem in _problems(file, table)]
    if problems:
        raise other_columns(problems)
    there = [name for name in table.columns if any(name in file.dtypes for file in stored)]
    unread_here = _unread(stored, table)
    plan = plan_columns(stored, [name for name in there if name not in unread_here])
    alike: dict[tuple[tuple[str, ReadColumn], ...], list[str]] = defaultdict(list)
    for file in files:
        alike[tuple(plan[file].items())].append(file)
    frames: dict[tuple[str, ...], list[DataFrame]] = defaultdict(list)
    firsts: dict[tuple[str, ...], str] = {}
    for columns, members in alike.items():
        dtypes = tuple(column.dtype for _, column in columns)
        frames[dtypes].append(_read(spark, members, dict(columns), table.source.format))
        firsts.setdefault(dtypes, members[0])
    union = partial(DataFrame.unionByName, allowMissingColumns=True)
    unread = {name: None for file in stored for name in file.dtypes if name not in table.columns}
    return TypedFiles([reduce(union, group) for group in frames.values()], list(firsts.values()), list(unread))


def _look(spark: SparkSession, form: str, file: str) -> StoredFile:
    if form == "parquet":
        return look_at_parquet(spark.sparkContext, file)
    return StoredFile(file, dict(spark.read.option("mergeSchema", "false").orc(file).dtypes))


def _unread(stored: list[StoredFile], table: RawTable) -> set[str]:
    """The columns that decide nothing and would end the run, by a type that Spark does not read or digits it loses."""
    hard = _NO_TYPE_OF_SPARK | {NANOSECONDS, NANOSECONDS_NTZ}
    return {name for name in table.decide_nothing if any(file.dtypes.get(name) in hard for file in stored)}


def _problems(file: StoredFile, table: RawTable) -> list[str]:
    differences = compare_columns(list(file.dtypes), table, file.file, ordered=False)
    silent = {*file.empty, *table.decide_nothing}
    unknown = [
        f"column {name!r} has a type that Spark does not read: {dtype}"
        for name, dtype in file.dtypes.items()
        if name in table.columns and name not in silent and dtype in _NO_TYPE_OF_SPARK
    ]
    return [f"{file.file}: {problem}" for problem in (*differences, *unknown)]


def _read(spark: SparkSession, files: list[str], columns: dict[str, ReadColumn], form: str) -> DataFrame:
    """Files whose columns are stored alike, each column of the type that it is to have."""
    asked = [(name, column.stored) for name, column in columns.items() if column.stored != NULL]
    schema = ", ".join(f"{quoted(name)} {READ_AS.get(dtype, dtype)}" for name, dtype in asked)
    reader = spark.read.option("mergeSchema", "false").format(form)
    frame = (reader.schema(schema) if form == "parquet" else reader).load(files)
    lost = lost_digits(columns)
    values = {name: stored_value(name, column) for name, column in columns.items()}
    return select(frame, [f"_metadata.file_path AS {SOURCE_FILE}"], values | ({} if lost is None else {LOST: lost}))


def write_value(name: str, dtype: str, table: RawTable) -> str:
    """In SQL, a typed source value as its column would read it from text, so that a row set aside can be repaired and
    read."""
    spec, value = table.columns[name], quoted(name)
    match spec:
        case BooleanColumn() if dtype == "boolean" and spec.true_values and spec.false_values:
            yes, no = literal(spec.true_values[0]), literal(spec.false_values[0])
            return f"CASE WHEN {value} THEN {yes} WHEN NOT {value} THEN {no} END"
        case BooleanColumn() if is_number(dtype) and spec.counts:
            yes, no = literal(spec.true_values[0]), literal(spec.false_values[0])
            return f"coalesce(CASE WHEN {value} = 1 THEN {yes} WHEN {value} = 0 THEN {no} END, string({value}))"
        case DateColumn() if dtype in ("date", "timestamp", "timestamp_ntz"):
            return _write_time(spec, value, dtype, table.source.timezone)
        case ImageColumn() if dtype == "binary":
            return f"concat('data:;base64,', base64({value}))"
    if dtype in ("float", "double"):
        value = when(f"NOT isnan({value})", value)
    if _takes_whole(spec) and (dtype in ("float", "double") or dtype.startswith("decimal")):
        return f"coalesce({whole_text(value, dtype)}, string({value}))"
    return value


def _takes_whole(spec: ColumnBase) -> bool:
    if isinstance(spec, NumberColumn):
        return spec.type in ("long", "integer")
    return isinstance(spec, BooleanColumn | CategoryColumn | TextColumn)


def _write_time(spec: DateColumn, value: str, dtype: str, timezone: str) -> str:
    """A time by its column's format; one that a date cannot hold is written whole."""
    if dtype == "timestamp" and (spec.type == "date" or not spec.has_zone):
        value = f"from_utc_timestamp({value}, {literal(timezone)})"
    text = f"date_format({value}, {literal(spec.written)})"
    if spec.type == "date" and dtype != "date":
        return f"CASE WHEN {value} = date_trunc('day', {value}) THEN {text} ELSE string({value}) END"
    return text
