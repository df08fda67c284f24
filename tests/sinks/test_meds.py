"""A store leaves as a valid MEDS dataset, and comes back the same."""

import datetime as dt
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds import CodeMetadataSchema, DataSchema, LabelSchema, SubjectSplitSchema
from support.relapse import PATIENTS, digest, task_at
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.errors import BusyError, InputError
from medspark.runs.lock import holding
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.meds import meds_stage
from medspark.stages.score import score_stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def road(relapse_road):
    return relapse_road


def test_of_two_datasets_into_one_folder_the_second_is_told_who_writes_the_first(spark, road, tmp_path):
    first = new_run(spark, tmp_path / "out")
    with holding(first), pytest.raises(BusyError, match=f"is in use: run {first.receipt.run_id}"):
        meds_stage(new_run(spark, road["store"]), road["task"], str(tmp_path / "out"), threshold=0.5)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_store_leaves_as_a_valid_meds_dataset_and_comes_back_the_same(spark, road, tmp_path):
    out = tmp_path / "out"
    scored = new_run(spark, road["store"])
    score_stage(scored, load_bundle(road["bundle"]), None)
    run = new_run(spark, road["store"])
    meds_stage(run, road["task"], str(out), threshold=0.5)
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
    meds_stage(new_run(spark, road["store"]), road["task"], str(tmp_path / "out"), threshold=0.5)
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
        meds_stage(new_run(spark, road["store"]), road["task"], str(tmp_path), threshold=0.5)
