"""A table task's source, read and judged: records, the quarantine and the counts.

Where workers can, they read a CSV table in one pass: see `medspark.clean.by_workers`. Else Spark does in two: one
counts and fingerprints the source and looks at its columns, one reads it; of a database's table both see what was read
once. What was read is kept, so that the counts are settled, and a rule that fails the run has spoken, before a row is
written.
"""

import hashlib
import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.cases.table import Criteria
from medspark.clean.by_workers import NOTHING_WRITTEN, ByWorkers, RowsToScore, Written
from medspark.clean.choose_way import choose_reader, instead
from medspark.clean.judge import KEPT, STATUS, judge_rows, mark_duplicates
from medspark.clean.limits import require_no_other_header, require_within
from medspark.clean.quarantine import quarantine_rows
from medspark.clean.tally import ROWS, TALLIED, Tally, lacking, tally
from medspark.errors import AccountingError, InputError
from medspark.runs.chosen import Asked, Chosen
from medspark.schemas import DIGEST, FILE, LINE, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.failures import readable
from medspark.sources.fasta import sequences_of, with_sequences
from medspark.sources.files import require_whole_files, source_files
from medspark.sources.read import open_rows
from medspark.sources.record_rules import DUPLICATE
from medspark.sources.survey import Survey
from medspark.sources.unchanged import FileStates, file_states
from medspark.sources.worker.spans import LongLineError
from medspark.spark.failures import expressions_hold
from medspark.spark.wide import way_of
from medspark.store.facts import TableCounts
from medspark.task.connection import IN_DATABASES
from medspark.task.places import expression_places
from medspark.task.raw_table import RawTable
from medspark.task.scoring import table_to_score
from medspark.task.table_task import TableTask


class Cleaned(NamedTuple):
    """The outcome of cleaning; `records` and `quarantine` read one kept frame, or files, freed by `release`.

    They are asked for when they are read: of files that a store takes as they are Spark need not plan thousands of
    columns.
    """

    read_records: Callable[[], DataFrame]
    read_quarantine: Callable[[], DataFrame]
    counts: TableCounts
    fingerprint: str
    files: list[str]
    """Of a table in a database, where it is."""
    states: FileStates
    """Of the files, before the first pass."""
    reader: Chosen
    """Who read it, and why."""
    free: Callable[[], object]
    written: Written = NOTHING_WRITTEN
    to_score: RowsToScore | None = None
    """The rows where workers can score them; they are then written when `records` or `quarantine` is asked for."""
    same: Callable[[], None] | None = None
    """Refuses images of which another pass read others than the first; None where there are none."""

    @property
    def records(self) -> DataFrame:
        return self.read_records()

    @property
    def quarantine(self) -> DataFrame:
        return self.read_quarantine()

    def release(self) -> None:
        self.free()


def clean(
    spark: SparkSession,
    task: TableTask,
    *,
    scoring: bool = False,
    repairs: DataFrame | None = None,
    reader: Asked = "auto",
    criteria: Criteria | None = None,
) -> Cleaned:
    """Read and judge every row of the task's source.

    Args:
        task: with its look-ups frozen.
        scoring: whether columns that scoring does not read, as the outcome's, may be absent, and decide nothing.
        repairs: repaired rows of the quarantine (`file`, `line`, `row_digest`, `raw`), read in place of theirs.
        reader: workers: each reads spans of the files itself; spark: Spark reads; auto: workers where they can. What
            comes of it is the same.
        criteria: that exclude records, where workers are to score them.

    Raises:
        TaskError: workers are asked for where they cannot.
        InputError: the source cannot be read, has other columns, or breaks a rule that fails the run.
        AccountingError: rows in are not records + quarantined + duplicates.
    """
    require_whole_files(spark)
    table = table_to_score(task) if scoring else task.raw_table()
    files = source_files(spark, str(task.source.path)) if task.source.format not in IN_DATABASES else []
    chosen = choose_reader(spark.sparkContext, table, files, repairs, reader)
    if chosen.kind == "workers":
        try:
            return _by_workers(spark, task, table, files, chosen, criteria)
        except LongLineError as error:
            chosen = instead(str(error), reader)
    return _by_spark(spark, task, table, files, repairs, chosen)


def _by_workers(
    spark: SparkSession, task: TableTask, table: RawTable, files: list[str], chosen: Chosen, criteria: Criteria | None
) -> Cleaned:
    states = file_states(spark.sparkContext, files)
    with expressions_hold(expression_places(task)):
        found = ByWorkers(spark, table, files, criteria)
    try:
        present = [name for name in task.columns if found.missing[name]]
        counts = _counts(found.survey, found.tally, {name: found.missing[name] for name in present})
        _require_all(table, counts, found.tally, None)
        require_one_row_a_case(found.repeated_cases, task)
        tables = (found.records, found.quarantine)
        fingerprint, free, written = found.survey.fingerprint, found.release, found.files()
        return Cleaned(*tables, counts, fingerprint, files, states, chosen, free, written, found.to_score())
    except BaseException:
        found.release()
        raise


def _by_spark(
    spark: SparkSession, task: TableTask, table: RawTable, files: list[str], repairs: DataFrame | None, chosen: Chosen
) -> Cleaned:
    states = file_states(spark.sparkContext, files)
    # How large a table of a database is, nobody says
    size = sum(state[0] for state in states.values() if state is not None) if files else math.inf
    with ExitStack() as held, sequences_of(spark, task) as sequences:
        way = held.enter_context(way_of(spark, len(table.judged), size))
        for beside in sequences.values():
            states |= beside.states
        with readable(task.source.place):
            raw = held.enter_context(open_rows(spark, table, files, repairs, way.spread))
            raw = with_sequences(raw, table, sequences)
            judged = mark_duplicates(judge_rows(raw, table), table)
            # The text of the rest need not be kept
            judged = way.keep(judged.withColumn(TEXT, F.when(F.col(STATUS) != KEPT, F.col(TEXT))))
        with expressions_hold(expression_places(task)), readable(task.source.place):
            found = tally(judged.groupBy(*TALLIED).agg(F.count("*").alias(ROWS)).collect())
        there = set(judged.columns)
        records = judged.where(F.col(STATUS) == KEPT)
        counts = _counts(raw.survey, found, lacking(records, [name for name in raw.present if name in there]))
        names = [name for name in [*task.columns, *task.derived] if name in there]
        _require_all(table, counts, found, repairs)
        require_one_row_a_case(partial(_repeated_cases, records, task.source.case), task)
        records = records.selectExpr([*map(quoted, names), SOURCE_FILE, SOURCE_LINE, ROW_DIGEST])
        images = _digest_of_images(records, task)
        fingerprint = _with_images(raw.survey.fingerprint, images)
        quarantine = quarantine_rows(judged, table)
        tables = (lambda: records, lambda: quarantine)
        same = partial(_require_images, images, records, task) if images is not None else None
        free = held.pop_all().close
        return Cleaned(*tables, counts, fingerprint, files or [task.source.place], states, chosen, free, same=same)


def _require_all(table: RawTable, counts: TableCounts, found: Tally, repairs: DataFrame | None) -> None:
    """Refuse a source of which rows do not add up, or that breaks a rule that fails the run."""
    _require_whole(counts, repairs)
    require_no_other_header(counts.quarantined, table.source.place)
    _require_sound(found)
    require_within(table.limits, counts)


def _with_images(fingerprint: str, images: str | None) -> str:
    """The source's fingerprint and what its images had: under a path there may be another one the next night."""
    return fingerprint if images is None else hashlib.sha256(f"{fingerprint} {images}".encode()).hexdigest()[:16]


def _digest_of_images(records: DataFrame, task: TableTask) -> str | None:
    names = [quoted(name) for name in task.image_shapes() if name in records.columns]
    if not names:
        return None
    digest = F.xxhash64(ROW_DIGEST, *names).cast("decimal(38,0)")
    return str(records.agg(F.sum(digest).alias("digest")).collect()[0]["digest"])


def _require_images(before: str, records: DataFrame, task: TableTask) -> None:
    """Refuse images of which a later pass, as where what was kept of the first is lost, may have read others.

    Raises:
        InputError: they are other ones now.
    """
    if _digest_of_images(records, task) != before:
        raise InputError(
            "expected images that stay as they are while they are read, received others under the same paths between "
            "two passes. Nothing was published. Run again once they are complete."
        )


def _counts(survey: Survey, found: Tally, missing: dict[str, int]) -> TableCounts:
    return TableCounts(
        rows_in=survey.rows,
        blank_lines=survey.blank,
        records=found.status[KEPT],
        quarantined=found.quarantined,
        duplicates=found.status[DUPLICATE],
        set_missing=found.set_missing,
        repaired=found.repaired,
        normalised=found.normalised,
        missing=missing,
    )


def _count_repairs(repairs: DataFrame | None) -> tuple[int, int]:
    """How many repaired rows there are, and how many of them have a place of their own."""
    if repairs is None:
        return 0, 0
    return repairs.count(), repairs.select(FILE, LINE, DIGEST).distinct().count()


def _require_whole(counts: TableCounts, repairs: DataFrame | None) -> None:
    quarantined = sum(counts.quarantined.values())
    asked, each = _count_repairs(repairs)
    if not asked == each == counts.repaired:
        raise InputError(
            f"{asked} repaired rows were given, but {min(each, counts.repaired)} of them match a row of the source by "
            f"{FILE}, {LINE} and {DIGEST}. Keep those three as the quarantine has them, and each row once."
        )
    accounted = counts.records + quarantined + counts.duplicates
    if counts.rows_in != accounted:
        raise AccountingError(
            f"{counts.rows_in} rows came in, but {counts.records} records + {quarantined} quarantined + "
            f"{counts.duplicates} duplicates = {accounted}. "
            "Did the source change while it was read? Run again."
        )


def _require_sound(found: Tally) -> None:
    """Speak for every rule that fails the run, with its count, before anything is written."""
    if found.failed:
        lines = "\n".join(f"  - {rule}: {count} rows" for rule, count in found.failed.items())
        raise InputError(f"the source breaks rules that the task says must hold\n{lines}")


def require_one_row_a_case(repeated: Callable[[], int], task: TableTask) -> None:
    """Refuse records of which several are of one case; `repeated` says how many cases those are."""
    key, duplicates = task.source.case, task.source.duplicates
    if duplicates is not None and duplicates.same == (key,):
        return
    if cases := repeated():
        raise InputError(
            f"expected each {key!r} once, received {cases} of them more than once. "
            f"State which row counts: source.duplicates: {{same: [{key}], keep: first}}"
        )


def _repeated_cases(records: DataFrame, key: str) -> int:
    return records.groupBy(quoted(key)).count().where("count > 1").count()
