"""The lines of `medspark score` add up."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from medspark.score.publish import Written, _tell


def told(rows_in: int, expected: int, written: Written) -> list[tuple[str, int]]:
    lines: list[str] = []
    receipt = SimpleNamespace(counts={"score": {"rows_in": rows_in}})
    scoring: Any = SimpleNamespace(
        run=SimpleNamespace(say=lines.append, receipt=receipt), expected=expected, served=SimpleNamespace(kind="litert")
    )
    _tell(scoring, written)
    found = [re.fullmatch(r"  (\S.{11}|  \S.{9}) *([0-9,]+)(?:  .*)?", line) for line in lines]
    assert all(found), lines
    return [(match[1].strip(), int(match[2].replace(",", ""))) for match in found if match]


REASONS = {"excluded: died": 40, "quarantined: age: type": 3, "quarantined: duplicate": 7, "unscorable: age": 1}


@pytest.mark.parametrize(("rows_in", "total"), [(1551, "rows in"), (1_754_430, "came to")], ids=["table", "events"])
def test_scored_and_rejected_are_what_came_in_and_the_bands_what_was_scored(rows_in: int, total: str) -> None:
    lines = told(rows_in, 1551, Written({"high": 100, "low": 1400}, REASONS, 0, 1))
    first = {name: number for name, number in lines if name in ("rows in", "came to", "scored")}
    rejected = sum(number for name, number in lines if name == "rejected")
    assert first[total] == first["scored"] + rejected == 1551
    assert first["scored"] == sum(number for name, number in lines if name in ("high", "low"))
    assert ("came to" in first) == (total == "came to")
