"""The dirt planted in the flat extract: kinds, each with its share of the rows and the rule that finds it.

A row has one kind at most, and a dirty row breaks its own rule only. No Spark here.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

CLEAN: Final = -1


class Kind(NamedTuple):
    """A kind of dirt: its share of the rows, the cleaning rule that names it, what stands in which column."""

    name: str
    share: float
    rule: str
    description: str
    column: str | None = None
    values: tuple[str, ...] = ()


KINDS: Final = (
    Kind("cut short", 0.004, "record: fields", "a record that ends in the middle"),
    Kind("open quote", 0.003, "record: quote", "a quote that is never closed"),
    Kind("broken letter", 0.003, "record: encoding", "a letter in Latin-1 inside UTF-8"),
    Kind("impossible age", 0.004, "age: range", "an age nobody has", "age", ("240", "-7", "999")),
    Kind("age in words", 0.003, "age: type", "no number", "age", ("seventy", "8O", "about 60")),
    Kind(
        "no such date",
        0.004,
        "admitted_at: type",
        "a day that does not exist, or another way to write it",
        "admitted_at",
        ("2024-02-30 10:15:00", "31/05/2024 09:40", "2023-13-01 08:00:00"),
    ),
    Kind("unknown sex", 0.005, "sex: level", "a code of another system", "sex", ("X", "9", "vrouw")),
    Kind("sodium times ten", 0.004, "sodium: range", "no decimal point", "sodium", ("1390", "1412", "1365")),
    Kind(
        "unknown unit",
        0.003,
        "creatinine: unit",
        "a unit that creatinine is not converted from",
        "creatinine_unit",
        ("g/L", "mmol/L", "mg"),
    ),
    Kind(
        "no code",
        0.004,
        "diag_1: code",
        "words or signs in place of a code",
        "diag_1",
        ("???1", "see letter", "12.34"),
    ),
    Kind("left before arrival", 0.003, "discharge after admission", "discharged before admitted"),
    Kind("written twice", 0.005, "duplicate", "the same record once more"),
    Kind("nobody", 0.003, "patient_id: required", "no patient", "patient_id", ("",)),
)
"""Each kind's `rows` are the records of it in the file; for `written twice`, the second copies."""

_NAMES: Final = {kind.name: place for place, kind in enumerate(KINDS)}
_RECORD_KINDS: Final = tuple(place for place, kind in enumerate(KINDS) if kind.rule.startswith("record: "))
_PLAIN_REASON: Final = "referred by GP"
_FIELDS_KEPT: Final = (5, 15)
"""A record is cut after so many fields, all of them before the free text: none holds a comma."""


def assign(rng: np.random.Generator, rows: int) -> npt.NDArray[np.int64]:
    """The kind of each of `rows` rows, as a place in `KINDS` or `CLEAN`.

    Every kind gets its share, rounded up or down by chance so that shares hold over many small blocks.
    """
    shares = np.array([kind.share for kind in KINDS])
    numbers = np.floor(shares * rows + rng.random(len(KINDS))).astype(int)
    kinds = np.full(rows, CLEAN)
    drawn = np.repeat(np.arange(len(KINDS)), numbers)[:rows]
    kinds[rng.permutation(rows)[: len(drawn)]] = drawn
    return kinds


def count(kinds: npt.NDArray[np.int64]) -> dict[str, int]:
    """How many rows have each kind, by the kind's name, zeros included."""
    return {kind.name: int((kinds == place).sum()) for place, kind in enumerate(KINDS)}


def soil_cells(rng: np.random.Generator, cells: pd.DataFrame, kinds: npt.NDArray[np.int64]) -> pd.DataFrame:
    """The cells with the dirt that stands in one of them."""
    cells = cells.copy()
    for place, kind in enumerate(KINDS):
        rows = np.flatnonzero(kinds == place)
        if kind.values:
            cells.loc[rows, kind.column] = rng.choice(np.array(kind.values, dtype=object), size=len(rows))
    unit = np.flatnonzero(kinds == _NAMES["unknown unit"])
    cells.loc[unit, "creatinine"] = "1.1"  # a unit without a value would break no rule
    early = np.flatnonzero(kinds == _NAMES["left before arrival"])
    cells.loc[early, "discharged_at"] = _days_before(rng, cells.loc[early, "admitted_at"])
    # the free text's commas and quotes must not change what a broken record breaks
    cells.loc[np.isin(kinds, _RECORD_KINDS), "reason_for_admission"] = _PLAIN_REASON
    return cells


def soil_lines(
    rng: np.random.Generator, lines: list[bytes], kinds: npt.NDArray[np.int64], columns: list[str]
) -> list[bytes]:
    """The records with the dirt that breaks them as a whole; second copies follow at the end."""
    lines = list(lines)
    reason = columns.index("reason_for_admission")
    for row in np.flatnonzero(np.isin(kinds, _RECORD_KINDS)):
        fields = lines[row].split(b",")
        match KINDS[kinds[row]].name:
            case "cut short":
                fields = fields[: rng.integers(*_FIELDS_KEPT)]
            case "open quote":
                fields[reason] = b'"' + fields[reason]
            case "broken letter":
                fields[reason] = "Ménière's disease".encode("latin-1")
        lines[row] = b",".join(fields)
    twice = np.flatnonzero(kinds == _NAMES["written twice"])
    return lines + [lines[row] for row in twice]


def _days_before(rng: np.random.Generator, times: "pd.Series[Any]") -> list[str]:
    days = rng.integers(1, 4, size=len(times))
    moved = pd.to_datetime(times) - pd.to_timedelta(days, unit="D")
    return moved.dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
