"""Whether a source's columns are the table's."""

import csv
from collections import Counter
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.errors import InputError, did_you_mean
from medspark.schemas import TEXT
from medspark.sources.survey import Survey
from medspark.sources.worker.dialects import PLAIN_DELIMITER
from medspark.task.raw_table import RawTable


def check_header(survey: Survey, files: list[str], table: RawTable) -> list[str]:
    """The columns that the files have, in their order, which is the table's unless it is open.

    Raises:
        InputError: naming every column that is missing, unknown, out of order or repeated, file by file.
    """
    seen = {_plain(unquote(file.file)) for file in survey.files}
    problems = [f"{file}: expected a header, received an empty file" for file in files if _plain(file) not in seen]
    headers = set()
    delimiter = PLAIN_DELIMITER if table.source.dialect is not None else table.source.delimiter
    for file in survey.files:
        names = _names(file.header or "", delimiter)
        headers.add(tuple(names))
        if not set(names) & set(table.names):  # then it may be a row of data, which no message may hold
            problems.append(f"{file.file}: expected a header as the first line, received none of the task's columns")
        else:
            problems += [f"{file.file}: {text}" for text in compare_columns(names, table, file.file)]
    if len(headers) > 1 and not problems:
        problems.append(
            "its files have their columns in different orders"
            if table.is_open
            else "some files have columns that scoring does not read and some do not"
        )
    if problems:
        raise other_columns(problems)
    return list(next(iter(headers)))


def _plain(file: str) -> str:
    """A file's path without its scheme, which Spark writes in more than one way."""
    return file.split(":", 1)[-1].lstrip("/")


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []


def other_columns(problems: list[str]) -> InputError:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return InputError(f"the source's columns are not the task's\n{lines}")


def compare_columns(names: list[str], table: RawTable, file: str, ordered: bool = True) -> list[str]:
    """Every difference between a file's columns and the table's, one sentence each."""
    problems = []
    expected, counts = dict.fromkeys(table.names), Counter(names)
    unknown = [name for name in names if name not in expected]
    for name in table.columns:
        if name not in counts and name not in table.optional:
            above = " A directory above has it in its name, which is not read." if f"/{name}=" in file else ""
            problems.append(f"column {name!r} is missing.{above}{did_you_mean(name, unknown)}")
    if not table.is_open:
        problems += [f"column {name!r} is not in the task.{did_you_mean(name, expected)}" for name in unknown]
    repeated = sorted(name for name, times in counts.items() if times > 1)
    problems += [f"column {name!r} is there {counts[name]} times" for name in repeated]
    in_order = [name for name in expected if name in counts]
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
        raise other_columns([f"no record has the key {name!r}.{did_you_mean(name, unknown)}" for name in absent])
    return present
