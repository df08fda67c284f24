"""What stands beside the scores: the same whoever scores, flagged where a patient is of another kind, and absent of a
bundle from before."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.roads import new_run, score, scores_of
from support.tensors import WAYS, score_tensors

from medspark.bundles.bundle import UNCERTAINTY, load_bundle, save_bundle
from medspark.schemas import BESIDE_TYPES
from medspark.score.in_memory import score_table
from medspark.stages.score import score_stage
from medspark.store.tables import read_table, table_path

BESIDE = list(BESIDE_TYPES)


def rows_of(spark, store):
    found = read_table(spark, str(store), "scores").select("case_id", "probability", *BESIDE)
    return {row["case_id"]: tuple(row)[1:] for row in found.collect()}


def test_it_is_the_same_whoever_reads_and_writes(spark, road, encoded):
    _, run = score(spark, road, "beside_raw")
    expected = rows_of(spark, run.store)
    assert len(expected) == 1453
    for name, options in WAYS.items():
        _, run = score_tensors(spark, road, encoded[0], f"beside_{name}", **options)
        assert rows_of(spark, run.store) == expected


def test_it_has_the_types_that_are_said(spark, road):
    _, run = score(spark, road, "beside_types")
    found = dict(read_table(spark, run.store, "scores").dtypes)
    assert {name: found[name] for name in BESIDE} == dict(BESIDE_TYPES)


def test_a_patient_of_another_kind_is_flagged_and_the_others_are_not(spark, road):
    line = "9002,p9002,{age},F,{code},i10,false,true"
    usual = [line.format(age=60, code="i50"), line.format(age=65, code="e11").replace("9002", "9003")]
    odd = line.format(age=119, code="z99").replace("9002", "9004")
    _, run = score(spark, road, "odd", lines=[*usual, odd])
    found = {case: dict(zip(BESIDE, row[1:], strict=True)) for case, row in rows_of(spark, run.store).items()}
    assert [found[case]["unusual"] for case in (9002, 9003)] == [False, False]
    assert found[9004]["strangeness"] > 0.9 > found[9002]["strangeness"]


def test_the_interval_has_the_risk_in_it_and_what_is_missing_is_counted(spark, road):
    _, run = score(spark, road, "interval")
    table = pq.read_table(table_path(spark.sparkContext, run.store, "scores")).to_pandas()
    assert (table["interval_low"] <= table["probability"]).all()
    assert (table["probability"] <= table["interval_high"]).all()
    assert set(table["conformal_band"]) <= {"likely", "uncertain", "unlikely"}
    assert set(np.round(table["missing_share"], 4)) <= {0.0, 0.25, 0.5}
    assert (table["disagreement"] > 0).all()


def test_the_report_says_how_far_it_holds(road):
    bundle = load_bundle(road["bundle"])
    found = json.loads(bundle.read_text("metrics.json"))["reliance"]
    assert found["unusual"]["share"] < 0.05
    assert found["coverage"]["groups"][0]["group"] == "all"
    page = bundle.read_text("report.html")
    assert "What the conformal bands leave open, of 90" in page


def test_a_bundle_from_before_scores_without_it(spark, road, tmp_path):
    whole = load_bundle(road["bundle"])

    def write(folder):
        for name in whole.manifest["files"]:
            if name != UNCERTAINTY:
                (folder / name).write_bytes(whole.read_bytes(name))
        return {key: value for key, value in whole.manifest.items() if key not in ("files", "bundle_id", "format")}

    run = new_run(spark, tmp_path / "store")
    score_stage(run, load_bundle(save_bundle(tmp_path, write)), str(road["source"]))
    found = read_table(spark, run.store, "scores")
    assert not {*BESIDE} & {*found.columns}
    _, of_whole = score(spark, road, "whole")
    assert scores_of(spark, run.store) == scores_of(spark, of_whole.store)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_cases_in_memory_have_it_too(road, rows, spark):
    cases = read_table(spark, str(road["folder"] / "store"), "cases").limit(rows).toArrow()
    found = score_table(load_bundle(road["bundle"]), cases)
    assert found.num_rows == rows
    assert set(BESIDE) <= set(found.column_names)
