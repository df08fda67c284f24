"""Sequences of FASTA files, looked up by the ids in another column of a table.

A file is cut into its records by Spark where a line begins with >, so that no file needs to fit into one task, and the
ids of a table meet theirs in a join, which Spark makes by whatever is cheaper for the size.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError, TaskError
from medspark.schemas import SOURCE_FILE, quoted
from medspark.sources.failures import readable
from medspark.sources.files import source_files
from medspark.sources.read import RawPart, RawRows
from medspark.sources.unchanged import FileStates, file_states
from medspark.sources.whole_numbers import whole_text
from medspark.store.files import is_elsewhere
from medspark.task.addresses import is_whole
from medspark.task.raw_table import RawTable
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task

_ID, _LETTERS, _STARTS = "_id", "_letters", "_starts"
_BLANK: Final = "[\\s\ufeff]*"
"""White space, and the mark that some editors put before the first letter."""


class Sequences(NamedTuple):
    """The sequences that a column's ids stand for."""

    found: DataFrame
    """`_id`, once each, and `_letters` without white space."""
    states: FileStates
    """Of the files, before they were read."""
    digest: str
    """Of the ids and the letters, whatever their order and the width of the lines."""
    kept: DataFrame
    """What is kept while they are read."""


def fasta_place(source: str, fasta: str) -> str:
    """Where a FASTA file lies: as it is named, or beside the table's file or folder.

    >>> fasta_place("in/samples.csv", "isolates.fasta"), fasta_place("in/samples.csv", "/genomes/isolates.fasta")
    ('in/isolates.fasta', '/genomes/isolates.fasta')
    """
    if is_whole(fasta):
        return fasta
    return f"{source.rstrip('/').rpartition('/')[0] or '.'}/{fasta}" if "/" in source else fasta


def fasta_places(task: TableTask) -> dict[str, str]:
    """The columns of sequences, each with the place of its FASTA file."""
    return {name: fasta_place(task.source.path or "", str(column.fasta)) for name, column in task.beside.items()}


def require_fasta(task: Task, source: str | None = None) -> None:
    """Refuse a task whose FASTA files are not there; of file systems that Spark reads it is asked later. No Spark here.

    Args:
        source: the path that takes the place of the task's.

    Raises:
        TaskError: naming the columns and their files.
    """
    if not isinstance(task, TableTask):
        return
    if source is not None:
        task = task.model_copy(update={"source": task.source.model_copy(update={"path": source})})
    problems = [
        f"columns.{name}.fasta: expected a file at {place}, received none. Check the path and ${{...}} in it."
        for name, place in fasta_places(task).items()
        if not is_elsewhere(place) and not any(set("*?[{") & set(place)) and not Path(_local(place)).exists()
    ]
    if problems:
        raise TaskError(task.task, problems)


def _local(place: str) -> str:
    return re.sub("^file:(//)?(?=/)", "", place)


@contextmanager
def sequences_of(spark: SparkSession, task: TableTask) -> Iterator[dict[str, Sequences]]:
    """By column the sequences of a task's FASTA files, each file read once; what is kept of them is freed at the end.

    Raises:
        InputError: a file is absent or no FASTA file, or an id is there more than once.
    """
    kept: dict[str, Sequences] = {}
    places = fasta_places(task)
    try:
        for place in dict.fromkeys(places.values()):
            with readable(place):
                kept[place] = _read_fasta(spark, place)
        yield {name: kept[place] for name, place in places.items()}
    finally:
        for sequences in kept.values():
            sequences.kept.unpersist()


def _read_fasta(spark: SparkSession, place: str) -> Sequences:
    files = source_files(spark, place)
    states = file_states(spark.sparkContext, files)
    records = _records(spark, files).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        hashed = F.xxhash64(_ID, _LETTERS).cast("decimal(20,0)")
        by_file = records.groupBy(SOURCE_FILE).agg(
            F.count_if(_STARTS).alias("starts"),
            F.count_if((F.col(_ID) == "") & (F.col(_LETTERS) != "")).alias("nameless"),
            F.count_if(F.col(_ID) != "").alias("named"),
            F.coalesce(F.sum(F.when(F.col(_ID) != "", hashed)), F.lit(0)).cast("string").alias("hashes"),
        )
        told = {row[SOURCE_FILE]: row for row in by_file.collect()}
        for file in files:
            row = told.get(file)
            if row is None or not row["starts"] or not row["named"]:
                raise InputError(f"{file}: expected a FASTA file, whose records begin with >, received none")
            if row["nameless"]:
                raise InputError(f"{file}: expected an id after each >, received {row['nameless']} records without one")
        found = records.where(F.col(_ID) != "").select(_ID, _LETTERS)
        repeated = found.groupBy(_ID).count().where("count > 1").count()
        if repeated:
            raise InputError(f"{place}: expected each id once, received {repeated} of them more than once")
    except BaseException:
        records.unpersist()
        raise
    total = sum(int(row["hashes"]) for row in told.values())
    return Sequences(found, states, f"{total % 2**64:016x}", records)


def _records(spark: SparkSession, files: list[str]) -> DataFrame:
    """The records of files: `_id`, `_letters`, and whether one is the first of its file.

    A record goes from one > at a line's beginning to the next. Lines that begin with ; are comments.
    """
    text = F.regexp_replace(F.regexp_replace("value", "\r", "\n"), "(?m)^;.*$", "")
    record = F.regexp_replace(text, f"^{_BLANK}>?", "")
    header = F.substring_index(record, "\n", 1)
    return spark.read.text(files, lineSep="\n>").select(
        F.col("_metadata.file_path").alias(SOURCE_FILE),
        text.rlike(rf"\A{_BLANK}(>|\z)").alias(_STARTS),  # the first has its >, unless comments come before it
        F.regexp_extract(header, r"^\s*(\S*)", 1).alias(_ID),
        F.regexp_replace(F.substring(record, F.length(header) + 1, F.length(record)), r"\s", "").alias(_LETTERS),
    )


def joined(name: str) -> str:
    """The column that holds, while rows are judged, a column's sequence beside its id."""
    return f"_{name}:fasta"


def with_sequences(raw: RawRows, table: RawTable, sequences: dict[str, Sequences]) -> RawRows:
    """The rows with a table's columns of sequences: the id of each, and in `joined` its sequence, null where none is.

    What the rows are fingerprinted by has the sequences in it.
    """
    if not sequences:
        return raw
    parts = [_with_ids(part, table, sequences) for part in raw.parts]
    digests = [f"{name} {found.digest}" for name, found in sorted(sequences.items())]
    fingerprint = hashlib.sha256(" ".join([raw.survey.fingerprint, *digests]).encode()).hexdigest()[:16]
    return raw._replace(parts=parts, survey=raw.survey._replace(fingerprint=fingerprint))


def _with_ids(part: RawPart, table: RawTable, sequences: dict[str, Sequences]) -> RawPart:
    rows, dtypes = part.rows, dict(part.rows.dtypes)
    added = [name for name, column in table.beside.items() if column.id in part.names]
    for name in added:
        source = str(table.beside[name].id)
        value, key = quoted(source), F.col(quoted(f"_{name}:id"))
        text = F.expr(f"trim({value})" if dtypes[source] == "string" else whole_text(value, dtypes[source]))
        letters = F.col(_LETTERS).alias(joined(name))
        found = sequences[name].found.select(F.col(_ID).alias(f"_{name}:id"), letters)
        rows = rows.withColumn(name, text).join(found, F.col(quoted(name)) == key, "left").drop(f"_{name}:id")
    return part._replace(rows=rows, names=[*part.names, *added])
