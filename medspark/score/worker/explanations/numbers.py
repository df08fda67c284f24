"""Numbers as a clinician reads them, from numbers as the network does. No Spark here."""

import numpy as np
import numpy.typing as npt

from medspark.encode.kinds.base import KNOTS
from medspark.encode.worker.flat import CLIP
from medspark.evaluate.logistic import Floats


def drawn_out(drawn: npt.ArrayLike) -> Floats:
    """What `drawn_in` drew within CLIP spreads of the median.

    >>> drawn_out(np.array([0.0, -2.1213203])).round(3).tolist()
    [0.0, -3.0]
    """
    share = np.clip(np.asarray(drawn, np.float64) / CLIP, -1 + 1e-9, 1 - 1e-9)
    return np.asarray(CLIP * share / np.sqrt(1 - share**2))


def value_at(place: npt.ArrayLike, knots: npt.ArrayLike) -> Floats:
    """The value at a place (n,) among the quantiles at KNOTS: what `quantile_place` read, where it lay within them.

    >>> value_at([0.1, 0.65], (0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 9, 20, 50)).round(3).tolist()
    [0.0, 3.5]
    """
    known = np.asarray(knots, np.float64)
    each = np.unique(known)
    share = [np.mean(np.asarray(KNOTS)[known == one][[0, -1]]) for one in each]
    return np.asarray(np.interp(np.asarray(place, np.float64), share, each))


def unscaled(scaled: npt.ArrayLike, scaling: str, center: float, scale: float, knots: npt.ArrayLike) -> Floats:
    """Values (n,) from what the network reads of them."""
    if scaling == "quantile":
        return value_at(scaled, knots)
    deviation = drawn_out(scaled) if scaling == "smooth" else np.asarray(scaled, np.float64)
    return center + deviation * scale


def shown(value: float, unit: str | None = None) -> str:
    """A number to four digits, or to its last whole one, with its unit.

    >>> shown(3.14159, "mg/dL"), shown(72.00001), shown(-123456.7), shown(0.00012)
    ('3.142 mg/dL', '72', '-123457', '0.00012')
    """
    text = f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return f"{text} {unit}" if unit else text


def ago(hours: float) -> str:
    """How long before the prediction.

    >>> ago(0.0), ago(5.2), ago(60.0), ago(24 * 12.2), ago(24 * 800.0)
    ('at the prediction', '5 hours before', '2.5 days before', '12 days before', '2.2 years before')
    """
    if hours < 0.5:
        return "at the prediction"
    if hours < 48:
        return f"{hours:.0f} hours before"
    days = hours / 24
    if days < 730:
        return f"{days:.1f} days before" if days < 10 else f"{days:.0f} days before"
    return f"{days / 365.25:.1f} years before"
