"""A step of a night goes as far as the risks allow, and no farther."""

import numpy as np
import pytest

from medspark.errors import GateError
from medspark.train.bounded import step_within


class Line:
    """A network of one weight, whose two risks rise with it."""

    def __init__(self, weight):
        self.weights = [np.array([weight], np.float32)]

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = weights

    def risks(self):
        return np.array([[0.1], [0.3]]) + self.weights[0]


@pytest.mark.parametrize(
    ("most", "share", "weight"),
    [
        (0.5, 1.0, 0.4),  # all that was learned
        (0.3, 0.5, 0.2),
        (0.05, 0.125, 0.05),
    ],
)
def test_the_step_is_the_largest_half_of_a_half_within_the_bound(most, share, weight):
    network = Line(0.4)
    step = step_within(network, [np.array([0.0], np.float32)], network.risks, most + 1e-6)
    assert step.share == share
    assert step.moved == pytest.approx(weight)
    assert network.weights[0] == pytest.approx([weight])


def test_where_nothing_was_learned_nothing_moves():
    network = Line(0.2)
    assert step_within(network, network.get_weights(), network.risks, 0.01) == (1.0, 0.0)


def test_a_network_that_no_step_holds_is_refused():
    network = Line(1e6)
    with pytest.raises(GateError, match=r"expected a step that moves risks by at most 0.01 \(updating.step\)"):
        step_within(network, [np.array([0.0], np.float32)], network.risks, 0.01)
