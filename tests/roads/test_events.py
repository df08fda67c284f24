"""The whole road on a made-up MEDS dataset: events in, scores out, and what must hold between its ends."""

import datetime as dt
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from support.relapse import DAY_0, PATIENTS, digest, hospital, task_at, write_meds
from support.roads import new_run, telling_run

from medspark.bundles.bundle import load_bundle
from medspark.cases.split import assign_split
from medspark.errors import InputError, TaskError
from medspark.stages.clean import clean_stage
from medspark.stages.concepts import concepts_stage
from medspark.stages.eligible import eligible
from medspark.stages.features import features_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.task.training import Pretraining
from medspark.train import fit


@pytest.fixture(scope="module")
def road(relapse_road):
    return relapse_road


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
    gap = "outcome before the time at risk"
    assert names == ["candidates", "died before", "age", "relapsed before", gap, "no full follow-up"]
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


@pytest.mark.slow
def test_an_encoder_pretrained_on_training_patients_is_served_by_litert(spark, road, tmp_path, monkeypatch):
    read = []
    pretrain = fit.pretrain

    def kept(members, excerpts, *settings):
        read.append(sum(pq.ParquetFile(file).metadata.num_rows for file in excerpts["path_all"].files))
        return pretrain(members, excerpts, *settings)

    monkeypatch.setattr(fit, "pretrain", kept)
    shutil.copytree(road["store"], tmp_path / "store")
    training = road["task"].training.model_copy(update={"pretrain": Pretraining(epochs=2), "epochs": 4})
    network = road["task"].network.model_copy(update={"sequence": "gru", "members": 3})
    task = road["task"].model_copy(update={"training": training, "network": network})
    run = new_run(spark, tmp_path / "store")
    bundle = load_bundle(train_stage(run, task))
    losses = bundle.read_json("metrics.json")["pretraining"]["path_all"]
    assert losses[1]["code_loss"] < losses[0]["code_loss"]
    everybody = spark.range(1, PATIENTS + 1)
    patients = everybody.where(assign_split(F.col("id"), task.split) == "train").count()
    assert read == [2 * patients]  # 13 to 15 events each, in excerpts of 8, whether or not the patient is a case
    assert bundle.manifest["engine"]["litert_max_difference"] < 1e-5
    assert not (tmp_path / "store" / ".scratch").exists()


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


@pytest.mark.integration
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


def test_ages_that_no_patient_could_have_are_counted_and_said(spark, tmp_path):
    """A birth in 1880, one after the only visit, in January 2020, and two that are possible; nobody else has any. The
    impossible ones are counted where the task excludes them, and at night.
    """
    rows = [row for row in hospital(60) if row[2] != "MEDS_BIRTH"]
    born = [dt.datetime(year, 6, 1) for year in (1880, 2030, 1950, 1980)]
    rows += [(subject, day, "MEDS_BIRTH", None, None, None) for subject, day in enumerate(born, start=1)]
    task = task_at(
        tmp_path, write_meds(tmp_path / "meds", rows), population={"index": {"event": "discharge"}, "age_at_least": 18}
    )
    run, said = telling_run(spark, tmp_path / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    told = "look at     the births of 2 candidates, after their prediction time or more than 130 years before it"
    assert run.receipt.counts["features"]["impossible_ages"] == 2
    assert told in said()
    assert read_table(spark, run.store, "cases").count() == 2
    run.receipt.counts["score"] = {}
    with eligible(run, frozen, None, None) as found:
        assert found.expected() == 60
    assert run.receipt.counts["score"]["impossible_ages"] == 2


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
