"""A CSV table read, judged and written by workers, a span of a file each.

The steps: workers read and judge their spans, once. Spark computes what the task says in its SQL, over typed columns:
checks and derived columns. Rows that repeat another one are found by hashes of their keys. Then workers write the
records, in the files in which a store keeps them. Lines that only Spark can read are judged by it, as every row is
where Spark reads.
"""

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from medspark.clean.by_spark_alone import BySparkAlone
from medspark.clean.judge import FAILED, KEPT, NORMALISED, QUARANTINED, SET_ASIDE, SET_MISSING, STATUS
from medspark.clean.plan import plan_table
from medspark.clean.put_down import PutDown
from medspark.clean.same_rows import SameRows
from medspark.clean.tally import ROWS, Tally, tally
from medspark.clean.worker import staged
from medspark.clean.worker.settle import Broken, Settled, settle_span
from medspark.clean.worker.staged import LINES_OF_A_SPAN
from medspark.clean.worker.unit import Told, judge_span
from medspark.errors import AccountingError
from medspark.schemas import REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, quoted
from medspark.sources.encodings import require_declared_encoding
from medspark.sources.headers import check_header
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.spans import ROUNDS, first_lines, lines_before, plan_spans, survey_of
from medspark.sources.worker.spans import Span
from medspark.spark.spill import spill_folders
from medspark.task.raw_table import RawTable

SPANS_OF_A_TASK = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task."""
Item = TypeVar("Item")
Found = TypeVar("Found")
Groups = Counter[tuple[str, ...]]
"""Rows by what becomes of them, and by the rules that set them aside, that their values broke, by which text was
normalised, that they failed."""


class ByWorkers:
    """A table's rows as workers put them down, and what became of them."""

    def __init__(self, spark: SparkSession, table: RawTable, files: list[str]) -> None:
        """Read, judge and write every row.

        Raises:
            InputError: a file has other columns than the table, or another encoding.
        """
        self.spark, self.table = spark, table
        self.alone: BySparkAlone | None = None
        heads = first_lines(spark.sparkContext, files, table.source.encoding)
        beginnings = survey_of(heads, [], table)
        require_declared_encoding(beginnings, table.source.encoding)
        names = check_header(beginnings, files, table) if table.source.header else list(table.columns)
        self.plan = plan_table(spark, table, names)
        self.spans = plan_spans(spark.sparkContext, heads)
        self.folder = tempfile.mkdtemp(prefix="raw-", dir=spill_folders().split(",")[0])
        try:
            for name in staged.ALL:
                Path(self.folder, name).mkdir()
            self.told = self._judged()
            self.survey = survey_of(heads, [told.found for told in self.told], table)
            starts = lines_before(told.found for told in self.told)
            self.put = PutDown(spark, table, self.plan, self.folder, starts)
            self._settle()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Free what was put down."""
        if self.alone is not None:
            self.alone.free()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _judged(self) -> list[Told]:
        plan, folder = self.plan, self.folder

        def work(item: tuple[int, Span]) -> Told:
            return judge_span(*item, plan, folder)

        return self._each(list(enumerate(self.spans)), work)

    def _each(self, items: list[Item], work: Callable[[Item], Found]) -> list[Found]:
        context = self.spark.sparkContext
        tasks = max(-(-len(items) // SPANS_OF_A_TASK), min(len(items), ROUNDS * context.defaultParallelism))
        return context.parallelize(items, tasks).map(work).collect() if items else []

    # ------------------------------------------------------------ what becomes of each row

    def _settle(self) -> None:
        """Find the rows that checks and other rows set aside, count everything, and write the records."""
        groups: Groups = Counter()
        self.missing: Counter[str] = Counter()
        for told in self.told:
            for (aside, missing, failed, normalised), rows in told.groups.items():
                groups[QUARANTINED if aside else KEPT, aside, missing, normalised, failed] += rows
            self.missing.update(told.missing)
        if any(told.doubtful for told in self.told):
            self.alone = BySparkAlone.of(self.put)
        checked, failing = self.put.evaluate()
        by_spark = self.alone.compared() if self.alone is not None else None
        self._same = SameRows(self.table, self.plan, self.spans, self.told, self.put.starts, self.folder, by_spark)
        places = np.array(sorted(checked), np.int64)
        self.copies = self._same.copies(places)
        self._gone = np.concatenate([self.copies, places])
        self._write(checked | dict.fromkeys(self.copies.tolist(), (DUPLICATE,)), groups)
        self.tally = self._tallied(groups, failing)

    def repeated_cases(self) -> int:
        """How many cases more than one record is of."""
        return self._same.repeated_cases(self._gone)

    def _write(self, broken: dict[int, tuple[str, ...]], groups: Groups) -> None:
        """Write the records; put down rows as what they are after all, and count them as that."""
        by_span: defaultdict[int, dict[int, tuple[str, ...]]] = defaultdict(dict)
        for at, rules in broken.items():
            by_span[at // LINES_OF_A_SPAN][at % LINES_OF_A_SPAN] = rules
        plan, folder = self.plan, self.folder

        def work(item: tuple[int, Span, Broken, int]) -> Settled:
            number, span, lines, before = item
            return settle_span(number, span, plan, folder, lines, before)

        spans = [(told.number, self.spans[told.number]) for told in self.told if told.rows]
        items = [(number, span, by_span[number], self.put.starts[number]) for number, span in spans]
        records = 0
        for settled in self._each(items, work):
            records += settled.records
            self.missing.subtract(settled.missing)
            for aside, missing, failed, normalised in settled.groups:
                groups[KEPT, "", missing, normalised, failed] -= 1
                status = DUPLICATE if aside == DUPLICATE else QUARANTINED
                groups[status, "" if aside == DUPLICATE else aside, missing, normalised, failed] += 1
        counted = sum(rows for (status, *_), rows in groups.items() if status == KEPT)
        if records != counted:
            raise AccountingError(f"{counted} records were counted, {records} written. Run again.")
        if self.alone is not None:
            found = self.alone.records(self.copies, list(self._types()))
            found.write.mode("append").parquet(self._place(), compression="zstd")

    def _tallied(self, groups: Groups, failing: Counter[str]) -> Tally:
        names = (STATUS, SET_ASIDE, SET_MISSING, NORMALISED, FAILED)
        found: list[Any] = [
            {**dict(zip(names, group, strict=True)), REPAIRED: False, ROWS: rows}
            for group, rows in groups.items()
            if rows
        ]
        found += [{**dict.fromkeys(names, ""), FAILED: rule, REPAIRED: False, ROWS: n} for rule, n in failing.items()]
        if self.alone is not None:
            more, missing = self.alone.tallied(self.copies)
            found += more
            self.missing.update(missing)
        return tally(found)

    # ------------------------------------------------------------ the tables

    def records(self) -> DataFrame:
        """The rows that are records, with the derived columns and their place."""
        schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in self._types().items())
        return self.spark.read.option("__globPaths__", "false").schema(schema).parquet(self._place())

    def _types(self) -> dict[str, str]:
        """The Spark types of the records' columns."""
        columns = {plan.name: plan.dtype for plan in self.plan.columns} | self.put.derived_types()
        return {**columns, SOURCE_FILE: "string", SOURCE_LINE: "bigint", ROW_DIGEST: "bigint"}

    def _place(self) -> str:
        return f"file:{self.folder}/{staged.KEPT}"

    def files(self) -> tuple[Path, ...]:
        """The files of the records."""
        return (*sorted(Path(self.folder, staged.KEPT).glob("*.parquet")),)

    def quarantine(self) -> DataFrame:
        """Every row that is no record, as `quarantine_rows` has it."""
        found = self.put.quarantine()
        return found if self.alone is None else found.unionByName(self.alone.quarantine(self.copies))
