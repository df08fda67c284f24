"""Units: which column names another's, and how laboratories' usual units are brought to one."""

import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

_WORDS: Final = frozenset(
    [
        "mg/dl",
        "g/dl",
        "g/l",
        "umol/l",
        "µmol/l",
        "mmol/l",
        "mmol/mol",
        "nmol/l",
        "pmol/l",
        "mg/l",
        "ug/l",
        "µg/l",
        "ng/ml",
        "pg/ml",
        "iu/l",
        "u/l",
        "miu/l",
        "meq/l",
        "%",
        "kg",
        "g",
        "lb",
        "lbs",
        "cm",
        "m",
        "in",
        "mmhg",
        "kpa",
        "bpm",
        "/min",
        "c",
        "f",
        "celsius",
        "fahrenheit",
        "degc",
        "degf",
        "10^9/l",
        "x10^9/l",
        "k/ul",
        "cells/ul",
        "ml",
        "l",
        "fl",
        "pg",
        "s",
        "min",
        "h",
        "days",
        "years",
        "ml/min",
    ]
)
_ALIKE: Final = {"µmol/l": "umol/l", "µg/l": "ug/l", "lbs": "lb", "celsius": "c", "fahrenheit": "f", "degc": "c"}

_TO: Final[dict[tuple[str, str], float]] = {
    ("g/l", "g/dl"): 0.1,
    ("g/dl", "g/l"): 10,
    ("mg/l", "mg/dl"): 0.1,
    ("mg/dl", "mg/l"): 10,
    ("g", "kg"): 0.001,
    ("lb", "kg"): 0.45359237,
    ("kg", "lb"): 2.20462262,
    ("in", "cm"): 2.54,
    ("m", "cm"): 100,
    ("kpa", "mmhg"): 7.50062,
    ("meq/l", "mmol/l"): 1,
    ("mmol/l", "meq/l"): 1,
}
"""Between units of any quantity; meq/l of ions with one charge."""

_OF_SUBSTANCES: Final = (
    ("creat", "umol/l", "mg/dl", 0.01131),
    ("gluc", "mmol/l", "mg/dl", 18.016),
    ("chol|ldl|hdl", "mmol/l", "mg/dl", 38.67),
    ("triglyc", "mmol/l", "mg/dl", 88.57),
    ("bili", "umol/l", "mg/dl", 0.05848),
    ("urea|bun", "mmol/l", "mg/dl", 2.801),
    ("calcium", "mmol/l", "mg/dl", 4.008),
    ("h(?:a?e)moglobin|^hb$|^hgb$", "mmol/l", "g/dl", 1.6114),
)
"""Molar units by the substance's molar mass."""

_ENDINGS: Final = (
    (r"[ _(]mg_?/?dl\)?$", "mg/dL"),
    (r"[ _(]mmol_?/?l\)?$", "mmol/L"),
    (r"[ _(]umol_?/?l\)?$", "umol/L"),
    (r"[ _(]g_?/?dl\)?$", "g/dL"),
    (r"[ _(]kg\)?$", "kg"),
    (r"[ _(]cm\)?$", "cm"),
    (r"[ _(]mm\)?$", "mm"),
    (r"[ _(]mmhg\)?$", "mmHg"),
    (r"[ _(]days\)?$", "days"),
    (r"[ _(]hours\)?$", "hours"),
    (r"[ _(]years\)?$", "years"),
)


def is_unit(text: str) -> bool:
    return text.strip().lower() in _WORDS


def unit_in_name(name: str) -> str | None:
    """The unit that ends a column's name.

    >>> unit_in_name("weight_kg"), unit_in_name("mean radius (mm)"), unit_in_name("sodium")
    ('kg', 'mm', None)
    """
    return next((unit for pattern, unit in _ENDINGS if re.search(pattern, name, re.I)), None)


def value_column(name: str, others: Collection[str]) -> str | None:
    """Of a column of units the one that they are of, by its name.

    >>> value_column("creatinine_unit", ["age", "creatinine"])
    'creatinine'
    """
    stem = re.sub(r"[ _.]?(?:units?|uom)$", "", name, flags=re.I)
    return stem if stem != name and stem in others else None


def conversions(substance: str, units: Counter[str]) -> tuple[str, dict[str, Any], list[str]]:
    """The unit to bring a column to, the factor of each that can be, and the units that cannot.

    >>> conversions("creatinine", Counter({"mg/dL": 90, "umol/L": 40, "mg": 1}))
    ('mg/dL', {'mg/dL': 1, 'umol/L': 0.01131}, ['mg'])
    """
    target = units.most_common(1)[0][0]
    known: dict[str, Any] = {target: 1}
    unknown = []
    for unit in units:
        factor = 1 if _plain(unit) == _plain(target) else _factor(substance, _plain(unit), _plain(target))
        if factor is None:
            unknown.append(unit)
        else:
            known.setdefault(unit, factor)
    return target, known, unknown


def _plain(unit: str) -> str:
    lower = unit.strip().lower()
    return _ALIKE.get(lower, lower)


def _factor(substance: str, unit: str, target: str) -> float | dict[str, float] | None:
    if (unit, target) == ("f", "c"):
        return {"factor": 0.5555556, "offset": -17.777778}
    if (unit, target) in _TO:
        return _TO[unit, target]
    for pattern, molar, mass, factor in _OF_SUBSTANCES:
        if re.search(pattern, substance, re.I):
            if (unit, target) == (molar, mass):
                return factor
            if (unit, target) == (mass, molar):
                return round(1 / factor, 6)
    return None
