"""What scoring workers are told to count, and where each count stands. No Spark here."""

from functools import cached_property
from typing import Final

import numpy as np

from medspark.encode.kinds.base import FIRST_ID, Frozen
from medspark.monitor.gauges import Gauge

SCORE_CELLS: Final = 402
"""Cells of the probability: steps of a twentieth of a logit from -10 to 10, and one beyond each end."""
LOGIT_STEP: Final = 0.05
LOGIT_END: Final = 10.0

DECADES: Final = (-6, 9)
STEPS_A_DECADE: Final = 40
UNIT_CELLS: Final = (DECADES[1] - DECADES[0]) * STEPS_A_DECADE
"""Cells of a number in its own unit by its order of magnitude: a factor is then a shift."""


class Group(Frozen):
    """A column by which all is counted apart."""

    column: str
    levels: tuple[str, ...]
    """Those with enough training cases, the commonest first; before them come `missing` and `other`."""
    gauge: int | None = None
    """The gauge of the same column, where it is a feature: its ids are then in the tensors."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("missing", "other", *self.levels)


MOST_KEPT: Final = 200
"""Gauges that a kept case has, of all the first."""


class Plan(Frozen):
    """Gauges and groups, and how a case is drawn: each `step`-th is counted."""

    gauges: tuple[Gauge, ...]
    groups: tuple[Group, ...] = ()
    step: int = 1
    keep: int = 0
    """Each so-many-th case that is counted is kept as it is encoded, without its keys; 0 keeps none."""

    @cached_property
    def starts(self) -> list[int]:
        """Where each gauge's cells begin in a row of counts, and where the score's do."""
        return [0, *np.cumsum([gauge.cells for gauge in self.gauges]).tolist()]

    @property
    def width(self) -> int:
        """Cells of a row of counts: the gauges', the score's, and last the cases."""
        return int(self.starts[-1]) + SCORE_CELLS + 1

    @cached_property
    def rows(self) -> list[tuple[str, str]]:
        """The rows of counts as column and level: all cases first, then each group's levels."""
        return [("", ""), *((group.column, name) for group in self.groups for name in group.names)]

    @cached_property
    def with_units(self) -> list[int]:
        """The gauges whose numbers are also counted in their own unit."""
        return [at for at, gauge in enumerate(self.gauges) if gauge.has_unit]


def kept_gauges(plan: Plan) -> list[int]:
    """The gauges that a kept case has: numbers and levels."""
    return [at for at, gauge in enumerate(plan.gauges) if gauge.reads != "codes"][:MOST_KEPT]


def first_row(plan: Plan, group: int) -> int:
    """The row of counts at which a group's levels begin."""
    return 1 + sum(len(found.levels) + FIRST_ID for found in plan.groups[:group])
