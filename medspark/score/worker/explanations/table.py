"""What a clinician reads of a table's features: numbers in their units, levels, codes by their names. No Spark here."""

import numpy as np

from medspark.encode.inputs import CATEGORIES, NUMERIC
from medspark.encode.kinds.base import FIRST_ID, MISSING_ID, UNKNOWN_ID
from medspark.encode.kinds.events import BagStatistics
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.worker.tensors import Arrays
from medspark.score.worker.explanations.about import MISSING, UNKNOWN, About, Said, said_of_code
from medspark.score.worker.explanations.layout import Block, Ints
from medspark.score.worker.explanations.numbers import shown, unscaled


def say_numbers(
    feature: NumericStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    numbers = np.asarray(tensors[NUMERIC][rows], np.float64)
    unit = about.facts.units.get(feature.column)
    absent = np.zeros(len(rows), np.bool_)
    if feature.missing_indicator:
        absent = numbers[:, about.indicators[feature.column]] > 0
    if not feature.varies:
        return [(None, MISSING if gone else "not missing") for gone in absent.tolist()]
    values = unscaled(numbers[:, block.number], feature.scaling, feature.center, feature.scale, feature.knots)
    return [
        (None, MISSING if gone else shown(value, unit))
        for value, gone in zip(values.tolist(), absent.tolist(), strict=True)
    ]


def say_categories(
    feature: CategoricalStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    names = {MISSING_ID: MISSING, UNKNOWN_ID: UNKNOWN} | dict(enumerate(feature.levels, FIRST_ID))
    ids = tensors[CATEGORIES][rows, block.number] - about.offsets[feature.column]
    called = {at: about.facts.names.get(f"{feature.column} {name}", name) for at, name in names.items()}
    return [(None, called[at]) for at in ids.tolist()]


def say_codes(
    feature: CodesStatistics | BagStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    (codes,) = feature.inputs()
    ids = tensors[codes.name][rows, items - block.first]
    return [said_of_code(at, feature.codes, about) for at in ids.tolist()]
