"""What names and spellings of medical tables are guessed by. Each is a guess, and is told as one."""

import re
from typing import Final

SURELY_MISSING: Final = frozenset({"?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "<NA>", "\\N", "NaT"})
MAYBE_MISSING: Final = frozenset(
    {"unknown", "Unknown", "UNKNOWN", "missing", "Missing", "None", "none", "-", "--", ".", "nil", "not known", "na"}
)
"""A level too: missing where they stand among numbers, dates or codes."""

SENTINELS: Final = frozenset({"-1", "-9", "-99", "-999", "-9999", "99", "999", "9999", "99999"})

YES_NO: Final = (("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"), ("1", "0"), ("ja", "nee"), ("oui", "non"))

_SUBJECT: Final = re.compile(
    r"patient|subject|person|(?:^|_)(?:mrn|pid|pat|hadm_?subject|nhs_?number|ssn)(?:_|$|id|no)", re.I
)
_CASE: Final = re.compile(
    r"(?:^|_)(?:case|admission|encounter|stay|visit|hadm|episode|row|record|sample|specimen)|^(?:id|index|key)$|_id$|^pid$",
    re.I,
)
_KEY: Final = re.compile(r"(?:^|_)(?:id|key|nbr|number|no|num|uuid|pid|mrn)$|^id_|^id$|^index$", re.I)
_CODED: Final = re.compile(r"(?:_|^)(?:id|code|type|class|category|group|grade|stage|kind)(?:_|$)|^fac_", re.I)
_DIAGNOSIS: Final = re.compile(r"diag|(?:^|_)(?:icd|dx)", re.I)
_COUNT: Final = re.compile(r"^(?:n|num|number|count|nr|no)_|_count$|^number", re.I)
_OUTCOME: Final = re.compile(
    r"outcome|readmi|mortality|died|death|dead|deceased|expired|target|label|relapse|recur|event|status|^class$|^y$|sepsis",
    re.I,
)
_AFTERWARDS: Final = re.compile(
    r"death|died|dead|deceased|expired|mortality|surviv|outcome|readmi|follow.?up|(?:time|days|months|years)_to_"
    r"|censor|autopsy|post.?op|last_contact|^(?:time|event|status)$",
    re.I,
)
_AT_DISCHARGE: Final = re.compile(r"discharg|length_of_stay|(?:^|_)los(?:_|$)|time_in_hospital", re.I)
_DURATION: Final = re.compile(
    r"^(?:time|days|months|futime|rtime|followup)$|days_to|time_to|follow.?up|surv.*time", re.I
)
_GROUP: Final = re.compile(r"^(?:fac_)?(?:sex|gender|race|ethnicity|ethnic|insurance|language)", re.I)
_AGE: Final = re.compile(r"^(?:num_)?age(?:_|$)|_age$|age_(?:at|in)|^age$", re.I)


def _finder(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.search(name) is not None


def names_subject(name: str) -> bool:
    """Whether a column's name is one of a patient's key.

    >>> names_subject("patient_nbr"), names_subject("encounter_id")
    (True, False)
    """
    return _finder(_SUBJECT, name)


def names_case(name: str) -> bool:
    return _finder(_CASE, name)


def names_key(name: str) -> bool:
    return _finder(_KEY, name)


def names_coded(name: str) -> bool:
    """Whether numbers below a name are likely to be codes of something, and no amounts."""
    return _finder(_CODED, name)


def names_diagnosis(name: str) -> bool:
    """Whether a column's name is one of diagnosis codes, and not of how many there are.

    >>> names_diagnosis("diag_1"), names_diagnosis("number_diagnoses")
    (True, False)
    """
    return _finder(_DIAGNOSIS, name) and not _finder(_COUNT, name)


def names_outcome(name: str) -> bool:
    return _finder(_OUTCOME, name)


def names_afterwards(name: str) -> bool:
    """Whether a name is of what is known only when the outcome is."""
    return _finder(_AFTERWARDS, name)


def names_discharge(name: str) -> bool:
    """Whether a name is of what is known from discharge on."""
    return _finder(_AT_DISCHARGE, name)


def names_duration(name: str) -> bool:
    return _finder(_DURATION, name)


def names_group(name: str) -> bool:
    return _finder(_GROUP, name)


def names_age(name: str) -> bool:
    return _finder(_AGE, name)


def counted(number: int, thing: str) -> str:
    """How many there are of something.

    >>> counted(1, "row"), counted(2500, "row")
    ('1 row', '2,500 rows')
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def slug(text: str) -> str:
    """A name for a task file.

    >>> slug("My Data (2024)"), slug("<30"), slug("130 US")
    ('my_data_2024', 'below_30', 'x130_us')
    """
    spelt = text.lower().replace("<", " below ").replace(">", " above ").replace("+", " plus ")
    made = re.sub(r"[^a-z0-9]+", "_", spelt).strip("_")[:80] or "x"
    return made if made[0].isalpha() else f"x{made}"
