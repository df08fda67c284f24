"""The hospital as MEDS events: the same patients and stays as the flat extract's, and about 100 events of each."""

import json
from pathlib import Path

import meds as standard
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from medspark.errors import TaskError
from medspark.synth import hospital, meds
from medspark.synth import vocabulary as v
from medspark.synth.write import write_hospital

SEED, PATIENTS = 5, 1700


def events_of(seed: int, patients: int) -> pd.DataFrame:
    made = [meds.events(seed, block, patients).to_pandas() for block in range(hospital.blocks(patients))]
    return pd.concat(made, ignore_index=True)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return events_of(SEED, PATIENTS)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    made = [hospital.block(SEED, block, PATIENTS) for block in range(hospital.blocks(PATIENTS))]
    return {name: pd.concat([block[name] for block in made], ignore_index=True) for name in made[0]}


def test_events_are_of_the_standards_schema(events):
    standard.DataSchema.validate(meds.events(SEED, 0, 10).schema.empty_table())
    assert set(events["code"]) == set(meds.CODES)
    assert events["subject_id"].nunique() == PATIENTS


def test_a_patient_has_about_100_events(events):
    assert 90 < len(events) / PATIENTS < 110


def test_events_are_in_the_order_of_patient_and_time_and_those_without_a_time_come_first(events):
    order = events["subject_id"].to_numpy() * 2.0**53 + events["time"].fillna(pd.Timestamp(0)).map(
        lambda time: time.timestamp()
    )
    assert not events["time"].isna().all()
    static = events[events["time"].isna()]
    assert static["code"].str.startswith("GENDER/").all()
    timed = events[events["time"].notna()]
    assert (np.diff(order[events["time"].notna()]) >= 0).all()
    assert static.index.isin(events.groupby("subject_id").head(1).index).all()
    assert len(timed) + len(static) == len(events)


def test_each_life_begins_once_and_ends_at_most_once_with_nothing_after(events, frames):
    births = events[events["code"] == meds.BIRTH]
    assert births["subject_id"].tolist() == list(range(1, PATIENTS + 1))
    deaths = events[events["code"] == meds.DEATH]
    assert sorted(deaths["subject_id"]) == sorted(frames["admissions"].query("died")["patient_id"])
    last = events.groupby("subject_id").tail(1)
    assert (last[last["subject_id"].isin(deaths["subject_id"])]["code"] == meds.DEATH).all()


def test_every_stay_is_an_admission_and_a_discharge_at_its_times(events, frames):
    stays = frames["admissions"]
    for code, when in ((meds.ADMISSION, "admitted_at"), (meds.DISCHARGE, "discharged_at")):
        found = events[events["code"] == code]
        expected = stays.sort_values(["patient_id", when])
        assert found["subject_id"].tolist() == expected["patient_id"].tolist()
        times = found["time"].astype("datetime64[us]").tolist()
        assert times == expected[when].astype("datetime64[us]").tolist()


def test_the_first_result_of_a_stay_is_the_flat_extracts(events, frames):
    first = frames["admissions"].groupby("patient_id").head(1).set_index("patient_id")["sodium"].dropna()
    results = events[events["code"] == "LAB/sodium"].groupby("subject_id").head(1).set_index("subject_id")
    only = results["numeric_value"].reindex(first.index)
    assert (only == first.astype("float32").round(0)).mean() == 1.0


def test_results_are_positive_numbers_and_nothing_else_has_a_number(events):
    results = events["code"].str.startswith("LAB/")
    assert (events.loc[results, "numeric_value"] > 0).all()
    assert events.loc[~results, "numeric_value"].isna().all()


def test_a_test_is_typically_what_the_vocabulary_says(events):
    for test in v.PANEL:
        if test.typical is not None and test.share >= 0.1:
            median = events.loc[events["code"] == f"LAB/{test.name}", "numeric_value"].median()
            assert abs(np.log(median / test.typical)) < test.spread, test.name


def test_the_same_seed_makes_the_same_events_and_another_others():
    pd.testing.assert_frame_equal(events_of(SEED, 30), events_of(SEED, 30))
    assert not events_of(SEED, 30).equals(events_of(SEED + 1, 30))


def test_only_the_parts_asked_for_are_written_and_counted(spark, tmp_path: Path, events):
    planted = write_hospital(spark, str(tmp_path), PATIENTS, SEED, partitions=2, parts=["meds"])
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["meds", "planted.json"]
    assert planted["meds"] == {"events": len(events)}
    assert "flat" not in planted
    assert json.loads((tmp_path / "planted.json").read_text()) == planted
    written = pq.read_table(tmp_path / "meds" / "data").to_pandas().sort_values("subject_id", kind="stable")
    assert written["code"].tolist() == events["code"].tolist()
    assert written["numeric_value"].equals(events["numeric_value"].set_axis(written.index))


def test_an_unknown_part_and_no_part_are_refused(spark, tmp_path: Path):
    with pytest.raises(TaskError, match="expected parts of flat, omop, meds, fhir, received 'hl7'"):
        write_hospital(spark, str(tmp_path), 10, SEED, parts=["meds", "hl7"])
    with pytest.raises(TaskError, match="received none"):
        write_hospital(spark, str(tmp_path), 10, SEED, parts=[])
