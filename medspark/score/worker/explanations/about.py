"""What the sayings of every kind of feature share. No Spark here."""

from medspark.encode.kinds.base import FIRST_ID, UNKNOWN_ID
from medspark.encode.statistics import Statistics
from medspark.score.worker.explanations.facts import ExplainFacts

MISSING = "missing"
UNKNOWN = "a rare or unknown one"
PRESENT = "present"

Said = tuple[str | None, str]
"""An item of a feature, None where the feature is all, and its value."""


class About:
    """What sayings need beside the tensors."""

    def __init__(self, statistics: Statistics, facts: ExplainFacts) -> None:
        self.facts = facts
        self.indicators = indicators_of(statistics)
        self.offsets: dict[str, int] = {}
        offset = 0
        for category in statistics.categorical:
            if category.varies:
                self.offsets[category.column] = offset
                offset += category.size


def said_of_code(code_id: int, codes: tuple[str, ...], about: About) -> Said:
    """A code, and its name where it is known."""
    if code_id < FIRST_ID:
        return (UNKNOWN if code_id == UNKNOWN_ID else None, PRESENT if code_id == UNKNOWN_ID else MISSING)
    code = codes[code_id - FIRST_ID]
    return code, about.facts.names.get(code, PRESENT)


def indicators_of(statistics: Statistics) -> dict[str, int]:
    """By numeric feature where its mark of being missing is among the numbers."""
    first = sum(feature.varies for feature in statistics.numeric)
    marked = [feature.column for feature in statistics.numeric if feature.missing_indicator]
    return {column: first + at for at, column in enumerate(marked)}
