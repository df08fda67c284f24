"""The whole road of a task whose network teaches a student: made-up stays to scores by the student."""

import pytest
from support.roads import score, stays, walk, write
from support.tasks import stays_at

from medspark.bundles.bundle import load_bundle
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow

STAYS = 1500


@pytest.fixture(scope="module")
def road(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    source = write(folder / "stays.csv", stays(STAYS))
    network, training = {"members": 4, "student": "small"}, {"epochs": 6, "batch_size": 64}
    bundle, run = walk(spark, folder / "store", stays_at(source, network=network, training=training))
    return {"folder": folder, "source": source, "bundle": bundle, "run": run}


def test_the_bundle_has_the_student_and_both_are_measured_on_the_same_patients(road):
    bundle = load_bundle(road["bundle"])
    metrics, engine = bundle.read_json("metrics.json"), bundle.manifest["engine"]
    teacher = metrics["baselines"]["teacher"]
    assert [*metrics["baselines"]] == ["teacher", "logistic_regression", "gradient_boosting"]
    assert abs(teacher["difference"]["auroc"]["value"]) < 0.03
    assert metrics["test"]["metrics"]["auroc"]["value"] > 0.7
    assert engine["parameters"] <= 20_000
    assert engine["parameters"] < engine["teacher"]["parameters"]
    assert engine["litert_max_difference"] < 1e-5
    assert engine["rows_per_second"] > 0
    assert "Student, which is served" in bundle.read_text("report.html")


def test_scores_are_the_students_and_no_soft_label_is_left_in_the_store(spark, road):
    found, _ = score(spark, road, "scores")
    store = road["folder"] / "store"
    trained = {row["case_id"]: row for row in read_table(spark, str(store), "predictions").collect()}
    tested = [case for case, row in trained.items() if row["split"] == "test"]
    assert max(abs(found[case] - trained[case]["probability"]) for case in tested) < 1e-6
    assert not [path for path in store.rglob("*") if "soft" in path.name]
