"""Fit images: how many cases have one, and whether they differ; what is in them is the network's to learn."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.encode.fit.numbers import rounded
from medspark.encode.kinds.images import ImageStatistics
from medspark.schemas import quoted
from medspark.task.features import ImageFeature

Images = Mapping[str, ImageFeature]
Shapes = Mapping[str, tuple[int, int, int]]
"""Height, width and channels of each column of pixels."""


def images_aggregates(images: Images) -> list[Column]:
    """What the one pass over the training split finds out: cases with an image, and the least and largest digest."""
    found = []
    for name, feature in images.items():
        columns = [F.col(quoted(column)) for column in feature.columns]
        digest = F.xxhash64(*columns)
        found += [
            F.count(F.coalesce(*columns)).alias(f"with image {name}"),
            F.min(digest).alias(f"least image {name}"),
            F.max(digest).alias(f"most image {name}"),
        ]
    return found


def fit_images(images: Images, shapes: Shapes, numbers: dict[str, Any]) -> dict[str, Any]:
    """The statistics by their field.

    Args:
        images: as in the task.
        shapes: of the columns that they read.
        numbers: `cases`, their number, and what `images_aggregates` found.
    """
    return {"images": tuple(_image(name, feature, shapes, numbers) for name, feature in images.items())}


def _image(name: str, feature: ImageFeature, shapes: Shapes, numbers: dict[str, Any]) -> ImageStatistics:
    height, width, channels = shapes[feature.columns[0]]
    return ImageStatistics(
        name=name,
        columns=feature.columns,
        height=height,
        width=width,
        channels=channels,
        several=feature.several,
        missing_share=rounded(1 - numbers[f"with image {name}"] / numbers["cases"]),
        varies=numbers[f"least image {name}"] < numbers[f"most image {name}"],
    )
