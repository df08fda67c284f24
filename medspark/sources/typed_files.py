"""Parquet and ORC files, whose rows have types of their own, and their values back to text."""

from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.schemas import quoted
from medspark.sources.headers import compare_columns, other_columns
from medspark.task.columns import BooleanColumn, DateColumn
from medspark.task.raw_table import RawTable


def read_typed(spark: SparkSession, files: list[str], table: RawTable) -> DataFrame:
    """Parquet or ORC files with their own types, after a look at the columns of each.

    Raises:
        InputError: a file cannot be read, has other columns than the task, or other types than its neighbours.
    """
    reader = spark.read.option("mergeSchema", "false")
    with ThreadPoolExecutor(8) as pool:
        schemas = dict(
            zip(files, pool.map(lambda file: reader.format(table.source.format).load(file).dtypes, files), strict=True)
        )
    problems = []
    for file, dtypes in schemas.items():
        names = [name for name, _ in dtypes]
        problems += [f"{file}: {p}" for p in compare_columns(names, table, file, ordered=False)]
        first = dict(schemas[files[0]])
        problems += [
            f"{file}: column {name!r} is {dtype} here and {first[name]} in {files[0]}"
            for name, dtype in dtypes
            if first.get(name, dtype) != dtype
        ]
    if problems:
        raise other_columns(problems)
    return reader.format(table.source.format).load(files)


def write_value(name: str, dtype: str, table: RawTable) -> Column:
    """A typed source value as its column would read it from text, so that a row set aside can be repaired and read."""
    spec, value = table.columns[name], F.col(quoted(name))
    match spec:
        case BooleanColumn() if dtype == "boolean" and spec.true_values and spec.false_values:
            return F.when(value, spec.true_values[0]).when(~value, spec.false_values[0])
        case DateColumn() if dtype == "timestamp" and not spec.has_zone:
            return F.date_format(F.from_utc_timestamp(value, table.source.timezone), spec.written)
        case DateColumn() if dtype in ("date", "timestamp", "timestamp_ntz"):
            return F.date_format(value, spec.written)
    return F.when(~F.isnan(value), value) if dtype in ("float", "double") else value
