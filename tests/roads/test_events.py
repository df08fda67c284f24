"""The whole road on a made-up MEDS dataset: events in, scores out, and what must hold between its ends."""

import datetime as dt
import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from meds import CodeMetadataSchema, DataSchema, LabelSchema, SubjectSplitSchema
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.errors import InputError, TaskError
from medspark.sinks.meds import export_stage
from medspark.stages.clean import clean_stage
from medspark.stages.concepts import concepts_stage
from medspark.stages.features import features_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.task.load import load_task

DAY_0 = dt.datetime(2020, 1, 1)
PATIENTS = 700

TASK = {
    "task": "relapse",
    "title": "Relapse after a made-up discharge",
    "source": {"kind": "events", "mapping": "meds", "format": "parquet", "path": "unset"},
    "concepts": {
        "discharge": {"codes": ["VISIT_END"]},
        "relapse": {"codes": ["DX/relapse"]},
        "heart": {"codes": ["DX/heart"], "descendants": True, "as_one": True},
    },
    "population": {
        "index": {"event": "discharge", "take": "every"},
        "age_at_least": 18,
        "exclude": [{"name": "relapsed before", "had": "relapse", "because": "the first relapse is predicted"}],
    },
    "outcome": {"name": "relapse in 90 days", "event": "relapse", "from_days": 0, "to_days": 90},
    "features": {
        "demographics": ["age", "sex"],
        "codes": {"past": {"of": ["DX/", "heart"], "at_least": 5}},
        "values": {
            "labs": {"of": ["LAB/"], "look_back_days": [30, 7.5], "take": ["last", "mean", "count"], "at_least": 5}
        },
        "sequences": {"path": {"of": ["DX/", "LAB/"], "last": 8, "at_least": 5}},
        "grids": {"curve": {"of": ["LAB/"], "look_back_hours": 96, "every_hours": 24, "at_least": 5}},
    },
    "network": {"members": 1, "dropout": 0.1},
    "training": {"epochs": 8, "batch_size": 64, "learning_rate": 0.01},
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["sex"], "bootstrap": 20},
}


def hospital(patients, seed=0):
    """Rows of MEDS data: two visits each, a result that tells of a relapse, and a relapse for some."""
    draw = random.Random(seed)
    rows = []

    def add(subject, day, code, number=None, text=None, available=None):
        times = [None if at is None else DAY_0 + dt.timedelta(days=at) for at in (day, available)]
        rows.append((subject, times[0], code, number, text, times[1]))

    for subject in range(1, patients + 1):
        add(subject, -draw.uniform(15, 80) * 365, "MEDS_BIRTH")
        add(subject, None, draw.choice(["GENDER/F", "GENDER/M"]))
        sick = draw.random() < 0.4
        for visit in (0, 400):
            day = visit + draw.uniform(0, 30)
            for step in range(4):
                add(subject, day - 5 + step, "LAB/crp", 20 + 30 * sick + draw.gauss(0, 8), ">6" if step == 2 else None)
            add(subject, day - 3, draw.choice(["DX/heart/failure", "DX/lung"]))
            add(subject, day, "VISIT_END")
            add(subject, day - 1, "LAB/late", 1000.0, None, day + 2)
            if draw.random() < (0.7 if sick else 0.1):
                add(subject, day + draw.uniform(1, 80), "DX/relapse")
        add(subject, 700, "LAB/crp", 1.0)
    return rows


def write_meds(folder, rows):
    """A MEDS dataset, with one extension column and the parents of codes."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    naive = pa.timestamp("us")
    table = pa.table(
        {
            "subject_id": pa.array(columns[0], pa.int64()),
            "time": pa.array(columns[1], naive),
            "code": pa.array(columns[2], pa.string()),
            "numeric_value": pa.array(columns[3], pa.float32()),
            "text_value": pa.array(columns[4], pa.large_string()),
            "available_time": pa.array(columns[5], naive),
        }
    )
    (folder / "data" / "train").mkdir(parents=True)
    (folder / "metadata").mkdir()
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), folder / "data" / "train" / "0.parquet")
    pq.write_table(table.slice(half), folder / "data" / "1.parquet")
    parents = pa.table({"code": ["DX/heart/failure"], "description": [None], "parent_codes": [["DX/heart"]]})
    pq.write_table(parents, folder / "metadata" / "codes.parquet")
    return folder


def task_at(folder, source, **changes):
    """A task file for a source, read."""
    raw = {**TASK, **changes, "source": {**TASK["source"], "path": str(source)}}
    path = folder / f"{raw['task']}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_task(path)


@pytest.fixture(scope="module")
def road(spark, tmp_path_factory):
    """The source, the store and the bundle of one walk down the road."""
    folder = tmp_path_factory.mktemp("event-road")
    source = write_meds(folder / "meds", hospital(PATIENTS))
    task = task_at(folder, source)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    bundle = train_stage(run, frozen)
    return {"folder": folder, "source": source, "task": frozen, "run": run, "bundle": bundle, "store": folder / "store"}


def score(spark, road, name, source=None, as_of=None):
    store = road["folder"] / name
    run = new_run(spark, store)
    score_stage(run, load_bundle(road["bundle"]), str(source) if source else None, as_of)
    rows = read_table(spark, str(store), "scores").collect()
    return {row["case_id"]: row["probability"] for row in rows}, run


def test_every_row_is_an_event_and_counted(road):
    counts = road["run"].receipt.counts["clean"]["tables"]["data"]
    rows = len(hospital(PATIENTS))
    assert (counts["rows_in"], counts["with_events"], counts["events"]) == (rows, rows, rows)
    assert (counts["quarantined"], counts["non_events"]) == ({}, {})


def test_the_attrition_names_every_criterion_and_adds_up(road):
    flow = road["run"].receipt.counts["features"]["attrition"]
    names = [row["criterion"] for row in flow]
    assert names == ["candidates", "died before", "age", "relapsed before", "no full follow-up"]
    assert flow[0]["remaining"] == 2 * PATIENTS
    assert flow[0]["remaining"] - sum(row["removed"] for row in flow) == flow[-1]["remaining"]
    assert all(row["removed"] > 0 for row in flow[2:4])


def test_descendants_come_from_the_parents_of_codes(spark, road):
    assert road["task"].concepts["heart"].codes == ("DX/heart", "DX/heart/failure")
    run = new_run(spark, road["store"])
    concepts_stage(run, road["task"])
    found = run.receipt.counts["concepts"]
    assert found["discharge"] == {"events": 2 * PATIENTS, "patients": PATIENTS}
    assert found["heart"]["events"] > 0


def test_a_concept_as_one_and_a_late_result_stand_in_the_cases_as_declared(spark, road):
    case = read_table(spark, str(road["store"]), "cases").orderBy("case_id").first()
    assert set(case["past_all"]) <= {"heart", "DX/lung"}
    assert set(case["labs_30d"]) == {"LAB/crp"}  # LAB/late is known two days after the discharge
    assert case["labs_30d"]["LAB/crp"]["count"] == 4
    assert set(case["labs_7_5d"]["LAB/crp"].asDict()) == {"last", "mean", "count"}
    assert [event["code"] for event in case["path_all"]][-1].startswith(("DX/", "LAB/"))
    assert len(case["curve"]["LAB/crp"]) == 4


def test_the_network_finds_the_planted_signal(road):
    metrics = load_bundle(road["bundle"]).read_json("metrics.json")
    assert metrics["test"]["metrics"]["auroc"]["value"] > 0.7


def test_scores_from_the_bundle_alone_are_those_of_training(spark, road):
    found, _ = score(spark, road, "again")
    (table,) = (road["store"] / "predictions").glob("*-*/part-0.parquet")
    trained = {
        row["case_id"]: row["probability"]
        for row in pq.ParquetFile(table).read(columns=["case_id", "probability"]).to_pylist()
    }
    assert set(trained) <= set(found)
    assert max(abs(found[case] - trained[case]) for case in trained) < 1e-6


def test_scoring_as_of_a_time_is_scoring_what_was_known_then(spark, road):
    as_of = DAY_0 + dt.timedelta(days=415)
    known = [
        row for row in hospital(PATIENTS) if (row[1] is None or row[1] <= as_of) and (row[5] is None or row[5] <= as_of)
    ]
    cut = write_meds(road["folder"] / "cut", known)
    now, run = score(spark, road, "as-of", as_of=as_of.isoformat())
    then, _ = score(spark, road, "cut-store", source=cut)
    everything, _ = score(spark, road, "everything")
    assert now == then
    assert len(now) < len(everything)
    assert all(everything[case] == now[case] for case in now if case in everything)
    assert run.receipt.counts["score"]["rejected"]


def test_scoring_needs_no_outcome_in_the_source(spark, road):
    without = [row for row in hospital(60, seed=1) if row[2] != "DX/relapse"]
    found, _ = score(spark, road, "no-outcome", source=write_meds(road["folder"] / "no-outcome-source", without))
    assert len(found) > 60


def test_the_same_scoring_again_changes_nothing(spark, road):
    first, run = score(spark, road, "twice")
    again, other = score(spark, road, "twice")
    assert first == again
    assert run.receipt.outputs["scores"] == other.receipt.outputs["scores"]


def test_cases_are_the_same_whatever_the_order_and_the_files(spark, road, tmp_path):
    rows = hospital(PATIENTS)
    random.Random(3).shuffle(rows)
    run = new_run(spark, tmp_path / "store")
    features_stage(run, clean_stage(run, task_at(tmp_path, write_meds(tmp_path / "meds", rows))))
    found, expected = (digest(spark, store) for store in (tmp_path / "store", road["store"]))
    assert found == expected


def digest(spark, store):
    """A digest of every value of every case."""
    rows = read_table(spark, str(store), "cases").orderBy("case_id").toJSON().collect()
    assert rows
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_cases_of_another_population_are_refused_by_training(spark, road):
    changed = road["task"].model_copy(
        update={"population": road["task"].population.model_copy(update={"age_at_least": 30})}
    )
    with pytest.raises(InputError, match="other rules than this task file's"):
        train_stage(new_run(spark, road["store"]), changed)


# ---------------------------------------------------------------- snapshots


SNAPSHOT = {
    "task": "snapshot",
    "concepts": {"relapse": {"codes": ["DX/relapse"]}, "crp": {"codes": ["LAB/crp"]}},
    "population": {
        "snapshot": {"at": ["2020-03-01T00:00:00", "2021-03-01T00:00:00"]},
        "require": [{"name": "seen lately", "had": "crp", "within_days": 60, "because": "only patients in care"}],
    },
    "outcome": {"name": "relapse", "event": "relapse", "to_days": 90},
    "features": {"demographics": ["age"], "values": {"labs": {"of": ["crp"], "take": ["last", "time_since"]}}},
}


def test_a_snapshot_is_scored_at_the_time_that_is_asked_for(spark, road, tmp_path):
    task = task_at(tmp_path, road["source"], **SNAPSHOT, report={"bootstrap": 20})
    run = new_run(spark, tmp_path / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    bundle = train_stage(run, frozen)
    with pytest.raises(TaskError, match="--as-of"):
        score_stage(new_run(spark, tmp_path / "none"), load_bundle(bundle), None)
    tonight = new_run(spark, tmp_path / "tonight")
    score_stage(tonight, load_bundle(bundle), None, as_of="2021-02-20T06:00")
    times = {row["prediction_time"] for row in read_table(spark, str(tmp_path / "tonight"), "scores").collect()}
    assert times == {dt.datetime(2021, 2, 20, 6)}


# ---------------------------------------------------------------- MEDS out, and in again


def test_a_store_leaves_as_a_valid_meds_dataset_and_comes_back_the_same(spark, road, tmp_path):
    out = tmp_path / "out"
    scored = new_run(spark, road["store"])
    score_stage(scored, load_bundle(road["bundle"]), None)
    run = new_run(spark, road["store"])
    export_stage(run, road["task"], str(out), threshold=0.5)
    for schema, pattern in (
        (DataSchema, "data/*.parquet"),
        (LabelSchema, "labels/relapse/*.parquet"),
        (CodeMetadataSchema, "metadata/codes.parquet"),
        (SubjectSplitSchema, "metadata/subject_splits.parquet"),
    ):
        files = sorted(out.glob(pattern))
        assert files
        for file in files:
            schema.validate(pq.ParquetFile(file).read())
    predictions = pa.concat_tables(
        [pq.ParquetFile(file).read() for file in (out / "predictions" / "relapse").glob("*.parquet")]
    )
    assert predictions.column_names == [
        "subject_id",
        "prediction_time",
        "boolean_value",
        "predicted_boolean_value",
        "predicted_boolean_probability",
    ]
    assert predictions.num_rows == run.receipt.counts["meds"]["predictions"] > 0
    assert json.loads((out / "metadata" / "dataset.json").read_text())["etl_name"] == "medspark"
    back = new_run(spark, tmp_path / "back")
    (out / "metadata" / ".codes.parquet.crc").unlink()
    shutil.copy(road["source"] / "metadata" / "codes.parquet", out / "metadata" / "codes.parquet")
    features_stage(back, clean_stage(back, task_at(tmp_path, out)))
    assert digest(spark, tmp_path / "back") == digest(spark, road["store"])


def test_events_of_a_patient_stand_in_one_file_in_their_order(spark, road, tmp_path):
    export_stage(new_run(spark, road["store"]), road["task"], str(tmp_path / "out"), threshold=0.5)
    seen = set()
    for file in (tmp_path / "out" / "data").glob("*.parquet"):
        rows = pq.ParquetFile(file).read(columns=["subject_id", "time"]).to_pylist()
        keys = [(row["subject_id"], row["time"] or dt.datetime.min) for row in rows]
        assert keys == sorted(keys)
        assert not seen & {subject for subject, _ in keys}
        seen |= {subject for subject, _ in keys}
    assert len(seen) == PATIENTS


def test_a_folder_with_files_is_never_written_into(spark, road, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="empty folder"):
        export_stage(new_run(spark, road["store"]), road["task"], str(tmp_path), threshold=0.5)


def test_the_commands_run_on_events(road, tmp_path):
    """One process for each command, as a scheduler starts them."""
    medspark = Path(sys.executable).with_name("medspark")
    path = road["folder"] / "relapse.yaml"
    store = tmp_path / "store"

    def command(*arguments):
        return subprocess.run([medspark, *map(str, arguments)], capture_output=True, text=True, check=True)

    assert "Events by meds" in command("check", path).stdout
    assert "data" in command("clean", path, "--store", store).stdout
    assert "discharge" in command("concepts", path, "--store", store).stdout
    assert "no full follow-up" in command("features", path, "--store", store).stdout
    receipt = command(
        "score", road["bundle"], "--to", tmp_path / "tonight", "--as-of", "2020-01-20T06:00", "--json"
    ).stdout
    assert json.loads(receipt)["counts"]["score"]["scored"] > 0


@pytest.mark.parametrize(
    "rows", [[], [(1, None, "GENDER/F", None, None, None)], [(1, DAY_0, "DX/lung", None, None, None)]]
)
def test_a_source_without_an_index_event_gives_no_case_and_an_attrition_of_zeros(spark, tmp_path, rows):
    source = write_meds(tmp_path / "meds", rows)
    run = new_run(spark, tmp_path / "store")
    features_stage(run, clean_stage(run, task_at(tmp_path, source)))
    counts = run.receipt.counts["features"]
    assert {(row["removed"], row["remaining"]) for row in counts["attrition"]} == {(0, 0)}
    assert counts["splits"] == {}
