# ruff: noqa: E501 (tables are easier to scan with a column on each line)
"""Files of CSV as dirty as chance makes them: of each kind of column what is sound, what is not, and what nearly is."""

from typing import Any

from hypothesis import strategies as st

COLUMNS: dict[str, Any] = {
    "id": "long",
    "who": "string",
    "age": {"type": "integer", "range": [0, 120], "otherwise": "missing"},
    "x": {"type": "double", "units": {"column": "unit", "to_unit": {"g": 1, "mg": 0.001}, "when_missing": "g"}, "range": [-5, 1e6]},
    "unit": {"type": "category"},
    "sex": {"type": "category", "levels": ["F", "M", "é"], "missing": ["?"]},
    "ward": {"type": "category", "lookup": "wards"},
    "price": {"type": "decimal", "precision": 6, "scale": 2, "range": [-10, 5000]},
    "huge": {"type": "decimal", "precision": 38, "scale": 4},
    "band": {"type": "interval", "range": [0, 100], "otherwise": "missing"},
    "died": {"type": "boolean", "true_values": ["yes", "1"], "false_values": ["no"]},
    "icd9": {"type": "code", "system": "ICD9CM", "roll_up": "category"},
    "icd10": {"type": "code", "system": "ICD10CM", "otherwise": "missing"},
    "day": {"type": "date", "format": "dd/MM/yyyy", "range": ["1930-01-01", "2030-12-31"]},
    "at": {"type": "timestamp", "format": "yyyy-MM-dd HH:mm:ss"},
    "iso": {"type": "timestamp", "otherwise": "missing"},
    "seen": {"type": "date", "otherwise": "missing"},
    "ref": {"type": "string", "matches": r"[A-Z]{2}\d+(?:-[a-z]+)?", "otherwise": "missing"},
    "note": {"type": "string", "required": True},
}  # fmt: skip
SECTIONS: dict[str, Any] = {
    "lookups": {"wards": {"entries": {"1": "one", "2": None, "": "none"}}},
    "checks": [
        {"name": "day before at", "expect": "day <= at"},
        {"name": "no sick", "expect": "note != 'sick' or age > 3"},
    ],
    "derived": {"old": {"type": "boolean", "expression": "age > 60"}},
}
SETTINGS: dict[str, Any] = {
    "subject": "who",
    "timezone": "Europe/Amsterdam",
    "missing": ["NA"],
    "point_zero": True,
    "duplicates": {"same": ["id"], "keep": "latest", "by": "at"},
}
TEXTS = (
    "",
    "NA",
    " ",
    "a",
    "a b",
    " a ",
    "é",
    "e\u0301",
    "\u200bx",
    "x\u00a0",
    "sick",
    "ﬁ",
    "a\tb",
    "\x00",
    "日本",
    "ß",
    "a\\",
    "\u0387",
    "\u2126m",
    "\u1f71",
    "\U0001f9ec x",
    "\u2003x",
    "x\x85",
    "\ufeff",
)
CELLS: dict[str, tuple[str, ...]] = {
    "id": ("+4", "-5", "007", "6.0", "6.", "9223372036854775807", "9223372036854775808", "1e3", "0x1F", " 8 ", "x", "", "+", "-", "0" * 450 + "12", "-" + "0" * 30, "1" * 500),
    "who": TEXTS,
    "age": ("40", "0", "-1", "121", "120", "2147483648", "4 0", "40.00", "٣", "", "NA", "\ufeff41"),
    "x": ("1", "1.5", ".5", "5.", ".", "-2.5", "-6", "1e3", "1e400", "-0", "NaN", "inf", "1,5", "1.2.3", "0x1p3", "1d", "1_0", "", "123456789.123456789123456789"),
    "unit": ("g", "mg", "kg", "", " g", "G", "NA"),
    "sex": ("F", "M", "é", "e\u0301", "?", "", "X", "f", " F", "M\u00ad"),
    "ward": ("1", "2", "3", "", "01"),
    "price": ("1", "1.50", "1.505", "1.500", "-3.2", "12345", "9999.99", ".5", "5.", "-", "+1", "1e2", "", "00001.0", "0" * 450 + "1", "1." + "0" * 450),
    "huge": ("9" * 34 + ".9999", "-" + "9" * 34, "1" + "0" * 34, "9" * 34 + ".99990", "0." + "0" * 40, "123456789012345678901234567890.5", "-0", ""),
    "band": ("[70-80)", "(1 - 3]", ">20", "<= -5", ">200", "[9-1]", "70-80", "[a-b)", "", "[" + "9" * 310 + "-" + "9" * 311 + "]", "[1\t-2]"),
    "died": ("yes", "no", "1", "0", "YES", "true", " yes", ""),
    "icd9": ("25083", "250.83", "8", "v4581", "e8859", "8.1", "see letter", "1234567", "???1", "ſ12", ""),
    "icd10": ("e119", "E11.9", "I10", "I1", "I10.12345", "ı10", "12.34", ""),
    "day": ("01/02/2000", "31/12/1929", "30/02/2020", "29/02/2020", "1/2/2000", "01-02-2000", "01/02/20000", "01/02/-2000", "01/02/+2000", "00/01/2000", "٠1/02/2000", "today", "", "15/10/1582", "01/01/0001", "31/12/9999", "01/13/2000", "2000-02-01"),
    "at": ("2020-01-02 03:04:05", "2020-03-29 02:30:00", "2020-10-25 02:30:00", "1890-01-01 00:00:00", "1916-05-01 00:10:00", "2150-06-01 00:00:00", "2020-01-02 24:00:00", "2020-01-02 03:04", "2020-01-02T03:04:05", "-2020-01-02 03:04:05", "0000-01-01 00:00:00", "+12020-01-02 03:04:05", "no", "", "1937-07-01 00:00:10"),
    "iso": ("2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020-01-02t03:04", "2020-01-02 03:04", "2020-01-02T03:04:05Z", "2020-03-29T02:30:00", "2020-01-02T03:04:05.123456+02:00", "2020-01-02", "2020-01-0203:04", "soon", "", "2020-01-02 03:04:05.0000000", "2020-01-02T03:04:05.0000000", "2020-01-02 03:04:05.1234560", "2020-01-02 03:04:05.123456000", "2020-01-02T03:04:05.12345600Z", "2020-01-02 03:04:05.1234567", "2020-01-02 03:04:05.000000001", "2020-01-02 03:04:05.0000000000", "2020-01-02 03:04:05.0000000+02:00", "2020-03-29 02:30:00.0000000", "2020-13-02 03:04:05.0000000", "2020-01-02 03:04.0000000"),
    "seen": ("2020-01-02", "2020-01-02 00:00:00", "2020-01-02T00:00:00", "2020-01-02 00:00", "2020-01-02t00:00:00.0", "2020-01-02 00:00:00.0000000", "2020-01-02T00:00:00.000000000", "2020-01-02 00:00:00.0000001", "2020-01-02 00:00:01", "2020-01-02 10:00", "2020-01-02  00:00", "2020-02-30 00:00:00", "2020-01-02T00:00:00Z", "2020-01-02 00:00:00.", "+12020-01-02 00:00:00", "0000-01-02 00:00:00", "2020-01-0200:00", "2/1/2020", "", "2020-01-02 00:00:00 "),
    "ref": ("AB12", "AB12-x", "ab12", "AB", "AB١", "AB12-", ""),
    "note": ('fine', 'a "b" c', 'open "', '"', '""', "sick", "x" * 40, "line", *TEXTS),
}  # fmt: skip
"""Of each column, cells that somebody has to judge."""
SOUND = {
    "id": "1", "who": "p1", "age": "41", "x": "1.5", "unit": "mg", "sex": "F", "ward": "1", "price": "2.50", "huge": "1.5", "band": "[70-80)",
    "died": "no", "icd9": "250.83", "icd10": "E11.9", "day": "01/02/2000", "at": "2020-01-02 03:04:05",
    "iso": "2020-01-02T03:04:05", "seen": "2020-01-02", "ref": "AB12", "note": "fine",
}  # fmt: skip


def each_cell() -> bytes:
    """A file in which every one of CELLS stands once as it is and once quoted, all else of its row being sound."""
    lines = [",".join(COLUMNS)]
    for name, cells in CELLS.items():
        for cell in cells:
            row = {**SOUND, "id": str(10**6 + len(lines)), "who": f"p{len(lines)}", name: cell}
            lines += [",".join(row.values())]
            row["id"] = str(10**6 + len(lines)) if name != "id" else f" {cell}"
            row["who"] += "q" if name != "who" else ""
            lines += [",".join(quoted_cell(text, ",", at == name) for at, text in row.items())]
    return "\n".join(lines).encode()


_ID = st.integers(1000, 2**60).map(str)
"""Seldom the same."""


def quoted_cell(cell: str, delimiter: str, always: bool = False) -> str:
    """A cell as RFC 4180 has it, quoted where it must be."""
    return '"' + cell.replace('"', '""') + '"' if always or set(cell) & {'"', delimiter} else cell


@st.composite
def _line(draw: st.DrawFn, delimiter: str) -> bytes:
    if draw(st.integers(0, 14)) == 0:
        return draw(st.sampled_from(["", "  ", delimiter.join(COLUMNS), "1", "x" + delimiter * 30])).encode()
    row = {**SOUND, "id": draw(_ID), "who": f"p{draw(st.integers(1, 40))}"}
    for name in draw(st.lists(st.sampled_from(list(COLUMNS)), max_size=3)):
        row[name] = draw(st.sampled_from(CELLS[name]))
    raw, always = draw(st.integers(0, 3)) == 0, draw(st.sets(st.sampled_from(list(COLUMNS)), max_size=2))
    cells = (cell if raw else quoted_cell(cell, delimiter, name in always) for name, cell in row.items())
    line = delimiter.join(cells).encode()
    if draw(st.integers(0, 7)) == 0:
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(st.sampled_from([b"\xe9", b'"', b",", b"\xf0\x9f", b"\x1b", b""])) + line[at:]
    return line if draw(st.integers(0, 15)) else line[: draw(st.integers(0, len(line)))]


@st.composite
def dirty_files(draw: st.DrawFn) -> tuple[bytes, str]:
    """A file of the columns COLUMNS with its header, and its delimiter."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    lines = draw(st.lists(_line(delimiter), min_size=60, max_size=160))
    if draw(st.integers(0, 9)) == 0:
        lines.append(delimiter.join(["who", "id", *list(COLUMNS)[2:]]).encode())
    ends = st.sampled_from([b"\n"] * 8 + [b"\r\n", b"\r"])
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    text = b"".join(line + draw(ends) for line in lines)
    whole = text if draw(st.booleans()) else text.rstrip(b"\r\n")
    return mark + delimiter.join(COLUMNS).encode() + b"\n" + whole, delimiter
