"""What workers put down of a table, as Spark reads it; what Spark computes of it: checks and derived columns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import BETWEEN, broken_checks, derived_columns
from medspark.clean.typed_values import Violation
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.settle import put_derived
from medspark.clean.worker.staged import ASIDE, LINES_OF_A_SPAN, SQL, TAKEN
from medspark.schemas import (
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
)
from medspark.spark.arrow import map_batches
from medspark.task.places import SPARK_TYPES
from medspark.task.raw_table import RawTable

AT: Final = "_medspark_at"
"""A row's place: its span's number times LINES_OF_A_SPAN, and its line in the span."""
_ASIDE, _FAILED = "_medspark_aside", "_medspark_failed"
_TOLD: Final = {"text": "string", "rule": "string", "reason": "string"}
_PLACE: Final = {"file": "string", "at": "bigint", "digest": "bigint"}


@dataclass(frozen=True)
class PutDown:
    """A table's rows where workers put them down."""

    spark: SparkSession
    table: RawTable
    plan: TablePlan
    folder: str
    starts: list[int]
    """The lines of its file before each span."""

    def read(self, what: str, columns: dict[str, str]) -> DataFrame:
        """What was put down of a kind, by the columns' types, with the rows' places in `file`, `at` and `digest`."""
        schema = ", ".join(f"{name} {kind}" for name, kind in {**columns, **_PLACE}.items())
        return self.spark.read.option("__globPaths__", "false").schema(schema).parquet(f"file:{self.folder}/{what}")

    def line(self, at: str) -> Column:
        """The line in its file of a row, by its place."""
        starts = F.from_json(F.lit(str(self.starts)), F.lit("array<bigint>"))
        span = F.shiftright(at, 32).cast("int")
        return (F.get(starts, span) + F.col(at).bitwiseAND(F.lit(LINES_OF_A_SPAN - 1)) + 1).alias(SOURCE_LINE)

    def _typed(self, what: str, names: Iterable[str], columns: dict[str, str]) -> DataFrame:
        """Rows with columns that workers typed under their own names, and other ones."""
        asked = set(names)
        typed = {plan.name: (f"c{at}", plan.dtype) for at, plan in enumerate(self.plan.columns) if plan.name in asked}
        frame = self.read(what, {**dict(typed.values()), **columns})
        return frame.select(
            *(F.col(place).alias(name) for name, (place, _) in typed.items()),
            F.col("file").alias(SOURCE_FILE),
            F.col("digest").alias(ROW_DIGEST),
            F.col("at").alias(AT),
            *(F.col(name).alias(f"_medspark_{name}") for name in columns),
        )

    # ------------------------------------------------------------ checks and derived columns

    def derived_types(self) -> dict[str, str]:
        """The Spark types of the derived columns."""
        names = derived_columns(self.table, list(self.plan.names))
        return {name: SPARK_TYPES[self.table.derived[name].type].lower() for name in names}

    def evaluate(self) -> tuple[dict[int, tuple[str, ...]], Counter[str]]:
        """Compute the derived columns of rows not set aside before, and put them down for workers.

        Returns:
            The checks that such rows break, by the rows' places; and how many rows fail which others, those set aside
            too.
        """
        rules: dict[int, tuple[str, ...]] = {}
        failing: Counter[str] = Counter()
        if not self.plan.in_sql:
            return rules, failing
        derived = derived_columns(self.table, list(self.plan.names)).values()
        rows = self._typed(SQL, self.plan.asked, {}).select(F.col(AT).alias("at"), *self._broken(), *derived)
        keep = partial(put_derived, folder=self.folder, told=[_ASIDE, _FAILED])
        schema = f"at bigint, {_ASIDE} string, {_FAILED} string"
        broken = map_batches(rows, keep, schema) if derived else rows
        for row in broken.where(f"{_ASIDE} != '' or {_FAILED} != ''").collect():
            failing.update(rule for rule in row[_FAILED].split(BETWEEN) if rule)
            if row[_ASIDE]:
                rules[row["at"]] = tuple(row[_ASIDE].split(BETWEEN))
        if any(check.action == "fail" for check in self._checks()):
            aside = self._typed(ASIDE, self.plan.checked, {}).select(*self._broken()).where(f"{_FAILED} != ''")
            failing.update(rule for row in aside.collect() for rule in row[_FAILED].split(BETWEEN))
        return rules, failing

    def _checks(self) -> list[Violation]:
        return broken_checks(self.table, list(self.plan.names))

    def _broken(self) -> list[Column]:
        """The checks that a row breaks, one a line: those that set it aside, and those that fail the run."""
        by_action = {
            name: [F.when(check.condition, check.rule) for check in self._checks() if check.action == action]
            for name, action in ((_ASIDE, "set_aside"), (_FAILED, "fail"))
        }
        return [F.concat_ws(BETWEEN, *columns).alias(name) for name, columns in by_action.items()]

    # ------------------------------------------------------------ the quarantine

    def quarantine(self) -> DataFrame:
        """The rows that workers set aside, as `quarantine_rows` has them."""
        checks = [check for check in self._checks() if check.action == "set_aside"]
        more = [F.when(check.condition, self.plan.reasons[check.rule]) for check in checks]
        aside = self._told(self._typed(ASIDE, self.plan.checked, _TOLD), more)
        return aside.unionByName(self._told(self._typed(TAKEN, (), _TOLD), []))

    def _told(self, rows: DataFrame, more: list[Column]) -> DataFrame:
        """Rows with what they break, and of those set aside by a rule of theirs the checks that they break too."""
        return rows.select(
            F.lit(self.table.name).alias(SOURCE),
            F.col(SOURCE_FILE).alias(FILE),
            self.line(AT).alias(LINE),
            F.col("_medspark_text").alias(RAW),
            F.col("_medspark_rule").alias(RULE),
            F.concat_ws("; ", "_medspark_reason", *more).alias(REASON),
            F.col(ROW_DIGEST).alias(DIGEST),
        ).select(*QUARANTINE_COLUMNS)
