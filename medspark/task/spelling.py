"""The one spelling of a key, a level, a code or a text: what nobody sees makes no other patient. No Spark here."""

import re
import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

FILLERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
"""Letters that show nothing, and selectors of a letter's variant, as in a class of a regular expression."""
SEEN: Final = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Marks of numbers and verses, which Unicode counts among its formats though they are seen."""
BLANK: Final = "\t\n\x0b\f\r\x85"
"""Controls that are white space."""

_FILLER: Final = re.compile(f"[{FILLERS}]")
_SEEN: Final = re.compile(f"[{SEEN}]")


def normalised(text: str) -> str:
    r"""A text without invisible letters, composed (NFC), without white space at its ends; a space of any width is one.

    What goes are Unicode's formats and controls, such as the zero-width space, the byte order mark, the soft hyphen
    and NUL, and fillers. Case stays, and white space within: `P001` and `p001` are two, as are `a b` and `ab`.

    >>> normalised("\ufeffP\u200b001\u00a0"), normalised("a\u00a0b"), normalised("e\u0301") == "\u00e9"
    ('P001', 'a b', True)
    """
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    composed = unicodedata.normalize("NFC", text)
    spaced = (" " if unicodedata.category(letter) == "Zs" else letter for letter in composed if not _is_hidden(letter))
    return "".join(spaced).strip(f" {BLANK}\u2028\u2029")


def _is_hidden(letter: str) -> bool:
    if letter in BLANK or _SEEN.match(letter):
        return False
    return unicodedata.category(letter) in ("Cf", "Cc") or _FILLER.match(letter) is not None


Spelling = Annotated[str, AfterValidator(normalised)]
"""Of a value as the task writes it, to be compared with a source's."""


def _one_value_each(pairs: Any) -> Any:
    """Keys that nobody can tell apart mean one thing, or nobody knows what they mean."""
    if not isinstance(pairs, dict):
        return pairs
    meant: dict[str, Any] = {}
    for key, value in pairs.items():
        seen = normalised(str(key))
        spelt = normalised(value) if isinstance(value, str) else value
        if meant.setdefault(seen, spelt) != spelt:
            raise ValueError(f"expected {seen!r} once, received it again with another value: the keys look alike")
    return pairs


BY_SPELLING: Final = BeforeValidator(_one_value_each)
"""Of keys by their spelling: two of one spelling have one value."""
