"""What leaves the hospital with a bundle tells of no fewer than 11 cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.nights import batch_of, cases, risk_of, statistics_of, trained

from medspark.encode.worker.encoder import encode
from medspark.monitor.reference import edges_of, fit_reference, neighbours_together, plan_of, recalibration_of
from medspark.monitor.worker.tally import tally_of
from medspark.privacy.small_cells import SMALL


def test_no_cell_of_a_reference_tells_of_1_to_10_cases():
    for n in (60, 300, 3000):
        _, reference = trained(n, test=200)
        told = [count for row in (*reference.counts, *reference.units) for count in row.values()]
        assert min(told) >= SMALL


def test_no_level_or_code_of_fewer_than_11_cases_is_named():
    columns = cases(2000, 3)
    columns["site"][:10] = "rare site"
    columns["first"][:10] = "Z99"
    statistics = statistics_of(columns)
    site = statistics.categorical[1].model_copy(update={"levels": ("north", "south", "west", "rare site")})
    codes = statistics.codes[0].model_copy(update={"codes": (*statistics.codes[0].codes, "Z99")})
    statistics = statistics.model_copy(update={"categorical": (statistics.categorical[0], site), "codes": (codes,)})
    tensors = encode(batch_of(columns), statistics)
    plan = plan_of(statistics, tensors, ("site",))
    seen = tally_of(plan, tensors, risk_of(columns), {})
    text = fit_reference(plan, seen, seen).model_dump_json()
    assert "west" in text
    assert "rare site" not in text
    assert "Z99" not in text


def test_a_level_of_few_is_counted_with_those_that_training_did_not_have():
    columns = cases(2000, 3)
    columns["site"][:30] = None
    statistics, reference = statistics_of(columns), None
    tensors = encode(batch_of(columns), statistics)
    plan = plan_of(statistics, tensors, ())
    reference = fit_reference(plan, *[tally_of(plan, tensors, risk_of(columns), {})] * 2)
    at = next(at for at, gauge in enumerate(plan.gauges) if gauge.name == "site")
    counts = reference.tally().counts[0, plan.starts[at] : plan.starts[at] + plan.gauges[at].cells]
    assert counts.tolist() == [30, 0, *((columns["site"] == level).sum() for level in ("north", "south", "west"))]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_neighbours_are_told_together_and_none_is_lost(counts):
    found = neighbours_together(np.array(counts))
    assert all(count == 0 or count >= SMALL for count in found)
    assert found.sum() == (sum(counts) if sum(counts) >= SMALL else 0)


@given(st.lists(st.floats(-1e6, 1e6), max_size=200))
def test_between_two_edges_lie_11_numbers_and_beyond_the_ends_fewer(numbers):
    values = np.array(numbers, float)
    edges = np.array(edges_of(values))
    assert (np.diff(edges) > 0).all()
    if len(edges):
        cells = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        assert cells[1:-1].min() >= SMALL
        assert max(cells[0], cells[-1]) < SMALL


def test_how_sure_the_calibration_is_agrees_with_refitting_it_on_other_patients():
    from medspark.evaluate.logistic import logistic_regression, logit

    rng = np.random.default_rng(0)
    risk = rng.beta(1, 5, 2000)
    fits = []
    for _ in range(300):
        positive = (rng.random(2000) < risk).astype(float)
        design = np.stack([np.ones(2000), logit(risk)], axis=1)
        fits.append(logistic_regression(design, np.zeros(2000), positive[None], np.ones((1, 2000)))[0])
    intercept, slope, both = recalibration_of(rng.random(2000) < risk, risk)
    again = np.cov(np.array(fits).T)
    assert intercept == pytest.approx(again[0, 0], rel=0.3)
    assert slope == pytest.approx(again[1, 1], rel=0.3)
    assert both == pytest.approx(again[0, 1], rel=0.3)


def test_of_one_outcome_alone_nothing_says_how_sure_the_calibration_is():
    assert recalibration_of(np.zeros(50, bool), np.linspace(0.1, 0.9, 50)) is None
