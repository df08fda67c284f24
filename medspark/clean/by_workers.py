"""A CSV table read, judged and written by workers, a span of a file each.

The steps: workers read and judge their spans, once. Spark computes what the task says in its SQL, over typed columns:
checks and derived columns. Rows that repeat another one are found by hashes of their keys. Then workers write the
records, in the files in which a store keeps them, or score them as they lie there. Lines that only Spark can read are
judged by it, as every row is where Spark reads.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from medspark.cases.table import Criteria
from medspark.clean.by_spark_alone import BySparkAlone
from medspark.clean.judge import FAILED, KEPT, NORMALISED, QUARANTINED, SET_ASIDE, SET_MISSING, STATUS
from medspark.clean.plan import plan_table
from medspark.clean.put_down import Evaluated, PutDown
from medspark.clean.same_rows import SameRows
from medspark.clean.tally import ROWS, Tally, tally
from medspark.clean.tasks import each
from medspark.clean.worker import staged
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.same_rows import Part
from medspark.clean.worker.settle import Judgement, Settled, settle_span
from medspark.clean.worker.unit import Told, judge_span
from medspark.errors import AccountingError
from medspark.schemas import QUARANTINE_TYPES, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, quoted
from medspark.sources.encodings import require_declared_encoding
from medspark.sources.headers import check_header
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.spans import first_lines, lines_before, plan_spans, survey_of
from medspark.sources.worker.spans import Span
from medspark.spark.spill import spill_folders
from medspark.task.raw_table import RawTable

Groups = Counter[tuple[str, ...]]
"""Rows by what becomes of them, and by the rules that set them aside, that their values broke, by which text was
normalised, that they failed."""


class Written(NamedTuple):
    """The files of a table's records and of its quarantine, where workers wrote them as a store has them."""

    records: tuple[Path, ...]
    quarantine: tuple[Path, ...]


NOTHING_WRITTEN: Final = Written((), ())


_ARROW: Final = {"string": pa.string(), "bigint": pa.int64()}
_NOBODY: Final = pa.table({name: pa.array([], _ARROW[kind]) for name, kind in QUARANTINE_TYPES.items()})
"""A quarantine without rows."""


class RowsToScore(NamedTuple):
    """A table's rows where workers put them down, in parts, for workers to score."""

    parts: tuple[Judgement | str, ...]
    """Spans, and files that Spark wrote of lines that it read."""
    plan: TablePlan
    folder: str
    types: dict[str, str]
    """The Spark types of the records' columns."""
    content: str
    """A digest of every span's lines in their order: by it alone what becomes of one of them is the same again, as
    which of two rows repeats the other depends on where both are."""


class ByWorkers:
    """A table's rows as workers put them down, and what became of them."""

    def __init__(
        self, spark: SparkSession, table: RawTable, files: list[str], criteria: Criteria | None = None
    ) -> None:
        """Read and judge every row, and write the records and the quarantine.

        Args:
            spark: the session.
            table: one that `choose_reader` gives to workers.
            files: of it.
            criteria: of records that are scored where they lie: they are written only where they are asked for.

        Raises:
            InputError: a file cannot be read, or has other columns than the table, or another encoding.
            LongLineError: a line is longer than workers read.
        """
        self.spark, self.table = spark, table
        self.alone: BySparkAlone | None = None
        heads = first_lines(spark.sparkContext, files, table.source.encoding)
        beginnings = survey_of(heads, [], table)
        require_declared_encoding(beginnings, table.source.encoding)
        names = check_header(beginnings, files, table) if table.source.header else list(table.names)
        self.criteria, self._is_put = criteria, False
        self.plan = plan_table(spark, table, names, criteria)
        self.spans = plan_spans(spark.sparkContext, heads)
        self.folder = tempfile.mkdtemp(prefix="raw-", dir=spill_folders().split(",")[0])
        try:
            for name in staged.ALL:
                Path(self.folder, name).mkdir()
            self.told = self._judged()
            self.survey = survey_of(heads, [told.found for told in self.told], table)
            starts = lines_before(told.found for told in self.told)
            self.put = PutDown(spark, table, self.plan, self.folder, starts, criteria)
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

        return each(self.spark.sparkContext, list(enumerate(self.spans)), work)

    # ------------------------------------------------------------ what becomes of each row

    def _settle(self) -> None:
        """Find the rows that checks and other rows set aside, and count everything."""
        groups: Groups = Counter()
        self.missing: Counter[str] = Counter()
        for told in self.told:
            for (aside, missing, failed, normalised), rows in told.groups.items():
                groups[QUARANTINED if aside else KEPT, aside, missing, normalised, failed] += rows
            self.missing.update(told.missing)
        if any(told.doubtful for told in self.told):
            self.alone = BySparkAlone.of(self.put)
        evaluated = self.put.evaluate()
        self._same = self._same_rows()
        self._copies = self._same.find_copies()
        self._judgements = self._judged_spans(evaluated)
        settled = self._settled(put=self.criteria is None)
        for one in settled:
            self.missing.subtract(one.missing)
            for (aside, missing, failed, normalised), rows in one.groups.items():
                groups[KEPT, "", missing, normalised, failed] -= rows
                status = DUPLICATE if aside == DUPLICATE else QUARANTINED
                groups[status, "" if aside == DUPLICATE else aside, missing, normalised, failed] += rows
        _require_counted(groups, settled)
        self._write_alone()
        self._groups = groups
        self.tally = self._tallied(groups, evaluated.failing)

    def _same_rows(self) -> SameRows:
        starts, spans = self.put.starts, self.spans
        parts = [Part(told.number, spans[told.number], starts[told.number]) for told in self.told if told.rows]
        doubtful = sum(told.doubtful for told in self.told)
        if self.alone is not None:
            parts += self.alone.put_compared(len(spans), doubtful)
        rows, size = sum(told.rows for told in self.told) + doubtful, sum(span.last - span.first for span in spans)
        return SameRows(self.spark.sparkContext, self.table, self.plan, parts, rows, size, self.folder)

    def repeated_cases(self) -> int:
        """How many cases more than one record is of."""
        return self._same.repeated_cases()

    def _judged_spans(self, evaluated: Evaluated) -> list[Judgement]:
        starts, copies = self.put.starts, self._copies.copies > 0
        return [
            Judgement(
                told.number,
                self.spans[told.number],
                told.rows,
                told.aside,
                starts[told.number],
                evaluated.parts.get(told.number, []),
                copies,
            )
            for told in self.told
        ]

    def _settled(self, put: bool) -> list[Settled]:
        """What spans came to, which workers write where they are to be put down."""
        plan, folder = self.plan, self.folder

        def work(judgement: Judgement) -> Settled:
            return settle_span(judgement, plan, folder, put)

        found = each(self.spark.sparkContext, self._judgements, work)
        if put and self.alone is None and not any(one.quarantined for one in found):
            # else a store would have Spark write a table without rows, for a second
            staged.put_finished(self.folder, staged.QUARANTINE, 0, _NOBODY)
        self._is_put = put
        return found

    def _write_alone(self) -> None:
        """Write the rows of the lines that Spark read."""
        if self.alone is None:
            return
        records = self.alone.records(self._copies.alone > 0, list(self._types()))
        records = self.criteria.mark(records) if self.criteria is not None else records
        for what, frame in ((staged.KEPT, records), (staged.QUARANTINE, self.alone.quarantine(self._copies.alone > 0))):
            frame.write.mode("append").parquet(f"file:{self.folder}/{what}", compression="zstd")

    def _tallied(self, groups: Groups, failing: Counter[str]) -> Tally:
        names = (STATUS, SET_ASIDE, SET_MISSING, NORMALISED, FAILED)
        found: list[Any] = [
            {**dict(zip(names, group, strict=True)), REPAIRED: False, ROWS: rows}
            for group, rows in groups.items()
            if rows
        ]
        found += [{**dict.fromkeys(names, ""), FAILED: rule, REPAIRED: False, ROWS: n} for rule, n in failing.items()]
        if self.alone is not None:
            more, missing = self.alone.tallied(self._copies.alone > 0)
            found += more
            self.missing.update(missing)
        return tally(found)

    # ------------------------------------------------------------ the tables

    def records(self) -> DataFrame:
        """The rows that are records, with the derived columns and their place."""
        self._put_down()
        return self._read(staged.KEPT, self._types())

    def quarantine(self) -> DataFrame:
        """Every row that is no record, as `quarantine_rows` has it."""
        self._put_down()
        return self._read(staged.QUARANTINE, QUARANTINE_TYPES)

    def files(self) -> Written:
        """The files of both; none where rows are to be scored."""
        if self.criteria is not None:
            return NOTHING_WRITTEN
        return Written(*(tuple(self._files(what)) for what in (staged.KEPT, staged.QUARANTINE)))

    def to_score(self) -> RowsToScore | None:
        """The rows where they lie; None where they are not to be scored."""
        if self.criteria is None:
            return None
        alone = [str(path) for what in (staged.KEPT, staged.QUARANTINE) for path in self._files(what)]
        content = [(*self.spans[told.number], *told.found) for told in self.told]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return RowsToScore((*self._judgements, *alone), self.plan, self.folder, self._types(), digest)

    def _files(self, what: str) -> list[Path]:
        return sorted(Path(self.folder, what).glob("*.parquet"))

    def _put_down(self) -> None:
        """Write what is not written yet.

        Raises:
            AccountingError: rows were counted otherwise before.
        """
        if not self._is_put:
            _require_counted(self._groups, self._settled(put=True))

    def _types(self) -> dict[str, str]:
        """The Spark types of the records' columns."""
        columns = {plan.name: plan.dtype for plan in self.plan.columns} | self.put.derived_types()
        return {**columns, SOURCE_FILE: "string", SOURCE_LINE: "bigint", ROW_DIGEST: "bigint"}

    def _read(self, what: str, types: Mapping[str, str]) -> DataFrame:
        schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
        return self.spark.read.option("__globPaths__", "false").schema(schema).parquet(f"file:{self.folder}/{what}")


def _require_counted(groups: Groups, settled: list[Settled]) -> None:
    counted = sum(rows for (status, *_), rows in groups.items() if status == KEPT)
    others = groups.total() - counted
    records, quarantined = sum(one.records for one in settled), sum(one.quarantined for one in settled)
    if (records, quarantined) != (counted, others):
        told = f"{counted} records and {others} other rows were counted, {records} and {quarantined} found"
        raise AccountingError(f"{told}. Run again.")
