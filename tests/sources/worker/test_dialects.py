"""Records of other dialects than plain CSV, one by one and whole files of them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medspark.sources.record_rules import BAD_QUOTE
from medspark.sources.worker.dialects import fields_of, split_dialect
from medspark.task.dialect import Dialect

ESCAPED = Dialect(delimiter="||", quote="'", escape="\\")
FIXED = Dialect(widths=(4, 1, 3))
BARE = Dialect(quote=None)


@pytest.mark.parametrize(
    ("record", "dialect", "fields"),
    [
        ("1||'it''s'||a\\||b", ESCAPED, ["1", "it's", "a||b"]),
        ("1||'a\\'b||c'||", ESCAPED, ["1", "a'b||c", ""]),
        ("1|2||\\\\", ESCAPED, ["1|2", "\\"]),
        ("||||", ESCAPED, ["", "", ""]),
        ("", ESCAPED, [""]),
        ("1||'open||x", ESCAPED, None),
        ("1||'a'b||x", ESCAPED, None),
        ("1||a'b||x", ESCAPED, None),
        ("1||ends in an escape\\", ESCAPED, None),
        ('1,5" needle,x', BARE, ["1", '5" needle', "x"]),
        ("001 M12 ", FIXED, ["001", "M", "12"]),
        ("001 M12", FIXED, ["001", "M", "12"]),
        ("001 M", FIXED, ["001", "M", ""]),
        ("001 ", FIXED, ["001"]),
        ("00", FIXED, ["00"]),
        ("001 M123x", FIXED, ["001", "M", "123", "x"]),
    ],
)
def test_a_record_is_cut_as_its_dialect_says_or_not_at_all(record, dialect, fields):
    assert fields_of(record, dialect, ",") == fields


@given(
    rows=st.lists(st.lists(st.text("ab,;'\\\" \n", max_size=6), min_size=2, max_size=4), min_size=1, max_size=5),
    quote=st.sampled_from(["'", '"']),
    escape=st.sampled_from([None, "\\"]),
    delimiter=st.sampled_from([",", ";"]),
)
def test_what_pythons_writer_writes_comes_back(rows, quote, escape, delimiter):
    rows = [row if row != [""] else ["", ""] for row in rows]
    out = io.StringIO(newline="")
    doubled = escape is None
    csv.writer(
        out, delimiter=delimiter, quotechar=quote, escapechar=escape, doublequote=doubled, quoting=csv.QUOTE_ALL,
        lineterminator="\n",
    ).writerows(rows)  # fmt: skip
    dialect = Dialect(quote=quote, escape=escape)
    found = list(split_dialect(out.getvalue(), dialect, delimiter, header=False, newlines=True))
    assert [fields_of(record, dialect, delimiter) for _, record, _ in found] == rows
    assert {rule for _, _, rule in found} == {None}


LAYOUT = Dialect(quote="'", comment="#", skip_lines=2, header_lines=2, footer_lines=1)


def test_lines_that_are_no_records_come_blank_and_every_record_in_its_line():
    text = "export of\n2026-11-27\nvitals,,labs\n# of the ward\nhr,bp,na\n1,2,3\n# none\n\n4,'5,6',7\ntotal 2\n\n"
    assert list(split_dialect(text, LAYOUT, ",", header=True, newlines=False)) == [
        (1, "vitals_hr,bp,labs_na", None),
        *((line, "", None) for line in range(2, 6)),
        (6, "1,2,3", None),
        (7, "", None),
        (8, "", None),
        (9, "4,'5,6',7", None),
        (10, "", None),
        (11, "", None),
    ]


def test_a_quote_that_nothing_closes_costs_its_own_line_alone():
    text = "a,b\n1,'x\ny'\n2,'z\n3,w\n"
    assert list(split_dialect(text, Dialect(quote="'"), ",", header=True, newlines=True)) == [
        (1, "a,b", None),
        (2, "1,'x\ny'", None),
        (4, "2,'z", BAD_QUOTE),
        (5, "3,w", None),
    ]


@pytest.mark.parametrize("text", ["", "one line\n", "one\ntwo\n", "one\ntwo\n\n\n"])
def test_a_file_of_less_than_its_preamble_has_no_record(text):
    found = list(split_dialect(text, LAYOUT, ",", header=True, newlines=False))
    assert found[0] == (1, "", None)
    assert {record for _, record, _ in found} == {""}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "without any it is plain CSV"),
        ({"widths": [3, 4], "delimiter": "|"}, "either widths or delimiter"),
        ({"quote": "'", "escape": "'"}, "expected quote, escape and delimiter to differ"),
        ({"decimal": ",", "thousands": ","}, "expected thousands and decimal to differ"),
        ({"thousands": "."}, "expected thousands and decimal to differ"),
    ],
)
def test_a_dialect_that_says_two_things_is_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        Dialect(**settings)
