"""Rows judged by their table's rules: every column typed, and the rules that each row breaks."""

from collections.abc import Iterator
from functools import partial, reduce
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medspark.clean.typed_values import Reading, broken, one_a_line, read_all, read_column
from medspark.clean.worker.staged import BETWEEN
from medspark.errors import InputError
from medspark.schemas import RECORD_RULE, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.invisible_letters import COMPOSING
from medspark.sources.read import RawPart, RawRows
from medspark.sources.record_rules import DUPLICATE, OTHER_TABLE
from medspark.spark.columns import Value, literal, select, when
from medspark.task.columns import Action, BooleanColumn, DateColumn, IntervalColumn, NumberColumn
from medspark.task.expressions import columns_of, spark_sql
from medspark.task.places import derived_sql
from medspark.task.raw_table import RawTable

STATUS: Final = "_status"
"""What becomes of a row: KEPT, QUARANTINED or DUPLICATE."""
KEPT, QUARANTINED = "kept", "quarantined"
SET_ASIDE, SET_MISSING, FAILED, NORMALISED = "_set_aside", "_set_missing", "_failed", "_normalised"
"""The rules that set a row aside, set a value of it missing, fail the run, or made a text of it another, one a line."""


def judge_rows(raw: RawRows, table: RawTable) -> DataFrame:
    """Every part of a table's rows judged, in one frame.

    Raises:
        InputError: a column has a type that the declared one is not read from, by file.
    """
    # A part may lack a column that decides nothing, since it has another type there
    union = partial(DataFrame.unionByName, allowMissingColumns=bool(table.decide_nothing))
    return reduce(union, [_judge_part(part, table) for part in raw.parts])


def _judge_part(part: RawPart, table: RawTable) -> DataFrame:
    try:
        return judge(part.rows, part.names, table, part.letters)
    except InputError as error:
        raise InputError(f"{part.first}: {error}" if part.first else str(error)) from error


def judge(rows: DataFrame, names: list[str], table: RawTable, letters: int = COMPOSING) -> DataFrame:
    """Type every column and note, for each row, the rules it breaks: that set it aside, set a value missing, or fail.

    Derived columns and checks across columns read the typed values; one that reads an absent column is left out.
    """
    dtypes = dict(rows.dtypes)
    readings = list(_readings(names, dtypes, table, letters))
    violations = [violation for reading in readings for violation in reading.violations()]
    whole = f"{quoted(RECORD_RULE)} IS NULL"
    texts = [reading for reading in readings if dtypes[reading.name] == "string"]
    deciding = [reading for reading in texts if reading.name not in table.decide_nothing]
    strange = [when(f"{whole} AND {other}", literal(OTHER_TABLE)) for other in _of_another_table(deciding)]
    found: dict[str, Value] = {
        SET_ASIDE: one_a_line(RECORD_RULE, *strange, broken(violations, "set_aside", whole)),
        SET_MISSING: one_a_line(broken(violations, "missing", whole)),
        FAILED: one_a_line(broken(violations, "fail", whole)),
        NORMALISED: one_a_line(*(rule for reading in readings if (rule := reading.normalised()) is not None)),
    }
    found |= {reading.name: reading.value() for reading in readings}
    typed = select(read_all(rows, readings), [SOURCE_FILE, SOURCE_LINE, ROW_DIGEST, TEXT, REPAIRED], found)
    more = derived_columns(table, names)
    if table.checks:
        of_checks = {SET_ASIDE: broken_checks(table, names, "set_aside"), FAILED: broken_checks(table, names, "fail")}
        more |= {name: F.concat_ws(BETWEEN, F.nullif(name, F.lit("")), rules) for name, rules in of_checks.items()}
    return typed.withColumns(more)


def _readings(names: list[str], dtypes: dict[str, str], table: RawTable, letters: int) -> Iterator[Reading]:
    """How each column is read; one that decides nothing and is of another type is not.

    Raises:
        InputError: as `read_column` has it.
    """
    for name in names:
        try:
            yield read_column(name, dtypes[name], table, letters)
        except InputError:
            if name not in table.decide_nothing:
                raise


TYPED_VALUES: Final = 3
"""Values that are read by a type, from which on a row where not one can be read is taken for another table's."""
MOST_LOOKED_AT: Final = 20
"""Columns whose values say so, of a wide table."""


def _of_another_table(texts: list[Reading]) -> list[str]:
    """In SQL, whether a row gives values that not one of the columns' types reads; none where too few have a type."""
    kinds = NumberColumn | IntervalColumn | BooleanColumn | DateColumn
    typed = [reading for reading in texts if isinstance(reading.spec, kinds)][:MOST_LOOKED_AT]
    if len(typed) < TYPED_VALUES:
        return []
    given = " + ".join(f"int({reading.place(1)} IS NOT NULL)" for reading in typed)
    unread = " AND ".join(f"{reading.place(2)} IS NULL" for reading in typed)
    return [f"{given} >= {TYPED_VALUES} AND {unread}"]


def derived_columns(table: RawTable, names: list[str]) -> dict[str, Column]:
    """The derived columns that read none but `names`, or the file's name."""
    return {
        name: F.expr(derived_sql(item)).alias(name)
        for name, item in table.derived.items()
        if set(columns_of(item.expression)) <= {*names, SOURCE_FILE}
    }


def broken_checks(table: RawTable, names: list[str], action: Action) -> Column:
    """The checks with this action, of those that read none but `names`, that a row breaks, one a line; null where it
    breaks none. What is unknown passes. Each is an expression of its own, by which Spark tells which one fails.
    """
    there = [one for one in table.checks if one.otherwise == action and set(columns_of(one.expect)) <= set(names)]
    names_of_broken = (F.when(F.coalesce(~F.expr(spark_sql(one.expect)), F.lit(False)), one.name) for one in there)
    return F.nullif(F.concat_ws(BETWEEN, *names_of_broken), F.lit(""))


def mark_duplicates(rows: DataFrame, table: RawTable) -> DataFrame:
    """Give each row its status: set aside, a duplicate of a row that is kept, or kept."""
    set_aside = F.col(SET_ASIDE) != ""
    duplicates = table.source.duplicates
    if duplicates is None:
        duplicate = F.lit(False)
    else:
        # The text of a Parquet row has its times by the column's format, which may leave their fractions out
        there = set(rows.columns)
        times = [quoted(name) for name, spec in table.columns.items() if spec.type == "timestamp" and name in there]
        same = [TEXT, *times] if duplicates.same == "whole_row" else list(map(quoted, duplicates.same))
        order = [F.col(SOURCE_FILE), F.col(SOURCE_LINE), F.col(ROW_DIGEST)]
        # Rows set aside compete with nobody: each is alone in its window, whatever its key
        is_alone = set_aside
        if table.view is not None and duplicates.keep == "latest" and duplicates.same != "whole_row":
            # But a resource's newest version makes the others old, whatever becomes of it
            is_alone = set_aside & reduce(Column.__or__, (F.col(quoted(name)).isNull() for name in duplicates.same))
            order.insert(0, set_aside)
        if duplicates.by is not None:
            by = F.col(quoted(duplicates.by))
            order.insert(0, by.desc_nulls_last() if duplicates.keep == "latest" else by.asc_nulls_last())
        alone = F.when(is_alone, F.monotonically_increasing_id())
        # The rows of one line are no copies of one another
        place = F.row_number() if table.view is None else F.rank()
        duplicate = ~set_aside & (place.over(Window.partitionBy(alone, *same).orderBy(*order)) > 1)
    status = F.when(set_aside, QUARANTINED).when(duplicate, DUPLICATE).otherwise(KEPT)
    return rows.withColumn(STATUS, status)


def reasons(judged: DataFrame, table: RawTable) -> dict[str, str]:
    """What each column's and check's rule expects."""
    there = set(judged.columns)
    return reasons_of([name for name in table.judged if name in there], table)


def reasons_of(names: list[str], table: RawTable) -> dict[str, str]:
    """What the rules of these columns, and the checks, expect."""
    readings = [read_column(name, "string", table) for name in names]
    readings += [  # of a source's own numbers, which break a type where text has none
        read_column(name, "double", table) for name in names if table.judged[name].type in ("category", "string")
    ]
    reasons = {rule: reason for reading in readings for rule, reason in reading.reasons().items()}
    return reasons | {check.name: f"expected {check.expect}" for check in table.checks}
