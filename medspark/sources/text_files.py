"""Text files to raw records, one row each with its place and its text."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import BLOCK, POSITION, RECORD_RULE, SOURCE_FILE, SOURCE_LINE, TEXT
from medspark.sources.record_rules import BAD_ENCODING
from medspark.sources.survey import Survey, is_blank
from medspark.sources.worker.dialects import split_dialect
from medspark.sources.worker.split_records import RawRecord, cut_batches, split_csv, split_json, split_lines
from medspark.spark.arrow import map_batches
from medspark.task.raw_table import TableSource

# windows-1252 is iso-8859-1 with letters for most of these controls; Spark's own decoder ends the job at the others
_CONTROLS: Final = "".join(map(chr, range(0x80, 0xA0))).translate(dict.fromkeys((0x81, 0x8D, 0x8F, 0x90, 0x9D)))

_WINDOWS: Final = _CONTROLS.encode("iso-8859-1").decode("windows-1252")


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


def number_lines(spark: SparkSession, lines: DataFrame, survey: Survey, header: bool) -> DataFrame:
    """The records among the lines: each with its line number from 1, headers and blank lines left out."""
    schema = f"{SOURCE_FILE} string, {BLOCK} bigint, _first bigint, _before bigint"
    splits = spark.createDataFrame(survey.splits, schema)
    line = (F.col(POSITION) - F.col("_first") + F.col("_before") + 1).alias(SOURCE_LINE)
    numbered = lines.join(F.broadcast(splits), on=[SOURCE_FILE, BLOCK], how="left").select(
        SOURCE_FILE, line, TEXT, RECORD_RULE
    )
    return numbered.where((F.col(SOURCE_LINE) > (1 if header else 0)) & ~is_blank(F.col(TEXT)))


def read_whole_files(spark: SparkSession, files: list[str], source: TableSource) -> DataFrame:
    """As `read_lines`, for records that may run over several lines: one task cuts one file into its records."""
    other = [file for file in files if file.endswith((".zst", ".lz4", ".snappy", ".deflate"))]
    if other:
        raise InputError(f"{', '.join(other)}: expected .gz, .bz2 or no compression of files read as a whole")
    content = spark.read.format("binaryFile").load(files).select("path", "content")
    cut = partial(cut_batches, _split(source), source.encoding)
    schema = f"{SOURCE_FILE} string, {BLOCK} bigint, {POSITION} bigint, {RECORD_RULE} string, {TEXT} string"
    return map_batches(content, cut, schema)


def _split(source: TableSource) -> Callable[[str], Iterator[RawRecord]]:
    if source.format == "json":
        return split_json
    if source.dialect is not None:
        return partial(
            split_dialect,
            dialect=source.dialect,
            delimiter=source.delimiter,
            header=source.header,
            newlines=source.quoted_newlines,
        )
    return partial(split_csv, delimiter=source.delimiter) if source.quoted_newlines else split_lines
