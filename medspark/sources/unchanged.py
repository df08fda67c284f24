"""Whether a source's files are the ones that the first pass over them read."""

from pyspark import SparkContext

from medspark.errors import InputError
from medspark.store.files import file_state

FileStates = dict[str, tuple[int, int] | None]
"""Size in bytes and time of the last change in milliseconds, by file; None where there is none any more."""


def file_states(context: SparkContext, files: list[str]) -> FileStates:
    return {file: file_state(context, file) for file in files}


def require_unchanged(context: SparkContext, before: FileStates) -> None:
    """Refuse a source of which another pass may have read something else than the first.

    Raises:
        InputError: a file has another size or another time of its last change, or is gone.
    """
    changed = [file for file, state in file_states(context, list(before)).items() if state != before[file]]
    if changed:
        raise InputError(
            f"expected a source that stays as it is while it is read, received other content of {', '.join(changed)} "
            "between two passes. Nothing was published. Run again once it is complete."
        )
