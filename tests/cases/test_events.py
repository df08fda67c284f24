"""Cases of whole warehouses, made by Spark, beside an oracle of SQL, from records kept by patient."""

import pytest
from support.events import asthma_task, events_table, micros, outcome, rows_of
from support.oracle.compare import assert_same
from support.oracle.events import DATED, read_omop
from support.places import ROOT

from medspark.cases.events import build_candidates
from medspark.cases.worker.candidates import Plan
from medspark.events.by_patient import write_by_patient
from medspark.events.concepts import freeze_concepts
from medspark.events.read import read_events
from medspark.events.write_cases import write_cases_by_workers
from medspark.stages.features import built_cases
from medspark.store.worker.buckets import Kept
from medspark.synth.write import write_hospital
from medspark.task.load import check_task
from medspark.task.yaml_text import read_yaml

TASKS = ROOT / "conf" / "tasks"
PATIENTS = 400
"""Of the synthetic hospital: enough for each criterion to take somebody out."""


@pytest.fixture(scope="session")
def gibleed(spark, data, tmp_path_factory):
    """omop_gibleed as records and as the oracle reads it."""
    folder = data / "omop_gibleed" / "csv"
    return warehouse(spark, folder, tmp_path_factory, lambda name: folder / f"{name}.csv")


@pytest.fixture(scope="session")
def hospital(spark, tmp_path_factory):
    """A synthetic hospital as records and as the oracle reads it."""
    out = tmp_path_factory.mktemp("oracle-hospital")
    write_hospital(spark, str(out), PATIENTS, 11, partitions=2)
    return warehouse(spark, out / "omop", tmp_path_factory, lambda name: out / "omop" / f"{name}.csv" / "part-*")


def warehouse(spark, folder, tmp_path_factory, pattern):
    source = {"kind": "events", "mapping": "omop", "format": "csv", "path": str(folder)}
    records = str(tmp_path_factory.mktemp("records") / "records")
    task = asthma_task(source=source, mapping=OMOP)
    with read_events(spark, task.source, task.mapping) as found:
        buckets = write_by_patient(found.records, records, 3).buckets
        count = sum(table.events for table in found.counts.values())
    tables = ("person", "observation_period", "death", "drug_era", "concept_ancestor", *DATED)
    files = {name: pattern(name) for name in tables if (folder / f"{name}.csv").exists()}
    kept = Kept(f"file:{records}", tuple(buckets.runs))
    assert [sum(run.rows) for run in kept.runs] == [count]
    return {
        "source": source,
        "records": spark.read.parquet(records),
        "count": count,
        "kept": kept,
        "db": read_omop(files),
    }


def compare(spark, warehouse, raw):
    """What each criterion took out (None: the cases) and how many cases have the outcome, once both sides agree."""
    frozen = frozen_task(spark, warehouse, raw)
    candidates = build_candidates(warehouse["records"], Plan(frozen), warehouse["count"], warehouse["kept"])
    return assert_same(warehouse["db"], frozen, rows_of(candidates.toArrow()))


def frozen_task(spark, warehouse, raw):
    raw = {"task": "oracle", "title": "Beside an oracle", **raw, "source": warehouse["source"], "mapping": OMOP}
    task, problems = check_task(raw)
    assert problems == []
    return freeze_concepts(spark, task, task.mapping)


def exchanges(frame):
    return frame._jdf.queryExecution().executedPlan().toString().count("Exchange ")


@pytest.mark.parametrize("by_code", [True, False], ids=["some codes are read", "all events are read"])
def test_records_kept_by_patient_give_the_same_cases_without_an_exchange_whoever_reads_them(spark, hospital, by_code):
    raw = EVERY_IN_HOSPITAL if by_code else ALL_KEPT
    frozen = frozen_task(spark, hospital, {**raw, "concepts": used(CONCEPTS["hospital"], raw)})
    if not by_code:  # without periods of observation each event tells how long a patient is followed
        frozen = frozen.model_copy(update={"mapping": frozen.mapping.model_copy(update={"observation": None})})
    found = {
        reader: build_candidates(hospital["records"], Plan(frozen), hospital["count"], kept)
        for reader, kept in (
            ("shuffled", None),
            ("workers", hospital["kept"]),
            ("spark", hospital["kept"]._replace(reader="spark")),
        )
    }
    assert {reader: exchanges(frame) for reader, frame in found.items()} == {"shuffled": 1, "workers": 0, "spark": 0}
    rows = {reader: sorted(map(repr, rows_of(frame.toArrow()))) for reader, frame in found.items()}
    assert len(rows["shuffled"]) > 300
    assert rows["workers"] == rows["shuffled"]
    assert rows["spark"] == rows["shuffled"]


@pytest.mark.parametrize("folds", [None, 3], ids=["no folds", "three folds"])
def test_workers_write_the_cases_and_the_attrition_that_spark_would(spark, hospital, tmp_path, folds):
    split = {"test": 0.2, "valid": 0.2, "train": 0.6, "folds": folds, "seed": 5}
    raw = {**EVERY_IN_HOSPITAL, "concepts": used(CONCEPTS["hospital"], EVERY_IN_HOSPITAL), "split": split}
    frozen = frozen_task(spark, hospital, raw)
    counted = write_cases_by_workers(spark.sparkContext, hospital["kept"], Plan(frozen), f"file:{tmp_path}")
    by_workers = spark.read.parquet(str(tmp_path))
    built = built_cases(hospital["records"], frozen, hospital["count"])
    assert by_workers.dtypes == built.cases.dtypes
    rows = [sorted(map(repr, rows_of(frame.toArrow()))) for frame in (by_workers, built.cases)]
    assert len(rows[0]) > 100
    assert rows[0] == rows[1]
    assert counted == built.counted()


def test_who_learns_as_of_a_time_counts_those_whose_time_at_risk_is_not_over(spark):
    rows = [(1, 10, "INDEX"), (1, 12, "DX/asthma"), (2, 20, "INDEX"), (2, 21, "DX/asthma")]
    records = spark.createDataFrame(events_table(rows))
    built = built_cases(records, outcome(), len(rows), as_of=micros(25))
    assert [row["subject_id"] for row in built.cases.collect()] == [1]
    removed = {row.criterion: row.removed for row in built.counted().attrition if row.removed}
    assert removed == {"time at risk not over": 1}


OMOP = read_yaml(TASKS.parent / "sources" / "omop.yaml")
ALL_TAKES = ["count", "present", "time_since", "time_since_first", "last", "first", "mean", "min", "max", "sd", "slope"]
FEATURES = {
    "demographics": ["age", "sex"],
    "codes": {"bag": {"of": ["ill", "DRUG/"], "look_back_days": [30, 365]}},
    "values": {"numbers": {"of": ["DRUG/", "MEASUREMENT/"], "look_back_days": 365, "take": [*ALL_TAKES, "change"]}},
    "sequences": {"past": {"of": ["CONDITION/", "VISIT/"], "look_back_days": 365, "last": 8}},
    "grids": {"months": {"of": ["drug"], "look_back_hours": 2880, "every_hours": 720, "take": "count"}},
}
CONCEPTS = {
    "gibleed": {
        "index": {"codes": ["CONDITION/40481087"]},  # viral sinusitis
        "ill": {"codes": ["CONDITION/4112343", "CONDITION/260139"], "as_one": True},  # pharyngitis, bronchitis
        "drug": {"codes": ["DRUG/1127433", "DRUG/1713671"]},
    },
    "hospital": {
        "index": {"prefixes": ["VISIT/", "VISIT_END/"]},  # who dies in the hospital dies as the visit ends
        "ill": {"codes": [f"CONDITION/200000{kind}" for kind in (1000, 1001, 1025, 1026)], "as_one": True},
        "drug": {"codes": ["DRUG/2000002010", "DRUG/2000002011"]},
    },
}
SNAPSHOTS = {
    "gibleed": ["1990-01-01T00:00:00", "2000-06-01T12:00:00"],
    "hospital": ["2023-07-01T00:00:00", "2024-03-10T12:00:00"],
}
EVERY = {
    "population": {
        "index": {"event": "index", "take": "every"},
        "predict_after_hours": 36,
        "washout_days": 60,
        "age_at_least": 5,
        "age_at_most": 90,
        "exclude": [
            {"name": "recent drug", "had": "drug", "within_days": 14, "because": "of the test"},
            {"name": "ill since", "had": "ill", "after_index": True, "because": "of the test"},
        ],
    },
    "outcome": {
        "name": "ill",
        "event": "ill",
        "to_days": 90,
        "gap": "outcome",
        "follow_up": "require_full",
        "death": "outcome",
    },
    "time": {"at_prediction_time": "excluded"},
    "features": FEATURES,
}
ALL_KEPT = {
    "population": {"index": {"event": "index", "take": "every"}, "history_days": 7},
    "outcome": {
        "name": "ill",
        "event": "ill",
        "to_days": 365,
        "gap": "ignore",
        "follow_up": "keep_all",
        "death": "leave_out",
    },
    "features": {**FEATURES, "sequences": {}},
}
EVERY_IN_HOSPITAL = {**EVERY, "population": {**EVERY["population"], "washout_days": 4}}  # many a stay is longer
SNAPSHOT = {
    "population": {
        "history_days": 30,
        "require": [{"name": "had a drug", "had": "drug", "within_days": 730, "because": "of the test"}],
    },
    "outcome": {"name": "ill", "event": "ill", "from_days": 1, "to_days": 180},
    "features": FEATURES,
}


@pytest.mark.data
@pytest.mark.integration
def test_the_shipped_task_of_bleeds_on_omop_gibleed(spark, gibleed, data, monkeypatch):
    monkeypatch.setenv("MEDSPARK_DATA", str(data))
    raw = read_yaml(TASKS / "gi-bleed.yaml")
    removed, positives = compare(spark, gibleed, {**raw, "report": {}})
    assert removed[None] > 2000
    assert positives > 400


@pytest.mark.data
@pytest.mark.integration
@pytest.mark.parametrize("raw", [EVERY, ALL_KEPT], ids=["every", "all kept"])
def test_every_index_on_omop_gibleed(spark, gibleed, raw):
    removed, positives = compare(spark, gibleed, {**raw, "concepts": used(CONCEPTS["gibleed"], raw)})
    assert min(removed[None], positives) > 300


@pytest.mark.data
@pytest.mark.integration
def test_a_snapshot_of_omop_gibleed(spark, gibleed):
    assert assert_snapshot(spark, gibleed, "gibleed")["not observed"] > 0


def test_a_snapshot_of_the_synthetic_hospital(spark, hospital):
    removed = assert_snapshot(spark, hospital, "hospital")
    assert min(removed["died before"], removed["history"]) > 0


def assert_snapshot(spark, warehouse, name):
    population = {**SNAPSHOT["population"], "snapshot": {"at": SNAPSHOTS[name]}}
    raw = {**SNAPSHOT, "population": population}
    removed, positives = compare(spark, warehouse, {**raw, "concepts": used(CONCEPTS[name], raw)})
    assert min(removed["had a drug"], removed[None], positives) > 0
    return removed


@pytest.mark.parametrize("raw", [EVERY_IN_HOSPITAL, ALL_KEPT], ids=["every", "all kept"])
@pytest.mark.parametrize("death", ["no_outcome", "outcome", "leave_out"])
def test_every_index_in_the_synthetic_hospital(spark, hospital, raw, death):
    raw = {**raw, "outcome": {**raw["outcome"], "death": death}}
    removed, positives = compare(spark, hospital, {**raw, "concepts": used(CONCEPTS["hospital"], raw)})
    assert 0 not in (*removed.values(), positives), removed


def used(concepts, raw):
    """The concepts that a task reads; one that nothing reads is a mistake."""
    return {name: concept for name, concept in concepts.items() if f"'{name}'" in repr(raw)}
