"""A task by labels that were drawn from another task's cases has the same cases, and scores without the labels."""

import datetime as dt
import shutil

import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F
from support.relapse import DAY_0, TASK, task_at
from support.roads import new_run, telling_run

from medspark.bundles.bundle import REPORT, load_bundle
from medspark.errors import InputError, TaskError
from medspark.stages.evaluate import evaluate_stage
from medspark.stages.features import built_cases, features_stage, require_cases
from medspark.stages.freeze import freeze
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table

WITHOUT_EVENTS = 10**9


@pytest.fixture(scope="module")
def labelled(relapse_road, spark, tmp_path_factory):
    """A store of the same records, and a task by labels in two files: those of the other task's cases, one of a patient
    without events, and one before its patient's first."""
    folder = tmp_path_factory.mktemp("labelled")
    shutil.copytree(relapse_road["store"], folder / "store")
    shutil.rmtree(folder / "store" / "cases")
    labels = read_table(spark, str(relapse_road["store"]), "cases").select(
        "subject_id", "prediction_time", "boolean_value"
    )
    alone = labels.limit(1).withColumn("subject_id", F.lit(WITHOUT_EVENTS).cast("bigint"))
    early = labels.limit(1).withColumn("prediction_time", F.lit(DAY_0 - dt.timedelta(days=60)))  # before any event
    labels.union(alone).union(early).repartition(2).write.parquet(str(folder / "labels"))
    features = {**TASK["features"], "demographics": ["age", "sex"]}
    task = task_at(
        folder,
        relapse_road["source"],
        concepts={"heart": TASK["concepts"]["heart"]},
        population={"labels": {"path": str(folder / "labels")}},
        outcome={"name": "relapse in 90 days", "label": "boolean_value"},
        features=features,
        training={**TASK["training"], "epochs": 2},
    )
    run, said = telling_run(spark, folder / "store")
    frozen = freeze(run, task)
    features_stage(run, frozen)
    return {"folder": folder, "task": frozen, "run": run, "said": said(), "other": relapse_road}


def test_the_cases_are_those_of_the_task_whose_labels_they_are(spark, labelled):
    found = read_table(spark, str(labelled["folder"] / "store"), "cases").drop("index_time")
    expected = read_table(spark, str(labelled["other"]["store"]), "cases").drop("index_time")
    assert found.count() > 500
    assert_df_equality(found.orderBy("case_id"), expected.orderBy("case_id"), ignore_nullable=True)


def test_labels_of_whom_nothing_was_known_are_counted(labelled):
    flow = labelled["run"].receipt.counts["features"]["attrition"]
    assert [(row["criterion"], row["removed"]) for row in flow] == [
        ("candidates", 0),
        ("no events", 2),
        ("died before", 0),
    ]
    assert flow[-1]["remaining"] == flow[0]["remaining"] - 2
    assert "excluded               2  no events" in labelled["said"]


def test_records_that_a_shuffle_brings_together_have_the_same_cases(spark, labelled):
    store = str(labelled["folder"] / "store")
    records = read_table(spark, store, "records")
    built = built_cases(records, labelled["task"], records.count())
    expected = read_table(spark, store, "cases").orderBy("case_id")
    assert_df_equality(built.cases.orderBy("case_id"), expected, ignore_nullable=True)
    assert built.counted().attrition[1].removed == 2


def test_labels_up_to_a_time_alone_are_learned_from(spark, labelled):
    records = read_table(spark, str(labelled["folder"] / "store"), "records")
    at = int((DAY_0 + dt.timedelta(days=200)).replace(tzinfo=dt.UTC).timestamp() * 1e6)
    built = built_cases(records, labelled["task"], records.count(), as_of=at)
    assert 0 < built.cases.count() < 800
    assert built.cases.where(F.unix_micros("prediction_time") > at).count() == 0


def test_labels_that_changed_ask_for_features_again(spark, labelled, tmp_path):
    shutil.copytree(labelled["folder"] / "labels", tmp_path / "labels")
    (file, *_) = sorted((tmp_path / "labels").glob("*.parquet"))
    pq.write_table(pq.read_table(file).slice(1), file)
    population = {"labels": {"path": str(tmp_path / "labels")}}
    run = new_run(spark, labelled["folder"] / "store")
    changed = labelled["task"].model_copy(
        update={"population": type(labelled["task"].population).model_validate(population)}
    )
    require_cases(run, labelled["task"], same_labels=True)
    require_cases(run, freeze(run, changed))  # as those of a parent may be
    with pytest.raises(InputError, match="the store's cases are of other labels than this task's"):
        train_stage(run, freeze(run, changed))


@pytest.mark.slow
def test_a_bundle_scores_everybody_at_one_time_without_the_labels(spark, labelled):
    folder = labelled["folder"]
    bundle = load_bundle(train_stage(new_run(spark, folder / "store"), labelled["task"]))
    report = bundle.read_text(REPORT)
    assert "Patients with a label in labels (SHA-256 " in report
    assert "As the labels say: boolean_value." in report
    (folder / "labels").rename(folder / "gone")
    source = str(labelled["other"]["source"])
    run = new_run(spark, folder / "scored")
    score_stage(run, bundle, source, (DAY_0 + dt.timedelta(days=415)).isoformat())
    scores = read_table(spark, str(folder / "scored"), "scores")
    assert scores.select("prediction_time").distinct().count() == 1
    assert scores.count() > 600
    with pytest.raises(TaskError, match=r"population\.labels: they are of the source that the bundle learned from"):
        evaluate_stage(new_run(spark, folder / "elsewhere"), bundle, source)
    with pytest.raises(TaskError, match="the population is everybody at one time: say which"):
        score_stage(new_run(spark, folder / "scored"), bundle, source, None)
