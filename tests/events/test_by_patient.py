"""Events kept by patient: which file each is in, in what order, and what becomes of a file that was altered."""

import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from support.events import events_table

from medspark.errors import InputError
from medspark.events.by_patient import write_by_patient
from medspark.events.worker import by_patient as worker
from medspark.schemas import EVENT_COLUMNS
from medspark.store.worker.buckets import Kept, bucket_file, read_bucket

ROWS = [
    *((patient, day, code) for patient in range(40, 0, -1) for day in (3, 1, None) for code in ("B", "A")),
    (7, 2, "LAB", 2.0),
    (7, 2, "LAB", None),
    (7, 2, "LAB", 1.0),
]


def by_patient(spark, folder, rows, buckets):
    events = spark.createDataFrame(events_table(rows)).withColumns(
        {name: F.lit("x") for name in ("text_value", "unit", "encounter_id")}
    )
    path = str(folder / "records")
    return Kept(f"file:{path}", tuple(write_by_patient(events.select(*EVENT_COLUMNS), path, buckets).buckets.runs))


def test_a_patients_bucket_is_the_crc_32_of_the_id_and_files_are_by_patient_time_code_and_number(spark, tmp_path):
    kept = by_patient(spark, tmp_path, ROWS, 4)
    assert sorted(file.name for file in (tmp_path / "records").iterdir()) == [bucket_file(at, 0) for at in range(4)]
    for bucket in range(4):
        rows = pq.read_table(tmp_path / "records" / bucket_file(bucket, 0)).to_pylist()
        assert {zlib.crc32(str(row["subject_id"]).encode()) % 4 for row in rows} == {bucket}
        keys = [_order(row) for row in rows]
        assert keys == sorted(keys)
        assert len(rows) == kept.runs[0].rows[bucket]
    assert sum(kept.runs[0].rows) == len(ROWS)


def _order(row):
    time, number = row["time"], row["numeric_value"]
    return row["subject_id"], 0 if time is None else time.timestamp(), row["code"], number is None, number or 0


def test_texts_tell_patients_apart_as_well_and_a_bucket_may_be_empty(spark, tmp_path):
    kept = by_patient(spark, tmp_path, [("é", 1, "A"), ("0012", 1, "A"), ("é", 0, "A")], 8)
    places = {name: zlib.crc32(name.encode()) % 8 for name in ("é", "0012")}
    assert {at: rows for at, rows in enumerate(kept.runs[0].rows) if rows} == {places["é"]: 2, places["0012"]: 1}
    assert read_bucket(kept, kept.runs[0].rows.index(0), ["code"]) is None
    times = read_bucket(kept, places["é"], ["time"])["time"].to_pylist()
    assert times == sorted(times)


def test_the_driver_is_told_of_a_task_once_however_many_chunks_and_buckets_it_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "HELD_BYTES", 1)
    rows = [pa.record_batch({"bucket": pa.array([5, 1, 5]), "n": pa.array([at, at + 1, at + 2])}) for at in (0, 10)]
    told = [row for batch in worker.put_aside(rows, f"file:{tmp_path}", 0) for row in batch.to_pylist()]
    assert len(told) == 1
    assert worker.unpacked(row["buckets"] for row in told) == [1, 5]
    parts = {bucket: worker.parts_of([told[0]["file"]], f"file:{tmp_path}", bucket) for bucket in (0, 1, 5)}
    found = {at: worker.events_aside(some, f"file:{tmp_path}")["n"].to_pylist() for at, some in parts.items() if some}
    assert found == {1: [1, 11], 5: [0, 2, 10, 12]}


@pytest.mark.parametrize("fault", ["gone", "shorter", "altered"])
def test_a_bucket_that_is_not_as_it_was_written_is_named(spark, tmp_path, fault):
    kept = by_patient(spark, tmp_path, ROWS, 1)
    file = tmp_path / "records" / bucket_file(0, 0)
    if fault == "gone":
        file.unlink()
    elif fault == "shorter":
        pq.write_table(pq.read_table(file).slice(1), file)
    else:
        content = bytearray(file.read_bytes())
        content[60] ^= 255
        file.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"bucket-00000-0000\.parquet: expected the file that was written"):
        read_bucket(kept, 0, ["subject_id", "time", "code"])


def test_spark_reads_the_same_records(spark, tmp_path):
    by_patient(spark, tmp_path, ROWS, 3)
    rows = spark.read.parquet(str(tmp_path / "records")).select("subject_id", "code", "numeric_value").toArrow()
    expected = events_table(ROWS).select(["subject_id", "code", "numeric_value"])
    keys = [(name, "ascending") for name in expected.schema.names]
    assert rows.sort_by(keys).equals(expected.sort_by(keys).cast(pa.schema(rows.schema)))
