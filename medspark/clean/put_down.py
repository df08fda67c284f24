"""What workers put down of a table, as Spark reads it; what Spark computes of it: checks and derived columns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import BETWEEN, broken_checks, derived_columns
from medspark.clean.typed_values import Violation
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.staged import (
    AS_ASIDE,
    ASIDE,
    AT,
    BROKEN,
    EVALUATED,
    FAILED,
    LINES_OF_A_SPAN,
    SQL,
    TAKEN,
    evaluated_files,
)
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
from medspark.task.places import SPARK_TYPES
from medspark.task.raw_table import RawTable

_GROUP_BYTES: Final = 4 * 2**20
"""Of a row group of what Spark computed: a worker reads those that have rows of its span."""
_TOLD: Final = {"_medspark_text": "string", "_medspark_rule": "string", "_medspark_reason": "string"}
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
            *columns,
        )

    # ------------------------------------------------------------ checks and derived columns

    def derived_types(self) -> dict[str, str]:
        """The Spark types of the derived columns."""
        names = derived_columns(self.table, list(self.plan.names))
        return {name: SPARK_TYPES[self.table.derived[name].type].lower() for name in names}

    def evaluate(self) -> tuple[dict[int, tuple[str, ...]], Counter[str]]:
        """Compute checks and derived columns of all rows, and put them down as EVALUATED.

        Returns:
            The checks that rows not set aside before break, by the rows' places; how many of all rows fail which
            others.
        """
        rules: dict[int, tuple[str, ...]] = {}
        failing: Counter[str] = Counter()
        if not self.plan.in_sql:
            return rules, failing
        found = derived_columns(self.table, list(self.plan.names)).values()
        derived = [column.alias(f"d{at}") for at, column in enumerate(found)]
        rows = self._typed(SQL, self.plan.asked, {AS_ASIDE: "boolean"})
        rows = rows.select(AT, AS_ASIDE, *self._broken(), *derived)
        if not derived:
            rows = rows.where(f"{BROKEN} != '' or {FAILED} != ''")
        options = {"compression": "snappy", "parquet.block.size": str(_GROUP_BYTES)}
        rows.write.options(**options).parquet(f"file:{self.folder}/{EVALUATED}")
        for file in evaluated_files(self.folder):
            rows_of_file = pq.read_table(file, columns=[AT, AS_ASIDE, BROKEN, FAILED])
            some = rows_of_file.filter((pc.field(BROKEN) != "") | (pc.field(FAILED) != ""))
            for at, aside, broken, failed in zip(*(column.to_pylist() for column in some.columns), strict=True):
                failing.update(rule for rule in failed.split(BETWEEN) if rule)
                if broken and not aside:
                    rules[at] = tuple(broken.split(BETWEEN))
        return rules, failing

    def _checks(self) -> list[Violation]:
        return broken_checks(self.table, list(self.plan.names))

    def _broken(self) -> list[Column]:
        """The checks that a row breaks, one a line: those that set it aside, and those that fail the run."""
        by_action = {
            name: [F.when(check.condition, check.rule) for check in self._checks() if check.action == action]
            for name, action in ((BROKEN, "set_aside"), (FAILED, "fail"))
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
