"""Wall-clock times to instants, by a zone's changes as Java knows them. No Spark here."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]
SECOND = 1_000_000


class Zone(NamedTuple):
    """The offset that a zone has from a first to a last wall-clock second, and its changes between.

    Seconds since 1970 as the wall clock shows them, and offsets from UTC in seconds.
    """

    first: int
    last: int
    offset: int
    """At the first second."""
    changes: tuple[tuple[int, int, int], ...]
    """Of each: the instant in seconds since 1970, the offset before and after."""


def to_utc(wall: Micros, zone: Zone) -> tuple[Micros, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Microseconds since 1970 in UTC of wall-clock ones; which the clock skips; which are beyond what is known.

    A time that the clock shows twice is the first of the two.
    """
    unknown = (wall < zone.first * SECOND) | (wall >= zone.last * SECOND)
    if not zone.changes:
        return wall - zone.offset * SECOND, np.zeros(len(wall), bool), unknown
    at, before, after = (np.array(part, np.int64) for part in zip(*zone.changes, strict=True))
    place = np.searchsorted((at + before) * SECOND, wall, "right")
    offsets = np.append(before[:1], after)[place]
    gap_ends = np.append(np.iinfo(np.int64).min, (at + after) * SECOND)[place]
    return wall - offsets * SECOND, wall < gap_ends, unknown
