"""What a clinician sees of an image: where it raises the risk and where it lowers it, as a PNG. No Spark here."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.worker.tensors import Arrays
from medspark.score.worker.explanations.about import About, Said
from medspark.score.worker.explanations.layout import Block, Ints

RED, BLUE = np.array([200, 30, 30]), np.array([30, 80, 200])
STRENGTH = 0.7
"""Of the colour where a square contributes most; the image's own greys show through."""


def say_images(
    feature: ImageStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    _, seen = feature.inputs()
    at = items - block.first
    there = np.asarray(tensors[seen.name][rows, at], np.float64) > 0
    names = feature.columns if len(feature.columns) == block.items else (None,) * block.items
    return [
        (names[place], "there" if one else "missing") for place, one in zip(at.tolist(), there.tolist(), strict=True)
    ]


def saliency(pixels: NDArray[np.uint8], parts: NDArray[np.float64], side: int) -> bytes:
    """An image in grey, red where it raises the risk and blue where it lowers it, as PNG.

    Args:
        pixels: (height, width, channels).
        parts: (rows, columns) what each square contributes.
        side: of a square, in pixels.
    """
    height, width, _ = pixels.shape
    grey = pixels.astype(np.float64).mean(axis=2)
    strength = np.abs(parts) / (np.abs(parts).max() or 1.0) * STRENGTH
    whole, positive = (np.kron(array, np.ones((side, side)))[:height, :width, None] for array in (strength, parts > 0))
    colour = np.where(positive > 0, RED, BLUE)
    return png(np.rint(grey[..., None] * (1 - whole) + colour * whole).astype(np.uint8))


def png(rgb: NDArray[np.uint8]) -> bytes:
    """8-bit RGB (height, width, 3) as PNG (ISO/IEC 15948): no worker needs an image library for it.

    >>> png(np.zeros((1, 1, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width, _ = rgb.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rgb.reshape(height, width * 3)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
