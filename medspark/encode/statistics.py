"""What is fitted on the training split and nothing else: plain numbers, kept in the bundle as JSON. No Spark here.

Each class in `kinds` answers for its kind of feature: the columns it reads, the network's inputs it fills, what models
make of these, and its words in the report. So a new kind of input touches five places: its section in
`task/features.py`, its class with its field in `Statistics`, its fit in `encode/fit`, its encoding in `encode/worker`
(`ENCODERS`), and its part in `train/networks` (`PARTS`) where none that is there serves.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

from medspark.encode.inputs import Input, share_of_categories, share_of_numbers, together
from medspark.encode.kinds.base import FeatureStatistics, Frozen
from medspark.encode.kinds.events import BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics


class Statistics(Frozen):
    """All features' statistics, in the order of the network's inputs; values to grids are of events."""

    cases: int
    numeric: tuple[NumericStatistics, ...]
    categorical: tuple[CategoricalStatistics, ...]
    codes: tuple[CodesStatistics, ...]
    values: tuple[ValuesStatistics, ...] = ()
    bags: tuple[BagStatistics, ...] = ()
    sequences: tuple[SequenceStatistics, ...] = ()
    grids: tuple[GridStatistics, ...] = ()
    genes: tuple[GeneStatistics, ...] = ()
    images: tuple[ImageStatistics, ...] = ()

    def model_copy(self, **changes: Any) -> Self:
        """A copy, which works out its own inputs."""
        copied = super().model_copy(**changes)
        copied.__dict__.pop("_every_input", None)
        return copied

    def kinds(self) -> tuple[Sequence[FeatureStatistics], ...]:
        """The features of each kind, in the order of the network's inputs."""
        of_events = (self.values, self.bags, self.sequences, self.grids)
        return (self.numeric, self.categorical, self.codes, *of_events, self.genes, self.images)

    def features(self) -> list[FeatureStatistics]:
        return [feature for features in self.kinds() for feature in features]

    def columns(self) -> list[str]:
        """The columns of cases that the network's inputs are made of, once each."""
        used = (feature for feature in self.features() if any(share.width for share in feature.inputs()))
        return list(dict.fromkeys(column for feature in used for column in feature.reads))

    def inputs(self) -> list[Input]:
        """The network's inputs, the two shared ones first; one without features is left out."""
        return [found for found in self._every_input if found.width > 0]

    def widths(self) -> dict[str, int]:
        """The length of each network input's array, by its name."""
        return {found.name: found.width for found in self.inputs()}

    def sizes(self) -> dict[str, int]:
        """The number of ids behind each input of ids, and of codes behind each grid, those without features too."""
        return {found.name: found.size for found in self._every_input if found.size is not None}

    @cached_property
    def _every_input(self) -> tuple[Input, ...]:
        every = {shared.name: shared for shared in (share_of_numbers(0), share_of_categories(0, 0))}
        for feature in self.features():
            for share in feature.inputs():
                every[share.name] = together(every[share.name], share) if share.name in every else share
        return tuple(every.values())


def to_json(statistics: Statistics) -> str:
    return json.dumps(statistics.model_dump(mode="json"), indent=1, ensure_ascii=False)


def from_json(text: str) -> Statistics:
    """Statistics as they were written; levels and codes in the spelling that cases have tonight, as a bundle of before
    values were normalised may have others."""
    return Statistics.model_validate_json(text)
