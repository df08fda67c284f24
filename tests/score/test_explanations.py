"""`score --explain`: which rows, by whom they are read and written, and all of it published together or not at all."""

import json

import pytest
from support.roads import new_run, score
from support.tensors import WAYS, score_tensors

from medspark import schemas
from medspark.bundles.bundle import load_bundle
from medspark.cli.main import app
from medspark.errors import BundleError, TaskError
from medspark.schemas import with_keys
from medspark.score.explain_options import Ask, explaining, read_ask
from medspark.stages.score import score_stage
from medspark.store.tables import current_version, read_table

ASK = Ask(top=3)


def explanations_of(spark, run):
    rows = read_table(spark, run.store, "explanations").collect()
    return {(row["case_id"], row["rank"]): row.asDict() for row in rows}


@pytest.fixture(scope="module")
def raw(spark, road):
    scores, run = score(spark, road, "explained-raw", ask=ASK)
    return scores, run, explanations_of(spark, run)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_gives_the_explanations_that_the_raw_source_gets(spark, road, encoded, raw, way):
    _, run = score_tensors(spark, road, encoded[0], f"explained-{way}", ask=ASK, **WAYS[way])
    found = explanations_of(spark, run)
    assert found.keys() == raw[2].keys()
    apart = {"run_id"}
    for key, row in found.items():
        assert {name: row[name] for name in row if name not in apart} == {
            name: value for name, value in raw[2][key].items() if name not in apart
        }
    told = run.receipt.counts["score"]["explained"]
    assert (told["cases"], told["do_not_add_up"]) == (len(raw[0]), 0)


@pytest.mark.parametrize("writer", ["spark", "workers"])
def test_the_columns_are_those_of_the_schema_whoever_writes(spark, road, writer):
    _, run = score(spark, road, f"explained-types-{writer}", writer=writer, ask=ASK)
    keys = {"case_id": "bigint", "subject_id": "string"}
    found = read_table(spark, run.store, "explanations").dtypes
    assert found == list(with_keys(schemas.EXPLANATION_TYPES, keys).items())


def test_an_age_is_told_as_the_source_has_it(road, raw):
    ages = {int(line.split(",")[0]): line.split(",")[2] for line in road["lines"]}
    told = {case: row["value"] for (case, _), row in raw[2].items() if row["feature"] == "age"}
    assert len(told) > 1000
    for case, value in told.items():
        if ages[case] == "":
            assert value == "missing"
        else:
            assert float(value) == pytest.approx(float(ages[case]), abs=0.051)


def test_the_planted_features_come_before_the_one_that_tells_nothing(raw):
    first = [row["feature"] for (_, rank), row in raw[2].items() if rank == 1]
    assert first.count("age") + first.count("diagnoses") > 0.9 * len(first)


def test_contributions_have_the_sign_of_what_was_planted(raw):
    codes = [row for row in raw[2].values() if row["item"] == "i50"]
    assert codes
    assert {row["direction"] for row in codes} == {"raises"}
    assert all(row["risk_points"] > 0 for row in codes)


def test_scores_and_explanations_are_one_version_and_the_same_run_again_finds_them(spark, road, raw):
    scores, run, _ = raw
    plain, without = score(spark, road, "explained-not")
    assert plain == scores
    context = spark.sparkContext
    versions = {table: current_version(context, run.store, table) for table in ("scores", "rejected", "explanations")}
    assert len(set(versions.values())) == 1
    assert versions["scores"] != current_version(context, without.store, "scores")
    before = {path: path.stat().st_mtime_ns for path in (road["folder"] / "explained-raw").rglob("*.parquet")}
    score(spark, road, "explained-raw", ask=ASK)
    assert before == {path: path.stat().st_mtime_ns for path in (road["folder"] / "explained-raw").rglob("*.parquet")}


def test_only_the_bands_from_one_on_are_explained_where_that_is_asked(spark, road, encoded):
    scores, run = score_tensors(spark, road, encoded[0], "explained-above", ask=Ask(2, above="raised"))
    assert {case for case, _ in explanations_of(spark, run)} == {case for case, risk in scores.items() if risk >= 0.3}


@pytest.mark.parametrize("options", [{}, {"writer": "spark"}])
def test_only_the_largest_share_is_explained_where_that_is_asked(spark, road, encoded, options):
    scores, run = score_tensors(
        spark, road, encoded[0], f"explained-share-{len(options)}", ask=Ask(2, share=0.05), **options
    )
    least = sorted(scores.values(), reverse=True)[-(-len(scores) * 5 // 100) - 1]
    assert {case for case, _ in explanations_of(spark, run)} == {case for case, risk in scores.items() if risk >= least}


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_shap_and_lime_explain_the_rows_asked_for_in_workers_and_agree_on_what_was_planted(
    spark, road, encoded, raw, method
):
    pytest.importorskip(method)
    ask = Ask(3, share=0.02, method=method)
    _, run = score_tensors(spark, road, encoded[0], f"explained-by-{method}", ask=ask)
    found = explanations_of(spark, run)
    first = {case: row for (case, rank), row in found.items() if rank == 1}
    assert len(first) >= 0.02 * len(raw[0])
    assert {row["method"] for row in found.values()} == {method}
    same = [row["feature"] == raw[2][case, 1]["feature"] for case, row in first.items()]
    assert sum(same) > 0.8 * len(same)
    assert {row["adds_up"] for row in found.values()} == {True if method == "shap" else None}


def test_nothing_is_published_where_the_explanations_fail(spark, road, encoded, monkeypatch):
    def fails(*_, **__):
        raise BundleError("made to fail")

    monkeypatch.setattr("medspark.stages.score.explain_units", fails)
    with pytest.raises(BundleError, match="made to fail"):
        score_tensors(spark, road, encoded[0], "explained-fails", ask=ASK)
    assert not (road["folder"] / "explained-fails" / "scores" / "CURRENT").exists()
    monkeypatch.undo()
    _, run = score_tensors(spark, road, encoded[0], "explained-fails", ask=ASK)
    assert run.receipt.counts["score"]["scored_before"] == run.receipt.counts["score"]["scored"]


def test_a_bundle_from_before_says_to_train_again(spark, road):
    bundle = load_bundle(road["bundle"])
    files = {name: digest for name, digest in bundle.manifest["files"].items() if not name.startswith("explain")}
    old = bundle._replace(manifest={**bundle.manifest, "files": files})
    with pytest.raises(BundleError, match="Train again"):
        score_stage(new_run(spark, road["folder"] / "explained-old"), old, None, ask=ASK)


def test_a_band_that_the_task_lacks_is_named_with_those_it_has(road):
    with pytest.raises(TaskError, match=r"expected a band of the task \(raised, high\), received 'rised'.*raised"):
        explaining(load_bundle(road["bundle"]), Ask(5, above="rised"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("5", None, None, "gradients"), "expected top: and how many items"),
        (("top:0", None, None, "gradients"), "1 to 1000"),
        (("top:5", "high", 0.1, "gradients"), "received both"),
        (("top:5", None, 1.5, "gradients"), "a share above 0 and up to 1"),
        ((None, "high", None, "gradients"), "without --explain"),
        ((None, None, None, "lime"), "without --explain"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    with pytest.raises(TaskError, match=says):
        read_ask(*options)


def test_the_command_refuses_them_before_spark_starts():
    from typer.testing import CliRunner

    found = CliRunner().invoke(app, ["score", "nowhere", "--to", "x", "--explain", "5"])
    assert found.exit_code == 2


def test_the_explaining_files_decide_no_score(road):
    bundle = load_bundle(road["bundle"])
    from medspark.bundles.bundle import SCORED_BY

    assert {"explain.json", "explain.tflite"} <= set(bundle.manifest["files"])
    assert not {"explain.json", "explain.tflite"} & set(SCORED_BY)
    assert json.loads(bundle.read_text("explain.json"))["why_tensorflow"] is None
