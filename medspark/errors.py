"""Every error medspark raises on purpose, and the exit code it ends a command with.

    MedsparkError              1
    ├── SparkError             1   Spark failed, and nobody's mistake is known: its log has where
    ├── TaskError              2   the task file or the arguments are wrong
    ├── InputError             3   the input breaks its contract
    │   ├── AccountingError    3   rows in do not equal rows out and rows set aside
    │   └── AwayError          8   a database is away: run again
    ├── BundleError            3   a bundle is damaged, incomplete or from another version
    ├── GateError              4   a quality gate refused
    ├── BusyError              5   another run has the store
    ├── RejectedError          6   scores are published, but too many rows have none
    └── StoreError             7   the store cannot be written, or its disk is full

A command that a signal stopped ends with 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM.

No message carries a patient's value: it names columns, files, lines, rules and counts.
"""

import signal
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final


class MedsparkError(Exception):
    """An expected failure with a message for people."""

    exit_code = 1


class SparkError(MedsparkError):
    """Spark failed, and nobody's mistake is known."""


class TaskError(MedsparkError):
    """The task file or the command's arguments are wrong; `problems` has all of them, one sentence each."""

    exit_code = 2

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{where}: {count} problem{'s' if count != 1 else ''}\n{lines}")


class InputError(MedsparkError):
    """The input breaks the contract that the task states for it."""

    exit_code = 3


class AccountingError(InputError):
    """Rows in do not equal rows out and rows set aside."""


class AwayError(InputError):
    """A database cannot be reached, or ended the session: what another attempt may mend."""

    exit_code = 8


class BundleError(MedsparkError):
    """A bundle is damaged, incomplete or written by a version this one can't read."""

    exit_code = 3


class GateError(MedsparkError):
    """A quality gate refused the result."""

    exit_code = 4


class BusyError(MedsparkError):
    """Another run has the store."""

    exit_code = 5


class RejectedError(MedsparkError):
    """All rows, or a larger share than the task allows, have no score."""

    exit_code = 6


class StoreError(MedsparkError):
    """The store cannot be written, or is gone."""

    exit_code = 7


class Stopped(BaseException):
    """A signal asked the command to end: 2 is Ctrl-C, 15 SIGTERM."""

    def __init__(self, number: int) -> None:
        self.number, self.exit_code = number, 128 + number
        self.in_receipt = False  # until a completed receipt says so
        super().__init__(f"stopped by {signal.Signals(number).name}")


_LONGEST_WORD = 200
"""Of those that are compared: the time grows with the square of a word's length."""


MANY_WORDS: Final = 1000
"""Beyond so many known words only those are looked for that differ in a letter: a wide table whose columns have all
other names compares each with each."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt `word`, empty where nothing is like it.

    >>> did_you_mean("heart_rte", ["heart_rate", "spo2"])
    " Did you mean 'heart_rate'?"
    >>> did_you_mean("height", ["heart_rate", "spo2"])
    ''
    >>> did_you_mean("HR12_men", [f"hr{at}_mean" for at in range(2000)])
    " Did you mean 'hr12_mean'?"
    """
    names = tuple(known)
    if len(word) > _LONGEST_WORD:
        close = []
    elif len(names) > MANY_WORDS:
        close = [_shorter(names)[part] for part in _parts(word) if part in _shorter(names)]
    else:
        close = get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


@lru_cache(maxsize=2)
def _shorter(names: tuple[str, ...]) -> dict[str, str]:
    """Names by themselves and by what is left of them without a letter."""
    return {part: name for name in reversed(names) if len(name) <= _LONGEST_WORD for part in _parts(name)}


def _parts(word: str) -> list[str]:
    """A word in small letters, and without one of them: two words with a part in common are a letter apart.

    >>> _parts("Age")
    ['age', 'ge', 'ae', 'ag']
    """
    small = word.casefold()
    return [small, *(small[:at] + small[at + 1 :] for at in range(len(small)))]
