"""Encodings of two bytes a letter: which they are, and files that have one without saying so."""

from medspark.errors import InputError
from medspark.sources.survey import Survey


def is_wide(encoding: str) -> bool:
    """Whether a line's end is more than one byte, so that Spark cannot cut a file into lines."""
    return encoding.startswith("utf-16")


def require_declared_encoding(survey: Survey, encoding: str) -> None:
    """Refuse files whose first line shows that they are in UTF-16, where another encoding is declared.

    Raises:
        InputError: naming the files and the encoding to declare.
    """
    found = {} if is_wide(encoding) else {file.file: _seems(file.first_line or "") for file in survey.files}
    problems = [f"  - {file}: seems to be {seems}" for file, seems in found.items() if seems]
    if problems:
        raise InputError(
            f"expected text in {encoding}, received files in another encoding\n" + "\n".join(problems) + "\n"
            "Declare it as `encoding:` of the source or the mapping; a source has one encoding."
        )


def _seems(line: str) -> str | None:
    r"""The wide encoding that a line read as UTF-8 or Latin-1 seems to be in: by its mark, or the NULs in it.

    >>> _seems("\ufffd\ufffdi\x00d\x00"), _seems("\x00i\x00d"), _seems("id")
    ('utf-16', 'utf-16be', None)
    """
    marks = ("\ufffd\ufffd", "\xff\xfe", "\xfe\xff")
    if line.startswith(marks) and "\x00" in line:
        return "utf-16"
    if 3 * line.count("\x00") < len(line) or "\x00" not in line:
        return None
    return "utf-16be" if line.startswith("\x00") else "utf-16le"
