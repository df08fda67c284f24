"""The statistics of images. No Spark here."""

from typing import ClassVar

from medspark.encode.inputs import Input, images
from medspark.encode.kinds.base import OneValue
from medspark.task.features import Several


class ImageStatistics(OneValue):
    """A case's images from one or more columns of pixels."""

    kind: ClassVar[str] = "image"

    name: str
    columns: tuple[str, ...]
    height: int
    width: int
    channels: int
    several: Several
    missing_share: float
    """Share of cases without any."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images that reach the network, height, width, channels."""
        return len(self.columns) if self.several == "mean" else 1, self.height, self.width, self.channels

    @property
    def title(self) -> str:
        return f"{self.name} ({', '.join(self.columns)})"

    @property
    def summary(self) -> str:
        colour = "grey" if self.channels == 1 else "colour"
        rule = f"; the {self.several} of several" if len(self.columns) > 1 else ""
        return f"{self.height} x {self.width} pixels, {colour}{rule}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns

    def inputs(self) -> tuple[Input, ...]:
        return images(self.name, self.shape) if self.varies else ()
