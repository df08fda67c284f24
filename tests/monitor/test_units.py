import numpy as np
import pytest

from medspark.monitor.units import changes, suspected
from medspark.monitor.worker.read import unit_counts


def counted(values):
    return unit_counts(np.asarray(values))


def drawn(n, seed, middle=1.0, spread=0.3):
    return np.random.default_rng(seed).lognormal(np.log(middle), spread, n)


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("change", [c for c in changes() if c.is_large], ids=str)
def test_every_large_change_of_unit_is_found_with_its_share(change, share):
    values = drawn(2000, 1)
    few = np.random.default_rng(2).random(2000) < share
    found = suspected("", counted(np.where(few, values * change.factor, values)), counted(drawn(20_000, 0)))
    assert found is not None
    assert np.log10(found.change.factor) == pytest.approx(np.log10(change.factor), abs=0.05)  # others are as near
    assert found.share == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    ("name", "told"),
    [("creatinine", "creatinine"), ("trigly_last", "triglycerides"), ("crp", None)],
)
def test_of_two_changes_that_explain_as_much_the_one_that_the_name_speaks_for_is_named(name, told):
    """88.42 and 88.57 cannot be told apart by numbers."""
    found = suspected(name, counted(drawn(2000, 1) * 88.5), counted(drawn(20_000, 0)))
    assert found is not None
    assert told is None or found.change.of == told


def test_a_small_change_is_only_named_where_the_name_speaks_for_it():
    pounds, kilograms = counted(drawn(2000, 1, 80, 0.2) * 2.20462), counted(drawn(20_000, 0, 80, 0.2))
    assert suspected("weight", pounds, kilograms).change.came == "lb"
    assert suspected("ward", pounds, kilograms) is None


@pytest.mark.parametrize("factor", [1.0, 1.2, 1.5])
def test_what_drifts_within_its_unit_is_no_other_unit(factor):
    assert suspected("glucose", counted(drawn(2000, 1) * factor), counted(drawn(20_000, 0))) is None


def test_one_far_value_is_no_other_unit():
    assert suspected("glucose", counted([*drawn(2000, 1), 90.0]), counted(drawn(20_000, 0))) is None


def test_no_number_and_no_training_say_nothing():
    assert suspected("glucose", counted([]), counted(drawn(100, 0))) is None
    assert suspected("glucose", counted(drawn(100, 0)), counted([])) is None
