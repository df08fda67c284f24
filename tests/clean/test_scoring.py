"""A fresh extract to score: without the outcome, leaking columns, subgroups, and exclusions that read them."""

import pytest
from support.cleaning import Clean

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
