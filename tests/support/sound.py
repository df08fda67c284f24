"""A task of each kind that has every section and no problem, and what a change at one place of it breaks."""

from copy import deepcopy
from typing import Any

from medspark.task.checks.events import EVENT_RULES
from medspark.task.checks.shared import SHARED_RULES
from medspark.task.checks.table import TABLE_RULES
from medspark.task.event_task import EventTask
from medspark.task.load import check_task

TABLE_TASK: dict[str, Any] = {
    "task": "stays",
    "title": "Stays",
    "source": {"kind": "table", "path": "p", "format": "csv", "case": "stay", "subject": "patient"},
    "columns": {
        "stay": {"type": "long"},
        "patient": {"type": "string"},
        "at": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"},
        "age": {"type": "integer", "range": [0, 120]},
        "dose": {"type": "double", "unit": "mg", "units": {"column": "dose_unit", "to_unit": {"mg": 1}}},
        "dose_unit": {"type": "category"},
        "ward": {"type": "category", "lookup": "wards"},
        "back": {"type": "boolean"},
    },
    "derived": {"old": {"type": "boolean", "expression": "age > 80"}},
    "lookups": {"wards": {"entries": {"1": "surgery"}}},
    "checks": [{"name": "grown", "expect": "age >= 18"}],
    "exclude": [{"name": "young", "when": "age < 21", "because": "of age"}],
    "outcome": {"name": "back", "when": "back"},
    "features": {"numeric": ["age", "dose"], "categorical": ["ward"]},
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["ward"]},
}

EVENT_TASK: dict[str, Any] = {
    "task": "bleeds",
    "title": "Bleeds",
    "source": {"kind": "events", "mapping": "ward", "format": "csv", "path": "p"},
    "mapping": {
        "mapping": "ward",
        "title": "A ward",
        "demographics": {"sex": "GENDER"},
        "observation": {"start": "IN", "end": "OUT"},
        "concepts": {"ancestors": "concept_ancestor", "relationships": "concept_relationship"},
        "values": {
            "LAB/718-7": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}, "when_missing": "g/dL", "range": [1, 300]}
        },
        "tables": {
            "labs": {
                "subject": "patient",
                "columns": {
                    "patient": "long",
                    "loinc": "string",
                    "at": "timestamp",
                    "result": "string",
                    "unit": {"type": "string"},
                },
                "absent": ["unit"],
                "derived": {"short": {"type": "category", "expression": "left(loinc, 3)"}},
                "lookups": {"wards": {"entries": {"1": "surgery"}}},
                "checks": [{"name": "has a value", "expect": "result is not null"}],
                "duplicates": {"same": ["patient", "loinc", "at"]},
                "skip": [{"name": "void", "when": "result = 'void'", "because": "no result"}],
                "events": [{"code": ["LAB/{loinc}", "LAB/0"], "time": "at", "value": "result", "unit": "unit"}],
            }
        },
    },
    "concepts": {
        "drug": {"codes": ["DRUG/1"], "descendants": True},
        "bleed": {"codes": ["DX/2"], "prefixes": ["DX/K92"], "mapped": True, "as_one": True},
        "scope": {"codes": ["PROC/3"]},
    },
    "population": {
        "index": {"event": ["drug"], "take": "every"},
        "age_at_least": 18,
        "washout_days": 30,
        "require": [{"name": "seen", "had": "LAB/", "within_days": 90, "because": "unknown otherwise"}],
        "exclude": [{"name": "bled", "had": "bleed", "because": "of the past"}],
    },
    "outcome": {"name": "bleed", "event": "bleed", "from_days": 1, "to_days": 30},
    "features": {
        "demographics": ["age", "sex"],
        "codes": {"past": {"of": ["DX/", "scope"], "look_back_days": [30, 365]}},
        "values": {"labs": {"of": ["LAB/"], "look_back_hours": 12, "take": ["last", "slope"]}},
        "sequences": {"story": {"of": ["LAB/"], "last": 8}},
        "grids": {"course": {"of": ["LAB/"], "look_back_hours": 48, "every_hours": 6}},
    },
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["sex"]},
}
DATABASE = {
    "url": "jdbc:postgresql://host:5432/ward",
    "schema": "cdm",
    "user_variable": "USER",
    "password_variable": "WORD",
}
IN_DATABASE = {
    "kind": "table",
    "format": "jdbc",
    "database": DATABASE,
    "table": "stays",
    "case": "stay",
    "subject": "patient",
}
"""The source of TABLE_TASK in a database."""


def changed(sound: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A task with another value at a dotted path; None takes the key away. A code's dots are no steps."""
    raw = deepcopy(sound)
    *above, last = path.split(".")
    section: Any = raw
    for key in above:
        section = section.setdefault(key, {}) if isinstance(section, dict) else section[int(key)]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return raw


def told_by(rule: str, raw: dict[str, Any]) -> list[str]:
    """What the rule of a name says of a task that can be read; `check_task` tells it with what the others say."""
    task, problems = check_task(raw)
    assert task is not None, problems
    rules: Any = (*SHARED_RULES, *(EVENT_RULES if isinstance(task, EventTask) else TABLE_RULES))
    assert problems == [problem for each in rules for problem in each(task)]
    (speaks,) = (each for each in rules if each.__name__ == rule)
    return list(speaks(task))
