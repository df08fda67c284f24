"""What workers put down of a table, as Spark reads it; what Spark computes of it: checks, derived columns, criteria."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.cases.table import Criteria
from medspark.clean.judge import broken_checks, derived_columns
from medspark.clean.tasks import each
from medspark.clean.worker import evaluated
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.staged import (
    AS_ASIDE,
    AT,
    BROKEN,
    EVALUATED,
    FAILED,
    LINES_OF_A_SPAN,
    SQL,
    RowGroup,
)
from medspark.schemas import EXCLUDED, SOURCE_FILE, SOURCE_LINE, quoted
from medspark.task.places import SPARK_TYPES
from medspark.task.raw_table import RawTable

_AS_IT_IS: Final = {
    "compression": "none",
    f"parquet.enable.dictionary#{AT}": "false",
    "parquet.block.size": str(2**20),
}
"""How Spark writes what it computed: in row groups that are small, as a worker reads all that have rows of its span."""
_PLACE: Final = {"file": "string", "at": "bigint", "digest": "bigint"}


class Evaluated(NamedTuple):
    """What Spark computed of a table's rows."""

    parts: Mapping[int, list[RowGroup]]
    """Where it is, by span."""
    failing: Counter[str]
    """How many of all rows fail which checks that fail the run."""


@dataclass(frozen=True)
class PutDown:
    """A table's rows where workers put them down."""

    spark: SparkSession
    table: RawTable
    plan: TablePlan
    folder: str
    starts: list[int]
    """The lines of its file before each span."""
    criteria: Criteria | None = None

    def read(self, what: str, columns: dict[str, str]) -> DataFrame:
        """What was put down of a kind, by the columns' types, with the rows' places in `file`, `at` and `digest`."""
        schema = ", ".join(f"{name} {kind}" for name, kind in {**columns, **_PLACE}.items())
        return self.spark.read.option("__globPaths__", "false").schema(schema).parquet(f"file:{self.folder}/{what}")

    def line(self, at: str) -> Column:
        """The line in its file of a row, by its place."""
        starts = F.from_json(F.lit(str(self.starts)), F.lit("array<bigint>"))
        span = F.shiftright(at, 32).cast("int")
        return (F.get(starts, span) + F.col(at).bitwiseAND(F.lit(LINES_OF_A_SPAN - 1)) + 1).alias(SOURCE_LINE)

    def _asked(self) -> DataFrame:
        """The columns that are read in SQL, of all rows, under their own names."""
        plans = enumerate(self.plan.columns)
        typed = {plan.name: (f"c{at}", plan.dtype) for at, plan in plans if plan.name in self.plan.evaluated}
        frame = self.read(SQL, {**dict(typed.values()), AS_ASIDE: "boolean"})
        columns = (F.col(place).alias(name) for name, (place, _) in typed.items())
        return frame.select(*columns, F.col("file").alias(SOURCE_FILE), F.col("at").alias(AT), AS_ASIDE)

    # ------------------------------------------------------------ checks, derived columns and criteria

    def derived_types(self) -> dict[str, str]:
        """The Spark types of the derived columns."""
        names = derived_columns(self.table, self.plan.judged)
        return {name: SPARK_TYPES[self.table.derived[name].type].lower() for name in names}

    def evaluate(self) -> Evaluated:
        """Compute checks and derived columns of all rows, and what excludes those that are not set aside, and put them
        down as EVALUATED."""
        parts: defaultdict[int, list[RowGroup]] = defaultdict(list)
        failing: Counter[str] = Counter()
        if not self.plan.in_sql:
            return Evaluated(parts, failing)
        found = derived_columns(self.table, self.plan.judged)
        rows = self._asked().select("*", *self._broken(), *found.values())
        if self.criteria is not None and self.criteria.applies:
            stays = ~F.col(AS_ASIDE) & F.col(BROKEN).isNull()
            rows = self.criteria.mark(rows).withColumn(EXCLUDED, F.when(stays, F.col(EXCLUDED)))
        derived = (F.col(quoted(name)).alias(f"d{at}") for at, name in enumerate(self.plan.derived))
        rows = rows.select(AT, AS_ASIDE, BROKEN, FAILED, *derived)
        if not self.plan.derived:
            rows = rows.where(f"{BROKEN} is not null or {FAILED} is not null")
        rows.write.options(**_AS_IT_IS).parquet(f"file:{self.folder}/{EVALUATED}")
        for told in self._looked_through():
            failing.update(told.failing)
            for part, spans in told.parts:
                for span in spans:
                    parts[span].append(part)
        return Evaluated(parts, failing)

    def _looked_through(self) -> list[evaluated.Evaluated]:
        folder = self.folder

        def work(item: tuple[int, str]) -> evaluated.Evaluated:
            return evaluated.look_through(*item, folder)

        files = sorted(map(str, Path(folder, EVALUATED).glob("*.parquet")))
        return each(self.spark.sparkContext, list(enumerate(files)), work)

    def _broken(self) -> list[Column]:
        """The checks that a row breaks, one a line: those that set it aside, and those that fail the run; null where it
        breaks none."""
        table, judged = self.table, self.plan.judged
        return [
            broken_checks(table, judged, "set_aside").alias(BROKEN),
            broken_checks(table, judged, "fail").alias(FAILED),
        ]
