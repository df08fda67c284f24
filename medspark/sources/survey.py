"""What one pass over a source finds before any of it is parsed: rows, blank lines, headers, a fingerprint."""

import hashlib
import json
from functools import reduce
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import BLOCK, POSITION, SOURCE_FILE, TEXT
from medspark.sources.invisible_letters import PLAIN, letters_in, letters_in_json
from medspark.sources.worker.split_records import WHOLE_FILE
from medspark.spark.columns import listed
from medspark.task.raw_table import RawTable

LOST: Final = "_lost"
"""Of typed rows: their columns with digits that Spark cannot hold, a line each."""
_LETTERS: Final = "_letters"
IN_TASK: Final = 2**33 - 1
"""The bits of a position that count within one task's scan."""


class FileSurvey(NamedTuple):
    """What one look at a file found."""

    file: str
    header: str | None
    lines: int
    blank: int
    fingerprint: int
    """The sum of its lines' hashes."""
    order: int = 0
    """The sum of 31 bits of each line's hash times the line's place in the file; of typed files 0."""
    first_line: str | None = None


class Survey(NamedTuple):
    """What one pass over the source found, before any of it is parsed."""

    files: list[FileSurvey]
    rows: int
    blank: int
    fingerprint: str
    splits: list[tuple[str, int, int, int]]
    """file, start of the block, the first line's position in the scan, the lines of the file before it"""
    letters: int = PLAIN
    """What its text needs at most to be normalised, of `medspark.sources.invisible_letters`."""


def _letters_of(table: RawTable) -> Column:
    is_csv = table.source.format == "csv"
    return letters_in(F.col(TEXT), table.source.delimiter) if is_csv else letters_in_json(F.col(TEXT))


def survey_lines(lines: DataFrame, header: bool, table: RawTable) -> Survey:
    """Count the lines of each file, blank ones apart, and find its header and fingerprint, in one pass.

    Args:
        lines: of all files, with their places.
        header: whether each file has one.
        table: which says whether the fingerprint is of the lines in their order, since which of two rows counts depends
            on it.
    """
    letters = _letters_of(table)
    first, hashed = F.struct(F.col(POSITION), F.col(TEXT)), F.xxhash64(TEXT)
    part = hashed.bitwiseAND(F.lit(2**31 - 1))
    found = (
        lines.groupBy(SOURCE_FILE, BLOCK)
        .agg(
            F.min(POSITION).alias("first_position"),
            F.min(first)[TEXT].alias("first_line"),
            F.count(F.lit(1)).alias("lines"),
            F.count_if(is_blank(F.col(TEXT))).alias("blank"),
            F.sum(hashed.cast("decimal(20,0)")).cast("string").alias("hashes"),
            F.sum(part).alias("parts"),
            F.sum(part.cast("decimal(10,0)") * F.col(POSITION).bitwiseAND(F.lit(IN_TASK)).cast("decimal(10,0)"))
            .cast("string")
            .alias("placed"),
            F.max(letters).alias(_LETTERS),
        )
        .orderBy(SOURCE_FILE, BLOCK)
        .collect()
    )
    files: dict[str, FileSurvey] = {}
    splits = []
    for row in found:
        seen = files.get(row[SOURCE_FILE], FileSurvey(row[SOURCE_FILE], None, 0, 0, 0))
        first_position = 0 if row[BLOCK] == WHOLE_FILE else row["first_position"]
        # Each line's place in the file is its position less the block's first one, and the lines of the blocks before
        placed = int(row["placed"]) + (seen.lines - (first_position & IN_TASK)) * row["parts"]
        splits.append((row[SOURCE_FILE], row[BLOCK], first_position, seen.lines))
        files[row[SOURCE_FILE]] = FileSurvey(
            row[SOURCE_FILE],
            row["first_line"] if header and row[BLOCK] <= 0 else seen.header,
            seen.lines + row["lines"],
            seen.blank + row["blank"],
            seen.fingerprint + int(row["hashes"]),
            seen.order + placed,
            row["first_line"] if row[BLOCK] <= 0 else seen.first_line,
        )
    most = max((row[_LETTERS] for row in found), default=PLAIN)
    return whole_survey(list(files.values()), splits, header, table)._replace(letters=most)


def whole_survey(
    files: list[FileSurvey], splits: list[tuple[str, int, int, int]], header: bool, table: RawTable
) -> Survey:
    headers = len(files) if header else 0
    return Survey(
        files=files,
        rows=sum(file.lines - file.blank for file in files) - headers,
        blank=sum(file.blank for file in files),
        fingerprint=_fingerprint(files, table.order_matters, table.reads_file),
        splits=splits,
    )


def _fingerprint(files: list[FileSurvey], ordered: bool, named: bool) -> str:
    """16 hexadecimal digits of all lines; where their order matters, of each file's in its order, and of the files';
    where a rule reads the files' names, of these too, in full as the rule reads them."""
    if not ordered and not named:
        return f"{sum(file.fingerprint for file in files) % 2**64:016x}"
    content = [
        (*([file.file] if named else []), file.lines, file.fingerprint, *([file.order] if ordered else []))
        for file in sorted(files)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def survey_typed(frames: list[DataFrame], table: RawTable) -> Survey:
    """Rows and fingerprint of each file of typed frames, in one pass over the columns that are read.

    Args:
        frames: the rows; SOURCE_FILE is the file of each, and LOST, where it is there, what cannot be read of it.
        table: which says whether the order of the files matters, and their names; within a file, rows have none.

    Raises:
        InputError: digits of a time would be lost, by file and column.
    """
    counts = (
        reduce(DataFrame.unionAll, map(_hashed, frames))
        .groupBy(SOURCE_FILE)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(F.col("hash").cast("decimal(20,0)")).cast("string").alias("sum"),
            F.collect_set(LOST).alias(LOST),
            F.max(_LETTERS).alias(_LETTERS),
        )
        .collect()
    )
    _require_digits({row[SOURCE_FILE]: row[LOST] for row in counts})
    found = [FileSurvey(row[SOURCE_FILE], None, row["rows"], 0, int(row["sum"] or 0)) for row in counts]
    most = max((row[_LETTERS] for row in counts), default=PLAIN)
    return whole_survey(found, [], False, table)._replace(letters=most)


def _hashed(frame: DataFrame) -> DataFrame:
    names = [name for name in frame.columns if name not in (SOURCE_FILE, LOST)]
    lost = F.col(LOST) if LOST in frame.columns else F.lit(None).cast("string")
    texts = [name for name, dtype in frame.dtypes if dtype == "string" and name not in (SOURCE_FILE, LOST)]
    letters = letters_in(F.expr(f"concat_ws('\"', {listed(texts)})"), '"') if texts else F.lit(PLAIN)
    digest = F.expr(f"xxhash64({listed(names)}) AS hash")
    return frame.select(SOURCE_FILE, digest, lost.alias(LOST), letters.alias(_LETTERS))


def _require_digits(lost: dict[str, list[str]]) -> None:
    places = [
        f"  - {file}: column {name!r}"
        for file, found in sorted(lost.items())
        for name in sorted({name for names in found for name in names.split("\n") if name})
    ]
    if places:
        raise InputError(
            "expected times of whole microseconds, the finest that Spark holds, received nanoseconds beyond them. "
            "Round them where the file is written\n" + "\n".join(places)
        )


def is_blank(text: Column) -> Column:
    return F.length(F.trim(text)) == 0
