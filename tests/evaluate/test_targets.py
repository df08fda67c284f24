"""What is measured of several targets, beside scikit-learn's figures and closed forms."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, log_loss, roc_auc_score
from support.tasks import stays_task

from medspark.evaluate.censoring import Truth, censoring_weights, chance_followed, followed_for
from medspark.evaluate.targets import confusion, evaluate_targets

RNG = np.random.default_rng(0)
CASES = 400
SUBJECT = RNG.integers(0, 150, CASES)
RISK = RNG.dirichlet([1, 2, 3], CASES)
CLASS = (RNG.random((CASES, 1)) > RISK.cumsum(axis=1)).sum(axis=1)


def task_of(**outcome):
    return stays_task(outcome={"name": "o", **outcome}, report={"bootstrap": 30})


def values(estimates):
    return {name: one["value"] for name, one in estimates.items()}


CLASSES = {"classes": {"a": "back", "b": "not back", "c": "back is null"}}
SEVERAL = {"several": {"a": "back", "b": "not back"}}


def test_classes_have_scikit_learns_figures():
    label = np.eye(3)[CLASS]
    found = evaluate_targets(
        task_of(**CLASSES), Truth(label, np.ones_like(label)), RISK, SUBJECT, {"chance": RISK[:, ::-1]}
    )
    assert values(found["together"]["metrics"]) == pytest.approx(
        {
            "accuracy": (RISK.argmax(axis=1) == CLASS).mean(),
            "log_loss": log_loss(CLASS, RISK),
            "auroc_macro": roc_auc_score(CLASS, RISK, multi_class="ovr"),
            "auroc_micro": roc_auc_score(CLASS, RISK, multi_class="ovr", average="micro"),
        }
    )
    for at, one in enumerate(found["targets"]):
        assert one["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(at == CLASS, RISK[:, at]))
    assert set(found["together"]["baselines"]) == {"chance"}
    for one in found["together"]["metrics"].values():
        assert one["low"] < one["value"] < one["high"]


def test_a_confusion_of_many_is_scikit_learns_and_small_counts_are_hidden():
    label = np.eye(3)[np.repeat([0, 1, 2], 60)]
    risk = np.eye(3)[np.tile([0, 0, 1, 2], 45)]
    assert confusion(label, risk) == confusion_matrix(label.argmax(axis=1), risk.argmax(axis=1)).tolist()
    risk = np.eye(3)[np.r_[np.repeat([0, 1, 2], 59), 0, 1, 2]]
    shown = confusion(label, risk)
    assert "<11" in {cell for row in shown for cell in row}
    assert all(cell == "<11" or str(cell).startswith("~") or cell == 0 for row in shown for cell in row)


def test_a_target_is_measured_where_it_is_known_and_counted_there():
    label = np.stack([CLASS == 1, CLASS == 2], axis=1).astype(float)
    known = np.arange(CASES) % 4 > 0
    label[~known, 1] = np.nan
    truth = Truth(label, np.where(np.isnan(label), 0.0, 1.0))
    first, second = evaluate_targets(task_of(**SEVERAL), truth, RISK[:, 1:], SUBJECT, {})["targets"]
    assert (first["cases"], second["cases"]) == (400, 300)
    assert second["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(label[known, 1], RISK[known, 2]))


def test_a_target_of_one_outcome_alone_has_no_auroc_and_its_brier_score_all_the_same():
    label = np.stack([np.zeros(CASES), CLASS == 2], axis=1)
    first, _ = evaluate_targets(task_of(**SEVERAL), Truth(label, np.ones_like(label)), RISK[:, 1:], SUBJECT, {})[
        "targets"
    ]
    assert first["metrics"]["auroc"]["value"] is None
    assert first["metrics"]["brier"]["value"] == pytest.approx((RISK[:, 1] ** 2).mean())


def test_the_chance_to_be_followed_is_the_one_that_made_the_data():
    rng = np.random.default_rng(1)
    outcome, left = rng.exponential(50, 40_000), rng.exponential(100, 40_000)
    days, censored = np.minimum(outcome, left), left < outcome
    chance = chance_followed(days, censored)
    asked = np.array([1.0, 20.0, 60.0, 100.0])
    assert followed_for(chance, asked) == pytest.approx(np.exp(-asked / 100), abs=0.01)


def test_with_weights_a_horizons_figures_are_those_of_full_follow_up():
    """Half of the patients are lost by chance, the later the more: the weights give back what they would have shown."""
    rng = np.random.default_rng(2)
    risk = rng.uniform(0.05, 0.6, 60_000)
    hazard = -np.log1p(-risk) / 100
    death, left = rng.exponential(1 / hazard), rng.exponential(120, 60_000)
    full = (death <= 100).astype(float)
    known = (death <= np.minimum(left, 100)) | (left >= 100)
    days = np.minimum(np.minimum(death, left), 100)
    label = np.where(known, full, np.nan)[:, None]
    weight = censoring_weights(label, days, np.array([100.0]), chance_followed(days, ~known))
    task = stays_task(
        outcome={"name": "o", "event": "back", "days": "age", "horizons_days": [100]},
        features={"categorical": [{"column": "sex", "at_least": 1}]},
        report={"bootstrap": 3},
    )
    (one,) = evaluate_targets(task, Truth(label, weight), risk[:, None], np.arange(60_000), {})["targets"]
    found = values(one["metrics"])
    assert found["brier"] == pytest.approx(((risk - full) ** 2).mean(), abs=0.003)
    assert found["auroc"] == pytest.approx(roc_auc_score(full, risk), abs=0.006)
    assert found["calibration_intercept"] == pytest.approx(0, abs=0.05)
    unweighted = np.mean((risk[known] - full[known]) ** 2)
    assert abs(unweighted - ((risk - full) ** 2).mean()) > 0.01
