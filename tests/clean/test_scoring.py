"""A fresh extract to score: without the outcome, leaking columns, subgroups, and exclusions that read them."""

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pytest
from support.cleaning import Clean, Rows, write_parquet

from medspark.cases.table import build_cases, mark_excluded
from medspark.errors import InputError
from medspark.schemas import CASE_ID, EXCLUDED, LABEL
from medspark.task.load import check_task
from medspark.task.table_task import TableTask

COLUMNS = {
    "id": {"type": "long"},
    "age": {"type": "double"},
    "hospice": {"type": "boolean"},
    "ward": {"type": "category"},
    "days": {"type": "double"},
    "status": {"type": "integer"},
}
SECTIONS = {
    "exclude": [
        {"name": "censored", "when": "status = 0 and days < 365", "because": "not known"},
        {"name": "hospice", "when": "hospice", "because": "no cure is meant"},
    ],
    "outcome": {"name": "died", "when": "status = 2 and days <= 365"},
    "features": {"numeric": ["age"]},
    "report": {"subgroups": ["ward"]},
}
WHOLE = "id,age,hospice,ward,days,status\n1,50,false,A,20,0\n2,60,true,A,400,1\n3,70,false,B,30,2\n"
TONIGHT = "id,age,hospice\n1,50,false\n2,60,true\n3,70,false\n"


def task() -> TableTask:
    source = {"kind": "table", "path": "p", "format": "csv", "case": "id", "subject": "id"}
    found, problems = check_task({"task": "t", "title": "t", "source": source, "columns": COLUMNS, **SECTIONS})
    assert problems == []
    assert isinstance(found, TableTask)
    return found


def test_training_applies_every_exclusion(clean_text: Clean) -> None:
    records = clean_text(WHOLE, COLUMNS, sections=SECTIONS).records
    marked = mark_excluded(records, task())
    assert [row[EXCLUDED] for row in marked.orderBy("id").collect()] == ["censored", "hospice", None]
    assert [(row[CASE_ID], row[LABEL]) for row in build_cases(marked, task()).collect()] == [(3, True)]


@pytest.mark.parametrize("text", [TONIGHT, WHOLE], ids=["without", "with the outcome"])
def test_scoring_applies_those_that_do_not_read_the_outcome_whether_it_is_there_or_not(
    text: str, clean_text: Clean
) -> None:
    records = clean_text(text, COLUMNS, sections=SECTIONS, scoring=True).records
    marked = mark_excluded(records, task(), scoring=True)
    assert [row[EXCLUDED] for row in marked.orderBy("id").collect()] == [None, "hospice", None]
    cases = build_cases(marked, task(), scoring=True).orderBy(CASE_ID).collect()
    assert [(row[CASE_ID], row["age"], row[LABEL]) for row in cases] == [(1, 50.0, None), (3, 70.0, None)]


@pytest.mark.parametrize("absent", ["age", "hospice"])
def test_what_a_feature_or_a_rule_in_force_reads_is_asked_for(absent: str, clean_text: Clean) -> None:
    names = [name for name in ("id", "age", "hospice") if name != absent]
    text = ",".join(names) + "\n" + ",".join({"id": "1", "age": "50", "hospice": "false"}[name] for name in names)
    with pytest.raises(InputError, match=f"column '{absent}' is missing"):
        clean_text(text, COLUMNS, sections=SECTIONS, scoring=True)


def test_training_asks_for_every_column(clean_text: Clean) -> None:
    with pytest.raises(InputError, match="column 'days' is missing"):
        clean_text(TONIGHT, COLUMNS, sections=SECTIONS)


STRICT = {
    "id": {"type": "long"},
    "days": {"type": "double", "range": [0, None], "otherwise": "fail"},
    "age": {"type": "double"},
    "died": {"type": "boolean", "required": True},
    "ward": {"type": "category", "levels": ["A", "B"], "required": True},
    "cost": {"type": "long"},
}
STRICT_SECTIONS = {
    "checks": [{"name": "dates", "expect": "days > 10"}, {"name": "grown", "expect": "age >= 18"}],
    "outcome": {"name": "died", "when": "died and days < 365"},
    "features": {"numeric": ["age"]},
    "report": {"subgroups": ["ward"]},
    "limits": {"missing_at_most": {"died": 0.1, "ward": 0.1, "age": 0.5}},
}
ROWS = ["1,-5,50,,A,x", "2,soon,60,perhaps,Z,y", "3,3,70,,,z", "4,,80,,,"]


@pytest.mark.parametrize(
    "source", [{}, {"reader": "spark"}, {"header": False}, {"header": False, "reader": "spark"}, {"format": "ndjson"}]
)
def test_what_scoring_does_not_read_decides_nothing_whatever_stands_in_it(
    source: dict, clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    lines = ROWS if source.get("header") is False else [",".join(STRICT), *ROWS]
    if source.get("format") == "ndjson":
        lines = [json.dumps(dict(zip(STRICT, row.split(","), strict=True)) | {"days": {}}) for row in ROWS]
    cleaned = clean_text("\n".join(lines) + "\n", STRICT, sections=STRICT_SECTIONS, scoring=True, **source)
    assert (set_aside(cleaned), cleaned.counts.missing) == ([], {"ward": 3})
    assert records_of(cleaned) == [(1, 50.0, "A"), (2, 60.0, None), (3, 70.0, None), (4, 80.0, None)]
    cleaned.release()


def test_nor_does_its_type_in_parquet_and_a_column_of_subgroups_of_another_type_is_left_out(
    clean_path: Clean, records_of: Rows, tmp_path: Path
) -> None:
    day, nanos = datetime.date(2026, 1, 1), pa.array([1], pa.timestamp("ns"))
    wards = [["A"], [day], nanos, [{"a": 1}], [None]]
    for at, ward in enumerate(wards):
        write_parquet(tmp_path / f"{at}.parquet", id=[at], days=[[1]], age=[50.0], died=nanos, ward=ward)
    found = []
    for at in range(len(wards)):
        cleaned = clean_path(
            tmp_path / f"{at}.parquet", STRICT, sections=STRICT_SECTIONS, scoring=True, format="parquet"
        )
        found += records_of(cleaned)
        cleaned.release()
    assert found == [(0, 50.0, "A"), (1, 50.0), (2, 50.0), (3, 50.0), (4, 50.0, None)]


def test_training_judges_every_column(clean_text: Clean) -> None:
    with pytest.raises(InputError, match="days: range: 1 rows"):
        clean_text("\n".join([",".join(STRICT), *ROWS]) + "\n", STRICT, sections=STRICT_SECTIONS)
