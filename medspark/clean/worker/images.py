"""Images from files to pixels of one size and 8 bits: PNG, JPEG, NPY and DICOM. No Spark here.

Pillow and pydicom are imported where the first image is read, so that only tasks with images need them.
"""

import io
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.clean.worker.image_files import file_bytes
from medspark.clean.worker.image_rules import NoImage, Rule
from medspark.clean.worker.pixels import (
    Drawn,
    Frame,
    Pixels,
    Window,
    ends_of,
    frame_of,
    least_and_most,
    require_few_pixels,
    to_bytes,
)
from medspark.errors import MedsparkError

_PNG, _JPEG, _NPY = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x93NUMPY"


class Wanted(NamedTuple):
    """What a column of images asks for."""

    folder: str
    """Its address as Hadoop writes it."""
    height: int
    width: int
    channels: int
    window: Window
    frame: Frame
    stretched: bool


def read_image(wanted: Wanted, value: str | bytes | bytearray | None) -> tuple[Rule | None, bytes | None] | None:
    """The pixels of one value, height * width * channels bytes row by row, or the rule that it breaks.

    None of no value, and of a path that leads out of the folder.

    Raises:
        MedsparkError: the packages that read images are not installed here.
    """
    if value is None:
        return None
    try:
        with warnings.catch_warnings():  # pydicom's warnings have values of the header in them
            warnings.simplefilter("ignore")
            pixels = resized(to_bytes(_decoded(file_bytes(wanted.folder, value), wanted), wanted.channels), wanted)
    except NoImage as reason:
        return None if reason.rule == "outside" else (reason.rule, None)
    return None, pixels.tobytes()


def _decoded(content: bytes, wanted: Wanted) -> Drawn:
    try:
        if content.startswith(_NPY):
            return _windowed(_npy(content, wanted.frame), wanted.window)
        if content.startswith((_PNG, _JPEG)):
            return _windowed(_picture(content), wanted.window)
        from medspark.clean.worker.dicom import read_dicom

        return read_dicom(content, wanted.window, wanted.frame)
    except ImportError as error:
        raise MedsparkError(
            f"a task with images needs {error.name} on every worker: install medspark[images]"
        ) from error


def _picture(content: bytes) -> npt.NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        require_few_pixels(picture.height, picture.width)
        picture.load()
        if picture.mode in ("1", "L", "LA", "La"):
            return np.asarray(picture.convert("L"))
        if picture.mode.startswith("I"):  # 16 bits
            return np.asarray(picture).astype(np.uint16)
        return np.asarray(picture.convert("RGB"))
    except Image.DecompressionBombError:
        raise NoImage("too large") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError):
        raise NoImage("damaged") from None


def _npy(content: bytes, frame: Frame) -> npt.NDArray[Any]:
    """(h, w), (h, w, 1), (h, w, 3), or frames of these first; whole or floating-point numbers, and no objects."""
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError, OverflowError):
        raise NoImage("damaged") from None
    if found.dtype.kind not in "uif" or found.ndim not in (2, 3, 4) or not found.size:
        raise NoImage("format")
    coloured = found.ndim > 2 and found.shape[-1] in (1, 3)
    if found.ndim - coloured == 3:
        found = found[frame_of(len(found), frame)]
    elif found.ndim - coloured != 2:
        raise NoImage("format")
    require_few_pixels(*found.shape[:2])
    return np.asarray(found[..., 0] if found.ndim == 3 and found.shape[-1] == 1 else found)


def _windowed(values: npt.NDArray[Any], window: Window) -> Drawn:
    """Of a file without a header: whole numbers by all that their bits can say, others from the least to the most."""
    if isinstance(window, tuple) and values.ndim == 2:
        return Drawn(values, *ends_of(*window))
    if values.dtype.kind == "f":
        return Drawn(values, *least_and_most(values))
    info = np.iinfo(values.dtype)
    return Drawn(values, float(info.min), float(info.max))


def resized(pixels: Pixels, wanted: Wanted) -> Pixels:
    """(height, width, channels) as wanted: what is made smaller is averaged, so that no line falls through."""
    from PIL import Image, ImageOps

    picture = Image.fromarray(pixels[..., 0] if wanted.channels == 1 else pixels)
    size, bilinear = (wanted.width, wanted.height), Image.Resampling.BILINEAR
    if picture.size != size:
        picture = picture.resize(size, bilinear) if wanted.stretched else ImageOps.pad(picture, size, bilinear)
    return np.asarray(picture, np.uint8).reshape(wanted.height, wanted.width, wanted.channels)
