"""Scores as files: whole or not there, what was sent and nothing else, whatever the values are."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from fhir.resources.R4B.riskassessment import RiskAssessment
from pyspark.sql import functions as F

from medspark.errors import AccountingError, InputError
from medspark.sinks import files
from medspark.sinks.files import FilesSink
from medspark.sinks.publication import Publication, published_rows, sums_of

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)
TYPES = (
    "run_id string, bundle_id string, case_id bigint, subject_id string, prediction_time timestamp, "
    "probability double, risk_band string, scored_at timestamp, note string"
)
NOW = datetime(2026, 11, 27, 6, 1, 2, 345678)
ROWS = [
    ("v1", "b1", 9007199254740993, "00123", NOW, 0.1, "high", NOW, "=1+1"),
    ("v1", "b1", -(2**63), 'Zoë,"q"', None, 1e-300, None, NOW, "-2"),
    ("v1", "b1", 2**63 - 1, " padded ", datetime(1850, 1, 1), 1.0, "", NOW, "a\nb"),
]


def publication(spark, rows=ROWS, night="n1", run="r1", as_of=AS_OF):
    frame = published_rows(spark.createDataFrame(rows, TYPES), None, night, "stays", as_of)
    return Publication(night, "stays", as_of, "v1", "b1", run, "back", frame, sums_of(frame))


def sink(spark, folder, kind="parquet"):
    return FilesSink(spark.sparkContext, kind, str(folder), f"{kind}:{folder}")


def files_of(folder, out, night):
    """Publish a night; what lies in the folder then, below the night's own."""
    assert not out.holds(night)
    out.put(night)
    assert out.holds(night)
    assert [path.name for path in folder.iterdir()] == ["scores"]
    names = [path.name for path in (folder / "scores/as_of=20261127T060000Z").iterdir()]
    return sorted(re.sub("-[0-9a-f]{16}", "", name) for name in names)


def file_in(folder):
    """The file of a night, whose name has part of its digest."""
    (found,) = folder.glob("scores*")
    return found


def test_parquet_is_one_file_a_night_read_by_its_folder_by_spark_duckdb_and_pandas(spark, tmp_path):
    out, first = sink(spark, tmp_path), publication(spark)
    assert files_of(tmp_path, out, first) == ["_manifest.json", "scores.parquet"]
    out.put(publication(spark, ROWS[:1], "n2", as_of=datetime(2026, 11, 28, 6, tzinfo=UTC)))
    folder = f"{tmp_path}/scores"
    counts = {"20261127T060000Z": 3, "20261128T060000Z": 1}
    by_spark = {row["as_of"]: row["count"] for row in spark.read.parquet(folder).groupBy("as_of").count().collect()}
    by_duckdb = dict(duckdb.sql(f"SELECT as_of, count(*) FROM '{folder}/*/*.parquet' GROUP BY as_of").fetchall())
    by_pandas = pd.read_parquet(folder).groupby("as_of", observed=True).size().to_dict()
    assert by_spark == by_duckdb == by_pandas == counts
    ids = {row[0] for row in duckdb.sql(f"SELECT case_id FROM '{folder}/as_of=20261127T060000Z/*.parquet'").fetchall()}
    assert ids == {9007199254740993, -(2**63), 2**63 - 1}
    with pytest.raises(InputError, match="expected a folder of deployment beds alone, received one of stays"):
        out.put(replace(first, deployment="beds"))
    assert out.holds(first)


def test_csv_runs_no_formula_and_tells_nothing_from_empty(spark, tmp_path):
    names = files_of(tmp_path, sink(spark, tmp_path, "csv"), publication(spark))
    assert names == ["_manifest.json", "scores.csv"]
    file = file_in(tmp_path / "scores/as_of=20261127T060000Z")
    found = pd.read_csv(file, dtype=str, keep_default_na=False, lineterminator="\n")
    assert list(found["note"]) == ["'=1+1", "'-2", "a\nb"]
    assert list(found["case_id"]) == ["9007199254740993", "-9223372036854775808", "9223372036854775807"]
    assert list(found["subject_id"]) == ["00123", 'Zoë,"q"', " padded "]
    assert found["scored_at"][0] == "2026-11-27T06:01:02.345678Z"
    assert float(found["probability"][1]) == 1e-300


def test_ndjson_has_ids_as_text_and_nulls_as_nulls(spark, tmp_path):
    names = files_of(tmp_path, sink(spark, tmp_path, "ndjson"), publication(spark))
    assert names == ["_manifest.json", "scores.ndjson"]
    lines = file_in(tmp_path / "scores/as_of=20261127T060000Z").read_text(encoding="utf-8").splitlines()
    first, second, third = map(json.loads, lines)
    assert (first["case_id"], first["subject_id"], first["note"]) == ("9007199254740993", "00123", "=1+1")
    assert (second["prediction_time"], second["risk_band"], third["risk_band"]) == (None, None, "")
    assert third["prediction_time"] == "1850-01-01T00:00:00.000000Z"


def test_another_night_of_the_same_time_takes_the_place_of_the_first_and_what_was_damaged_is_not_held(spark, tmp_path):
    out, first, second = sink(spark, tmp_path), publication(spark), publication(spark, ROWS[1:], "n2", "r2")
    died, other = Path(out.staging("stays")) / "n0.r0", tmp_path / "staging"
    for folder in (died, other):
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_bytes(b"half")  # of a run that died, and somebody else's
    out.put(first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores", "staging"]
    assert (other / "part-0.parquet").exists()
    out.put(second)
    assert (out.holds(first), out.holds(second)) == (False, True)
    folder = tmp_path / "scores/as_of=20261127T060000Z"
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    for name, damaged in (
        (file_in(folder).name, lambda old: old[:-20]),
        ("_manifest.json", lambda old: old[:-20]),
        ("_manifest.json", lambda old: b"\xff" + old),
    ):
        (folder / name).write_bytes(damaged(whole[folder / name]))
        assert not out.holds(second)
        (folder / name).write_bytes(whole[folder / name])
    assert out.holds(second)
    pd.read_parquet(folder).assign(probability=0.5).to_parquet(file_in(folder))
    assert not out.holds(second)
    out.put(second)
    assert out.holds(second)
    assert spark.read.parquet(str(folder)).count() == 2


@pytest.mark.parametrize("theirs", [{"scores.csv": b"mine"}, {"_manifest.json": b"{"}, {"_manifest.json": b"{}"}])
def test_files_that_no_sound_manifest_calls_this_deployments_stay_and_are_named(spark, tmp_path, theirs):
    folder = tmp_path / "scores/as_of=20261127T060000Z"
    folder.mkdir(parents=True)
    for name, content in theirs.items():
        (folder / name).write_bytes(content)
    out = sink(spark, tmp_path, "csv")
    with pytest.raises(InputError, match="as_of=20261127T060000Z: expected an empty folder, or one with a sound"):
        out.put(publication(spark))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == theirs
    out.put(publication(spark, as_of=datetime(2026, 11, 28, 6, tzinfo=UTC)))


def test_a_night_whose_manifest_is_damaged_is_not_taken_by_another_deployment(spark, tmp_path):
    out, first = sink(spark, tmp_path), publication(spark)
    out.put(first)
    folder = tmp_path / "scores/as_of=20261127T060000Z"
    (folder / "_manifest.json").write_text("{")
    whole = file_in(folder).read_bytes()
    with pytest.raises(InputError, match="expected an empty folder, or one with a sound"):
        out.put(replace(first, deployment="beds"))
    assert file_in(folder).read_bytes() == whole


def test_a_night_that_died_after_its_file_moved_is_finished_by_the_next_night_whichever_that_is(spark, tmp_path):
    out, first = sink(spark, tmp_path), publication(spark)
    out.put(first)
    manifest = tmp_path / "scores/as_of=20261127T060000Z/_manifest.json"
    staging = Path(out.staging("stays"))
    staging.mkdir()
    manifest.rename(staging / "_manifest.json")  # as a kill between the two leaves it
    out.put(publication(spark, night="n2", as_of=datetime(2026, 11, 28, 6, tzinfo=UTC)))
    assert out.holds(first)
    out.put(publication(spark, ROWS[:1], "n3"))
    assert not out.holds(first)


def test_a_first_file_that_a_dying_night_moved_by_half_is_mended_by_the_same_night(spark, tmp_path, monkeypatch):
    out, first = sink(spark, tmp_path), publication(spark)
    with monkeypatch.context() as patched:
        patched.setattr(files, "put_folder", half_moved)  # as object stores do, which move folders file by file
        with pytest.raises(KeyboardInterrupt):
            out.put(first)
    (tmp_path / "scores/as_of=20261127T060000Z/_SUCCESS").touch()
    assert not out.holds(first)
    out.put(first)
    assert out.holds(first)
    assert spark.read.parquet(f"{tmp_path}/scores").count() == len(ROWS)


def half_moved(_, path, target):
    (file,) = Path(path).glob("scores-*")
    Path(target).mkdir(parents=True)
    (Path(target) / file.name).write_bytes(file.read_bytes()[:-20])
    raise KeyboardInterrupt


def test_what_arrives_otherwise_than_sent_leaves_the_old_file(spark, tmp_path, monkeypatch):
    out, first = sink(spark, tmp_path), publication(spark)
    out.put(first)
    honest = files.read_parquet
    monkeypatch.setattr(files, "read_parquet", lambda *places: honest(*places).withColumn("probability", F.lit(0.5)))
    with pytest.raises(AccountingError, match="3 rows were to be published, 3 rows of other values arrived"):
        out.put(publication(spark, night="n2", run="r2"))
    assert out.holds(first)


def test_sums_do_not_hang_on_order_and_see_every_value(spark):
    def sums(rows):
        return sums_of(spark.createDataFrame(rows, "a string, b double, at timestamp"))

    day = datetime.combine(date(2026, 11, 27), datetime.min.time())
    rows = [("x", 0.1, day), (None, None, None)]
    assert sums(rows) == sums(rows[::-1])
    assert sums(rows) != sums([("x", 0.1, day), ("", None, None)])
    assert sums(rows) != sums([("x", 0.1000000000000001, day), (None, None, None)])
    assert sums([]) == (0, "0")


EXPLAINED = "case_id bigint, rank int, feature string, item string, value string, direction string, " + (
    "contribution double, risk_points double"
)


def test_fhir_is_valid_and_in_percent_and_says_why(spark, tmp_path):
    reasons = [
        (9007199254740993, 2, "diagnoses", "I50", "present", "lowers", -0.5, -2.0),
        (9007199254740993, 1, "age", None, "81 years", "raises", 0.8312, 4.0),
    ]
    told = spark.createDataFrame(reasons, EXPLAINED)
    frame = published_rows(spark.createDataFrame(ROWS[:2], TYPES), told, "n1", "stays", AS_OF)
    night = Publication("n1", "stays", AS_OF, "v1", "b1", "r1", "back", frame, sums_of(frame))
    assert files_of(tmp_path, sink(spark, tmp_path, "fhir"), night) == ["_manifest.json", "scores.ndjson"]
    lines = file_in(tmp_path / "scores/as_of=20261127T060000Z").read_text(encoding="utf-8").splitlines()
    first, second = sorted(map(json.loads, lines), key=lambda one: one["subject"]["identifier"]["value"])
    (prediction,) = first["prediction"]
    assert prediction["probabilityDecimal"] == 10.0
    assert prediction["outcome"] == {"text": "back"}
    assert prediction["qualitativeRisk"] == {"text": "high"}
    assert prediction["rationale"] == "age 81 years (+0.831); diagnoses I50 present (-0.500)"
    assert first["subject"] == {"type": "Patient", "identifier": {"value": "00123"}}
    assert first["occurrenceDateTime"] == "2026-11-27T06:01:02Z"
    assert set(second["prediction"][0]) == {"outcome", "probabilityDecimal"}
    assert first["id"] != second["id"]
    assert len(first["id"]) == 64
    for one in (first, second):
        assert RiskAssessment.model_validate(one).status == "final"
