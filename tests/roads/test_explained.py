"""Risks of histories explained on the whole road: bags, numbers of codes, events and grids by LiteRT, as told."""

import json
import re

import pytest
from support.roads import new_run, scores_of

from medspark.bundles.bundle import load_bundle
from medspark.score.explain_options import Ask
from medspark.stages.score import score_stage
from medspark.store.tables import read_table


@pytest.fixture(scope="module")
def explained(spark, relapse_road):
    run = new_run(spark, relapse_road["folder"] / "explained")
    score_stage(run, load_bundle(relapse_road["bundle"]), None, ask=Ask(200))
    rows = [row.asDict() for row in read_table(spark, run.store, "explanations").collect()]
    return run, rows


def test_every_score_is_explained_and_adds_up(spark, explained):
    run, rows = explained
    scores = scores_of(spark, run.store)
    assert {row["case_id"] for row in rows} == scores.keys()
    told = run.receipt.counts["score"]["explained"]
    assert told["cases"] == len(scores)
    assert told["do_not_add_up"] <= 0.01 * len(scores)


def test_litert_explains_a_history(relapse_road):
    facts = json.loads((relapse_road["bundle"] / "explain.json").read_text())
    assert facts["why_tensorflow"] is None
    assert facts["errors"][str(facts["nodes"])] <= facts["tolerance"]


def test_each_kind_of_feature_is_told_in_its_own_words(explained):
    _, rows = explained
    words = {
        ("age", None): r"[0-9.]+ years",
        ("past_all", "DX/lung"): "present",
        ("labs_30d", "LAB/crp, last"): r"-?[0-9.]+|missing",
        ("path_all", "LAB/crp"): r"-?[0-9.]+, event [0-9] of [0-9], [0-9.]+ (hours|days) before",
        ("curve", "LAB/crp"): r"-?[0-9.]+( from before)?, (at the prediction|[0-9.]+ (hours|days) before)|missing, .*",
    }
    for (feature, item), pattern in words.items():
        said = [row["value"] for row in rows if (row["feature"], row["item"]) == (feature, item)]
        assert said, (feature, item, {(row["feature"], row["item"]) for row in rows})
        assert all(re.fullmatch(pattern, value) for value in said), (
            feature,
            {value for value in said if not re.fullmatch(pattern, value)},
        )


def test_the_result_that_tells_of_a_relapse_is_what_drives_the_risks(relapse_road, explained):
    drivers = load_bundle(relapse_road["bundle"]).read_json("metrics.json")["drivers"]
    told = [row["name"] for row in drivers["features"]]
    assert told[-1] not in ("labs_30d", "labs_7_5d", "path_all", "curve")
    first = [row for row in explained[1] if row["rank"] == 1]
    assert sum("LAB/crp" in (row["item"] or "") for row in first) > 0.5 * len(first)
