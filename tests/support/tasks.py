"""Small tasks that tests build on."""

from copy import deepcopy

import yaml

from medspark.task.load import check_task

STAYS = {
    "task": "stays",
    "title": "Readmission of made-up stays",
    "source": {"kind": "table", "path": "unset", "format": "csv", "case": "stay", "subject": "patient"},
    "columns": {
        "stay": {"type": "long"},
        "patient": {"type": "string"},
        "age": {"type": "double", "range": [0, 120]},
        "sex": {"type": "category", "levels": ["F", "M"], "otherwise": "missing"},
        "diag_1": {"type": "string"},
        "diag_2": {"type": "string"},
        "died": {"type": "boolean"},
        "back": {"type": "boolean"},
    },
    "exclude": [{"name": "died", "when": "died", "because": "cannot come back"}],
    "outcome": {"name": "back", "when": "back"},
    "features": {
        "numeric": [{"column": "age", "missing_indicator": True}],
        "categorical": [{"column": "sex", "at_least": 1}],
        "codes": {"diagnoses": {"from": ["diag_1", "diag_2"], "at_least": 1}},
    },
    "privacy": {"names_of_few": True},
    "network": {"members": 2},
    "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.01},
    "risk_bands": {"high": 0.6, "raised": 0.3},
    "report": {"subgroups": ["sex"], "bootstrap": 20},
}


def stays_task(**changes):
    """The task of made-up stays, with some sections replaced."""
    task, problems = check_task(deepcopy({**STAYS, **changes}))
    assert problems == []
    return task


def stays_at(path, **changes):
    """The same, reading the file at `path`."""
    return stays_task(source={**STAYS["source"], "path": str(path), **changes.pop("source", {})}, **changes)


def task_file(folder, source, **changes):
    path = folder / "stays.yaml"
    path.write_text(
        yaml.safe_dump(sort_keys=False, data={**STAYS, "source": {**STAYS["source"], "path": str(source)}, **changes})
    )
    return path
