"""Which files a source has, none of which Spark would pass over without a word."""

import re
from typing import Final

from pyspark.errors import IllegalArgumentException
from pyspark.sql import SparkSession

from medspark.errors import InputError
from medspark.sources.dead_links import require_no_dangling
from medspark.store.files import match_files

_MARKERS: Final = re.compile(r"_SUCCESS|_metadata|_common_metadata|_(?:started|committed)_[0-9]+|\..*\.crc")

_PATTERN_LETTERS: Final = frozenset("*?[]{}\\")


def source_files(spark: SparkSession, path: str, folder: str | None = None) -> list[str]:
    """The files of a source, sorted.

    Args:
        path: a file, a folder or a pattern.
        folder: what the path is below, and no pattern, where there is one.

    Raises:
        InputError: there are none, or some that Spark would pass over without a word.
    """
    whole = path if folder is None else f"{folder}/{path}"
    try:
        require_no_dangling(spark.sparkContext, path, folder)
        matched = match_files(spark.sparkContext, path, folder)
    except IllegalArgumentException as error:
        if "URISyntaxException" not in str(error):
            raise
        raise InputError(
            f"{whole}: Hadoop takes what is before a colon for a protocol, in patterns and in relative paths. "
            "Give the folder by its whole path, or rename what has a colon."
        ) from None
    found = {file: below for file, below in matched.items() if not _is_marker(below)}
    hidden = [file for file, below in found.items() if any(p.startswith(("_", ".")) for p in below.split("/"))]
    if hidden:
        raise InputError(
            f"{whole}: Spark passes over names that start with _ or . without a word: {', '.join(hidden)}. "
            "Rename them, or move them out of the source."
        )
    patterns = [file for file in found if _PATTERN_LETTERS & set(file)]
    if patterns:
        raise InputError(
            f"{whole}: Spark takes names with any of {' '.join(sorted(_PATTERN_LETTERS))} for patterns: "
            f"{', '.join(patterns)}. Rename them."
        )
    colons = [file for file in found if file.startswith("file:") and ":" in file.rsplit("/", 1)[-1]]
    if colons:
        raise InputError(
            f"{whole}: Hadoop reads no file of this machine whose name has a colon: {', '.join(colons)}. Rename them."
        )
    if not found:
        raise InputError(f"{whole}: expected at least one file, received none. Check the path and ${{...}} in it.")
    return list(found)


def _is_marker(file: str) -> bool:
    """Whether a file is one that Spark and Hadoop leave beside the data, and no data itself."""
    return _MARKERS.fullmatch(file.rsplit("/", 1)[-1]) is not None


def require_whole_files(spark: SparkSession) -> None:
    """Refuse a session that would leave out rows without a word.

    Raises:
        InputError: naming the setting.
    """
    for setting in ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles"):
        if spark.conf.get(setting) == "true":
            raise InputError(f"{setting} is true: Spark would leave out rows without a word. Set it to false.")
