"""What Spark and py4j raise, as words: the error's class and where in the task, never its text, which quotes rows."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from medspark.errors import InputError, SparkError

SPARK_ERRORS: Final = (PySparkException, Py4JError)
"""Spark raises the one or the other for the same failure."""

_CONDITION: Final = re.compile(r"(?:(?:Exception|Error): |\A)\[([A-Z][A-Z0-9_.]+)\]")
_STATE: Final = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")
_FRAGMENT: Final = re.compile(r"== SQL .*==\n(.*)\n")
"""The part of an expression that failed, as Spark shows it above its carets."""

_LOST: Final = "CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND"

_OF_A_VALUE: Final = ("22", "P0001")
"""How the SQL states begin of what fails on a row's values: data exceptions, and what an expression raises itself."""


def text_of(error: BaseException) -> str:
    """Everything that Spark says of a failure, its causes too: to be searched, never to be shown. Nothing where Java
    would have to say it, and is gone.
    """
    try:
        return str(error)
    except (OSError, Py4JError):
        return ""


def name_of(error: BaseException) -> str:
    """An error's class, and of Spark's own its condition.

    >>> name_of(PySparkException("[CAST_INVALID_INPUT] The value 'Zebedee' ... SQLSTATE: 22018"))
    'PySparkException: CAST_INVALID_INPUT'
    >>> name_of(ValueError("could not convert Zebedee"))
    'ValueError'
    """
    condition = condition_of(error) if isinstance(error, SPARK_ERRORS) else None
    return type(error).__name__ if condition is None else f"{type(error).__name__}: {condition}"


def condition_of(error: BaseException) -> str | None:
    """Spark's name for what failed, the deepest that names one; None where it has none."""
    found = _CONDITION.findall(text_of(error))
    return next((name for name in found if not name.startswith("TASK_WRITE_FAILED")), None)


def is_of_a_value(error: BaseException) -> bool:
    """Whether an expression, a cast or a function failed on the values of some row."""
    return any(state.startswith(_OF_A_VALUE) for state in _STATE.findall(text_of(error)))


def is_of_a_file(error: BaseException) -> bool:
    """Whether a file that is there could not be read as what it should be.

    >>> is_of_a_file(PySparkException("[FAILED_READ_FILE.NO_HINT] Encountered error while reading file"))
    True
    """
    return (condition_of(error) or "").startswith(("FAILED_READ_FILE", "CANNOT_READ_FILE", "UNABLE_TO_INFER_SCHEMA"))


def place_of(error: BaseException, expressions: Mapping[str, str]) -> str:
    """Where in a task the expression stands that failed; `expressions` are all of them by their place.

    >>> told = PySparkException("[A] SQLSTATE: 22018\\n== SQL (line 1) ==\\nCAST(note AS INT)\\n^^^")
    >>> place_of(told, {"derived.n": "CAST(note AS INT) + 1", "checks.c": "age > 1"})
    'derived.n'
    """
    parts = [part.strip().strip(".") for part in _FRAGMENT.findall(text_of(error))]
    of_part = [place for place, sql in expressions.items() if any(part and part in sql for part in parts)]
    places = of_part or list(expressions)
    if not places or len(places) > 5:
        return "an expression of the task"
    return places[0] if len(places) == 1 else f"one of {', '.join(places)}"


@contextmanager
def expressions_hold(expressions: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn the failure of an expression on some row into one sentence. Other failures pass.

    Args:
        expressions: those of the task by their place, as Spark gets them.

    Raises:
        InputError: naming the expression's place and Spark's error class.
    """
    try:
        yield
    except SPARK_ERRORS as error:
        if not is_of_a_value(error):
            raise
        raise InputError(
            f"{place_of(error, expressions or {})}: fails on some row ({condition_of(error) or 'no error class'}). "
            "Guard it with try_divide, nullif or try_cast."
        ) from None  # its words, and those of what caused it, quote the row


@contextmanager
def told_in_words() -> Iterator[None]:
    """Turn whatever Spark raises into an error without its words: what is around every command.

    Raises:
        InputError: an expression failed on some row.
        SparkError: anything else that Spark raises.
    """
    try:
        with expressions_hold():
            yield
    except SPARK_ERRORS as error:
        name = name_of(error)
        if condition_of(error) == _LOST:
            raise SparkError("an executor was lost with rows that it alone kept. Run again.") from None
        cause = _java_class(error)
        words = f"Spark failed ({name}{f', {cause}' if cause else ''}). The log says where, without the rows."
        raise SparkError(words).with_traceback(error.__traceback__) from None


def _java_class(error: BaseException) -> str | None:
    """The class of the deepest Java exception."""
    thrown = error.java_exception if isinstance(error, Py4JJavaError) else None
    try:
        while thrown is not None and thrown.getCause() is not None:
            thrown = thrown.getCause()
        return None if thrown is None else str(thrown.getClass().getSimpleName())
    except (OSError, Py4JError):
        return None  # Java has ended
