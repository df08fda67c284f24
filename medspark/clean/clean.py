"""The clean stage: a source and a task's rules to records, quarantine and counts.

Two passes over the source: one counts and fingerprints it and looks at its columns, one reads it. What that one
read is kept, so that the counts are settled, and a rule that fails the run has spoken, before a row is written.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from medspark.clean import sources
from medspark.clean.parse import parse_csv, parse_json
from medspark.clean.rules import DUPLICATE, RECORD_REASONS
from medspark.clean.sources import RECORD_RULE, REPAIRED, TEXT, Survey
from medspark.clean.values import Violation, read_all, read_column, write_value
from medspark.columns import (
    DIGEST,
    FILE,
    LINE,
    QUARANTINE_COLUMNS,
    RAW,
    REASON,
    ROW_DIGEST,
    RULE,
    SOURCE,
    SOURCE_FILE,
    SOURCE_LINE,
    quoted,
)
from medspark.errors import AccountingError, InputError
from medspark.expressions import columns_of, spark_sql
from medspark.task import Task
from medspark.task_checks import outcome_columns

_STATUS = "_status"
_SET_ASIDE = "_set_aside"
_EMPTIED = "_emptied"
_FAILED = "_failed"
KEPT, QUARANTINED, COPY = "kept", "quarantined", "duplicate"
_BETWEEN = "\n"


class Counts(NamedTuple):
    """What became of the source's rows: rows_in = records + the quarantined + duplicates, or the run fails."""

    rows_in: int
    blank_lines: int
    records: int
    quarantined: dict[str, int]
    duplicates: int
    set_missing: dict[str, int]
    repaired: int


class Cleaned(NamedTuple):
    """The outcome of cleaning; `records` and `quarantine` read one kept frame, freed by `release`."""

    records: DataFrame
    quarantine: DataFrame
    counts: Counts
    fingerprint: str
    files: list[str]
    kept: DataFrame

    def release(self) -> None:
        self.kept.unpersist()


def clean(spark: SparkSession, task: Task, *, scoring: bool = False, repairs: DataFrame | None = None) -> Cleaned:
    """Read and judge every row of the task's source.

    Args:
        task: with its look-ups frozen.
        scoring: whether the outcome's columns may be absent.
        repairs: repaired rows of the quarantine (`file`, `line`, `row_digest`, `raw`), read in place of theirs.

    Raises:
        InputError: the source cannot be read, has other columns, or breaks a rule that fails the run.
        AccountingError: rows in are not records + quarantined + duplicates.
    """
    for setting in ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles"):
        if spark.conf.get(setting) == "true":
            raise InputError(f"{setting} is true: Spark would leave out rows without a word. Set it to false.")
    files = sources.source_files(spark, task.source.path)
    optional = set(outcome_columns(task)) if scoring else set()
    with _readable(task.source.path):
        if task.source.format in ("parquet", "orc"):
            rows, survey = _typed_rows(spark, task, files, optional, repairs)
        else:
            rows, survey = _text_rows(spark, task, files, optional, repairs)
        judged = _mark_duplicates(rows, task).persist(StorageLevel.MEMORY_AND_DISK)
        found = judged.groupBy(_STATUS, _SET_ASIDE, _EMPTIED, _FAILED, REPAIRED).count().collect()
    counts = _count(survey, found)
    names = [name for name in [*task.columns, *task.derived] if name in judged.columns]
    records = judged.where(F.col(_STATUS) == KEPT)
    try:
        _require_whole(counts, repairs)
        _require_sound(found)
        _require_one_row_a_case(records, task)
    except InputError:
        judged.unpersist()
        raise
    return Cleaned(
        records=records.select(*map(quoted, names), SOURCE_FILE, SOURCE_LINE, ROW_DIGEST),
        quarantine=_quarantine(judged, task),
        counts=counts,
        fingerprint=survey.fingerprint,
        files=files,
        kept=judged,
    )


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn Spark's failure to read a file into one sentence; its own text may hold a patient's values."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:  # Spark raises the one or the other
        text = str(error)
        if any(sign in text for sign in _EXPRESSION_SIGNS):
            raise InputError(
                "an expression of the task fails on some row: guard it with try_divide, nullif or try_cast. "
                "It is one under derived or checks."
            ) from error
        hint = next((hint for sign, hint in _SIGNS.items() if sign in text), "The log has Spark's own words.")
        raise InputError(f"{path}: a file cannot be read. {hint}") from error


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


# ---------------------------------------------------------------- rows


def _text_rows(
    spark: SparkSession,
    task: Task,
    files: list[str],
    optional: set[str],
    repairs: DataFrame | None,
) -> tuple[DataFrame, Survey]:
    source, expected = task.source, list(task.columns)
    header = source.format == "csv" and source.header
    lines = (
        sources.read_whole_files(spark, files, source)
        if source.format == "json" or source.quoted_newlines
        else sources.read_lines(spark, files, source.encoding)
    )
    survey = sources.survey_lines(lines, header)
    names = sources.check_header(survey, files, expected, optional, source.delimiter) if header else expected
    records = sources.number_lines(spark, lines, survey, header).withColumn(ROW_DIGEST, F.xxhash64(TEXT))
    if source.format == "csv":
        parsed = parse_csv(_repair(records, repairs), names, source.delimiter)
    else:
        names = sources.check_json_keys(records, expected, optional)
        parsed = parse_json(_repair(records, repairs), names, _decimals(names, task))
    return judge(parsed, names, task), survey


def _typed_rows(
    spark: SparkSession,
    task: Task,
    files: list[str],
    optional: set[str],
    repairs: DataFrame | None,
) -> tuple[DataFrame, Survey]:
    frame, survey = sources.read_typed(spark, files, task.source.format, list(task.columns), optional)
    names = [name for name in task.columns if name in frame.columns]
    as_text = [write_value(name, dtype, task).alias(name) for name, dtype in frame.select(*map(quoted, names)).dtypes]
    rows = _repair(
        frame.select(
            F.col("_metadata.file_path").alias(SOURCE_FILE),
            F.lit(None).cast("bigint").alias(SOURCE_LINE),
            F.to_json(F.struct(*as_text), {"ignoreNullFields": "false"}).alias(TEXT),
            F.lit(None).cast("string").alias(RECORD_RULE),
            F.xxhash64(*map(quoted, names)).alias(ROW_DIGEST),
            *map(quoted, names),
        ),
        repairs,
    )
    judged = judge(rows.where(~F.col(REPAIRED)), names, task)
    if repairs is None:
        return judged, survey
    repaired = parse_json(rows.where(REPAIRED), names, _decimals(names, task))
    return judged.unionByName(judge(repaired, names, task)), survey


def _decimals(names: list[str], task: Task) -> set[str]:
    return {name for name in names if task.columns[name].type == "decimal"}


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


# ---------------------------------------------------------------- judging


def judge(rows: DataFrame, names: list[str], task: Task) -> DataFrame:
    """Type every column and note, for each row, the rules it breaks: those that set it aside, empty a value, or fail.

    Derived columns and checks across columns read the typed values; one that reads an absent column is left out.
    """
    dtypes = dict(rows.dtypes)
    readings = [read_column(name, dtypes[name], task) for name in names]
    violations = [violation for reading in readings for violation in reading.violations()]
    whole = F.col(RECORD_RULE).isNull()
    typed = read_all(rows, readings).select(
        SOURCE_FILE,
        SOURCE_LINE,
        ROW_DIGEST,
        TEXT,
        REPAIRED,
        F.concat_ws(_BETWEEN, RECORD_RULE, *_broken(violations, "set_aside", whole)).alias(_SET_ASIDE),
        F.concat_ws(_BETWEEN, *_broken(violations, "missing", whole)).alias(_EMPTIED),
        F.concat_ws(_BETWEEN, *_broken(violations, "fail", whole)).alias(_FAILED),
        *(reading.value() for reading in readings),
    )
    derived = [
        F.expr(spark_sql(item.expression)).cast(_DERIVED_TYPES[item.type]).alias(name)
        for name, item in task.derived.items()
        if set(columns_of(item.expression)) <= set(names)
    ]
    checks = [
        Violation(
            check.name,
            check.name,
            F.coalesce(~F.expr(spark_sql(check.expect)), F.lit(False)),
            check.otherwise,
        )
        for check in task.checks
        if set(columns_of(check.expect)) <= set(names)
    ]
    aside = _and(_SET_ASIDE, _broken(checks, "set_aside", F.lit(True)))
    failed = _and(_FAILED, _broken(checks, "fail", F.lit(True)))
    kept = [name for name in typed.columns if name not in (_SET_ASIDE, _FAILED)]
    return typed.select(*map(quoted, kept), aside.alias(_SET_ASIDE), failed.alias(_FAILED), *derived)


_DERIVED_TYPES = {"double": "double", "category": "string", "boolean": "boolean"}


def _broken(violations: list[Violation], action: str, where: Column) -> list[Column]:
    """For each rule with this action its name where it is broken, else null."""
    return [F.when(where & v.condition, v.rule) for v in violations if v.action == action]


def _and(rules: str, more: list[Column]) -> Column:
    """The rules broken so far and more of them, one a line."""
    return F.concat_ws(_BETWEEN, F.when(F.col(rules) != "", F.col(rules)), *more)


def _mark_duplicates(rows: DataFrame, task: Task) -> DataFrame:
    """Give each row its fate: set aside, a copy of a row that is kept, or kept."""
    set_aside = F.col(_SET_ASIDE) != ""
    duplicates = task.source.duplicates
    if duplicates is None:
        copy = F.lit(False)
    else:
        # The text of a Parquet row has its times by the column's format, which may leave their fractions out
        present = [name for name in task.columns if name in rows.columns]
        times = [quoted(name) for name in present if task.columns[name].type == "timestamp"]
        same = [TEXT, *times] if duplicates.same == "whole_row" else list(map(quoted, duplicates.same))
        order = [F.col(SOURCE_FILE), F.col(SOURCE_LINE), F.col(ROW_DIGEST)]
        if duplicates.by is not None:
            by = F.col(quoted(duplicates.by))
            order.insert(0, by.desc_nulls_last() if duplicates.keep == "latest" else by.asc_nulls_last())
        # Rows set aside compete with nobody: each is alone in its window, whatever its key
        alone = F.when(set_aside, F.monotonically_increasing_id())
        copy = ~set_aside & (F.row_number().over(Window.partitionBy(alone, *same).orderBy(*order)) > 1)
    status = F.when(set_aside, QUARANTINED).when(copy, COPY).otherwise(KEPT)
    return rows.withColumn(_STATUS, status).withColumn(TEXT, F.when(F.col(_STATUS) != KEPT, F.col(TEXT)))


# ---------------------------------------------------------------- counting


def _count(survey: Survey, found: list[Any]) -> Counts:
    quarantined: Counter[str] = Counter()
    set_missing: Counter[str] = Counter()
    status: Counter[str] = Counter()
    for row in found:
        status[row[_STATUS]] += row["count"]
        if row[_STATUS] == QUARANTINED:
            quarantined[row[_SET_ASIDE].split(_BETWEEN)[0]] += row["count"]
        if row[_STATUS] == KEPT:
            for rule in filter(None, row[_EMPTIED].split(_BETWEEN)):
                set_missing[rule] += row["count"]
    return Counts(
        rows_in=survey.rows,
        blank_lines=survey.blank,
        records=status[KEPT],
        quarantined=dict(sorted(quarantined.items())),
        duplicates=status[COPY],
        set_missing=dict(sorted(set_missing.items())),
        repaired=sum(row["count"] for row in found if row[REPAIRED]),
    )


def _count_repairs(repairs: DataFrame | None) -> tuple[int, int]:
    """How many repaired rows there are, and how many of them have a place of their own."""
    if repairs is None:
        return 0, 0
    return repairs.count(), repairs.select(FILE, LINE, DIGEST).distinct().count()


def _require_whole(counts: Counts, repairs: DataFrame | None) -> None:
    aside = sum(counts.quarantined.values())
    asked, each = _count_repairs(repairs)
    if not asked == each == counts.repaired:
        raise InputError(
            f"{asked} repaired rows were given, but {min(each, counts.repaired)} of them match a row of the source by "
            f"{FILE}, {LINE} and {DIGEST}. Keep those three as the quarantine has them, and each row once."
        )
    if counts.rows_in != counts.records + aside + counts.duplicates:
        raise AccountingError(
            f"{counts.rows_in} rows came in, but {counts.records} records + {aside} quarantined + "
            f"{counts.duplicates} duplicates = {counts.records + aside + counts.duplicates}. "
            "Did the source change while it was read? Run again."
        )


def _require_sound(found: list[Any]) -> None:
    """Speak for every rule that fails the run, with its count, before anything is written."""
    failed: Counter[str] = Counter()
    for row in found:
        for rule in filter(None, row[_FAILED].split(_BETWEEN)):
            failed[rule] += row["count"]
    if failed:
        lines = "\n".join(f"  - {rule}: {count} rows" for rule, count in sorted(failed.items()))
        raise InputError(f"the source breaks rules that the task says must hold\n{lines}")


def _require_one_row_a_case(records: DataFrame, task: Task) -> None:
    key = task.source.case
    if task.source.duplicates is not None and task.source.duplicates.same == (key,):
        return
    repeated = records.groupBy(quoted(key)).count().where("count > 1").count()
    if repeated:
        raise InputError(
            f"expected each {key!r} once, received {repeated} of them more than once. "
            f"State which row counts: source.duplicates: {{same: [{key}], keep: first}}"
        )


# ---------------------------------------------------------------- quarantine


def _quarantine(judged: DataFrame, task: Task) -> DataFrame:
    """Every row that is no record, with its text, its place, the first rule it breaks and what all of them expect."""
    rules = F.when(F.col(_STATUS) == COPY, F.array(F.lit(DUPLICATE))).otherwise(F.split(_SET_ASIDE, _BETWEEN))
    reasons = {**RECORD_REASONS, **_reasons(judged, task)}
    known = F.create_map(*(F.lit(text) for pair in reasons.items() for text in pair))
    return (
        judged.where(F.col(_STATUS) != KEPT)
        .withColumn("_rules", rules)
        .select(
            F.lit(task.task).alias(SOURCE),
            F.col(SOURCE_FILE).alias(FILE),
            F.col(SOURCE_LINE).alias(LINE),
            F.make_valid_utf8(TEXT).alias(RAW),
            F.element_at("_rules", 1).alias(RULE),
            F.array_join(F.transform("_rules", lambda rule: F.element_at(known, rule)), "; ").alias(REASON),
            F.col(ROW_DIGEST).alias(DIGEST),
        )
        .select(*QUARANTINE_COLUMNS)
    )


def _reasons(judged: DataFrame, task: Task) -> dict[str, str]:
    """What each column's and check's rule expects."""
    names = [name for name in task.columns if name in judged.columns]
    readings = [read_column(name, "string", task) for name in names]
    reasons = {rule: reason for reading in readings for rule, reason in reading.reasons().items()}
    return reasons | {check.name: f"expected {check.expect}" for check in task.checks}
