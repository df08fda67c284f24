"""Which pattern the dates of a column follow."""

import re
from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

_DAYS: Final = (
    ("yyyy-MM-dd", r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d"),
    ("dd/MM/yyyy", r"\d{2}/\d{2}/\d{4}", "%d/%m/%Y"),
    ("MM/dd/yyyy", r"\d{2}/\d{2}/\d{4}", "%m/%d/%Y"),
    ("dd.MM.yyyy", r"\d{2}\.\d{2}\.\d{4}", "%d.%m.%Y"),
    ("dd-MM-yyyy", r"\d{2}-\d{2}-\d{4}", "%d-%m-%Y"),
    ("yyyy/MM/dd", r"\d{4}/\d{2}/\d{2}", "%Y/%m/%d"),
    ("dd-MMM-yyyy", r"\d{2}-[A-Z][a-z]{2}-\d{4}", "%d-%b-%Y"),
    ("yyyyMMdd", r"(?:19|20)\d{6}", "%Y%m%d"),
)
_TIMES: Final = (
    ("", "", ""),
    (" HH:mm:ss", r" \d{2}:\d{2}:\d{2}", " %H:%M:%S"),
    (" HH:mm", r" \d{2}:\d{2}", " %H:%M"),
    ("'T'HH:mm:ss", r"T\d{2}:\d{2}:\d{2}", "T%H:%M:%S"),
    ("'T'HH:mm", r"T\d{2}:\d{2}", "T%H:%M"),
)
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?")
_LOOKED_AT: Final = 3000
_MOST: Final = 0.95
"""Share of the values that a pattern reads, from which on it is the column's."""


class Times(NamedTuple):
    type: str
    format: str | None
    """None: ISO 8601, which needs no pattern."""
    remarks: tuple[str, ...]


def read_times(counts: Counter[str]) -> Times | None:
    """The pattern that nearly all values follow, if there is one.

    >>> read_times(Counter({"2024-02-01": 3, "2024-02-30": 0, "2023-12-24": 2}))
    Times(type='date', format=None, remarks=())
    >>> read_times(Counter({"24/12/2023 10:15": 1, "01/02/2024 11:00": 1})).format
    'dd/MM/yyyy HH:mm'
    >>> read_times(Counter({"seventy": 1})) is None
    True
    """
    some = dict(counts.most_common(_LOOKED_AT))
    total = sum(some.values())
    if not total:
        return None
    shares = {}
    for day, day_pattern, day_format in _DAYS:
        for time, time_pattern, time_format in _TIMES:
            pattern = re.compile(day_pattern + time_pattern)
            read = sum(n for text, n in some.items() if pattern.fullmatch(text) and _is(text, day_format + time_format))
            if read >= _MOST * total:
                shares[day + time] = read
    if not shares:
        return _iso(some, total)
    best = max(shares, key=lambda name: shares[name])
    ties = [name for name in shares if shares[name] == shares[best] and name != best]
    remarks = (f"as well it could be {ties[0]}: no day above 12 tells them apart",) if ties else ()
    kind = "timestamp" if "HH" in best else "date"
    return Times(kind, None if best in ("yyyy-MM-dd",) else best, remarks)


def _iso(some: dict[str, int], total: int) -> Times | None:
    matches = {text: _ISO.fullmatch(text) for text in some}
    if sum(some[text] for text, match in matches.items() if match) < _MOST * total:
        return None
    zoned = sum(some[text] for text, match in matches.items() if match and match[1])
    remarks = (f"{zoned / total:.0%} of the times say their zone",) if zoned else ()
    return Times("timestamp", None, remarks)


def _is(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True
