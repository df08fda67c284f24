"""What one pass over a source finds before any of it is parsed: rows, blank lines, headers, a fingerprint."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.schemas import BLOCK, POSITION, SOURCE_FILE, TEXT, quoted
from medspark.sources.worker.split_records import WHOLE_FILE


class FileSurvey(NamedTuple):
    """What one look at a file found."""

    file: str
    header: str | None
    lines: int
    blank: int
    fingerprint: int


class Survey(NamedTuple):
    """What one pass over the source found, before any of it is parsed."""

    files: list[FileSurvey]
    rows: int
    blank: int
    fingerprint: str
    splits: list[tuple[str, int, int, int]]
    """file, start of the block, the first line's position in the scan, the lines of the file before it"""


def survey_lines(lines: DataFrame, header: bool) -> Survey:
    """Count the lines of each file, blank ones apart, and find its header and fingerprint, in one pass."""
    first = F.struct(F.col(POSITION), F.col(TEXT))
    found = (
        lines.groupBy(SOURCE_FILE, BLOCK)
        .agg(
            F.min(POSITION).alias("first_position"),
            F.min(first)[TEXT].alias("first_line"),
            F.count(F.lit(1)).alias("lines"),
            F.count_if(is_blank(F.col(TEXT))).alias("blank"),
            F.sum(F.xxhash64(TEXT).cast("decimal(20,0)")).cast("string").alias("hashes"),
        )
        .orderBy(SOURCE_FILE, BLOCK)
        .collect()
    )
    files: dict[str, FileSurvey] = {}
    splits = []
    for row in found:
        seen = files.get(row[SOURCE_FILE], FileSurvey(row[SOURCE_FILE], None, 0, 0, 0))
        first_position = 0 if row[BLOCK] == WHOLE_FILE else row["first_position"]
        splits.append((row[SOURCE_FILE], row[BLOCK], first_position, seen.lines))
        files[row[SOURCE_FILE]] = FileSurvey(
            row[SOURCE_FILE],
            row["first_line"] if header and row[BLOCK] <= 0 else seen.header,
            seen.lines + row["lines"],
            seen.blank + row["blank"],
            seen.fingerprint + int(row["hashes"]),
        )
    return _whole(list(files.values()), splits, header)


def _whole(files: list[FileSurvey], splits: list[tuple[str, int, int, int]], header: bool) -> Survey:
    headers = len(files) if header else 0
    return Survey(
        files=files,
        rows=sum(file.lines - file.blank for file in files) - headers,
        blank=sum(file.blank for file in files),
        fingerprint=f"{sum(file.fingerprint for file in files) % 2**64:016x}",
        splits=splits,
    )


def survey_typed(frame: DataFrame, file: Column) -> Survey:
    """Rows and fingerprint of each file of a typed frame, in one pass over its content."""
    counts = (
        frame.select(file.alias("file"), F.xxhash64(*map(quoted, frame.columns)).alias("hash"))
        .groupBy("file")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(F.col("hash").cast("decimal(20,0)")).cast("string").alias("sum"),
        )
        .collect()
    )
    found = [FileSurvey(row["file"], None, row["rows"], 0, int(row["sum"] or 0)) for row in counts]
    return _whole(found, [], header=False)


def is_blank(text: Column) -> Column:
    return F.length(F.trim(text)) == 0
