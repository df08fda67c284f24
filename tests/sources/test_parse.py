# ruff: noqa: E501, RUF012 (tables are easier to scan with a case on each line)
"""Bad rows of text, and what becomes of them and of their neighbours."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession
from support.cleaning import AB, JSON, NDJSON, NEWLINES

from medspark.clean import table as clean_module
from medspark.schemas import SOURCE_FILE, SOURCE_LINE
from medspark.task.table_task import TableTask

AD = {"a": "long", "b": {"type": "decimal", "precision": 10, "scale": 2}}
ABC = {"a": "long", "b": "string", "c": "string"}
LAYOUT = {"quote": "'", "comment": "#", "skip_lines": 1, "header_lines": 2, "footer_lines": 1}
DATE = {"a": "long", "b": {"type": "date", "format": "yyyy-MM-dd"}}


class Bad(NamedTuple):
    """A file's content, and what comes of it."""

    name: str
    content: str | bytes
    records: list[tuple[Any, ...]] = []
    aside: list[tuple[int, str]] = []
    columns: dict[str, Any] = AB
    source: dict[str, Any] = {}


# fmt: off
SET_ASIDE = [
    # name                                        content                          records, rows set aside (line, rule)
    # ---- fields and quotes
    Bad("too few and too many fields",            "a,b\n1,x\n2\n3,x,y\n4,z\n",     [(1, "x"), (4, "z")], [(3, "record: fields"), (4, "record: fields")]),
    Bad("a bad field does not null its row",      "a,b\n1,x\none,y\n",             [(1, "x")], [(3, "a: type")]),
    Bad("a newline in quotes, line by line",      'a,b\n1,"x\ny"\n2,z\n',          [(2, "z")], [(2, "record: quote"), (3, "record: quote")]),
    Bad("a newline in quotes, quoted_newlines",   'a,b\n1,"x\ny"\n2,z\n',          [(1, "x\ny"), (2, "z")], source=NEWLINES),
    Bad("CRLF in quotes is kept",                 'a,b\r\n1,"x\r\ny"\r\n2,z\r\n',  [(1, "x\r\ny"), (2, "z")], source=NEWLINES),
    Bad("an open quote, line by line",            'a,b\n1,x\n2,"y\n3,z\n',         [(1, "x"), (3, "z")], [(3, "record: quote")]),
    Bad("an open quote, quoted_newlines",         'a,b\n1,x\n2,"y\n3,z\n',         [(1, "x"), (3, "z")], [(3, "record: quote")], source=NEWLINES),
    Bad("two open quotes swallow no row between", 'a,b\n1,"x\n2,y\n3,"z\n4,w\n',   [(2, "y"), (4, "w")], [(2, "record: quote"), (4, "record: quote")], source=NEWLINES),
    Bad("open quotes around a quoted field",      'a,b\n1,"x\n2,"y"\n3,"z\n',      [(2, "y")], [(2, "record: quote"), (4, "record: quote")], source=NEWLINES),
    Bad("text after a closing quote",             'a,b\n1,"x"y\n2,"z" \n3,w\n',    [(3, "w")], [(2, "record: quote"), (3, "record: quote")]),
    Bad("quotes doubled, and alone in a field",   'a,b\n1,"x ""y"" ,z"\n2,5 "q"\n3,""\n4,""""\n', [(1, 'x "y" ,z'), (2, '5 "q"'), (3, None), (4, '"')]),
    Bad("a backslash is no escape",               'a,b\n1,"x\\"\n2,y\\\n',         [(1, "x\\"), (2, "y\\")]),
    Bad("a delimiter that patterns know",         'a|b\n1|"x|y"\n2|z"\n',          [(1, "x|y")], [(3, "record: quote")], source={"delimiter": "|"}),
    Bad("a delimiter lost before a quoted field that holds one", 'a,b,c\n1,"x, y",z\n2"x, y",z\n3,x"y, z"\n4,"x"\n5,x,"y ""z"", w"\n6,x"y ""z"", w"\n', [(1, "x, y", "z"), (5, "x", 'y "z", w')], [(3, "record: quote"), (4, "record: quote"), (5, "record: fields"), (7, "record: quote")], ABC),
    Bad("a delimiter lost before a quote in a quote", 'a,b,c\n2,x"""y"", z"\n3,x"y, ""z"""\n4,x"y, ""z"", w"\n5,x,"""y"", z"\n', [(5, "x", '"y", z')], [(2, "record: quote"), (3, "record: quote"), (4, "record: quote")], ABC),
    Bad("inches in two fields are no quotes",     'a,b,c\n1,6" tube,7" tube\n2,6 "in" tube,"7"" tube"\n', [(2, '6 "in" tube', '7" tube')], [(2, "record: quote")], ABC),
    Bad("a space before a quoted field",          'a,b,c\n1, "x, y"\n2, "x",y\n', [(2, '"x"', "y")], [(2, "record: quote")], ABC),
    Bad("a lost delimiter, quoted_newlines",      'a,b\n1,x\n2"y,\nz"\n3,"v,\nw"\n', [(1, "x"), (3, "v,\nw")], [(3, "record: quote"), (4, "record: quote")], source=NEWLINES),
    Bad("a repeated header",                      'name,ward\nx,A\nname,ward\n"name","ward"\n\ufeffname,ward\nname,B\nx,name\n', [("x", "A"), ("name", "B"), ("x", "name")], [(3, "record: header"), (4, "record: header"), (5, "record: header")], {"name": "string", "ward": "category"}),
    Bad("a repeated header in another case",      'name,ward\nx,A\nName,Ward\n\ufeffNAME , WARD\nName,b\nward,Name\n', [("x", "A"), ("Name", "b"), ("ward", "Name")], [(3, "record: header"), (4, "record: header")], {"name": "string", "ward": "category"}),
    Bad("a value like its only column's name",    'name\nx\nName\nname\n',        [("x",), ("Name",)], [(4, "record: header")], {"name": "string"}),
    Bad("a header where the task says none",      "a,b\n1,x\n",                    [(1, "x")], [(1, "record: header")], source={"header": False}),
    Bad("space around text is no part of it",     "a,b\n 1 , x y \n",              [(1, "x y")]),
    Bad("a lone CR is a line end",                "a,b\r1,x\r2,y\r",               [(1, "x"), (2, "y")]),
    Bad("a comment sign is text",                 "a,b\n#1,x\n1,#y\n",             [(1, "#y")], [(2, "a: type")]),
    # ---- lines
    Bad("CRLF",                                   "a,b\r\n1,x\r\n2,y\r\n",         [(1, "x"), (2, "y")]),
    Bad("a byte order mark",                      "\ufeffa,b\n1,x\n",              [(1, "x")]),
    Bad("a byte order mark, quoted_newlines",     "\ufeffa,b\n1,x\n",              [(1, "x")], source=NEWLINES),
    Bad("no newline at the end",                  "a,b\n1,x",                      [(1, "x")]),
    Bad("only a header",                          "a,b\n",                         []),
    Bad("blank lines are no rows",                "a,b\n\n1,x\n   \n\n2\n",        [(1, "x")], [(6, "record: fields")]),
    Bad("no header, no check of it",              "1,x\n2,y\n",                    [(1, "x"), (2, "y")], source={"header": False}),
    Bad("an empty file without a header",         "",                              [], source={"header": False}),
    # ---- encodings
    Bad("Latin-1 in UTF-8",                       b"a,b\n1,caf\xe9\n2,y\n",        [(2, "y")], [(2, "record: encoding")]),
    Bad("Latin-1 in UTF-8, quoted_newlines",      b"a,b\n1,caf\xe9\n2,y\n",        [(2, "y")], [(2, "record: encoding")], source=NEWLINES),
    Bad("Latin-1 that says so",                   b"a,b\n1,caf\xe9 \x80\n",        [(1, "café")], source={"encoding": "iso-8859-1"}),
    Bad("windows-1252",                           b"a,b\n1,\x80\x93\xe9\n2,\x81\n", [(1, "€“é")], [(3, "record: encoding")], source={"encoding": "windows-1252"}),
    Bad("windows-1252, quoted_newlines",          b"a,b\n1,\x80\x93\xe9\n2,\x81\n", [(1, "€“é")], [(3, "record: encoding")], source={"encoding": "windows-1252", **NEWLINES}),
    Bad("UTF-16 with its mark",                   "\ufeffa,b\r\n1,é\r\n2,\"x\r\n3,\"y, €\"\r\n".encode("utf-16-le"), [(1, "é"), (3, "y, €")], [(3, "record: quote")], source={"encoding": "utf-16"}),
    Bad("UTF-16 of the other order",              "\ufeffa,b\n1,é\n".encode("utf-16-be"), [(1, "é")], source={"encoding": "utf-16"}),
    Bad("half a letter at the end of UTF-16",     "\ufeffa,b\n1,x\n2,y".encode("utf-16-le") + b"z", [(1, "x")], [(3, "record: encoding")], source={"encoding": "utf-16"}),
    Bad("half a pair in UTF-16",                  "a,b\n1,\ud83d\n2,\U0001f600\n".encode("utf-16-le", "surrogatepass"), [(2, "\U0001f600")], [(2, "record: encoding")], source={"encoding": "utf-16le"}),
    Bad("UTF-16, quoted_newlines",                "\ufeffa,b\n1,\"x\ny\"\n".encode("utf-16-be"), [(1, "x\ny")], source={"encoding": "utf-16be", **NEWLINES}),
    Bad("JSON lines in UTF-16",                   '{"a": 1, "b": "x\\"é"}\n{"a": 2}\n'.encode("utf-16"), [(1, 'x"é'), (2, None)], source={"encoding": "utf-16", **NDJSON}),
    # ---- values
    Bad("a decimal is not rounded",               "a,b\n1,1.25\n2,1.255\n3,1.2500\n4,.5\n", [(1, 1.25), (3, 1.25), (4, 0.5)], [(3, "b: type")], AD),
    Bad("a decimal too long",                     "a,b\n1,123456789.5\n2,12345678.5\n", [(2, 12345678.5)], [(2, "b: type")], AD),
    Bad("a year is no date, nor is 30 February",  "a,b\n1,2024\n2,2024-02-30\n3,2024-02-29\n4,2024-02-29 10:00\n5,2024-2-9\n", [(3, "2024-02-29")], [(2, "b: type"), (3, "b: type"), (5, "b: type"), (6, "b: type")], DATE),
    Bad("whole numbers past 2^53",                "a,b\n9007199254740993,x\n",     [(9007199254740993, "x")]),
    Bad("whole numbers past 2^63",                "a,b\n9223372036854775807,x\n9223372036854775808,y\n", [(9223372036854775807, "x")], [(3, "a: type")]),
    Bad("a whole number is no 1.0 nor 1e3",       "a,b\n1.0,x\n1e3,y\n+7,z\n",     [(7, "z")], [(2, "a: type"), (3, "a: type")]),
    Bad("NaN and Infinity are no numbers",        "a,b\n1,NaN\n2,Infinity\n3,-inf\n4,1e400\n5,1d\n6,1e3\n", [(6, 1000.0)], [(2, "b: type"), (3, "b: type"), (4, "b: type"), (5, "b: type"), (6, "b: type")], {"a": "long", "b": "double"}),
    Bad("columns named like medspark's own",      "line,raw,file,rule\n1,x,y,z\n2,x,y\n", [(1, "x", "y", "z")], [(3, "record: fields")], {"line": "long", "raw": "string", "file": "string", "rule": "string"}),
    Bad("names with dots, quotes and spaces",     "a.b,c`d,e f\n1,x,y\n",          [(1, "x", "y")], [], {"a.b": "long", "c`d": "string", "e f": "string"}),
    # ---- other dialects
    Bad("a preamble, two header lines, a comment, a footer", "made today\nlab,\na,b\n1,'x,y'\n# none\n2\n3,'z\n4,it''s\nsum,4\n\n", [(1, "x,y")], [(6, "record: fields"), (7, "record: quote"), (8, "record: quote")], {"lab_a": "long", "b": "string"}, {"dialect": LAYOUT}),
    Bad("an escape, a delimiter of two letters",  "a||b\n1||x\\||y\n2||'p\nq\\'r'\n3||x||y\n", [(1, "x||y"), (2, "p\nq'r")], [(5, "record: fields")], source={"dialect": {"delimiter": "||", "quote": "'", "escape": "\\"}, **NEWLINES}),
    Bad("a line end in a field beside others in quotes", "a;b;c\n1;'x;y';'p\nq'\n2;'5 \"';'\r'\n3;z;'w,v'\n", [(1, "x;y", "p\nq"), (2, '5 "', None), (3, "z", "w,v")], [], ABC, {"delimiter": ";", "dialect": {"quote": "'"}, **NEWLINES}),
    Bad("numbers in groups between narrow spaces", "a;b\n1\u202f234;1\u202f234\u202f567,5\n2;12 34\n", [(1234, 1234567.5)], [(3, "b: type")], {"a": "long", "b": "double"}, {"delimiter": ";", "dialect": {"decimal": ",", "thousands": "\u202f"}}),
    Bad("fields of fixed width",                  "1  xy \n22 y\n3z\n444xyz!\n", [(1, "xy"), (22, "y")], [(3, "record: fields"), (4, "record: fields")], source={"header": False, "dialect": {"widths": [3, 3]}}),
    Bad("numbers with a comma, in groups",        "a;b\n1.234;1.234,5\n2;,5\n3;1.5\n4;12.34,5\n5;-1e3\n6;1,2,3\n7,0;1\n", [(1234, 1234.5), (2, 0.5), (5, -1000.0)], [(4, "b: type"), (5, "b: type"), (7, "b: type"), (8, "a: type")], {"a": "long", "b": "double"}, {"delimiter": ";", "dialect": {"decimal": ",", "thousands": "."}}),
    # ---- JSON
    Bad("an unknown key",                         '{"a": 1, "b": "x"}\n{"a": 2, "b": "y", "c": 3}\n', [(1, "x")], [(2, "record: unknown key")], source=NDJSON),
    Bad("a key in another case",                  '{"a": 1, "b": "x"}\n{"A": 2, "b": "y"}\n', [(1, "x")], [(2, "record: unknown key")], source=NDJSON),
    Bad("a key twice",                            '{"a": 1, "b": "x"}\n{"a": 2, "b": "y", "a": 3}\n', [(1, "x")], [(2, "record: repeated key")], source=NDJSON),
    Bad("a key missing is a value missing",       '{"a": 1, "b": "x"}\n{"a": 2}\n{"a": 3, "b": null}\n', [(1, "x"), (2, None), (3, None)], source=NDJSON),
    Bad("text after the object",                  '{"a": 1, "b": "x"}\n{"a": 2} z\n{"a": 3}]\n{"a": 4}, {"a": 5}\n', [(1, "x")], [(2, "record: json"), (3, "record: json"), (4, "record: json")], source=NDJSON),
    Bad("no object, no JSON",                     '{"a": 1, "b": "x"}\n[1]\n"y"\n{"a": 2\n{\'a\': 3}\n{"a": NaN}\nnull\n', [(1, "x")], [(n, "record: json") for n in range(2, 8)], source=NDJSON),
    Bad("numbers keep their digits",              '{"a": 9007199254740993, "b": 12345678.25}\n{"a": 9223372036854775808, "b": 1}\n{"a": 3, "b": 1.255}\n', [(9007199254740993, 12345678.25)], [(2, "a: type"), (3, "b: type")], AD, NDJSON),
    Bad("a decimal as text, or missing",          '{"a": 1, "b": "1.50"}\n{"a": 2, "b": "?"}\n{"a": 3, "b": "x"}\n', [(1, 1.5), (2, None)], [(3, "b: type")], AD, {**NDJSON, "missing": ["?"]}),
    Bad("a decimal past 18 digits",               '{"a": 1, "b": 1.10000000000000000001}\n{"a": 2, "b": 1.1}\n', [(2, 1.1)], [(1, "b: type")], AD, NDJSON),
    Bad("a JSON array over many lines",           '[\n  {"a": 1,\n   "b": "x"},\n  {"a": 2, "b" "y"},\n  {"a": 3, "b": "z"}\n]\n', [(1, "x"), (3, "z")], [(4, "record: json")], source=JSON),
    Bad("JSON that ends too early",               '[{"a": 1, "b": "x"},\n{"a": 2, "b": "y', [(1, "x")], [(2, "record: json")], source=JSON),
    Bad("a number beyond all measure",            f'{{"a": 1, "b": "x"}}\n{{"a": {"9" * 5000}, "b": "y"}}\n{{"a": 3, "b": "z"}}\n', [(1, "x"), (3, "z")], [(2, "record: json")], source=JSON),
    Bad("an empty file of JSON lines",            "",                              [], source=NDJSON),
]
# fmt: on


Result = tuple[list[tuple[Any, ...]], list[tuple[int, str]]]


@pytest.fixture(scope="module")
def results(
    spark: SparkSession, task_of: Callable[..., TableTask], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Result]:
    """What became of each of SET_ASIDE. Those with the same columns and settings are files of one source, to save time."""
    found: dict[str, Result] = {}
    groups: dict[str, list[Bad]] = {}
    for bad in SET_ASIDE:
        groups.setdefault(json.dumps([bad.columns, bad.source]), []).append(bad)
    for group in groups.values():
        folder = tmp_path_factory.mktemp("source")
        for number, bad in enumerate(group):
            content = bad.content.encode() if isinstance(bad.content, str) else bad.content
            (folder / f"{number:02}.txt").write_bytes(content)
        task = task_of(folder, group[0].columns, **group[0].source)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clean_module, "require_one_row_a_case", lambda *_: None)  # the files use the same ids
            cleaned = clean_module.clean(spark, task)
        records = cleaned.records.orderBy(SOURCE_FILE, SOURCE_LINE).collect()
        aside = cleaned.quarantine.orderBy("file", "line").collect()
        assert cleaned.counts.rows_in == len(records) + len(aside)
        for number, bad in enumerate(group):
            name = f"{number:02}.txt"
            own = [tuple(_plain(v) for v in row)[:-3] for row in records if row[SOURCE_FILE].endswith(name)]
            found[bad.name] = own, [(row["line"], row["rule"]) for row in aside if row["file"].endswith(name)]
        cleaned.release()
    return found


def _plain(value: Any) -> Any:
    """Decimals as numbers and dates as text, for short tables."""
    match type(value).__name__:
        case "Decimal":
            return float(value)
        case "date":
            return str(value)
    return value


@pytest.mark.parametrize("bad", SET_ASIDE, ids=lambda bad: bad.name)
def test_a_bad_row_is_set_aside_and_its_neighbours_are_kept(bad: Bad, results: dict[str, Result]) -> None:
    assert results[bad.name] == (bad.records, bad.aside)
