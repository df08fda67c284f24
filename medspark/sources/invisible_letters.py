"""Letters that nobody sees, in a source's text: whether it has any, found in the first pass, and text without them."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.spark.columns import literal
from medspark.task.spelling import BLANK, FILLERS, SEEN

PLAIN, INVISIBLE, COMPOSING = 0, 1, 2
"""What normalising has to do: nothing, take invisible letters out and white space at ends, or also compose (NFC)."""

_HIDDEN: Final = rf"[\p{{Cf}}\p{{Cc}}{FILLERS}&&[^{SEEN}{BLANK}]]"
_OTHER_SPACE: Final = r"[\p{Zs}&&[^ ]]"
_WHITE: Final = rf"[\p{{Z}}{BLANK}]"
_AT_ENDS: Final = rf"\A{_WHITE}+|{_WHITE}+\z"
_COMPOSED_OF: Final = r"[\p{M}\u1100-\u11ff\u1f71-\u1fff\u2126\u212a\u212b\uf900-\ufaff]"
"""Marks, and letters that NFC writes as another one."""


def normalise(text: str, letters: int) -> str:
    """In SQL, as `medspark.task.spelling.normalised`, of text that has what `letters` says at most."""
    if letters == PLAIN:
        return text
    if letters == COMPOSING:
        composed = f"reflect('com.ibm.icu.text.Normalizer', 'compose', {text}, false)"
        text = f"CASE WHEN rlike({text}, {literal(_COMPOSED_OF)}) THEN {composed} ELSE {text} END"
    clear = text
    for hidden, seen in ((_HIDDEN, ""), (_AT_ENDS, ""), (_OTHER_SPACE, " ")):
        clear = f"regexp_replace({clear}, {literal(hidden)}, {literal(seen)})"
    any_of_them = literal(f"{_HIDDEN}|{_AT_ENDS}|{_OTHER_SPACE}")
    return f"CASE WHEN rlike({text}, {any_of_them}) THEN {clear} ELSE {text} END"


def letters_in(text: Column, delimiter: str) -> Column:
    """What there is to normalise in a record whose fields a delimiter or quotes end, at most: never less than there is.

    Few records have a letter beyond ASCII, and only those are searched for the kinds of letter.
    """
    beyond = F.octet_length(text) != F.length(text)
    edges = [f" {delimiter}", f"{delimiter} ", ' "', '" ']
    if delimiter in BLANK:  # and quoted may stand at a value's ends
        edges += [f'"{delimiter}', f'{delimiter}"']
    padded = F.startswith(text, F.lit(" ")) | F.endswith(text, F.lit(" "))
    for edge in edges:
        padded = padded | F.contains(text, F.lit(edge))
    controls = text.rlike(rf"[\x00-\x1f\x7f&&[^{delimiter}]]" if delimiter in BLANK else r"[\x00-\x1f\x7f]")
    others = beyond & text.rlike(rf"{_HIDDEN}|[\p{{Z}}\x85&&[^ ]]")
    composing = beyond & text.rlike(_COMPOSED_OF)
    return F.when(composing, COMPOSING).when(padded | controls | others, INVISIBLE).otherwise(PLAIN)


def letters_in_json(text: Column) -> Column:
    """The same of a JSON text, whose letters may be escaped."""
    return F.when(F.contains(text, F.lit("\\")), COMPOSING).otherwise(letters_in(text, '"'))
