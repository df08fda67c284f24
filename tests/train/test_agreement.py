"""What SHAP and LIME say of the riskiest cases beside integrated gradients, as the model card has it."""

import numpy as np
import pytest
from support.explained import TABLE, drawn, made, tensors_of
from support.tasks import stays_task

from medspark.errors import MedsparkError
from medspark.score.worker.explanations.facts import explained_logit
from medspark.score.worker.explanations.integrated import by_gradients, slopes_by
from medspark.score.worker.explanations.layout import layout_of
from medspark.train import agreement as module
from medspark.train.agreement import agreement, compared
from medspark.train.explain import Explains


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    tensors = tensors_of(300)
    network = drawn(TABLE, tensors, kind="plain", members=1, scale=0.5)
    return made(tmp_path_factory.mktemp("one"), network, TABLE, tensors, stays_task())


def agreed(one, cases):
    tensors = tensors_of(200, seed=3)
    asked = one.asked
    slopes = slopes_by(asked.kind, one.folder / "explain.tflite", asked.digest, one.facts, one.served)
    explains = Explains(one.engine(), by_gradients(slopes, one.facts, layout_of(TABLE)), one.facts)
    logit = explained_logit(one.served.calibration, one.engine()(tensors))
    return agreement(tensors, logit, cases, explains, TABLE, one.served.calibration)


def test_each_method_has_its_cost_and_the_others_how_far_they_agree_with_gradients(one):
    pytest.importorskip("shap")
    pytest.importorskip("lime")
    found = agreed(one, 12)
    gradients, *others = found["methods"]
    assert found["cases"] == 12
    assert set(gradients) == {"method", "cases_a_second"}
    assert [row["method"] for row in others] == ["shap", "lime"]
    for row in others:
        assert row["rank_correlation"] > 0.8
        assert row["top_overlap"] > 0.8
        assert row["first_same"] > 0.7
        assert row["cases_a_second"] > 0
    assert gradients["cases_a_second"] > 0


def test_a_method_that_is_not_installed_is_absent_with_its_reason(one, monkeypatch):
    def missing(*_):
        raise MedsparkError("--explain-by lime needs lime: install medspark[explain] on the workers")

    monkeypatch.setattr(module, "by_lime", missing)
    monkeypatch.setattr(module, "by_shap", missing)
    assert agreed(one, 11)["methods"][1:] == [
        {"method": name, "absent": f"{name} (medspark[explain]) was not installed when it was trained"}
        for name in ("shap", "lime")
    ]


def test_of_fewer_than_eleven_cases_nothing_is_told(one):
    assert agreed(one, 10) is None


def test_the_same_contributions_agree_wholly_and_opposite_sizes_not_at_all():
    sizes = np.array([[6.0, -5, 4, -3, 2, 1, 0]])
    assert compared(sizes, -sizes) == {"rank_correlation": 1.0, "top_overlap": 1.0, "first_same": 1.0}
    turned = np.array([[1.0, 2, 3, 4, 5, 6, 0]])
    found = compared(sizes, turned)
    assert (found["rank_correlation"], found["top_overlap"], found["first_same"]) == (pytest.approx(-1), 0.8, 0.0)


def test_of_cases_with_two_contributions_no_order_is_told():
    assert compared(np.array([[1.0, 2, 0]]), np.array([[2.0, 1, 0]])) == {
        "rank_correlation": None,
        "top_overlap": None,
        "first_same": None,
    }
