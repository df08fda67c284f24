"""A frame as numbers of any kind, and as 8 bits. No Spark here."""

from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.clean.worker.image_rules import NoImage

Pixels = npt.NDArray[np.uint8]
Frame = Literal["first", "middle", "last"]
Window = Literal["header", "none"] | tuple[float, float]

MOST_PIXELS: Final = 64 * 2**20
"""Of a frame: larger ones are no picture of a patient, or were made to fill a machine's memory."""


class Drawn(NamedTuple):
    """A frame, (height, width) of greys or (height, width, 3) of colours, and the numbers that are black and white."""

    values: npt.NDArray[Any]
    black: float
    white: float
    inverted: bool = False
    """Whether the least number is the brightest, as of MONOCHROME1."""


def require_few_pixels(height: int, width: int) -> None:
    """Raises:
    NoImage: there are more than a worker takes, or none.
    """
    if height * width > MOST_PIXELS:
        raise NoImage("too large")
    if min(height, width) < 1:
        raise NoImage("damaged")


def frame_of(frames: int, wanted: Frame) -> int:
    """Which frame is wanted, from 0; of an even number the second of the two in the middle.

    >>> [frame_of(n, "middle") for n in (1, 2, 3, 4)]
    [0, 1, 1, 2]
    """
    return {"first": 0, "middle": frames // 2, "last": frames - 1}[wanted]


def ends_of(center: float, width: float) -> tuple[float, float]:
    """What is black and what is white in a window.

    >>> ends_of(40, 400)
    (-160.0, 240.0)
    """
    return center - width / 2, center + width / 2


def least_and_most(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Of the finite numbers; 0 and 1 of none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def to_bytes(drawn: Drawn, channels: int) -> Pixels:
    """A frame in 8 bits, (height, width, channels): grey from colours by their luminance (ITU-R BT.601).

    >>> drawn = Drawn(np.array([[-1000, 40], [240, 3000]]), -160.0, 240.0)
    >>> to_bytes(drawn, 1)[..., 0].tolist()
    [[0, 128], [255, 255]]
    """
    if drawn.values.dtype == np.uint8 and (drawn.black, drawn.white) == (0.0, 255.0):
        grey = drawn.values
    else:
        span = drawn.white - drawn.black
        share = (np.nan_to_num(drawn.values.astype(np.float64), nan=drawn.black) - drawn.black) / (span or 1.0)
        grey = np.rint(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    grey = 255 - grey if drawn.inverted else grey
    if grey.ndim == 2:
        return np.repeat(grey[..., None], channels, axis=2)
    if channels == 1:
        luminance = np.rint(grey @ np.array([0.299, 0.587, 0.114]))
        return np.asarray(luminance[..., None], np.uint8)
    return np.asarray(grey, np.uint8)
