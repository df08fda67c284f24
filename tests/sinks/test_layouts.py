"""Scores in the columns of others: a row of an OMOP results schema, a prediction of MEDS."""

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds import LabelSchema

from medspark.errors import InputError
from medspark.sinks.files import FilesSink
from medspark.sinks.layouts import OMOP_PREDICTION_TYPES, as_omop
from medspark.sinks.publication import Publication, published_rows, sums_of

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)
TYPES = (
    "run_id string, bundle_id string, case_id string, subject_id bigint, prediction_time timestamp, "
    "probability double, risk_band string, scored_at timestamp"
)
AT = datetime(2026, 11, 26, 23, 30)
ROWS = [("v1", "b1", "c1", 2**63 - 1, AT, 0.25, "raised", AT), ("v1", "b1", "c2", 7, None, 0.05, None, AT)]


def night(spark, types=TYPES):
    frame = published_rows(spark.createDataFrame(ROWS, types), None, "n1", "stays", AS_OF)
    return Publication("n1", "stays", AS_OF, "v1", "b1", "r1", "back", frame, sums_of(frame))


def sink(spark, folder, kind, layout, positive_from=None):
    return FilesSink(spark.sparkContext, kind, str(folder), f"{kind}:{folder}", layout, positive_from)


def published(out, one):
    assert not out.holds(one)
    out.put(one)
    assert out.holds(one)
    (file,) = Path(out.path, "scores", "as_of=20261127T060000Z").glob(f"scores-*.{out.kind}")
    return str(file)


def test_omop_is_a_row_a_prediction_with_its_person_and_a_date_beside_each_time(spark, tmp_path):
    one = night(spark)
    file = published(sink(spark, tmp_path, "csv", "omop"), one)
    table = f"read_csv('{file}', all_varchar = true, hive_partitioning = false)"
    lines = duckdb.sql(f"SELECT * FROM {table} ORDER BY case_id").fetchall()
    assert as_omop(one.rows, "back").dtypes == list(OMOP_PREDICTION_TYPES.items())
    when, scored = "2026-11-27T06:00:00.000000Z", "2026-11-26T23:30:00.000000Z"
    first = ("9223372036854775807", "2026-11-26", scored, "back", "0.25", "raised", "b1", "c1")
    second = ("7", "2026-11-27", when, "back", "0.05", None, "b1", "c2")  # of no time of its own: the night's
    assert lines == [(*one, "n1", "stays", when, "v1", scored) for one in (first, second)]


def test_omop_as_parquet_has_its_types(spark, tmp_path):
    found = pq.ParquetFile(published(sink(spark, tmp_path, "parquet", "omop"), night(spark))).read()
    assert found.schema.field("person_id").type == pa.int64()
    assert set(found["prediction_date"].to_pylist()) == {date(2026, 11, 26), date(2026, 11, 27)}


@pytest.mark.parametrize(("positive_from", "positive"), [(None, [False, False]), (0.25, [True, False])])
def test_predictions_of_meds_are_valid_labels_to_come(spark, tmp_path, positive_from, positive):
    found = pq.ParquetFile(published(sink(spark, tmp_path, "parquet", "meds", positive_from), night(spark))).read()
    assert found.column_names == [
        "subject_id",
        "prediction_time",
        "predicted_boolean_value",
        "predicted_boolean_probability",
    ]
    LabelSchema.validate(found.select(found.column_names[:2]))  # a label that has its outcome still to come
    rows = found.sort_by([("subject_id", "descending")])
    assert rows["predicted_boolean_value"].to_pylist() == positive
    assert rows["predicted_boolean_probability"].to_pylist() == [0.25, 0.05]
    assert rows["prediction_time"].to_pylist() == [AT, AS_OF.replace(tzinfo=None)]


@pytest.mark.parametrize(("kind", "layout"), [("csv", "omop"), ("parquet", "meds")])
def test_patients_that_are_no_whole_numbers_are_refused_and_nothing_is_written(spark, tmp_path, kind, layout):
    texts = TYPES.replace("subject_id bigint", "subject_id string")
    frame = published_rows(
        spark.createDataFrame([(*ROWS[0][:3], "p1", *ROWS[0][4:])], texts), None, "n1", "stays", AS_OF
    )
    one = Publication("n1", "stays", AS_OF, "v1", "b1", "r1", "back", frame, sums_of(frame))
    with pytest.raises(InputError, match=f"whole numbers, as the layout {layout} has them, received string"):
        sink(spark, tmp_path, kind, layout).put(one)
    assert list(tmp_path.iterdir()) == []
