"""Raw tables of files: which files there are, whether their columns are the task's, and their raw records.

Formats with lines become one row a record with its text (`TEXT`), read by Spark's splittable line reader where a
record is a line and by one task a file where it is not. Parquet and ORC keep their types.
"""

import bz2
import csv
import gzip
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError, did_you_mean
from medspark.schemas import SOURCE_FILE, SOURCE_LINE, quoted
from medspark.sources.record_rules import BAD_ENCODING
from medspark.sources.worker.split_records import RawRecord, split_csv, split_json
from medspark.store.files import list_files
from medspark.task.raw_table import RawTable, TableSource

BLOCK = "_block"
POSITION = "_position"
RECORD_RULE = "_record_rule"
REPAIRED = "_repaired"
TEXT = "_text"
_WHOLE_FILE = -1
_MARKERS = re.compile(r"_SUCCESS|_metadata|_common_metadata|_(?:started|committed)_[0-9]+|\..*\.crc")
_PATTERN_LETTERS = frozenset("*?[]{}\\")


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


def source_files(spark: SparkSession, path: str) -> list[str]:
    """The files of a source, sorted.

    Raises:
        InputError: there are none, or some that Spark would pass over without a word.
    """
    found = {file: below for file, below in list_files(spark.sparkContext, path).items() if not _is_marker(below)}
    hidden = [file for file, below in found.items() if any(p.startswith(("_", ".")) for p in below.split("/"))]
    if hidden:
        raise InputError(
            f"{path}: Spark passes over names that start with _ or . without a word: {', '.join(hidden)}. "
            "Rename them, or move them out of the source."
        )
    patterns = [file for file in found if _PATTERN_LETTERS & set(file)]
    if patterns:
        raise InputError(
            f"{path}: Spark takes names with any of {' '.join(sorted(_PATTERN_LETTERS))} for patterns: "
            f"{', '.join(patterns)}. Rename them."
        )
    if not found:
        raise InputError(f"{path}: expected at least one file, received none. Check the path and ${{...}} in it.")
    return list(found)


def _is_marker(file: str) -> bool:
    """Whether a file is one that Spark and Hadoop leave beside the data, and no data itself."""
    return _MARKERS.fullmatch(file.rsplit("/", 1)[-1]) is not None


# ---------------------------------------------------------------- lines


def read_lines(spark: SparkSession, files: list[str], encoding: str) -> DataFrame:
    """One row a line: file, block, position in the scan, and text in `TEXT`; invalid text breaks a record rule.

    The position rises along a file's blocks in the order Spark scans them, and is the same for each scan of the
    same files, so that line numbers can be told from one small table of the blocks' first positions.
    """
    text, is_valid = _decoded(F.col("value"), encoding)
    return spark.read.text(files).select(
        F.col("_metadata.file_path").alias(SOURCE_FILE),
        F.col("_metadata.file_block_start").alias(BLOCK),
        F.monotonically_increasing_id().alias(POSITION),
        F.when(~is_valid, BAD_ENCODING).alias(RECORD_RULE),
        text.alias(TEXT),
    )


def _decoded(line: Column, encoding: str) -> tuple[Column, Column]:
    """The text of a line's bytes, and whether all of them are in the encoding."""
    if encoding == "utf-8":
        return line, F.is_valid_utf8(line)
    latin = F.decode(line.cast("binary"), "iso-8859-1")  # every byte is a letter or a control character
    if encoding == "iso-8859-1":
        return latin, F.lit(True)
    return F.translate(latin, _CONTROLS, _WINDOWS), ~latin.rlike(r"[\x81\x8d\x8f\x90\x9d]")


# windows-1252 is iso-8859-1 with letters for most of these controls; Spark's own decoder ends the job at the others
_CONTROLS = "".join(map(chr, range(0x80, 0xA0))).translate(dict.fromkeys((0x81, 0x8D, 0x8F, 0x90, 0x9D)))
_WINDOWS = _CONTROLS.encode("iso-8859-1").decode("windows-1252")


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
        first_position = 0 if row[BLOCK] == _WHOLE_FILE else row["first_position"]
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


def is_blank(text: Column) -> Column:
    return F.length(F.trim(text)) == 0


def number_lines(spark: SparkSession, lines: DataFrame, survey: Survey, header: bool) -> DataFrame:
    """The records among the lines: each with its line number from 1, headers and blank lines left out."""
    schema = f"{SOURCE_FILE} string, {BLOCK} bigint, _first bigint, _before bigint"
    splits = spark.createDataFrame(survey.splits, schema)
    line = (F.col(POSITION) - F.col("_first") + F.col("_before") + 1).alias(SOURCE_LINE)
    numbered = lines.join(F.broadcast(splits), on=[SOURCE_FILE, BLOCK], how="left").select(
        SOURCE_FILE, line, TEXT, RECORD_RULE
    )
    return numbered.where((F.col(SOURCE_LINE) > (1 if header else 0)) & ~is_blank(F.col(TEXT)))


# ---------------------------------------------------------------- whole files


def read_whole_files(spark: SparkSession, files: list[str], source: TableSource) -> DataFrame:
    """As `read_lines`, for records that may run over several lines: one task cuts one file into its records."""
    other = [file for file in files if file.endswith((".zst", ".lz4", ".snappy", ".deflate"))]
    if other:
        raise InputError(f"{', '.join(other)}: expected .gz, .bz2 or no compression of files read as a whole")
    content = spark.read.format("binaryFile").load(files).select("path", "content")
    split = split_json if source.format == "json" else partial(split_csv, delimiter=source.delimiter)
    cut = partial(_cut_batches, split, source.encoding)
    schema = f"{SOURCE_FILE} string, {BLOCK} bigint, {POSITION} bigint, {RECORD_RULE} string, {TEXT} string"
    return content.mapInArrow(cut, schema)


def _cut_batches(
    split: Callable[[str], Iterator[RawRecord]], encoding: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path, content in zip(batch["path"].to_pylist(), batch["content"].to_pylist(), strict=True):
            codec = "utf-8-sig" if encoding == "utf-8" else encoding
            text = _inflate(path, content).decode(codec, errors="surrogateescape")
            rows = [(line - 1, *_sound(raw, rule)) for line, raw, rule in split(text)]
            for at in range(0, len(rows), 10_000):
                part = rows[at : at + 10_000]
                positions, rules, raws = zip(*part, strict=True)
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([path] * len(part), pa.string()),
                        pa.array([_WHOLE_FILE] * len(part), pa.int64()),
                        pa.array(positions, pa.int64()),
                        pa.array(rules, pa.string()),
                        pa.array(raws, pa.string()),
                    ],
                    names=[SOURCE_FILE, BLOCK, POSITION, RECORD_RULE, TEXT],
                )


def _inflate(path: str, content: bytes) -> bytes:
    if path.endswith(".gz"):
        return gzip.decompress(content)
    return bz2.decompress(content) if path.endswith(".bz2") else content


def _sound(raw: str, rule: str | None) -> tuple[str | None, str]:
    """The rule that a record breaks and its text; bytes outside the encoding came as surrogates."""
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError:
        return BAD_ENCODING, raw.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
    return rule, raw


# ---------------------------------------------------------------- columns


def check_header(survey: Survey, files: list[str], table: RawTable) -> list[str]:
    """The columns that the files have, in their order, which is the table's unless it is open.

    Raises:
        InputError: naming every column that is missing, unknown, out of order or repeated, file by file.
    """
    seen = {_plain(unquote(file.file)) for file in survey.files}
    problems = [f"{file}: expected a header, received an empty file" for file in files if _plain(file) not in seen]
    headers = set()
    for file in survey.files:
        names = _names(file.header or "", table.source.delimiter)
        headers.add(tuple(names))
        if not set(names) & set(table.columns):  # then it may be a row of data, which no message may hold
            problems.append(f"{file.file}: expected a header as the first line, received none of the task's columns")
        else:
            problems += [f"{file.file}: {text}" for text in compare_columns(names, table, file.file)]
    if len(headers) > 1 and not problems:
        problems.append(
            "its files have their columns in different orders"
            if table.is_open
            else "some files have the outcome's columns and some do not"
        )
    if problems:
        raise _other_columns(problems)
    return list(next(iter(headers)))


def _plain(file: str) -> str:
    """A file's path without its scheme, which Spark writes in more than one way."""
    return file.split(":", 1)[-1].lstrip("/")


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []


def _other_columns(problems: list[str]) -> InputError:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return InputError(f"the source's columns are not the task's\n{lines}")


def compare_columns(names: list[str], table: RawTable, file: str, ordered: bool = True) -> list[str]:
    """Every difference between a file's columns and the table's, one sentence each."""
    problems = []
    expected = list(table.columns)
    unknown = [name for name in names if name not in expected]
    for name in expected:
        if name not in names and name not in table.optional:
            above = " A directory above has it in its name, which is not read." if f"/{name}=" in file else ""
            problems.append(f"column {name!r} is missing.{above}{did_you_mean(name, unknown)}")
    if not table.is_open:
        problems += [f"column {name!r} is not in the task.{did_you_mean(name, expected)}" for name in unknown]
    repeated = sorted({name for name in names if names.count(name) > 1})
    problems += [f"column {name!r} is there {names.count(name)} times" for name in repeated]
    in_order = [name for name in expected if name in names]
    if ordered and not table.is_open and not problems and names != in_order:
        at = next(i for i, (a, b) in enumerate(zip(names, in_order, strict=True)) if a != b)
        problems.append(f"column {at + 1}: expected {in_order[at]!r}, received {names[at]!r}: reordered columns")
    return problems


def check_json_keys(records: DataFrame, expected: list[str], optional: set[str]) -> list[str]:
    """The columns that at least one record has as a key.

    Raises:
        InputError: naming the columns that no record has; a key that some records lack is a missing value there.
    """
    keys = F.json_object_keys(TEXT)
    found = records.agg(
        *(F.count_if(F.array_contains(keys, name)).alias(f"n{at}") for at, name in enumerate(expected)),
        F.first(keys, ignorenulls=True).alias("example"),
        F.count(F.lit(1)).alias("rows"),
    ).collect()[0]
    present = [name for at, name in enumerate(expected) if found[f"n{at}"] or not found["rows"]]
    absent = [name for name in expected if name not in present and name not in optional]
    if absent:
        unknown = [key for key in found["example"] or [] if key not in expected]
        raise _other_columns([f"no record has the key {name!r}.{did_you_mean(name, unknown)}" for name in absent])
    return present


# ---------------------------------------------------------------- Parquet and ORC


def read_typed(spark: SparkSession, files: list[str], table: RawTable) -> tuple[DataFrame, Survey]:
    """Parquet or ORC files with their own types, after a look at the columns of each.

    Raises:
        InputError: a file cannot be read, has other columns than the task, or other types than its neighbours.
    """
    reader = spark.read.option("mergeSchema", "false")
    with ThreadPoolExecutor(8) as pool:
        schemas = dict(
            zip(files, pool.map(lambda file: reader.format(table.source.format).load(file).dtypes, files), strict=True)
        )
    problems = []
    for file, dtypes in schemas.items():
        names = [name for name, _ in dtypes]
        problems += [f"{file}: {p}" for p in compare_columns(names, table, file, ordered=False)]
        first = dict(schemas[files[0]])
        problems += [
            f"{file}: column {name!r} is {dtype} here and {first[name]} in {files[0]}"
            for name, dtype in dtypes
            if first.get(name, dtype) != dtype
        ]
    if problems:
        raise _other_columns(problems)
    frame = reader.format(table.source.format).load(files)
    return frame, survey_typed(frame, F.col("_metadata.file_path"))


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
