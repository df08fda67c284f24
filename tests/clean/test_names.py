"""Columns of any name, from a file to tensors: dots, backticks, spaces, quotes, brackets, letters of any alphabet."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.cleaning import Clean

from medspark.cases.table import build_cases, mark_excluded
from medspark.encode.apply import encode_cases
from medspark.encode.fit.fit import fit_statistics
from medspark.schemas import CASE_ID, LABEL
from medspark.task.load import check_task
from medspark.task.table_task import TableTask

NUMBERS = ["lab.na", "a`b", "a b", "größe", 'qu"ote', "com,ma", "x/y", "a[0]", "c:d", "t.x.y", "it's", "年齢"]
TASK: dict[str, Any] = {
    "task": "names",
    "title": "Names",
    "source": {"kind": "table", "path": "unset", "format": "csv", "case": "stay.id", "subject": "pat`ient"},
    "columns": {
        "stay.id": {"type": "long"},
        "pat`ient": {"type": "string"},
        "wa rd": {"type": "category"},
        "co.de": {"type": "code", "system": "ICD10CM"},
        "back?": {"type": "boolean"},
        **{name: {"type": "decimal" if name == 'qu"ote' else "double", "range": [0, 100]} for name in NUMBERS},
    },
    "derived": {"de.rived`": {"type": "double", "expression": "`lab.na` + `a``b` + `größe`"}},
    "checks": [{"name": "c.h", "expect": "`lab.na` >= 0 and `it's` >= 0"}],
    "exclude": [{"name": "e.x", "when": "`a b` = 90", "because": "of the test"}],
    "outcome": {"name": "o", "when": "`back?`"},
    "features": {
        "numeric": [*NUMBERS, "de.rived`"],
        "categorical": [{"column": "wa rd", "at_least": 1}],
        "codes": {"dx": {"from": ["co.de"], "at_least": 1}},
    },
    "privacy": {"names_of_few": True},
    "split": {"train": 0.8, "valid": 0.1, "test": 0.1},
    "report": {"subgroups": ["wa rd"]},
}


def rows(kind: str) -> list[dict[str, Any]]:
    """Ten stays: each number is 10 times the stay's, the last one's `a b` is 90."""
    found = []
    for stay in range(10):
        keys = {"stay.id": stay, "pat`ient": f"P{stay}", "wa rd": "AB"[stay % 2], "co.de": "I10", "back?": stay < 5}
        row = keys | dict.fromkeys(NUMBERS, 10.0 * stay)
        if kind == "csv":
            row["back?"] = str(row["back?"]).lower()
        found.append(row)
    return found


def write(folder: Path, kind: str) -> Path:
    path = folder / f"in.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(TASK["columns"]))
            writer.writeheader()
            writer.writerows({name: row[name] for name in TASK["columns"]} for row in rows(kind))
    elif kind == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(kind)), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows(kind)), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_columns_of_any_name_reach_the_tensors(kind: str, clean_path: Clean, tmp_path: Path) -> None:
    columns = TASK["columns"]
    if kind == "parquet":
        columns = {**columns, 'qu"ote': {"type": "double"}}
    task, problems = check_task({**TASK, "columns": columns})
    assert problems == []
    assert isinstance(task, TableTask)
    sections = {name: TASK[name] for name in ("derived", "checks", "exclude", "outcome", "features", "split", "report")}
    source = {"case": "stay.id", "subject": "pat`ient", "format": kind}
    cleaned = clean_path(write(tmp_path, kind), columns, sections=sections, **source)
    records = {row["stay.id"]: row for row in cleaned.records.collect()}
    assert sorted(records) == list(range(10))
    assert {name: float(records[7][name]) for name in NUMBERS} == dict.fromkeys(NUMBERS, 70.0)
    assert records[7]["de.rived`"] == 210.0
    cases = build_cases(mark_excluded(cleaned.records, task), task)
    tensors = encode_cases(cases, fit_statistics(cases, task.features)).collect()
    assert sorted(row[CASE_ID] for row in tensors) == list(range(9))
    assert {len(row["numeric"]) for row in tensors} == {len(NUMBERS) + 1}
    assert sum(row[LABEL] for row in tensors) == 5
