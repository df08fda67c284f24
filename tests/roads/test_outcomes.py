"""The whole road where there is more than yes or no, on made-up patients whose true risks are known."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.roads import new_run, walk
from support.tasks import stays_task

from medspark.bundles.bundle import load_bundle
from medspark.score.in_memory import score_frame
from medspark.stages.evaluate import evaluate_stage
from medspark.stages.score import score_stage
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow

CASES = 5000
AGES = np.random.default_rng(0).uniform(20, 90, CASES).round(1)
STEEP = (AGES - 55) / 20
COLUMNS = {
    "stay": {"type": "long"},
    "patient": {"type": "string"},
    "age": {"type": "double"},
    "fate": {"type": "category"},
    "back": {"type": "boolean"},
    "fell": {"type": "boolean"},
    "dead": {"type": "boolean"},
    "days": {"type": "double"},
}
OUTCOMES = {
    "classes": {"classes": {"home": "fate = 'h'", "ward": "fate = 'w'", "grave": "fate = 'g'"}, "risk_of": "grave"},
    "several": {"several": {"back": "back", "fell": "fell"}},
    "horizons": {"event": "dead", "days": "days", "horizons_days": [30, 90, 365]},
}
HAZARD = 0.002 * np.exp(STEEP)
CHANCES = np.exp(np.stack([0 * STEEP, 0.5 * STEEP - 0.5, STEEP - 1], axis=1))
TRUE = {
    "classes": CHANCES / CHANCES.sum(axis=1, keepdims=True),
    "several": 1 / (1 + np.exp(-np.stack([STEEP - 1, -STEEP], axis=1))),
    "horizons": 1 - np.exp(-HAZARD[:, None] * [30, 90, 365]),
}


def written(path):
    """Half of the falls are not known, and follow-up ends by chance, a third of it within a year."""
    rng = np.random.default_rng(1)
    fate = (rng.random((CASES, 1)) > TRUE["classes"].cumsum(axis=1)).sum(axis=1)
    back, fell = (rng.random((CASES, 2)) < TRUE["several"]).T
    death, left = rng.exponential(1 / HAZARD), rng.exponential(900, CASES).clip(0, 400)
    dead, days = death <= left, np.minimum(death, left)
    known = rng.random(CASES) < 0.5
    lines = [
        f"{at},p{at},{AGES[at]},{'hwg'[fate[at]]},{back[at]},{fell[at] if known[at] else ''},{dead[at]},{days[at]:.3f}"
        for at in range(CASES)
    ]
    path.write_text("\n".join([",".join(COLUMNS), *lines]).lower() + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def walks(spark, tmp_path_factory):
    """A store and a bundle of each kind, the first time that it is asked for."""
    folder, made = tmp_path_factory.mktemp("outcomes"), {}
    source = written(folder / "patients.csv")

    def of(kind):
        if kind not in made:
            task = stays_task(
                source={"kind": "table", "path": str(source), "format": "csv", "case": "stay", "subject": "patient"},
                columns=COLUMNS,
                exclude=[],
                outcome={"name": kind, **OUTCOMES[kind]},
                features={"numeric": ["age"]},
                network={"members": 4, "size": "small"},
                training={"epochs": 8, "batch_size": 256, "learning_rate": 0.01},
                report={"bootstrap": 20},
            )
            bundle, _ = walk(spark, folder / kind, task)
            made[kind] = load_bundle(bundle), folder / kind, source
        return made[kind]

    return of


def scored(spark, walked, name, **options):
    bundle, store, source = walked
    run = new_run(spark, f"{store}-{name}")
    score_stage(run, bundle, str(source), **options)
    return read_table(spark, run.store, "scores").toPandas().sort_values("case_id").reset_index(drop=True)


@pytest.mark.parametrize("kind", [*OUTCOMES])
def test_the_probability_of_each_target_is_its_true_one(spark, walks, kind):
    frame = scored(spark, walks(kind), "scores")
    columns = [name for name in frame if name.startswith("probability_")]
    assert len(frame) == CASES
    found = frame[columns].to_numpy()
    assert np.abs(found.mean(axis=0) - TRUE[kind].mean(axis=0)).max() < 0.03
    assert np.abs(found - TRUE[kind]).mean() < 0.04
    assert kind != "classes" or np.abs(found.sum(axis=1) - 1).max() < 1e-9
    assert kind != "horizons" or (np.diff(found, axis=1) >= 0).all()


def test_probability_and_risk_band_are_of_the_target_that_the_task_names(spark, walks):
    bands = {"high": 0.6, "raised": 0.3}
    for kind, column in {"classes": "grave", "several": "back", "horizons": "365d"}.items():
        frame = scored(spark, walks(kind), "headline")
        assert frame["probability"].equals(frame[f"probability_{column}"].rename("probability"))
        reached = frame["risk_band"].map({**bands, "low": 0.0})
        assert (frame["probability"] >= reached).all()


@pytest.mark.parametrize("kind", [*OUTCOMES])
def test_spark_workers_and_memory_score_alike(spark, walks, kind):
    by_workers = scored(spark, walks(kind), "workers", writer="workers")
    by_spark = scored(spark, walks(kind), "spark", writer="spark")
    names = [name for name in by_workers if name not in ("run_id", "scored_at")]
    assert by_workers[names].equals(by_spark[names])
    assert list(by_workers) == list(by_spark)
    bundle, store, _ = walks(kind)
    cases = read_table(spark, str(store), "cases").toPandas().sort_values("case_id")
    in_memory = score_frame(bundle, cases)
    same = [name for name in names if name.startswith("probability")]
    assert in_memory[same].to_numpy().tolist() == by_workers[same].to_numpy().tolist()


def test_each_target_is_measured_on_the_cases_of_which_it_is_known(walks):
    found = walks("several")[0].read_json("metrics.json")["outcomes"]
    back, fell = found["targets"]
    assert (found["kind"], found["headline"]) == ("several", "back")
    assert 0.4 < fell["cases"] / back["cases"] < 0.6
    assert set(back["baselines"]) == {"logistic_regression", "gradient_boosting"}
    for one in (back, fell):
        low, value, high = (one["metrics"]["auroc"][key] for key in ("low", "value", "high"))
        assert low < value < high
        assert value > 0.65


def test_classes_are_measured_together_too(walks):
    together = walks("classes")[0].read_json("metrics.json")["outcomes"]["together"]
    assert {*together["metrics"]} == {"accuracy", "log_loss", "auroc_macro", "auroc_micro"}
    assert together["metrics"]["accuracy"]["value"] > 0.4, "a third by chance"
    counts = [int(str(count).strip("~<")) for row in together["confusion"] for count in row]
    assert len(counts) == 9
    assert "True class (rows) by the likeliest one" in walks("classes")[0].read_text("report.html")


def test_horizons_are_calibrated_though_a_third_was_not_followed_to_the_last(walks):
    bundle, store, _ = walks("horizons")
    (cases,) = (store / "cases").glob("*-*")
    unknown = sum(value is None for values in pq.read_table(cases)["boolean_values"].to_pylist() for value in values)
    assert unknown > CASES / 5
    for one in bundle.read_json("metrics.json")["outcomes"]["targets"]:
        assert abs(one["metrics"]["calibration_intercept"]["value"]) < 0.3
        assert one["metrics"]["auroc"]["value"] > 0.6


@pytest.mark.parametrize("kind", [*OUTCOMES])
def test_an_evaluation_measures_every_target_as_training_did(spark, walks, kind):
    bundle, store, source = walks(kind)
    run = new_run(spark, f"{store}-evaluated")
    metrics = json.loads((Path(evaluate_stage(run, bundle, str(source))) / "metrics.json").read_text())
    then = bundle.read_json("metrics.json")["outcomes"]
    now = metrics["outcomes"]
    assert [one["name"] for one in now["targets"]] == [one["name"] for one in then["targets"]]
    for one, before in zip(now["targets"], then["targets"], strict=True):
        assert one["cases"] > 3 * before["cases"]  # of all splits, not of the test split alone
        found, known = one["metrics"]["auroc"], before["metrics"]["auroc"]
        assert abs(found["value"] - known["value"]) < 0.06
        assert abs(one["metrics"]["calibration_intercept"]["value"]) < 0.2
