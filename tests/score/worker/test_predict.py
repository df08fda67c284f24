import numpy as np
import pytest

from medspark.score.worker.predict import band_of


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.1499, "low"), (0.15, "raised"), (0.2999, "raised"), (0.3, "high"), (1.0, "high")],
)
def test_a_band_starts_at_its_threshold(probability, band):
    assert band_of(np.array([probability]), {"high": 0.3, "raised": 0.15}).tolist() == [band]


def test_without_bands_every_risk_is_low():
    assert band_of(np.array([0.2, 0.9]), {}).tolist() == ["low", "low"]
