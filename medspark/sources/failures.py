"""Spark's failures to read a file as one sentence without a patient's value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from medspark.errors import InputError
from medspark.spark.failures import SPARK_ERRORS, is_of_a_value, text_of

_SIGNS: Final = {
    "Permission denied": "This user may not read it. Ask its owner for the right to.",
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
    """Turn Spark's failure to read a file or a database into one sentence; its own text may hold a patient's values."""
    try:
        yield
    except SPARK_ERRORS as error:
        says = text_of(error)
        hint = next((hint for sign, hint in _SIGNS.items() if sign in says), None)
        if hint is None and is_of_a_value(error):
            raise  # an expression of the task, whose place the stage tells
        if "SQLException" in says:  # of whichever driver
            raise InputError(
                f"{path}: its rows cannot be read: the database ended the session or refused them, as its own log "
                "says. Run again."
            ) from None
        raise InputError(f"{path}: a file cannot be read. {hint or 'It may be damaged.'}") from None
