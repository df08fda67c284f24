"""Every table as it is really written has the columns and types that `schemas` says."""

from dataclasses import fields

import pyarrow.parquet as pq
import pytest
from support.events import MAPPING, asthma_task, events_table
from support.roads import new_run, score

from medspark import schemas
from medspark.bundles.bundle import load_bundle
from medspark.cases.attrition import Attrition
from medspark.cases.events import build_candidates, candidate_types
from medspark.cases.worker.candidates import Plan
from medspark.encode.statistics import from_json
from medspark.events.read import read_events
from medspark.schemas import (
    AGE,
    CASE_ID,
    EXCLUDED,
    INDEX_TIME,
    KEY,
    NEWEST_EVENT,
    PLACE_TYPES,
    ROW_DIGEST,
    SUBJECT_ID,
    with_keys,
)
from medspark.stages.encode import encode_stage
from medspark.store.tables import read_table

STAY_KEYS = {CASE_ID: "bigint", SUBJECT_ID: "string"}
"""As the made-up stays type their columns `stay` and `patient`."""


def found(spark, store, table):
    return read_table(spark, str(store), table).dtypes


def said(types, keys=STAY_KEYS):
    return list(with_keys(types, keys).items())


# ---------------------------------------------------------------- a store of a table


def test_records_end_with_the_place_that_each_row_came_from(spark, road):
    columns = found(spark, road["run"].store, "records")
    assert columns[:2] == [("stay", "bigint"), ("patient", "string")]
    assert columns[-3:] == said(PLACE_TYPES)


def test_cases_begin_with_their_own_columns(spark, road):
    columns = found(spark, road["run"].store, "cases")
    own = said(schemas.CASE_TYPES)
    features = [("age", "double"), ("sex", "string"), ("diag_1", "string"), ("diag_2", "string")]
    assert columns == [*own, *features, *(place for place in said(PLACE_TYPES) if place[0] != ROW_DIGEST)]


@pytest.mark.parametrize(
    ("table", "types"),
    [
        ("quarantine", schemas.QUARANTINE_TYPES),
        ("attrition", schemas.ATTRITION_TYPES),
        ("predictions", schemas.PREDICTION_TYPES),
    ],
)
def test_a_table_of_training_has_its_columns(spark, road, table, types):
    assert found(spark, road["run"].store, table) == said(types)


def test_attrition_is_written_from_rows_with_the_same_fields():
    assert [field.name for field in fields(Attrition)] == list(schemas.ATTRITION_TYPES)


def test_tensors_are_their_keys_and_an_array_for_each_input(spark, road):
    trained = found(spark, road["run"].store, "tensors")
    keys = dict(said(schemas.TENSOR_TYPES))
    numbers = {"float32": "array<float>", "int32": "array<int>"}
    statistics = from_json((road["bundle"] / "statistics.json").read_text())
    inputs = {found.name: numbers[found.dtype] for found in statistics.inputs()}
    missing = {schemas.MISSING_SHARE: "double"}
    assert dict(trained) == keys | missing | inputs  # a folder for each split, so that Spark reads the split last
    run = new_run(spark, road["folder"] / "schemas-encoded")
    encode_stage(run, load_bundle(road["bundle"]), str(road["source"]))
    assert found(spark, run.store, "tensors") == list((keys | missing | inputs).items())
    assert found(spark, run.store, "rejected") == said(schemas.REJECTED_TYPES)


@pytest.mark.parametrize("writer", ["spark", "workers"])
def test_scores_and_rejected_have_their_columns_whoever_writes_them(spark, road, writer):
    _, run = score(spark, road, f"schemas-{writer}", writer=writer)
    assert found(spark, run.store, "scores") == [*said(schemas.SCORE_TYPES), *said(schemas.BESIDE_TYPES)]
    assert found(spark, run.store, "rejected") == said(schemas.REJECTED_TYPES)


# ---------------------------------------------------------------- a store of events


@pytest.fixture(scope="module")
def events_of(spark, tmp_path_factory):
    """A function that reads events whose patients are told apart as the rows tell them, and a task of them."""

    def read(rows, kind):
        folder = tmp_path_factory.mktemp("events")
        pq.write_table(events_table(rows), folder / "data.parquet")
        table = {
            "subject": SUBJECT_ID,
            "columns": {SUBJECT_ID: kind, "time": "timestamp", "code": "string", "numeric_value": "double"},
            "events": [{"code": "{code}", "time": "time", "number": "numeric_value"}],
        }
        source = {"kind": "events", "mapping": "made-up", "format": "parquet", "path": str(folder)}
        task = asthma_task(source=source, mapping={**MAPPING, "tables": {"data": table}})
        with read_events(spark, task.source, task.mapping) as events:
            events.records.write.parquet(str(folder / "records"))
            events.quarantine.write.parquet(str(folder / "quarantine"))
        return task, spark.read.parquet(str(folder / "records")), spark.read.parquet(str(folder / "quarantine"))

    return read


@pytest.mark.parametrize(("patient", "kind", "key"), [(1, "long", "bigint"), ("p", "string", "string")])
def test_records_and_candidates_of_events_have_their_columns(events_of, patient, kind, key):
    task, records, quarantine = events_of([(patient, 1, "INDEX"), (patient, 2, "DX/asthma", 3.0)], kind)
    keys = {CASE_ID: "string", SUBJECT_ID: key}
    assert records.count() == 2
    assert records.dtypes == said(schemas.EVENT_TYPES, keys)
    assert quarantine.dtypes == said(schemas.QUARANTINE_TYPES)
    bag = ("all_all", "array<string>")
    candidates = build_candidates(records, Plan(task), events=2)
    assert list(candidate_types(Plan(task), records).items()) == [*said(schemas.CANDIDATE_TYPES, keys), bag]
    own = said(schemas.CASE_TYPES, keys)
    of_candidates = ((name, schemas.CANDIDATE_TYPES[name]) for name in (INDEX_TIME, NEWEST_EVENT, AGE, EXCLUDED))
    index, newest, age, excluded = of_candidates
    assert candidates.dtypes == [*own, index, newest, age, bag, excluded]


def test_every_key_is_typed_by_the_source():
    tables = [types for name, types in vars(schemas).items() if name.endswith("_TYPES")]
    keys = {name for types in tables for name, kind in types.items() if kind == KEY}
    assert keys == {CASE_ID, SUBJECT_ID}
    assert all(types.get(key, KEY) == KEY for types in tables for key in keys)
