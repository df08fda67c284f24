"""The statistics of the features of events: bags, values, sequences, grids. No Spark here."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from medspark.encode.inputs import Input, bag_of_codes, share_of_numbers
from medspark.encode.kinds.base import FIRST_ID, KNOTS, LEFT_OUT, NEARLY, REACHES_FAR, ColumnStatistics
from medspark.task.features import Scaling
from medspark.task.spelling import Spelling

TOKENS_PREFIX = "tokens_"
TIMES_PREFIX = "times_"
NUMBERS_PREFIX = "numbers_"
GAPS_PREFIX = "gaps_"
BINS_PREFIX = "bins_"
"""Before a sequence's name: the names of its inputs."""

NO_BIN = 0
BINS = len(KNOTS) + 2
"""Bins of an event's number: none, then how many of its code's quantiles it reaches, from 0 on."""

GRID_PREFIX = "grid_"
SINCE_PREFIX = "since_"
"""Before a grid's name: the names of its inputs."""

PRESENCE = "presence"
"""Of a code's numbers the last: whether it is there."""


class _GroupStatistics(ColumnStatistics):
    """The codes of a column of events, the commonest first, with how many training cases have each."""

    codes: tuple[Spelling, ...]
    counts: tuple[int, ...]
    rare: int
    """Cases with a code rarer than the task's `at_least`, once for each such code."""
    missing_share: float
    """Share of cases without a code."""

    @property
    def size(self) -> int:
        return len(self.codes) + FIRST_ID

    @property
    def remark(self) -> str | None:
        return "; ".join(self._remarks()) or None

    def _remarks(self) -> Iterator[str]:
        if not self.codes:
            yield "left out: none of its codes is in enough training cases"

    def _says(self, shape: str, rarer: str) -> str:
        return f"{len(self.codes)} codes {shape}; {self.rare:,} rarer ones {rarer}"


NAMED = 3
"""Of what a remark is about it names the first."""


def _named(remark: str, names: Iterable[str]) -> Iterator[str]:
    """The remark and whom it is about; nothing where it is about none.

    >>> list(_named("far away", ["na", "k", "crp", "glucose", "ph"])), list(_named("far away", []))
    (['far away: na, k, crp and 2 more'], [])
    """
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    if found:
        yield f"{remark}: {', '.join(found[:NAMED])}{more}"


class _NumbersStatistics(_GroupStatistics):
    """Codes that have one number each."""

    constant: tuple[Spelling, ...] = ()
    """Codes whose numbers are the same in all training cases: they are encoded as 0."""
    nearly: tuple[Spelling, ...] = ()
    """Those of which 99 in 100 are the same."""
    far: tuple[Spelling, ...] = ()
    """Those of which one lies more than FAR spreads from the median."""

    def _remarks(self) -> Iterator[str]:
        yield from super()._remarks()
        for remark, codes in ((LEFT_OUT, self.constant), (NEARLY, self.nearly), (REACHES_FAR, self.far)):
            yield from _named(remark, (f"numbers of {code}" for code in codes))


class BagStatistics(_GroupStatistics):
    """A bag of codes from a column of lists."""

    kind: ClassVar[str] = "bag"

    width: int
    """Codes a case that reach the network, the rarest first."""

    @property
    def summary(self) -> str:
        return self._says(f"(at most {self.width} a case)", "unknown")

    def inputs(self) -> tuple[Input, ...]:
        return (bag_of_codes(self.column, self.width, self.size),)


def numbers_of(takes: tuple[str, ...]) -> tuple[str, ...]:
    """A code's numbers, in their order: whether it is there is one, unless a count, or `present` itself, says as much.

    >>> numbers_of(("last", "mean")), numbers_of(("count",))
    (('last', 'mean', 'presence'), ('count',))
    """
    return takes if "present" in takes or takes == ("count",) else (*takes, PRESENCE)


class ValuesStatistics(_GroupStatistics):
    """Some numbers of each code, `takes`: value -> (value - center) / scale, or its place among the `knots`."""

    kind: ClassVar[str] = "values"

    takes: tuple[str, ...]
    scaling: Scaling
    center: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], ...]
    impute: tuple[tuple[float, ...], ...]
    """These three are (codes, takes)."""
    knots: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """(codes, takes, KNOTS) of the quantile scaling; empty of the others, as thousands of codes make many."""
    constant: tuple[tuple[Spelling, str], ...] = ()
    """Code and take of the numbers that are the same in all training cases: they are always encoded as 0."""
    nearly: tuple[tuple[Spelling, str], ...] = ()
    """Of the numbers of which 99 in 100 are the same."""
    far: tuple[tuple[Spelling, str], ...] = ()
    """Of the numbers of which one lies more than FAR spreads from the median."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """What a code's numbers are, in their order."""
        return numbers_of(self.takes)

    @property
    def marks_presence(self) -> bool:
        return PRESENCE in self.numbers

    @property
    def width(self) -> int:
        return len(self.codes) * len(self.numbers)

    @property
    def summary(self) -> str:
        return self._says(f"x {len(self.takes)} numbers; {self.scaling} scaling", "left out")

    def _remarks(self) -> Iterator[str]:
        yield from super()._remarks()
        for remark, numbers in ((LEFT_OUT, self.constant), (NEARLY, self.nearly), (REACHES_FAR, self.far)):
            yield from _named(remark, (f"{take} of {code}" for code, take in numbers))

    def inputs(self) -> tuple[Input, ...]:
        return (share_of_numbers(self.width),)


class SequenceStatistics(_NumbersStatistics):
    """The last events: each number becomes (number - mean) / scale of its code, and 0 where the scale is 0."""

    kind: ClassVar[str] = "sequence"

    last: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    scaling: Literal["standard", "smooth"] = "standard"
    """smooth: `mean` and `scale` are the median and the spread, and the number is drawn smoothly within 3."""
    knots: tuple[tuple[float, ...], ...] | None = None
    """Of each code the quantiles of its numbers, by which they are binned, none where it has no number; None in bundles
    from before bins and gaps."""
    ends: bool = False
    """Whether a number beyond its code's quantiles is in the bin of those nearest: no training case has other bins.
    False in bundles from before."""

    @property
    def summary(self) -> str:
        return self._says(f"of the last {self.last} events", "unknown")

    def inputs(self) -> tuple[Input, ...]:
        """Its codes, its hours before and its numbers, event by event; then its gaps and its numbers' bins."""
        found = (
            Input(TOKENS_PREFIX + self.column, self.last, "int32", self.size, part="sequence", plain="events"),
            Input(TIMES_PREFIX + self.column, self.last, "float32"),
            Input(NUMBERS_PREFIX + self.column, self.last, "float32"),
        )
        if self.knots is None:
            return found
        gaps = Input(GAPS_PREFIX + self.column, self.last, "float32")
        return (*found, gaps, Input(BINS_PREFIX + self.column, self.last, "int32", BINS))


class GridStatistics(_NumbersStatistics):
    """Numbers of each code in steps of time: each becomes (number - mean) / scale of its code, as a sequence's do."""

    kind: ClassVar[str] = "grid"

    steps: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    scaling: Literal["standard", "smooth"] = "standard"
    carried: bool = False
    """Whether a step without a number has the last one before it, and how long ago that was is an input of its own;
    false in bundles from before."""

    @property
    def width(self) -> int:
        return self.steps * 2 * len(self.codes)

    @property
    def summary(self) -> str:
        return self._says(f"x {self.steps} steps", "left out")

    def inputs(self) -> tuple[Input, ...]:
        """Its numbers and whether there is one, step by step; then how long ago the last one was."""
        grid = Input(GRID_PREFIX + self.column, self.width, "float32", len(self.codes), part="grid", plain="grid")
        if not self.carried:
            return (grid,)
        return (grid, Input(SINCE_PREFIX + self.column, self.steps * len(self.codes), "float32"))
