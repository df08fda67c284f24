"""Spark's failures to read, or to work out an expression, as one sentence without a patient's value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from medspark.errors import InputError

_EXPRESSION_SIGNS: Final = (
    "DIVIDE_BY_ZERO",
    "ARITHMETIC_OVERFLOW",
    "CAST_INVALID_INPUT",
    "CAST_OVERFLOW",
    "INVALID_ARRAY_INDEX",
)
"""What Spark names the failure of an expression on a row's values."""

_SIGNS: Final = {
    "EOFException": "It ends too early: it was cut short or is damaged. Copy it again.",
    "EOFError": "It ends too early: it was cut short or is damaged. Copy it again.",
    "ZlibException": "A compressed file is damaged. Copy it again.",
    "not a gzip file": "A file named .gz is not compressed by gzip.",
    "Not a gzipped file": "A file named .gz is not compressed by gzip.",
    "incorrect header check": "A file named .gz is not compressed by gzip.",
    "PARQUET_TYPE_ILLEGAL": "It has a column of a type that Spark does not read.",
    "PARQUET_TYPE_NOT_SUPPORTED": "It has a column of a type that Spark does not read.",
    "PARQUET_TYPE_NOT_RECOGNIZED": "It has a column of a type that Spark does not read.",
    "Illegal Parquet type": "It has a column of a type that Spark does not read.",
    "not a Parquet file": "It is not a Parquet file.",
    "FAILED_READ_FILE": "It is damaged, or not of the format that the task names.",
    "CANNOT_READ_FILE_FOOTER": "It is damaged, or not of the format that the task names.",
}
"""What Spark's words for a file that it cannot read mean, the first that they hold."""


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn Spark's failure to read a file into one sentence; its own text may hold a patient's values."""
    try:
        with expressions_hold():
            yield
    except (PySparkException, Py4JJavaError) as error:  # Spark raises the one or the other
        hint = next((hint for sign, hint in _SIGNS.items() if sign in str(error)), "The log has Spark's own words.")
        raise InputError(f"{path}: a file cannot be read. {hint}") from error


@contextmanager
def expressions_hold() -> Iterator[None]:
    """Turn the failure of an expression on some row into one sentence. Other failures pass."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if not any(sign in str(error) for sign in _EXPRESSION_SIGNS):
            raise
        raise InputError(
            "an expression of the task fails on some row: guard it with try_divide, nullif or try_cast. "
            "It is one under derived or checks, or of a mapping's events."
        ) from error
