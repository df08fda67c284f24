"""The facts beside a table: which rules made it, and what stands for them in later versions."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext
from support.tasks import STAYS, stays_task

from medspark.errors import AccountingError, InputError
from medspark.store.facts import (
    TensorsFacts,
    clean_rules,
    read_facts,
    require_rows,
)

COLUMNS = {
    "stay": {"type": "long"},
    "patient": {"type": "string"},
    "left": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm"},
    "born": {"type": "date", "format": "yyyy-MM-dd"},
    "diag_1": {"type": "string"},
    "diag_2": {"type": "string"},
    "sex": {"type": "category", "levels": ["F", "M"], "otherwise": "missing"},
    "age": {"type": "double", "range": [0, 120]},
    "died": {"type": "boolean"},
    "back": {"type": "boolean"},
}
RULES_OF_THE_FIRST_VERSION = "b0e51e57ec8bf45e"


def test_settings_that_came_later_and_say_nothing_leave_a_stores_rules_as_they_were():
    assert clean_rules(stays_task(columns=COLUMNS)) == RULES_OF_THE_FIRST_VERSION
    pivot = COLUMNS | {"born": {"type": "date", "format": "yy-MM-dd", "pivot_year": 1920}}
    assert clean_rules(stays_task(columns=pivot)) != RULES_OF_THE_FIRST_VERSION


def test_rows_with_types_of_their_own_are_cleaned_by_the_same_rules_wherever_they_lie():
    keys = {name: STAYS["source"][name] for name in ("kind", "case", "subject")}
    places = [
        {"format": "parquet", "path": "/exports/stays"},
        {"format": "orc", "path": "/exports/stays.orc"},
        {"format": "delta", "path": "/lake/stays"},
        {"format": "catalog", "path": "hospital", "table": "stays"},
        {"format": "jdbc", "database": {"url": "jdbc:postgresql://localhost/hospital"}, "table": "stays"},
    ]
    assert len({clean_rules(stays_task(source=keys | place)) for place in places}) == 1
    as_text = stays_task(source=keys | {"format": "csv", "path": "/exports/stays.csv"})
    assert clean_rules(as_text) != clean_rules(stays_task(source=keys | places[0]))


def test_tensors_without_facts_such_as_those_of_training_are_named(context: SparkContext, tmp_path: Path):
    with pytest.raises(InputError, match=r"with its facts \(TensorsFacts\) beside it, received one without"):
        read_facts(context, str(tmp_path), TensorsFacts)


def test_a_table_that_was_written_short_is_refused(context: SparkContext, tmp_path: Path):
    for name, rows in (("a.parquet", 2), ("b.parquet", 3), ("_hidden.parquet", 4)):
        pq.write_table(pa.table({"id": range(rows)}), tmp_path / name)
    require_rows(context, str(tmp_path), 5)
    with pytest.raises(AccountingError, match="6 rows were to be written, 5 are there"):
        require_rows(context, str(tmp_path), 6)
