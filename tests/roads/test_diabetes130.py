"""The main job on real data, untouched: the encounters of 130 US hospitals."""

from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest
from support.places import ROOT
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.task.load import load_task

pytestmark = [pytest.mark.data, pytest.mark.integration]


@pytest.fixture(scope="module")
def walked(spark, data, tmp_path_factory):
    """The store, the frozen task and the run after clean and features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSPARK_DATA", str(data))
        task = load_task(ROOT / "conf" / "tasks" / "readmission-diabetes130.yaml")
    run = new_run(spark, tmp_path_factory.mktemp("diabetes130"))
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return run, frozen


def test_every_row_is_accounted_for(walked):
    counts = walked[0].receipt.counts["clean"]
    assert counts == {
        "rows_in": 101_766,
        "blank_lines": 0,
        "records": 101_766,
        "quarantined": {},
        "duplicates": 0,
        "set_missing": {"gender: level": 3},  # Unknown/Invalid
        "repaired": 0,
        "normalised": {},
        "missing": {
            "race": 2_273,
            "gender": 3,
            "weight": 98_569,
            "admission_type_id": 10_396,
            "discharge_disposition_id": 4_680,
            "admission_source_id": 7_067,
            "payer_code": 40_256,
            "medical_specialty": 49_949,
            "diag_1": 21,
            "diag_2": 358,
            "diag_3": 1_423,
        },
    }


def test_hospice_and_deaths_are_excluded(walked):
    attrition = walked[0].receipt.counts["features"]["attrition"]
    assert [(row["criterion"], row["removed"], row["remaining"]) for row in attrition] == [
        ("records", 0, 101_766),
        ("hospice or death", 2_423, 99_343),
    ]


def test_the_past_of_each_stay_is_that_of_plain_pandas(spark, data, walked):
    columns = ["encounter_id", "patient_nbr", "number_inpatient", "time_in_hospital"]
    stays = pd.read_csv(data / "diabetes130" / "diabetic_data.csv", usecols=columns).sort_values("encounter_id")
    same = stays.groupby("patient_nbr")
    stays["earlier_rows"] = same.cumcount()
    stays["since_last_row"] = stays["encounter_id"] - same["encounter_id"].shift()
    for name in ("number_inpatient", "time_in_hospital"):
        stays[f"last_{name}"] = same[name].shift()
    made = [name for name in stays if name not in columns]
    cases = read_table(spark, walked[0].store, "cases").select("case_id", *made).toPandas()
    assert walked[0].receipt.counts["features"]["with_earlier_rows"] == (cases["earlier_rows"] > 0).sum() == 29_370
    expected = stays.set_index("encounter_id").loc[cases["case_id"], made]
    pd.testing.assert_frame_equal(cases.set_index("case_id")[made], expected, check_dtype=False, check_names=False)


def test_values_are_what_a_clinician_would_expect(spark, walked):
    records = read_table(spark, walked[0].store, "records")
    found = {
        name: {row[0]: row[1] for row in records.groupBy(name).count().collect()}
        for name in ("gender", "max_glu_serum", "admission_type_id", "age", "age_band")
    }
    assert found["gender"] == {"Female": 54_708, "Male": 47_055, None: 3}
    assert found["max_glu_serum"] == {"None": 96_420, "Norm": 2_597, ">200": 1_485, ">300": 1_264}
    # Not Available, NULL and Not Mapped are missing; the rest have the names of IDs_mapping.csv
    assert found["admission_type_id"] == {
        "Emergency": 53_990,
        "Elective": 18_869,
        "Urgent": 18_480,
        "Trauma Center": 21,
        "Newborn": 10,
        None: 4_785 + 5_291 + 320,
    }
    assert found["age"][75.0] == 26_068
    assert sum(found["age_band"].values()) == 101_766
    missing = records.where("race is null").count(), records.where("weight is null").count()
    assert missing == (2_273, 98_569)


def test_the_network_reaches_its_mark_and_the_bundle_scores_as_training_did(spark, walked):
    run, frozen = walked
    network = frozen.network.model_copy(update={"members": 4})  # half as many, in half the time
    bundle = load_bundle(train_stage(run, frozen.model_copy(update={"network": network})))
    metrics = bundle.read_json("metrics.json")
    found = metrics["test"]["metrics"]
    assert found["auroc"]["value"] >= 0.67
    assert 0.9 <= found["calibration_slope"]["value"] <= 1.1
    assert metrics["baselines"].keys() == {"logistic_regression", "gradient_boosting"}

    score_stage(run, bundle, frozen.source.path)
    scores, predictions = (rows_of(run.store, table) for table in ("scores", "predictions"))
    both = scores.merge(predictions, on="case_id", how="outer", validate="one_to_one")
    assert len(both) == 99_343
    tested = both[both["split"] == "test"]  # of the others, training tells what a member said that did not learn them
    assert (tested["probability_x"] - tested["probability_y"]).abs().max() < 1e-6


def rows_of(store, table):
    """The case ids and probabilities of a table's one version, and the split where it has one."""
    (version,) = (path for path in Path(store, table).iterdir() if path.is_dir())
    found = ds.dataset(version)
    names = [name for name in ("case_id", "probability", "split") if name in found.schema.names]
    return found.to_table(columns=names).to_pandas()
