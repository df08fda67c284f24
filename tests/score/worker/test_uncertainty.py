import numpy as np
import pytest

from medspark.errors import BundleError
from medspark.evaluate.beside_scores import BANDS
from medspark.score.worker.uncertainty import (
    Conformal,
    Tail,
    Uncertainty,
    VennAbers,
    beside_scores,
    conformal_band,
    interval_of,
    share_as_far,
    uncertainty_of,
)

TAIL = Tail(cases=99, distances=(1.0, 2.0, 3.0, 3.5), as_far=(50, 10, 1, 0))


def of_two(**changes):
    said = {"beside": ("disagreement", "numbers", "categories"), "unusual_share": 0.05}
    return Uncertainty(**{**said, "tails": {"numbers": TAIL, "categories": TAIL}, **changes})


def test_a_case_is_as_strange_as_its_strangest_distance_times_how_many_there_are():
    answers = np.array([[0.1, 0.5, 0.5], [0.2, 2.5, 0.0], [0.3, 0.0, 9.0], [0.0, np.nan, 0.0], [0.0, np.inf, 0.0]])
    found = beside_scores(of_two(), answers, np.full(5, 0.5), np.zeros(5))
    assert found.strangeness.tolist() == pytest.approx([0.0, 1 - 2 * 0.11, 1 - 2 * 0.01, 1 - 2 * 0.01, 1 - 2 * 0.01])
    assert found.unusual.tolist() == [False, False, True, True, True]
    assert found.disagreement is not None
    assert found.disagreement.tolist() == [0.1, 0.2, 0.3, 0.0, 0.0]
    assert (found.low, found.high, found.band) == (None, None, None)


def test_without_a_distance_nobody_is_strange():
    found = beside_scores(of_two(beside=(), tails={}), np.empty((2, 0)), np.array([0.1, 0.2]), np.zeros(2))
    assert (found.strangeness.tolist(), found.unusual.tolist()) == ([0.0, 0.0], [False, False])


def test_fewer_held_out_cases_never_make_a_case_stranger():
    one = Tail(cases=1, distances=(1.0, 2.0), as_far=(1, 0))
    none = Tail(cases=0, distances=(0.0,), as_far=(0,))
    assert share_as_far(one, np.array([9.0])).tolist() == [0.5]
    assert share_as_far(none, np.array([9.0])).tolist() == [1.0]


def test_the_interval_is_its_groups_and_has_the_probability_in_it():
    found = VennAbers(edges=(0.2, 0.5), low=(0.05, 0.3, 0.6), high=(0.1, 0.4, 0.7))
    low, high = interval_of(found, np.array([0.0, 0.2, 0.499, 0.99]))
    assert (low.tolist(), high.tolist()) == ([0.0, 0.2, 0.3, 0.6], [0.1, 0.4, 0.499, 0.99])


def test_the_band_is_what_is_left_open_and_uncertain_where_both_or_neither_is():
    both = Conformal(coverage=0.9, likely_from=(0.2,), unlikely_to=(0.5,))
    neither = Conformal(coverage=0.5, likely_from=(0.5,), unlikely_to=(0.2,))
    p, none = np.array([0.0, 0.2, 0.5, 0.9]), np.zeros(4)
    assert [BANDS[at] for at in conformal_band(both, p, none)] == ["unlikely", "uncertain", "uncertain", "likely"]
    assert [BANDS[at] for at in conformal_band(neither, p, none)] == ["unlikely", "unlikely", "likely", "likely"]
    assert BANDS[conformal_band(neither, np.array([0.3]), np.zeros(1))[0]] == "uncertain"


def test_it_is_read_as_it_was_written():
    found = of_two(interval=VennAbers(edges=(), low=(0.1,), high=(0.2,)), absent={"disagreement": "one member"})
    assert uncertainty_of(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "change",
    [
        {"tails": {"numbers": TAIL}},
        {"unusual_share": float("nan")},
        {"more": 1},
        {"tails": {"numbers": TAIL, "categories": {"cases": 1, "distances": [2, 1], "as_far": [1, 0]}}},
        {"tails": {"numbers": TAIL, "categories": {"cases": 1, "distances": [], "as_far": []}}},
        {"interval": {"edges": [0.5], "low": [0.1], "high": [0.2]}},
        {"conformal": {"coverage": 0.9, "missing_up_to": [0.5], "likely_from": [0.1], "unlikely_to": [0.2]}},
    ],
)
def test_what_medspark_does_not_write_is_refused(change):
    import json

    said = {**of_two().model_dump(mode="json"), **change}
    text = json.dumps(said, default=lambda value: value.model_dump(mode="json"))
    with pytest.raises(BundleError, match=r"uncertainty\.json"):
        uncertainty_of(text)
