"""A CSV table read, judged and put down by workers, a span of a file each, in one pass; the rest Spark does with that.

Spark's part is what the task says in its SQL, over typed columns: checks and derived columns. Lines that only Spark's
own readers can tell go through `medspark.clean.judge`, as every row does where Spark reads.
"""

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.alike import Places
from medspark.clean.judge import (
    BETWEEN,
    FAILED,
    KEPT,
    NORMALISED,
    QUARANTINED,
    SET_ASIDE,
    SET_MISSING,
    STATUS,
    broken_checks,
    derived_columns,
    judge,
)
from medspark.clean.plan import plan_table
from medspark.clean.quarantine import quarantine_rows
from medspark.clean.same_rows import SameRows, compared, compared_rows
from medspark.clean.tally import ROWS as ROW_COUNT
from medspark.clean.tally import TALLIED, Tally, tally
from medspark.clean.worker.unit import (
    ASIDE,
    DOUBT,
    LINES_OF_A_SPAN,
    ROWS,
    TAKEN,
    Told,
    judge_span,
    take_rows,
)
from medspark.schemas import (
    DIGEST,
    FILE,
    LINE,
    QUARANTINE_COLUMNS,
    RAW,
    REASON,
    RECORD_RULE,
    REPAIRED,
    ROW_DIGEST,
    RULE,
    SOURCE,
    SOURCE_FILE,
    SOURCE_LINE,
    TEXT,
    quoted,
)
from medspark.sources.encodings import require_declared_encoding
from medspark.sources.headers import check_header
from medspark.sources.parse import parse_csv
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.spans import ROUNDS, first_lines, lines_before, plan_spans, survey_of
from medspark.sources.worker.spans import Span
from medspark.spark.spill import spill_folders
from medspark.task.raw_table import RawTable

_AT: Final = "_medspark_at"
SPANS_OF_A_TASK: Final = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task."""
_PLACE: Final = {"file": "string", "at": "bigint", "digest": "bigint"}
_TOLD: Final = {"text": "string", "rule": "string", "reason": "string"}
Item = TypeVar("Item")
Found = TypeVar("Found")


class ByWorkers:
    """A table's rows as workers put them down, and what Spark makes of them."""

    def __init__(self, spark: SparkSession, table: RawTable, files: list[str]) -> None:
        """Read and judge every file.

        Raises:
            InputError: a file has other columns than the table, or another encoding.
        """
        self.spark, self.table = spark, table
        heads = first_lines(spark.sparkContext, files, table.source.encoding)
        beginnings = survey_of(heads, [], table)
        require_declared_encoding(beginnings, table.source.encoding)
        self.names = check_header(beginnings, files, table) if table.source.header else list(table.columns)
        self.plan = plan_table(spark, table, self.names)
        self.spans = plan_spans(spark.sparkContext, heads)
        self.folder = tempfile.mkdtemp(prefix="raw-", dir=spill_folders().split(",")[0])
        try:
            for name in (ROWS, ASIDE, TAKEN, DOUBT):
                Path(self.folder, name).mkdir()
            self.told = self._judged()
            self.survey = survey_of(heads, [told.found for told in self.told], table)
            self.starts = lines_before(told.found for told in self.told)
            self._settle()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Free what was put down."""
        if "doubtful" in self.__dict__ and self.doubtful is not None:
            self.doubtful.unpersist()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ by workers

    def _judged(self) -> list[Told]:
        shared = self.spark.sparkContext.broadcast((self.plan, f"file:{self.folder}"))

        def work(item: tuple[int, Span]) -> Told:
            plan, folder = shared.value
            return judge_span(*item, plan, folder)

        return self._each(list(enumerate(self.spans)), work)

    def _each(self, items: list[Item], work: Callable[[Item], Found]) -> list[Found]:
        context = self.spark.sparkContext
        tasks = max(-(-len(items) // SPANS_OF_A_TASK), min(len(items), ROUNDS * context.defaultParallelism))
        return context.parallelize(items, tasks).map(work).collect() if items else []

    # ------------------------------------------------------------ what Spark reads of it

    def _read(self, what: str, columns: dict[str, str]) -> DataFrame:
        schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        reader = self.spark.read.option("__globPaths__", "false").schema(schema)
        return reader.parquet(f"file:{self.folder}/{what}")

    def _line(self, at: str) -> Column:
        """The line in its file of a row, by its place."""
        starts = F.from_json(F.lit(str(self.starts)), F.lit("array<bigint>"))
        span = F.shiftright(at, 32).cast("int")
        return (F.get(starts, span) + F.col(at).bitwiseAND(F.lit(LINES_OF_A_SPAN - 1)) + 1).alias(SOURCE_LINE)

    def _typed(self, what: str, columns: dict[str, str], names: Iterable[str]) -> DataFrame:
        """What workers put down, with the columns that they typed under their own names."""
        places = {plan.name: (f"c{at}", plan.dtype) for at, plan in enumerate(self.plan.columns)}
        typed = {name: places[name] for name in names}
        frame = self._read(what, {**dict(typed.values()), **_PLACE, **columns})
        return frame.select(
            *(F.col(place).alias(name) for name, (place, _) in typed.items()),
            F.col("file").alias(SOURCE_FILE),
            self._line("at"),
            F.col("digest").alias(ROW_DIGEST),
            F.col("at").alias(_AT),
            *(F.col(name).alias(f"_medspark_{name}") for name in columns),
        )

    @cached_property
    def doubtful(self) -> DataFrame | None:
        """The rows that only Spark can read, judged and kept; None where there are none."""
        if not sum(told.doubtful for told in self.told):
            return None
        lines = self._read(DOUBT, {**_PLACE, "text": "binary", "rule": "string"}).select(
            F.col("file").alias(SOURCE_FILE),
            F.col("at").alias(SOURCE_LINE),  # the place stands for the line until all is judged
            F.col("text").cast("string").alias(TEXT),
            F.col("digest").alias(ROW_DIGEST),
            F.lit(False).alias(REPAIRED),
            F.col("rule").alias(RECORD_RULE),
        )
        declared = [plan.name for plan in self.plan.columns]
        judged = judge(parse_csv(lines, self.names, self.table.source.delimiter), declared, self.table)
        placed = judged.withColumn(_AT, F.col(SOURCE_LINE)).withColumn(SOURCE_LINE, self._line(_AT))
        return placed.persist(StorageLevel.MEMORY_AND_DISK)

    # ------------------------------------------------------------ what becomes of each row

    def _settle(self) -> None:
        """Find the rows that checks and other rows set aside, and count everything."""
        groups: Counter[tuple[str, ...]] = Counter()
        self.missing: Counter[str] = Counter()
        for told in self.told:
            for (aside, missing, failed, normalised), rows in told.groups.items():
                groups[QUARANTINED if aside else KEPT, aside, missing, normalised, failed] += rows
            self.missing.update(told.missing)
        checked, failing = self._checked()
        rules: dict[int, tuple[str, ...]] = {at: tuple(text.split(BETWEEN)) for at, text in checked.items()}
        self.copies = self._same.copies(np.array(sorted(rules), np.int64))
        rules |= dict.fromkeys((int(at) for at in self.copies), (DUPLICATE,))
        self._take(rules, groups)
        self.tally = self._tallied(groups, failing)

    def _checked(self) -> tuple[dict[int, str], Counter[str]]:
        """The checks that rows not set aside before break, by the rows' places; and the rows that fail others."""
        checks = broken_checks(self.table, self.names)
        if not checks:
            return {}, Counter()
        aside = F.concat_ws(BETWEEN, *(F.when(c.condition, c.rule) for c in checks if c.action == "set_aside"))
        failed = F.concat_ws(BETWEEN, *(F.when(c.condition, c.rule) for c in checks if c.action == "fail"))
        reads = [name for name in self.names if name in self.plan.checked]
        found = {}
        failing: Counter[str] = Counter()
        fails = any(check.action == "fail" for check in checks)  # what sets aside changes no count of what is aside
        for what in (ROWS, ASIDE) if fails else (ROWS,):
            if not any(what in told.written for told in self.told):
                continue
            broken = self._typed(what, {}, reads).select(_AT, aside.alias("aside"), failed.alias("failed"))
            for row in broken.where("aside != '' or failed != ''").collect():
                failing.update(rule for rule in row["failed"].split(BETWEEN) if rule)
                if row["aside"] and what == ROWS:
                    found[row[_AT]] = row["aside"]
        return found, failing

    def _take(self, rules: dict[int, tuple[str, ...]], groups: Counter[tuple[str, ...]]) -> None:
        """Put rows down as what they are after all, and count them as that."""
        by_span: defaultdict[int, dict[int, tuple[str, ...]]] = defaultdict(dict)
        for at, broken in rules.items():
            by_span[at // LINES_OF_A_SPAN][at % LINES_OF_A_SPAN] = broken
        shared = self.spark.sparkContext.broadcast((self.plan, f"file:{self.folder}"))

        def work(item: tuple[int, Span, dict[int, tuple[str, ...]]]) -> Any:
            number, span, lines = item
            plan, folder = shared.value
            return take_rows(number, span, plan, folder, lines)

        workers = {plan_at for plan_at, told in enumerate(self.told) if ROWS in told.written}
        items = [(n, self.spans[n], self._put_down(n, lines)) for n, lines in by_span.items() if n in workers]
        for taken in self._each([item for item in items if item[2]], work):
            self.missing.subtract(taken.missing)
            for aside, missing, failed, normalised in taken.groups:
                groups[KEPT, "", missing, normalised, failed] -= 1
                status = DUPLICATE if aside == DUPLICATE else QUARANTINED
                groups[status, "" if aside == DUPLICATE else aside, missing, normalised, failed] += 1

    def _put_down(self, number: int, lines: dict[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        """Those of a span's rows that its worker put down, and not Spark."""
        own = np.frombuffer(self.told[number].keys[0], np.uint32)
        there = set(own[np.isin(own, np.fromiter(lines, np.int64, len(lines)))].tolist())
        return {line: rules for line, rules in lines.items() if line in there}

    def _tallied(self, groups: Counter[tuple[str, ...]], failing: Counter[str]) -> Tally:
        names = (STATUS, SET_ASIDE, SET_MISSING, NORMALISED, FAILED)
        found: list[Any] = [
            {**dict(zip(names, group, strict=True)), REPAIRED: False, ROW_COUNT: rows}
            for group, rows in groups.items()
            if rows
        ]
        found += [
            {**dict.fromkeys(names, ""), FAILED: rule, REPAIRED: False, ROW_COUNT: n} for rule, n in failing.items()
        ]
        if self.doubtful is not None:
            found += self._doubtful_tallied(self.doubtful)
        return tally(found)

    def _doubtful_tallied(self, doubtful: DataFrame) -> list[Any]:
        judged = self._with_status(doubtful)
        names = [plan.name for plan in self.plan.columns]
        lacks = [F.count_if(F.col(quoted(name)).isNull()).alias(f"n{at}") for at, name in enumerate(names)]
        groups = judged.groupBy(*TALLIED).agg(F.count("*").alias(ROW_COUNT), *lacks).collect()
        for group in groups:
            if group[STATUS] == KEPT:
                self.missing.update({name: group[f"n{at}"] for at, name in enumerate(names)})
        return list(groups)

    def _with_status(self, judged: DataFrame) -> DataFrame:
        status = F.when(F.col(SET_ASIDE) != "", QUARANTINED).otherwise(KEPT)
        if not len(self.copies):
            return judged.withColumn(STATUS, status)
        return (
            judged.join(F.broadcast(self._places(self.copies).withColumn("_medspark_copy", F.lit(True))), _AT, "left")
            .withColumn(STATUS, F.when(F.col("_medspark_copy"), DUPLICATE).otherwise(status))
            .drop("_medspark_copy")
        )

    def _places(self, at: Places) -> DataFrame:
        return self.spark.createDataFrame(pa.table({_AT: pa.array(at, pa.int64())}))

    # ------------------------------------------------------------ rows that are the same

    @cached_property
    def _same(self) -> SameRows:
        by_spark = None
        if self.doubtful is not None:
            kept = self.doubtful.where(F.col(SET_ASIDE) == "")
            by_spark = compared_rows(kept, _AT, compared(self.table, self.plan))
        return SameRows(self.table, self.plan, self.spans, self.told, self.starts, self.folder, by_spark)

    def repeated_cases(self) -> int:
        """How many cases more than one record is of."""
        return self._same.repeated_cases(np.concatenate([self.copies, self._taken_places()]))

    def _taken_places(self) -> Places:
        folder = Path(self.folder, TAKEN)
        parts = [pq.read_table(file, columns=["at"])["at"].to_numpy() for file in sorted(folder.iterdir())]
        return np.concatenate([*parts, np.zeros(0, np.int64)])

    # ------------------------------------------------------------ the tables

    def records(self) -> DataFrame:
        """The rows that are records, with the derived columns and their place."""
        names = [plan.name for plan in self.plan.columns]
        gone = np.concatenate([self.copies, self._taken_places()])
        rows = self._typed(ROWS, {}, names)
        if len(gone):
            rows = rows.join(F.broadcast(self._places(gone)), _AT, "left_anti")
        rows = rows.select("*", *derived_columns(self.table, self.names))
        kept = [*names, *(name for name in self.table.derived if name in rows.columns)]
        columns = [*map(quoted, kept), SOURCE_FILE, SOURCE_LINE, ROW_DIGEST]
        found = rows.select(*columns)
        if self.doubtful is not None:
            found = found.unionByName(self._with_status(self.doubtful).where(F.col(STATUS) == KEPT).select(*columns))
        return found

    def quarantine(self) -> DataFrame:
        """Every row that is no record, as `quarantine_rows` has it."""
        reads = [name for name in self.names if name in self.plan.checked]
        aside = self._told(self._typed(ASIDE, _TOLD, reads), self._more_reasons())
        parts = [aside, self._told(self._typed(TAKEN, _TOLD, ()), [])]
        if self.doubtful is not None:
            parts.append(quarantine_rows(self._with_status(self.doubtful), self.table))
        return reduce(DataFrame.unionByName, parts)

    def _more_reasons(self) -> list[Column]:
        """What the checks expect that a row breaks beside the rule that set it aside before."""
        checks = [check for check in broken_checks(self.table, self.names) if check.action == "set_aside"]
        return [F.when(check.condition, self.plan.reasons[check.rule]) for check in checks]

    def _told(self, rows: DataFrame, more: list[Column]) -> DataFrame:
        return rows.select(
            F.lit(self.table.name).alias(SOURCE),
            F.col(SOURCE_FILE).alias(FILE),
            F.col(SOURCE_LINE).alias(LINE),
            F.col("_medspark_text").alias(RAW),
            F.col("_medspark_rule").alias(RULE),
            F.concat_ws("; ", "_medspark_reason", *more).alias(REASON),
            F.col(ROW_DIGEST).alias(DIGEST),
        ).select(*QUARANTINE_COLUMNS)
