"""One frame of a DICOM file as numbers that can be drawn; of the header nothing but how pixels become light.

By PS3.3 C.7.6.3 and C.11: stored values, the modality's rescaling or table, then the window or table of the values of
interest. Each compression is read by one package, so that pixels do not depend on what else is installed. No Spark.
"""

import io
import logging
import math
import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLETransferSyntaxes,
)

from medspark.clean.worker.image_files import MOST_BYTES
from medspark.clean.worker.image_rules import NoImage
from medspark.clean.worker.pixels import (
    Drawn,
    Frame,
    Window,
    ends_of,
    frame_of,
    least_and_most,
    require_few_pixels,
)
from medspark.errors import MedsparkError

Values = npt.NDArray[Any]

_PREAMBLE: Final = 128
_FIRST_TAGS: Final = (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02")
"""Groups that a file without a preamble begins with, in either order of bytes."""
_PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_HTJ2K: Final = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_DECODERS: Final = {
    **dict.fromkeys((*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes), ("gdcm", "python-gdcm")),
    **dict.fromkeys((*JPEG2000TransferSyntaxes, *_HTJ2K), ("pylibjpeg", "pylibjpeg-openjpeg")),
    **dict.fromkeys(RLETransferSyntaxes, ("pydicom", "pydicom")),
}
"""For each compression pydicom's name of who reads it, and the package."""
_SPARE: Final = 65_536
"""Bytes that a compressed frame may have beyond twice what it is of; no more than that is decompressed."""

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # its warnings have values of the header in them


def read_dicom(content: bytes, window: Window, frame: Frame) -> Drawn:
    """A file's frame, its numbers in the modality's units, and which of them are black and white.

    Raises:
        NoImage: it has none that can be read.
        MedsparkError: a package that its compression needs is not installed here.
    """
    try:
        data = _dataset(content)
        index = frame_of(int(data.get("NumberOfFrames") or 1), frame)
        return _drawn(data, index, _stored(data, index), window)
    except (NoImage, MedsparkError, ImportError):
        raise
    except MemoryError:
        raise NoImage("too large") from None
    except Exception:  # pydicom and the decoders raise whatever they meet, with the patient's values in the text
        raise NoImage("damaged") from None


# ---------------------------------------------------------------- the file


def _dataset(content: bytes) -> Any:
    with_preamble = content[_PREAMBLE : _PREAMBLE + 4] == b"DICM"
    if not with_preamble and not content.startswith(_FIRST_TAGS):
        raise NoImage("format")
    if with_preamble:
        _require_little_inflated(content)
    data = pydicom.dcmread(io.BytesIO(content), force=True)
    if not any(name in data for name in _PIXELS) or "Rows" not in data or "Columns" not in data:
        raise NoImage("no pixels")
    require_few_pixels(int(data.Rows), int(data.Columns))
    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return data


def _require_little_inflated(content: bytes) -> None:
    """Refuse a deflated file that would fill the memory: pydicom inflates whatever there is."""
    at = _PREAMBLE + 4
    if DeflatedExplicitVRLittleEndian.encode() not in content[:4096]:
        return
    tag, length = content[at : at + 4], content[at + 8 : at + 12]
    if tag != b"\x02\x00\x00\x00":  # the length of the file's meta information, without which its end is not known
        raise NoImage("damaged")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(content[at + 12 + struct.unpack("<I", length)[0] :], MOST_BYTES)
    if inflater.unconsumed_tail:
        raise NoImage("too large")


def _stored(data: Any, index: int) -> Values:
    """The frame's stored values, (rows, columns) or, as red, green and blue, (rows, columns, 3)."""
    syntax = data.file_meta.TransferSyntaxUID
    plugin = ""
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise NoImage("syntax")
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        if syntax not in _DECODERS:
            raise NoImage("syntax")
        plugin, package = _DECODERS[syntax]
        decoder = get_decoder(syntax)
        if plugin not in decoder.available_plugins:
            raise MedsparkError(f"a task with images needs {package} on every worker: install medspark[images]")
        _require_modest(data, index)
    try:
        return np.asarray(pixel_array(data, index=index, decoding_plugin=plugin))
    except RuntimeError as error:  # what a decoder refused is the cause's
        refused = "12-bit precision" in str(error)
        raise NoImage("syntax" if refused else "damaged") from None


def _require_modest(data: Any, index: int) -> None:
    """Refuse a compressed frame that holds more than the header says: the decoders would make room for it."""
    frame = get_frame(data.PixelData, index, number_of_frames=int(data.get("NumberOfFrames") or 1))
    bits = int(data.Rows) * int(data.Columns) * int(data.SamplesPerPixel) * int(data.BitsAllocated)
    if len(frame) > bits // 4 + _SPARE:
        raise NoImage("damaged")
    require_few_pixels(*codestream_sides(frame))


def codestream_sides(frame: bytes) -> tuple[int, int]:
    """The height and width that a JPEG, JPEG-LS or JPEG 2000 codestream says of itself; (1, 1) of anything else.

    >>> codestream_sides(bytes.fromhex("ffd8ffe00004aaaaffc00011080010002003"))
    (16, 32)
    """
    if frame[:4] == b"\xff\x4f\xff\x51":  # JPEG 2000: SOC, SIZ
        width, height = struct.unpack(">II", frame[8:16])
        return height, width
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # a start of frame
            height, width = struct.unpack(">HH", frame[at + 5 : at + 9])
            return height, width
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    return 1, 1


# ---------------------------------------------------------------- from stored values to light


def _drawn(data: Any, index: int, stored: Values, window: Window) -> Drawn:
    kind = str(data.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        colours = apply_color_lut(stored, data)
        return Drawn(colours, 0.0, float(np.iinfo(colours.dtype).max))
    if stored.ndim == 3 and stored.shape[-1] == 3:
        return Drawn(stored, 0.0, float(2 ** int(data.BitsStored) - 1))
    if stored.ndim != 2 or not kind.startswith("MONOCHROME"):
        raise NoImage("format")
    values, scale = _in_units(data, index, stored)
    drawn = _window(data, index, values, stored, scale, window)
    return drawn._replace(inverted=kind == "MONOCHROME1")


Scale = tuple[float, float] | None
"""Slope and intercept; None of a table."""


def _in_units(data: Any, index: int, stored: Values) -> tuple[Values, Scale]:
    """What the stored values mean, such as Hounsfield units."""
    if "ModalityLUTSequence" in data:
        return apply_modality_lut(stored, data), None
    item = _of_frame(data, index, "PixelValueTransformationSequence")
    slope, intercept = float(item.get("RescaleSlope", 1)), float(item.get("RescaleIntercept", 0))
    return stored.astype(np.float64) * slope + intercept, (slope, intercept)


def _window(data: Any, index: int, values: Values, stored: Values, scale: Scale, window: Window) -> Drawn:
    if isinstance(window, tuple):
        return Drawn(values, *ends_of(*window))
    if window == "none" and scale is not None and stored.dtype.kind != "f":
        bits, signed = int(data.BitsStored), int(data.PixelRepresentation)
        ends = [scale[0] * end + scale[1] for end in (-(2 ** (bits - 1)) * signed, 2 ** (bits - signed) - 1)]
        return Drawn(values, *ends)
    item = _of_frame(data, index, "FrameVOILUTSequence")
    if window == "header" and item.get("VOILUTSequence"):
        white = 2 ** int(item.VOILUTSequence[0].LUTDescriptor[2]) - 1
        return Drawn(apply_voi(np.rint(values).astype(np.int64), _with_pixels_of(item, data)), 0.0, float(white))
    if window == "header" and item.get("WindowCenter") is not None and item.get("WindowWidth") is not None:
        center, width = (float(np.atleast_1d(item[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        return _by_function(values, center, width, str(item.get("VOILUTFunction") or "LINEAR"))
    return Drawn(values, *least_and_most(values[~_is_padding(data, stored)]))


def _by_function(values: Values, center: float, width: float, function: str) -> Drawn:
    """PS3.3 C.11.2.1.2 and .3; a window of no width is none."""
    if not (math.isfinite(center) and math.isfinite(width) and width > 0):
        return Drawn(values, *least_and_most(values))
    if function == "SIGMOID":
        return Drawn(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500))), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return Drawn(values, *ends_of(center, width))
    return Drawn(values, *ends_of(center - 0.5, max(width - 1, 1e-9)))


def _is_padding(data: Any, stored: Values) -> npt.NDArray[np.bool_]:
    """Where the scanner saw nothing; nowhere, where that would leave nothing."""
    first = data.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, bool)
    low, high = sorted((first, int(data.get("PixelPaddingRangeLimit", first))))
    padding = (stored >= low) & (stored <= high)
    return padding & ~padding.all()


def _of_frame(data: Any, index: int, name: str) -> Any:
    """The item of a functional group that is of one frame, else of all frames, else the dataset itself."""
    groups = data.get("PerFrameFunctionalGroupsSequence") or []
    shared = data.get("SharedFunctionalGroupsSequence") or []
    for group in [*groups[index : index + 1], *shared[:1]]:
        if group.get(name):
            return group[name].value[0]
    return data


def _with_pixels_of(item: Any, data: Any) -> Any:
    """A table beside what pydicom wants to know of the pixels."""
    found = pydicom.Dataset()
    found.VOILUTSequence = item.VOILUTSequence
    found.PixelRepresentation = data.PixelRepresentation
    return found
