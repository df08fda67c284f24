import numpy as np
import pytest

from medspark.monitor.two_sample import told_apart
from medspark.monitor.verdict import Joint, findings_joint
from medspark.task.monitoring import Monitoring

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def sample(n, seed, correlation=0.0, columns=6):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, columns))
    rows[:, 1] = correlation * rows[:, 0] + np.sqrt(1 - correlation**2) * rows[:, 1]
    return rows


def test_two_features_that_go_together_now_are_told_though_each_is_as_it_was():
    told = told_apart(sample(1500, 1, 0.8), sample(1500, 2))
    assert told.auroc > 0.65
    assert told.p < 1e-6
    assert told.by in (0, 1)
    (found,) = findings_joint(Joint(told, "age", 3), Monitoring())
    assert found.verdict == "warn"
    assert found.sentence.endswith("most by age")


def test_of_40_nights_like_those_before_as_many_are_told_apart_as_chance_tells():
    alarms = sum(told_apart(sample(400, 2 * at), sample(400, 2 * at + 1), at).p < 0.05 for at in range(40))
    assert alarms <= 7  # 5 % are 2; above 7 is one such count in a thousand


def test_a_value_that_is_missing_now_is_seen():
    gone = sample(600, 1)
    gone[:, 3] = np.nan
    assert told_apart(gone, sample(600, 2)).by == 3


def test_few_cases_say_nothing():
    assert told_apart(sample(100, 1), sample(1000, 2)) is None
