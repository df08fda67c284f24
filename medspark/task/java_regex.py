"""Whether Java takes a regular expression, told without Java: its grammar, as `java.util.regex.Pattern` reads it."""

import re
from dataclasses import dataclass, field
from typing import Final

_PLAIN_ESCAPES: Final = frozenset("DHSVWadefhnrstvw")
"""Letters that mean something behind a backslash wherever they stand."""
_OUTSIDE_CLASSES: Final = frozenset("ABGRXZzb")
_FLAGS: Final = frozenset("idmsuUx")
_CATEGORY_WORDS: Final = (
    "L Lu Ll Lt Lm Lo LC LD M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cs L1 all "
    "ASCII Alnum Alpha Blank Cntrl Digit Graph Lower Print Punct Space Upper XDigit javaLowerCase javaUpperCase "
    "javaWhitespace javaMirrored"
)
_CATEGORIES: Final = frozenset(_CATEGORY_WORDS.split())
_IS_WORDS: Final = (
    "Alphabetic Ideographic Letter Lowercase Uppercase Titlecase Punctuation Control White_Space Digit Hex_Digit "
    "Join_Control Noncharacter_Code_Point Assigned Latin Greek Cyrillic Arabic Hebrew Han Hiragana Katakana Hangul "
    "Thai Devanagari"
)
_IS: Final = _CATEGORIES - {"L1", "all", "LD", "ASCII"} | frozenset(_IS_WORDS.split())


class _RefusedError(Exception):
    pass


@dataclass
class _Reader:
    """A pattern being read; `at` is the place of the next letter."""

    text: str
    at: int = 0
    groups: int = 0
    names: set[str] = field(default_factory=set)
    endless: bool = False
    """Whether what was read since a look-behind began may be of any length."""

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def next(self) -> str:
        letter = self.peek()
        self.at += 1
        return letter

    def take(self, text: str) -> bool:
        found = self.text.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found


def java_refuses(pattern: str) -> str | None:
    """Why Java refuses a pattern; None where it takes it.

    >>> java_refuses(r"[0-9]+(?:[.,][0-9]+)?"), java_refuses("a{"), java_refuses("(?P<x>a)")
    (None, 'a { that counts nothing; write \\\\{', 'an unknown flag after (?: P')
    """
    return _read(pattern)[0]


def groups_of(pattern: str) -> int:
    """How many groups a pattern has that can be asked for by number."""
    return _read(pattern)[1]


def replacement_refused(replacement: str, groups: int) -> str | None:
    """Why Java refuses a text that takes the place of a match, in a pattern of so many groups."""
    left = re.sub(r"\\.", "", replacement, flags=re.DOTALL)
    if left.endswith("\\"):
        return "a backslash at the end"
    for found in re.finditer(r"\$(\d|\{[a-zA-Z][a-zA-Z0-9]*\})?", left):
        if found[1] is None:
            return "a $ without a group's number; write \\$"
        if found[1].isdigit() and int(found[1]) > groups:
            return f"${found[1]}, but the pattern has {groups} groups"
    return None


def _read(pattern: str) -> tuple[str | None, int]:
    reader = _Reader(_unquoted(pattern))
    try:
        _alternatives(reader, 0)
        if reader.at < len(reader.text):
            raise _RefusedError("a ) that closes nothing")
    except _RefusedError as error:
        return str(error), reader.groups
    return None, reader.groups


def _unquoted(pattern: str) -> str:
    """The pattern with what stands between \\Q and \\E escaped."""
    pieces = re.split(r"((?:[^\\]|\\[^Q])*?)\\Q(.*?)(?:\\E|\Z)", pattern, flags=re.DOTALL)
    return "".join(
        piece if at % 3 != 2 else re.sub(r"([^\w\s])", r"\\\1", piece or "") for at, piece in enumerate(pieces)
    )


def _alternatives(reader: _Reader, depth: int) -> None:
    if depth > 50:
        raise _RefusedError("groups nested more than 50 deep")
    while True:
        while reader.peek() not in ("", "|", ")"):
            _item(reader, depth)
        if not reader.take("|"):
            return


def _item(reader: _Reader, depth: int) -> None:
    """One part with what says how often it stands."""
    letter = reader.next()
    if letter in "?*+":
        raise _RefusedError(f"a {letter} with nothing before it")
    if letter == "(":
        if _group(reader, depth):
            return
    elif letter == "[":
        _character_class(reader, depth)
    elif letter == "\\":
        _escape(reader, within_class=False)
    elif letter == "{":
        reader.at -= 1  # it counts nothing, or an empty part
    _times(reader)


def _times(reader: _Reader) -> None:
    letter = reader.peek()
    if letter == "{":
        found = re.compile(r"\{(\d+)(,(\d*))?\}").match(reader.text, reader.at)
        if found is None:
            raise _RefusedError("a { that counts nothing; write \\{")
        low, high = int(found[1]), int(found[3]) if found[3] else None
        if max(low, high or 0) >= 2**31 or (high is not None and high < low):
            raise _RefusedError(f"a count {found[0]} that runs backwards or is too large")
        reader.endless |= found[2] == ","
        reader.at = found.end()
    elif letter and letter in "?*+":
        reader.endless |= letter != "?"
        reader.at += 1
    else:
        return
    if reader.peek() and reader.peek() in "?+":
        reader.at += 1


def _group(reader: _Reader, depth: int) -> bool:
    """A group behind its bracket; whether it only sets flags."""
    if reader.take("?"):
        if not (reader.take(":") or reader.take("=") or reader.take("!") or reader.take(">")):
            if reader.take("<=") or reader.take("<!"):
                return _look_behind(reader, depth)
            if reader.take("<"):
                _named(reader)
            elif _flags(reader):
                return True
    else:
        reader.groups += 1
    _alternatives(reader, depth + 1)
    _close(reader)
    return False


def _close(reader: _Reader) -> None:
    if not reader.take(")"):
        raise _RefusedError("a ( that is not closed")


def _look_behind(reader: _Reader, depth: int) -> bool:
    before, reader.endless = reader.endless, False
    _alternatives(reader, depth + 1)
    if reader.endless:
        raise _RefusedError("a look-behind of any length")
    reader.endless = before
    _close(reader)
    return False


def _named(reader: _Reader) -> None:
    found = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)>").match(reader.text, reader.at)
    if found is None:
        raise _RefusedError("a group's name that is not of letters and digits")
    if found[1] in reader.names:
        raise _RefusedError(f"two groups named {found[1]}")
    reader.names.add(found[1])
    reader.groups += 1
    reader.at = found.end()


def _flags(reader: _Reader) -> bool:
    """Flags behind `(?`; whether the bracket closes behind them."""
    found = re.compile(r"[a-zA-Z]*(?:-[a-zA-Z]*)?").match(reader.text, reader.at)
    assert found is not None
    unknown = sorted(set(found[0]) - _FLAGS - {"-"})
    if unknown or "x" in found[0]:
        raise _RefusedError(f"an unknown flag after (?: {unknown[0] if unknown else 'x, which is not read here'}")
    reader.at = found.end()
    if reader.take(")"):
        return True
    if not reader.take(":"):
        raise _RefusedError(f"an unknown flag after (?: {reader.peek() or 'none'}")
    return False


def _escape(reader: _Reader, within_class: bool) -> int:
    """What a backslash begins: the letter that it is, as a number; -1 where it is of several."""
    letter = reader.next()
    if letter in ("p", "P"):
        _property(reader)
        return -1
    if letter in ("x", "u", "0", "c"):
        return _by_number(reader, letter)
    if letter == "k" and not within_class:
        found = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)>").match(reader.text, reader.at)
        if found is None or found[1] not in reader.names:
            raise _RefusedError("a \\k that names no group before it")
        reader.at, reader.endless = found.end(), True
        return -1
    if letter.isascii() and letter.isdigit() and not within_class:
        reader.endless = True
        return -1
    if letter == "b" and not within_class and reader.peek() == "{" and not reader.take("{g}"):
        raise _RefusedError("a \\b{ without g}")
    known = letter in _PLAIN_ESCAPES or (letter in _OUTSIDE_CLASSES and not within_class)
    if letter == "" or (letter.isascii() and letter.isalnum() and not known):
        raise _RefusedError(f"an unknown escape \\{letter}" if letter else "a backslash at the end")
    reader.endless |= letter in ("R", "X")
    if letter in "DHSVWdhsvw":
        return -1
    return {"a": 7, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9}.get(letter, ord(letter))


def _by_number(reader: _Reader, letter: str) -> int:
    if letter == "c":
        if not reader.peek():
            raise _RefusedError("a \\c at the end")
        return ord(reader.next()) ^ 64
    digits = {"x": r"([0-9a-fA-F]{2})|\{([0-9a-fA-F]+)\}", "u": r"([0-9a-fA-F]{4})", "0": r"([0-3]?[0-7]{1,2})"}[letter]
    found = re.compile(digits).match(reader.text, reader.at)
    value = int(next(group for group in found.groups() if group), 8 if letter == "0" else 16) if found else 2**21
    if found is None or value > 0x10FFFF:
        raise _RefusedError(f"a \\{letter} without its number")
    reader.at = found.end()
    return value


def _property(reader: _Reader) -> None:
    found = re.compile(r"\{([^}]+)\}|([^{])").match(reader.text, reader.at)
    name = (found[1] or found[2]) if found is not None else ""
    known = name in _CATEGORIES or (name.startswith("Is") and name[2:] in _IS)
    if found is None or not known:
        raise _RefusedError(f"an unknown property \\p{{{name}}}")
    reader.at = found.end()


def _character_class(reader: _Reader, depth: int, consume: bool = True) -> None:
    """A class behind its bracket, or what stands on the right of && in one."""
    if depth > 50:
        raise _RefusedError("brackets nested more than 50 deep")
    reader.take("^")
    some = False
    while True:
        letter = reader.peek()
        if letter == "":
            raise _RefusedError("a [ that is not closed; write \\[ within [...]")
        if letter == "[":
            reader.at += 1
            _character_class(reader, depth + 1)
        elif reader.take("&&"):
            right = _intersection(reader, depth)
            if not some and not right:
                raise _RefusedError("a && with nothing beside it")
        elif letter == "]" and some:
            reader.at += 1 if consume else 0
            return
        else:
            _range(reader)
        some = True


def _intersection(reader: _Reader, depth: int) -> bool:
    right = False
    while reader.peek() not in ("]", "&"):
        if reader.take("["):
            _character_class(reader, depth + 1)
        else:
            _character_class(reader, depth + 1, consume=False)
        right = True
    return right


def _range(reader: _Reader) -> None:
    first = _one(reader)
    if first >= 0 and reader.peek() == "-" and reader.text[reader.at + 1 : reader.at + 2] not in ("[", "]"):
        reader.at += 1
        if _one(reader) < first:
            raise _RefusedError("a range in [...] that runs backwards; write \\- for a dash")


def _one(reader: _Reader) -> int:
    letter = reader.next()
    if letter == "":
        return -1
    return _escape(reader, within_class=True) if letter == "\\" else ord(letter)
