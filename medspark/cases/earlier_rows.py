"""What the same subject's earlier rows say, as columns of each row: one window by subject, in the order of the task.

Rows are read in the order that `order_by` gives them, and a row sees those with a lower value alone: of rows that tie
neither sees the other, and a row without a value sees none and is seen by none. Among earlier rows that tie, the one
with the larger case id is the last.
"""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.window import WindowSpec

from medspark.schemas import quoted
from medspark.task.history import EARLIER_ROWS, SINCE_LAST_ROW, EarlierCodes, History, last_of
from medspark.task.table_task import TableTask

ORDER: Final = "_order"
"""`order_by` as a whole number: days, microseconds, or the key."""
ASKED: Final = "_asked"
"""Whether a row is one of those asked for, or no more than part of their past."""
MICROS_A_DAY: Final = 86_400_000_000
LEAST: Final = -(2**63) + 1
"""Where an order begins: Spark looks one lower than a row's own place, which a bigint must hold."""


def with_past(rows: DataFrame, task: TableTask, earlier: DataFrame | None = None) -> DataFrame:
    """Rows with the columns that the task's `history` fills; as they are where it has none.

    One shuffle by subject. With `earlier` rows also two joins by keys of `rows`, which leave out of them the rows that
    are there too and the subjects that are not.

    Args:
        rows: records, the excluded ones among them.
        task: whose columns they have.
        earlier: more records of the same rules; a case that is in both counts once, as `rows` has it.
    """
    history = task.features.history
    if history is None:
        return rows
    if earlier is None:
        return _look_back(rows, task, history)
    both = _beside(rows, earlier, task, history)
    return _look_back(both, task, history).where(ASKED).drop(ASKED)


def _beside(rows: DataFrame, earlier: DataFrame, task: TableTask, history: History) -> DataFrame:
    case, subject = task.source.case, task.source.subject
    others = earlier.join(rows.select(quoted(case)), case, "left_anti")
    others = others.join(rows.select(quoted(subject)), subject, "left_semi")
    read = dict.fromkeys([case, subject, *history.reads()])
    others = others.select(*map(quoted, read)).withColumn(ASKED, F.lit(False))
    return rows.withColumn(ASKED, F.lit(True)).unionByName(others, allowMissingColumns=True)


def _look_back(rows: DataFrame, task: TableTask, history: History) -> DataFrame:
    rows = rows.withColumn(ORDER, _as_whole_number(history.order_by, dict(rows.dtypes)[history.order_by]))
    order, known = F.col(ORDER), F.col(ORDER).isNotNull()
    before = Window.partitionBy(quoted(task.source.subject)).orderBy(ORDER).rangeBetween(Window.unboundedPreceding, -1)
    found = {EARLIER_ROWS: F.when(known, F.count(order).over(before))}
    for name in history.last:
        value = F.col(quoted(name))
        place = F.when(known & value.isNotNull(), F.struct(order, F.col(quoted(task.source.case))))
        found[last_of(name)] = F.when(known, F.max_by(value, place).over(before))
    if history.gap:
        unit = MICROS_A_DAY if dict(rows.dtypes)[history.order_by] == "timestamp" else 1
        found[SINCE_LAST_ROW] = _difference(order, F.max(order).over(before)) / unit
    found |= {name: F.when(known, _codes(bag, known, before)) for name, bag in history.codes.items()}
    return rows.withColumns(found).drop(ORDER)


def _as_whole_number(column: str, dtype: str) -> Column:
    value = F.col(quoted(column))
    if dtype == "date":
        value = F.unix_date(value)
    elif dtype == "timestamp":
        value = F.unix_micros(value)
    return F.greatest(value.cast("bigint"), F.when(value.isNotNull(), F.lit(LEAST)))


def _difference(order: Column, before: Column) -> Column:
    """As a double: exact where a bigint holds it, as between keys beyond 2^53."""
    return F.coalesce(F.try_subtract(order, before).cast("double"), order.cast("double") - before.cast("double"))


def _codes(bag: EarlierCodes, known: Column, before: WindowSpec) -> Column:
    seen = [F.collect_set(F.when(known, F.col(quoted(name)))).over(before) for name in bag.columns]
    return F.array_sort(F.array_distinct(F.concat(*seen)))
