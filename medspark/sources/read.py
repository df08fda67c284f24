"""The rows of a raw table, read from text or with types of their own, and judged; repaired ones in place of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import judge
from medspark.clean.reading import write_value
from medspark.errors import InputError
from medspark.schemas import DIGEST, FILE, LINE, RAW, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, quoted
from medspark.sources.parse import parse_csv, parse_json
from medspark.sources.text import (
    RECORD_RULE,
    REPAIRED,
    TEXT,
    Survey,
    check_header,
    check_json_keys,
    number_lines,
    read_lines,
    read_typed,
    read_whole_files,
    survey_lines,
)
from medspark.task.raw_table import RawTable


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn Spark's failure to read a file into one sentence; its own text may hold a patient's values."""
    try:
        with expressions_hold():
            yield
    except (PySparkException, Py4JJavaError) as error:  # Spark raises the one or the other
        hint = next((hint for sign, hint in _SIGNS.items() if sign in str(error)), "The log has Spark's own words.")
        raise InputError(f"{path}: a file cannot be read. {hint}") from error


@contextmanager
def expressions_hold() -> Iterator[None]:
    """Turn the failure of an expression on some row into one sentence. Other failures pass."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if not any(sign in str(error) for sign in _EXPRESSION_SIGNS):
            raise
        raise InputError(
            "an expression of the task fails on some row: guard it with try_divide, nullif or try_cast. "
            "It is one under derived or checks, or of a mapping's events."
        ) from error


_EXPRESSION_SIGNS = (
    "DIVIDE_BY_ZERO",
    "ARITHMETIC_OVERFLOW",
    "CAST_INVALID_INPUT",
    "CAST_OVERFLOW",
    "INVALID_ARRAY_INDEX",
)
_SIGNS = {
    "EOFException": "It ends too early: it was cut short or is damaged. Copy it again.",
    "EOFError": "It ends too early: it was cut short or is damaged. Copy it again.",
    "ZlibException": "A compressed file is damaged. Copy it again.",
    "not a gzip file": "A file named .gz is not compressed by gzip.",
    "Not a gzipped file": "A file named .gz is not compressed by gzip.",
    "incorrect header check": "A file named .gz is not compressed by gzip.",
    "PARQUET_TYPE_ILLEGAL": "It has a column of a type that Spark does not read.",
    "PARQUET_TYPE_NOT_SUPPORTED": "It has a column of a type that Spark does not read.",
    "PARQUET_TYPE_NOT_RECOGNIZED": "It has a column of a type that Spark does not read.",
    "Illegal Parquet type": "It has a column of a type that Spark does not read.",
    "not a Parquet file": "It is not a Parquet file.",
    "FAILED_READ_FILE": "It is damaged, or not of the format that the task names.",
    "CANNOT_READ_FILE_FOOTER": "It is damaged, or not of the format that the task names.",
}


def text_rows(
    spark: SparkSession,
    table: RawTable,
    files: list[str],
    repairs: DataFrame | None,
) -> tuple[DataFrame, Survey]:
    source, expected = table.source, list(table.columns)
    header = source.format == "csv" and source.header
    lines = (
        read_whole_files(spark, files, source)
        if source.format == "json" or source.quoted_newlines
        else read_lines(spark, files, source.encoding)
    )
    survey = survey_lines(lines, header)
    names = check_header(survey, files, table) if header else expected
    records = number_lines(spark, lines, survey, header).withColumn(ROW_DIGEST, F.xxhash64(TEXT))
    if source.format == "csv":
        parsed = parse_csv(_repair(records, repairs), names, source.delimiter)
    else:
        names = check_json_keys(records, expected, set(table.optional))
        parsed = parse_json(_repair(records, repairs), names, _decimals(names, table))
    return judge(*_declared(parsed, names, table), table), survey


def _declared(rows: DataFrame, names: list[str], table: RawTable) -> tuple[DataFrame, list[str]]:
    """The rows with the declared columns alone; of an open table, with those that the source lacks, empty."""
    present = [name for name in names if name in table.columns]
    absent = [name for name in table.columns if name not in names] if table.is_open else []
    return rows.withColumns({name: F.lit(None).cast("string") for name in absent}), [*present, *absent]


def typed_rows(
    spark: SparkSession,
    table: RawTable,
    files: list[str],
    repairs: DataFrame | None,
) -> tuple[DataFrame, Survey]:
    frame, survey = read_typed(spark, files, table)
    return judge_typed(frame, F.col("_metadata.file_path"), table, repairs), survey


def judge_typed(frame: DataFrame, file: Column, table: RawTable, repairs: DataFrame | None) -> DataFrame:
    """Judge rows that have types of their own; `file` says where each is from."""
    names = [name for name in table.columns if name in frame.columns]
    as_text = [write_value(name, dtype, table).alias(name) for name, dtype in frame.select(*map(quoted, names)).dtypes]
    rows = _repair(
        frame.select(
            file.alias(SOURCE_FILE),
            F.lit(None).cast("bigint").alias(SOURCE_LINE),
            F.to_json(F.struct(*as_text), {"ignoreNullFields": "false"}).alias(TEXT),
            F.lit(None).cast("string").alias(RECORD_RULE),
            F.xxhash64(*map(quoted, names)).alias(ROW_DIGEST),
            *map(quoted, names),
        ),
        repairs,
    )
    judged = judge(*_declared(rows.where(~F.col(REPAIRED)), names, table), table)
    if repairs is None:
        return judged
    repaired = parse_json(rows.where(REPAIRED), names, _decimals(names, table))
    return judged.unionByName(judge(*_declared(repaired, names, table), table))


def _decimals(names: list[str], table: RawTable) -> set[str]:
    return {name for name in names if table.columns[name].type == "decimal"}


def _repair(records: DataFrame, repairs: DataFrame | None) -> DataFrame:
    """Put repaired text in place of what stood in the source, found by file, line and digest."""
    if repairs is None:
        return records.withColumn(REPAIRED, F.lit(False))
    mended = F.broadcast(
        repairs.select(
            F.col(FILE).alias(SOURCE_FILE),
            F.coalesce(F.col(LINE).cast("bigint"), F.lit(-1)).alias("_line"),
            F.col(DIGEST).cast("bigint").alias(ROW_DIGEST),
            F.col(RAW).alias("_mended"),
        )
    )
    joined = records.withColumn("_line", F.coalesce(SOURCE_LINE, F.lit(-1))).join(
        mended, on=[SOURCE_FILE, "_line", ROW_DIGEST], how="left"
    )
    return (
        joined.withColumn(REPAIRED, F.col("_mended").isNotNull())
        .withColumn(TEXT, F.coalesce("_mended", TEXT))
        .withColumn(RECORD_RULE, F.when(~F.col(REPAIRED), F.col(RECORD_RULE)))
        .drop("_line", "_mended")
    )
