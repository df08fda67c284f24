"""Why a file gives no image: the rules it may break, by their names. No Spark here."""

from collections.abc import Mapping
from typing import Final, Literal

Rule = Literal["outside", "absent", "too large", "format", "no pixels", "syntax", "damaged"]

EXPECTED: Final[Mapping[Rule, str]] = {
    "outside": "a path within the folder of the images, relative to it",
    "absent": "a file that is there and can be opened",
    "too large": "a file and an image of no more than a worker takes",
    "format": "a PNG, JPEG, NPY or DICOM file, of numbers or pixels",
    "no pixels": "a DICOM object with an image",
    "syntax": "a compression that can be read here",
    "damaged": "a whole file, neither cut off nor altered",
}
"""What each rule expects, in the order in which a file is judged."""


class NoImage(Exception):  # noqa: N818 (an answer rather than a failure)
    """A file gives no image. It holds the rule alone: another text might have a patient's value in it."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rule: Rule = rule
