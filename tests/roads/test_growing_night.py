"""A night of an event deployment takes what is new into a store of records and scores these, not the warehouse."""

import shutil
from datetime import UTC, datetime

import pytest
from support.relapse import PATIENTS, hospital, write_meds
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.deploy.deployment import Deployment
from medspark.errors import InputError
from medspark.stages.clean import clean_stage
from medspark.stages.night import Night, night_stage
from medspark.stages.score import score_stage
from medspark.store.ledger import read_entries
from medspark.store.tables import read_table
from medspark.task.event_source import Increment

pytestmark = pytest.mark.integration

AS_OF = datetime(2022, 6, 1, tzinfo=UTC)
NEW = PATIENTS + 5


@pytest.fixture(scope="module")
def nights(spark, relapse_road, tmp_path_factory):
    """The source, a bundle whose source grows, and a deployment that scores the records of a store."""
    folder = tmp_path_factory.mktemp("growing")
    source = shutil.copytree(relapse_road["source"], folder / "meds")
    task = relapse_road["task"]
    grows = task.source.model_copy(update={"increment": Increment(by="files"), "path": str(source)})
    task = task.model_copy(update={"source": grows})
    clean_stage(new_run(spark, folder / "records"), task)
    deployment = Deployment(
        deployment="relapse",
        bundle=str(relapse_road["bundle"]),
        store=str(folder / "store"),
        history=str(folder / "records"),
        sinks=[{"kind": "parquet", "path": str(folder / "out")}],
    )
    return folder, source, load_bundle(relapse_road["bundle"])._replace(task=task), deployment


def walk(spark, bundle, deployment):
    run = new_run(spark, deployment.store)
    night_stage(run, Night(deployment, bundle, AS_OF))
    return run


def published(spark, folder):
    return {row["case_id"]: row["probability"] for row in spark.read.parquet(f"{folder}/out/scores/*").collect()}


def test_what_is_new_is_taken_and_scored_as_the_whole_source_would_be(spark, nights):
    folder, source, bundle, deployment = nights
    first = walk(spark, bundle, deployment)
    before = published(spark, folder)
    assert first.receipt.counts["append"]["files"] == 0
    more = write_meds(folder / "more", [row for row in hospital(NEW) if row[0] > PATIENTS])
    shutil.copy(more / "data" / "1.parquet", source / "data" / "2.parquet")
    shutil.copy(more / "data" / "train" / "0.parquet", source / "data" / "3.parquet")
    second = walk(spark, bundle, deployment)
    after = published(spark, folder)
    assert second.receipt.counts["append"]["files"] == 2
    assert {case: after[case] for case in before} == before
    assert {int(case.split("@")[0]) for case in after if case not in before} == set(range(PATIENTS + 1, NEW + 1))
    run = new_run(spark, folder / "plain")
    score_stage(run, bundle, None, AS_OF.replace(tzinfo=None).isoformat())
    whole = {row["case_id"]: row["probability"] for row in read_table(spark, run.store, "scores").collect()}
    assert after == whole


def test_again_nothing_is_read_or_published(spark, nights):
    _, _, bundle, deployment = nights
    walk(spark, bundle, deployment)
    again = walk(spark, bundle, deployment)
    assert again.receipt.counts["append"]["files"] == 0
    assert list(again.receipt.counts["publish"]["sinks"].values()) == ["there before"]


def test_a_night_whose_increment_cannot_be_taken_is_refused_and_noted(spark, nights):
    folder, source, bundle, deployment = nights
    aside = (source / "data" / "1.parquet").rename(folder / "aside.parquet")
    try:
        with pytest.raises(InputError, match=r"received none of data/1\.parquet"):
            walk(spark, bundle, deployment)
    finally:
        aside.rename(source / "data" / "1.parquet")
    assert read_entries(spark.sparkContext, deployment.store)[-1].facts["outcome"] == "refused"
