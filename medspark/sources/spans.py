"""The files of a text source cut into spans for workers, and what workers found in them as a survey."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from pyspark import SparkContext

from medspark.sources.survey import FileSurvey, Survey, whole_survey
from medspark.sources.worker.spans import Span, Surveyed, first_line, size_of
from medspark.task.raw_table import RawTable

SPAN_BYTES: Final = 8 * 2**20
"""Of a span at most: of twice as many a worker spends a third of its time on getting memory."""
LEAST_BYTES: Final = 2**20
ROUNDS: Final = 2
"""Spans for each core, where there are bytes enough: the slower one of two cores then gets fewer."""
_READERS: Final = 16
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=-")


class Head(NamedTuple):
    """A file, its name as Spark writes it in SOURCE_FILE, its bytes and its first line."""

    address: str
    file: str
    size: int
    first_line: str | None


def first_lines(context: SparkContext, files: list[str], encoding: str) -> list[Head]:
    """Each file's first line, none of an empty one."""
    names = [_written(context, file) for file in files]
    with ThreadPoolExecutor(_READERS) as pool:
        sizes = [*pool.map(size_of, files)]
        lines = [*pool.map(lambda file: first_line(file, encoding), files)]
    return [Head(*found) for found in zip(files, names, sizes, lines, strict=True)]


def _written(context: SparkContext, file: str) -> str:
    """A file's path as Spark's `_metadata.file_path` has it: what is no plain letter is escaped."""
    if not set(file) - _PLAIN:
        return file
    java: Any = context._jvm
    return str(java.org.apache.spark.paths.SparkPath.fromPath(java.org.apache.hadoop.fs.Path(file)).urlEncoded())


def plan_spans(context: SparkContext, heads: list[Head]) -> list[Span]:
    """All spans of the files that have lines, in the order of the files."""
    whole = sum(head.size for head in heads)
    most = min(SPAN_BYTES, max(LEAST_BYTES, -(-whole // (ROUNDS * context.defaultParallelism))))
    return [
        Span(head.file, head.address, first, min(first + most, head.size))
        for head in heads
        for first in range(0, head.size, most)
        if head.first_line is not None
    ]


def lines_before(spans: Iterable[Surveyed]) -> list[int]:
    """How many lines of its file come before each span."""
    seen: Counter[str] = Counter()
    before = []
    for span in spans:
        before.append(seen[span.file])
        seen[span.file] += span.lines
    return before


def survey_of(heads: list[Head], spans: Iterable[Surveyed], table: RawTable) -> Survey:
    """The survey of files whose spans were read; without spans, of what their first lines say."""
    header = table.source.format == "csv" and table.source.header
    files = {
        head.file: FileSurvey(head.file, head.first_line if header else None, 0, 0, 0, 0, head.first_line)
        for head in heads
        if head.first_line is not None
    }
    for span in spans:
        seen = files[span.file]
        files[span.file] = seen._replace(
            lines=seen.lines + span.lines,
            blank=seen.blank + span.blank,
            fingerprint=seen.fingerprint + span.hashes,
            order=seen.order + span.placed + seen.lines * span.parts,
        )
    return whole_survey(list(files.values()), [], header, table)
