"""A scoring run as monitoring keeps it: counts, and how it stands beside the runs before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medspark.encode.kinds.base import Frozen
from medspark.monitor.worker.tally import Tally
from medspark.schemas import EXCLUDED_BY
from medspark.task.monitoring import Monitoring

Floats = npt.NDArray[np.float64]

COMPARED: Final = 30
"""Runs before that a night is compared with."""
LEAST_BEFORE: Final = 5
"""Of them, so that what is usual is known."""
LEAST_CHANGES: Final = 3
"""Nights from one to the next, so that a table is known to grow."""
DRAWS: Final = 100_000


class Night(Frozen):
    """One scoring run: no patient is in it, but counts of any size; it stays in the store."""

    version: str
    """Of the scores, which is the `run_id` of their rows."""
    run_id: str
    """Of the command, whose receipt has all else."""
    bundle_id: str
    at: str
    """When the run began."""
    rows_in: int
    scored: int
    rejected: dict[str, int] = Field(default_factory=dict)
    """Rows without a score, by reason."""
    bands: dict[str, int] = Field(default_factory=dict)
    tables: dict[str, int] = Field(default_factory=dict)
    """Of a warehouse the rows of each table."""
    cases_a_patient: float = 1.0
    """How many cases the patient of a scored case has, on average; known once the night is judged."""
    step: int = 1
    """Each so-many-th case is counted in the tally."""
    tally: str | None = None
    """By `packed`; None where the bundle says nothing of what is to be watched."""
    published: bool = False
    override: str | None = None
    """Why it was published against the verdict."""
    verdict: str | None = None
    """The one by which it was let through or refused, where one was required."""
    reasons: tuple[str, ...] = ()
    """What it was refused for, or let through in spite of."""

    @property
    def rejected_share(self) -> float:
        """Of the rows that should have a score, those without; what a criterion excludes should have none."""
        unscored = sum(rows for reason, rows in self.rejected.items() if not reason.startswith(EXCLUDED_BY))
        return unscored / max(1, unscored + self.scored)


@dataclass(frozen=True)
class Beside:
    """Something of a night beside the runs before."""

    subject: str
    measure: str
    """volume, rejected or freshness."""
    value: float
    expected: float
    size: float
    """What is held against the limits."""
    p: float
    sentence: str


class Newest(NamedTuple):
    """The latest time that a night's cases have."""

    what: str
    """event, or prediction time where no case says when its newest event was."""
    at: int
    """In microseconds since 1970."""


def newest_of(tally: Tally) -> Newest | None:
    """What tells how old a night's data are; None where nothing was counted."""
    if tally.newest_event is not None:
        return Newest("event", tally.newest_event)
    return None if tally.newest is None else Newest("prediction time", tally.newest)


def hours_before(night: Night, newest: Newest) -> float:
    """How long before the run it was."""
    return (datetime.fromisoformat(night.at) - datetime.fromtimestamp(newest.at / 1e6, UTC)).total_seconds() / 3600


def beside_before(
    night: Night, before: Sequence[Night], newest: Newest | None, settings: Monitoring
) -> Iterator[Beside]:
    """Volume, rejected rows and freshness of a night.

    Args:
        night: the one in question.
        before: the runs before it, the oldest first.
        newest: its latest time, if it is known.
        settings: the task's.
    """
    if not night.scored:
        yield Beside("scores", "volume", 0, 1, 1.0, 0.0, "no case has a score")
    usual = before[-COMPARED:]
    yield from _volume("rows", night.rows_in, [one.rows_in for one in usual])
    for table in dict.fromkeys(name for one in usual for name in one.tables):
        counts = [one.tables[table] for one in usual if table in one.tables]
        yield from _volume(f"table {table}", night.tables.get(table, 0), counts)
        yield from _growth(f"table {table}", night.tables.get(table, 0), counts)
    if len(usual) >= LEAST_BEFORE:
        shares = np.array([one.rejected_share for one in usual])
        p = _p(_angle(night.rejected_share), _angle(shares))
        middle = float(np.median(shares))
        told = f"{100 * night.rejected_share:.1f} % of the rows have no score (before: {100 * middle:.1f} %)"
        yield Beside("rows", "rejected", night.rejected_share, middle, night.rejected_share - middle, p, told)
    if newest is not None and settings.newest_within_hours is not None:
        late = hours_before(night, newest)
        most = settings.newest_within_hours
        what = "event that the task reads" if newest.what == "event" else newest.what
        told = f"the newest {what} is {late:.0f} hours before the run (expected: at most {most:g})"
        yield Beside(newest.what, "freshness", late, most, late / most, 0.0 if late > most else 1.0, told)


def _volume(subject: str, rows: int, before: Sequence[int]) -> Iterator[Beside]:
    """Where a feed that always had rows has none, or where there are enough runs to know what is usual."""
    middle = float(np.median(before)) if before else 0.0
    if not middle:
        return
    told = f"{rows:,} {'rows' if subject == 'rows' else f'rows of {subject}'} (before: {middle:,.0f})"
    if not rows:
        yield Beside(subject, "volume", 0, middle, 1.0, 0.0, f"{told}: the feed stopped")
    elif len(before) >= LEAST_BEFORE:
        p = _p(np.log1p(rows), np.log1p(np.asarray(before, np.float64)))
        size = 1 - min(rows / middle, middle / rows)
        yield Beside(subject, "volume", rows, middle, size, p, told)


def _growth(subject: str, rows: int, before: Sequence[int]) -> Iterator[Beside]:
    """Where a table that grew every night has not grown: in a warehouse that keeps all, a feed stops like that."""
    changes = np.abs(np.diff(before))
    if len(changes) < LEAST_CHANGES or not changes.all() or not rows:
        return
    if rows != before[-1]:
        return
    grown = float(np.median(changes))
    told = f"{subject} has {rows:,} rows as in the run before, and changed by {grown:,.0f} a run: the feed stopped"
    # Where so many come in a run, none comes by chance this often (Poisson)
    yield Beside(subject, "freshness", 0.0, grown, 2.0, float(np.exp(-grown)), told)


def _angle(share: float | Floats) -> Floats:
    return np.asarray(np.arcsin(np.sqrt(share)), np.float64)


def _p(value: float | Floats, before: Floats, least: float = 0.02) -> float:
    """How often a next value is as far from those before, by Student's t of a new observation, by simulation."""
    k = len(before)
    spread = max(float(before.std(ddof=1)), least) * np.sqrt(1 + 1 / k)
    t = abs(float(value) - float(before.mean())) / spread
    drawn = np.abs(np.random.default_rng(0).standard_t(k - 1, DRAWS))
    return float((1 + (drawn >= t).sum()) / (1 + DRAWS))


def tables_of(counts: Mapping[str, Mapping[str, object]]) -> dict[str, int]:
    """The rows of each table, of a warehouse's counts."""
    return {name: int(str(found["rows_in"])) for name, found in counts.items()}
