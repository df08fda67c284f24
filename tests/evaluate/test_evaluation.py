import json

import numpy as np
import pandas as pd
import pytest

from medspark.errors import InputError
from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.metrics import at_thresholds, performance
from medspark.privacy.small_cells import publishable_counts, publishable_thresholds
from medspark.task.training import Privacy


def test_the_result_is_json_with_intervals_baselines_and_counts(task, test_set):
    found = json.loads(json.dumps(evaluate(test_set, task, {"coin": np.full(3000, 0.5)}), allow_nan=False))
    test = found["test"]
    assert (test["cases"], test["subjects"]) == (3000, test_set["subject_id"].nunique())
    assert test["positives"] == test_set["boolean_value"].sum()
    auroc = test["metrics"]["auroc"]
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert found["baselines"]["coin"]["metrics"]["auroc"]["value"] == 0.5
    assert found["intervals"]["resamples"] == 20


def test_a_subgroup_has_the_metrics_of_its_own_cases(task, test_set):
    rows = evaluate(test_set, task, {})["subgroups"]
    female = next(row for row in rows if row["level"] == "female")
    own = test_set[test_set["sex"] == "female"]
    expected = performance(own["boolean_value"].to_numpy(), own["probability"].to_numpy())
    assert {name: metric["value"] for name, metric in female["metrics"].items()} == pytest.approx(expected)


def test_small_subgroups_give_a_reason_and_no_count_away(task, test_set):
    rows = {row["level"]: row for row in evaluate(test_set, task, {})["subgroups"]}
    assert list(rows) == ["female", "male", "missing", "medicine", "surgery"]
    assert (rows["missing"]["cases"], rows["missing"]["metrics"]) == ("<11", None)
    assert rows["missing"]["reason"] == "fewer than 50 cases"
    assert rows["surgery"]["reason"] == "fewer than 50 cases"
    assert all(str(rows[level]["cases"]).startswith("~") for level in ("female", "male"))


def test_columns_without_a_small_count_keep_exact_counts(task, test_set):
    frame = test_set.assign(sex=["female", "male"] * 1500, ward="medicine")
    rows = evaluate(frame, task, {})["subgroups"]
    assert [row["cases"] for row in rows] == [1500, 1500, 3000]


@pytest.mark.parametrize(
    ("positives", "reason"),
    [(4, "fewer than 5 cases with the outcome"), (96, "fewer than 5 cases without the outcome"), (5, None)],
)
def test_a_subgroup_needs_five_of_each_outcome(task, positives, reason):
    frame = pd.DataFrame(
        {
            "case_id": range(100),
            "subject_id": range(100),
            "boolean_value": [1] * positives + [0] * (100 - positives),
            "probability": np.linspace(0.9, 0.1, 100),
            "sex": "female",
            "ward": "medicine",
        }
    )
    row = evaluate(frame, task, {})["subgroups"][0]
    assert row["reason"] == reason
    assert (row["metrics"] is None) == (reason is not None)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("n", [1, 60])
def test_one_outcome_does_not_end_the_run(task, test_set, label, n):
    found = evaluate(test_set.head(n).assign(boolean_value=label), task, {})
    auroc = found["test"]["metrics"]["auroc"]
    assert (auroc["value"], auroc["low"], auroc["high"]) == (None, None, None)
    assert auroc["reason"] == ("no case is without the outcome" if label else "no case has the outcome")


def test_what_is_missing_is_named(task, test_set):
    with pytest.raises(InputError, match=r"'ward'.*Did you mean 'wards'"):
        evaluate(test_set.rename(columns={"ward": "wards"}), task, {})
    with pytest.raises(InputError, match="none for 1"):
        evaluate(test_set.assign(boolean_value=[None] + [1.0] * 2999), task, {})
    with pytest.raises(InputError, match="3000 risks of 'short'"):
        evaluate(test_set, task, {"short": np.zeros(2)})
    with pytest.raises(InputError, match="NaN"):
        evaluate(test_set.assign(probability=np.nan), task, {})


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([120, 0, 43], [120, 0, 43]),
        ([120, 10, 0, 45, 11], ["~120", "<11", 0, "~50", "~10"]),
        ([], []),
    ],
)
def test_a_hidden_count_rounds_the_others(counts, shown):
    assert publishable_counts(counts) == shown


def test_a_small_band_hides_its_numbers_and_those_that_would_give_it_away():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(0, 0.2, 500), rng.uniform(0.2, 0.5, 300), np.full(7, 0.6)])
    y = rng.random(len(p)) < 0.3
    low, raised, high = publishable_thresholds(at_thresholds(y, p, {"raised": 0.2, "high": 0.5}))
    assert (high["from"], high["n"], high["flagged"], high["ppv"], high["sensitivity"]) == (0.5, *[None] * 4)
    assert (raised["n"], raised["observed"]) == (None, None)
    assert raised["flagged"] == 307
    assert (low["n"], low["flagged"]) == (500, 807)
    assert "tp" not in low
    assert [row["reason"] is None for row in (low, raised, high)] == [True, False, False]


def test_levels_of_fewer_than_five_cases_are_one_without_their_names(task):
    frame = pd.DataFrame({"case_id": range(60), "subject_id": range(60), "boolean_value": [0, 1] * 30})
    frame["probability"] = 0.3
    frame["ward"] = ["A"] * 50 + ["Zebra"] * 4 + ["Yak"] * 3 + [None] * 3
    report = task.report.model_copy(update={"subgroups": ("ward",)})

    def levels(names_of_few):
        changes = {"report": report, "privacy": Privacy(names_of_few=names_of_few)}
        return [row["level"] for row in evaluate(frame, task.model_copy(update=changes), {})["subgroups"]]

    assert levels(names_of_few=False) == ["A", "rarer levels", "missing"]
    assert levels(names_of_few=True) == ["A", "Yak", "Zebra", "missing"]


def test_every_figure_that_is_absent_says_why(task, test_set):
    found = evaluate(test_set.head(12), task, {})["test"]
    for name, one in found["metrics"].items():
        assert ("reason" in one) == (None in (one["value"], one["low"], one["high"])), name
    assert {row["reason"] for row in found["alerts"]} == {"a count below 11 is not shown"}
    assert [row["reason"] for row in found["thresholds"]] == ["a count below 11 is not shown"] * 3


def test_the_model_and_its_baselines_are_worth_something_at_the_same_thresholds(task, test_set):
    found = evaluate(test_set, task, {"coin": np.full(3000, 0.25)})
    curve, coin = found["test"]["decision_curve"], found["baselines"]["coin"]["decision_curve"]
    at = curve["threshold"].index(0.2)
    assert curve["value"][at] > coin[at] == curve["all"][at]
    assert [row["band"] for row in found["test"]["thresholds"]] == ["low", "raised", "high"]
    raised = found["test"]["thresholds"][1]
    assert raised["net_benefit"] == pytest.approx(curve["value"][at], abs=1e-6)
    patients = test_set["subject_id"].nunique()
    assert raised["alerts_per_100_patients"] == pytest.approx(100 * raised["flagged"] / patients)


def test_no_case_is_refused(task, test_set):
    with pytest.raises(InputError, match="expected cases with a known outcome, received none"):
        evaluate(test_set.head(0), task, {})


def test_a_subgroup_that_the_model_fails_shows_in_metrics_json(task, test_set):
    ward = np.where(np.arange(3000) % 2, "surgery", "medicine")
    blind = test_set["probability"].to_numpy().copy()
    blind[ward == "surgery"] = np.random.default_rng(0).permutation(blind[ward == "surgery"])
    found = json.loads(json.dumps(evaluate(test_set.assign(ward=ward, probability=blind), task, {}), allow_nan=False))
    worse = [one for one in found["fairness"]["found"] if one["worse"]]
    assert [(one["column"], one["level"], one["metric"]) for one in worse] == [("ward", "surgery", "auroc")]
