"""Images to tensors: a case's pixels, and whether it has them. No Spark here."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.worker.arrow import rows_of_bytes
from medspark.encode.worker.flat import Shares


def encode_images(batch: pa.RecordBatch, features: Sequence[ImageStatistics]) -> Shares:
    """`pixels_NAME`, (n, images * height * width * channels), 0 where there is none, and `seen_NAME`, (n, images).

    A value of another number of bytes is no image of this size: NaN says so, and its row gets no score.
    """
    for feature in features:
        if not feature.varies:
            continue
        columns = [batch.column(column) for column in feature.columns]
        size = feature.height * feature.width * feature.channels
        if feature.several == "mean":
            found = [_pixels(column, size) for column in columns]
        else:
            order = columns if feature.several == "first" else columns[::-1]
            found = [_pixels(pc.coalesce(*order) if len(order) > 1 else order[0], size)]
        pixels, seen = feature.inputs()
        images = [image for image, _ in found]
        yield pixels.name, images[0] if len(images) == 1 else np.concatenate(images, axis=1)
        yield seen.name, np.stack([there for _, there in found], axis=1)


def _pixels(column: pa.Array, size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The pixels of a column, (n, size), a view where every row has them, and of each row 1, 0 or NaN, (n,)."""
    column = column if pa.types.is_binary(column.type) else column.cast(pa.binary())
    rows, fits = rows_of_bytes(column, size)
    absent = column.is_null().to_numpy(zero_copy_only=False)
    return rows, np.where(fits, np.float32(1), np.where(absent, np.float32(0), np.float32(np.nan)))
