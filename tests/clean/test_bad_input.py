# ruff: noqa: E501, RUF012 (tables are easier to scan with a case on each line)
"""Bad input, hand-made and real, and what cleaning makes of it: records, rows set aside by rule, or a refusal."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from medspark.clean import table as clean_module
from medspark.clean.table import Cleaned
from medspark.errors import InputError
from medspark.schemas import SOURCE_FILE, SOURCE_LINE
from medspark.task.table_task import TableTask

Clean = Callable[..., Cleaned]
Rows = Callable[[Cleaned], list[tuple[Any, ...]]]

SECRET = "Zebedee-4711"
"""Planted in rows that go wrong: no message may hold it."""

AB = {"a": "long", "b": "string"}
AD = {"a": "long", "b": {"type": "decimal", "precision": 10, "scale": 2}}
DATE = {"a": "long", "b": {"type": "date", "format": "yyyy-MM-dd"}}
NEWLINES = {"quoted_newlines": True}
NDJSON = {"format": "ndjson"}
JSON = {"format": "json"}


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
    Bad("space around text is part of it",        "a,b\n 1 , x \n",                [(1, " x ")]),
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
    Bad("Latin-1 that says so",                   b"a,b\n1,caf\xe9 \x80\n",        [(1, "café \x80")], source={"encoding": "iso-8859-1"}),
    Bad("windows-1252",                           b"a,b\n1,\x80\x93\xe9\n2,\x81\n", [(1, "€“é")], [(3, "record: encoding")], source={"encoding": "windows-1252"}),
    Bad("windows-1252, quoted_newlines",          b"a,b\n1,\x80\x93\xe9\n2,\x81\n", [(1, "€“é")], [(3, "record: encoding")], source={"encoding": "windows-1252", **NEWLINES}),
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


# ---------------------------------------------------------------- refused as a whole

# fmt: off
REFUSED: list[tuple[str, dict[str, str | bytes], dict[str, Any], list[str]]] = [
    # name                            files                                             settings   words of the refusal
    ("a missing column",              {"1.csv": f"a\n{SECRET}\n"},                      {},        ["1.csv: column 'b' is missing."]),
    ("a renamed column",              {"1.csv": f"a,bb\n1,{SECRET}\n"},                 {},        ["column 'b' is missing. Did you mean 'bb'?", "column 'bb' is not in the task."]),
    ("a column in another case",      {"1.csv": f"a,B\n1,{SECRET}\n"},                  {},        ["column 'b' is missing.", "column 'B' is not in the task."]),
    ("an extra column",               {"1.csv": f"a,b,c\n1,x,{SECRET}\n"},              {},        ["column 'c' is not in the task."]),
    ("reordered columns",             {"1.csv": f"b,a\n{SECRET},1\n"},                  {},        ["column 1: expected 'a', received 'b': reordered columns"]),
    ("a column twice",                {"1.csv": f"a,b,b\n1,x,{SECRET}\n"},              {},        ["column 'b' is there 2 times"]),
    ("a column without a name",       {"1.csv": f"a,b,\n1,x,{SECRET}\n"},               {},        ["column '' is not in the task."]),
    ("data where a header should be", {"1.csv": f"1,{SECRET}\n2,{SECRET}\n"},           {},        ["expected a header as the first line, received none of the task's columns"]),
    ("another delimiter",             {"1.csv": f"a;b\n1;{SECRET}\n"},                  {},        ["expected a header as the first line, received none of the task's columns"]),
    ("a blank first line",            {"1.csv": f"\na,b\n1,{SECRET}\n"},               {},        ["expected a header as the first line, received none"]),
    ("a neighbour with other columns", {"1.csv": "a,b\n1,x\n", "2.csv": f"b,a\n{SECRET},1\n"}, {}, ["2.csv: column 1: expected 'a', received 'b'"]),
    ("an empty file",                 {"1.csv": ""},                                    {},        ["1.csv: expected a header, received an empty file"]),
    ("an empty file, quoted_newlines", {"1.csv": ""},                                   NEWLINES,  ["1.csv: expected a header, received an empty file"]),
    ("an empty file among others",    {"1.csv": "a,b\n1,x\n", "2 é%41.csv": ""},        {},        ["2 é%41.csv: expected a header, received an empty file"]),
    ("no file",                       {},                                               {},        ["expected at least one file, received none"]),
    ("a file hidden by _",            {"1.csv": "a,b\n1,x\n", "_2.csv": f"a,b\n2,{SECRET}\n"}, {}, ["Spark passes over names that start with _ or .", "_2.csv"]),
    ("a file hidden by a dot",        {"1.csv": "a,b\n1,x\n", ".2.csv": "a,b\n2,y\n"},  {},        ["Spark passes over names that start with _ or .", ".2.csv"]),
    ("a file in a hidden folder",     {"1.csv": "a,b\n1,x\n", "_old/2.csv": "a,b\n2,y\n"}, {},     ["Spark passes over names that start with _ or .", "_old/2.csv"]),
    ("a name that looks like a marker", {"1.csv": "a,b\n1,x\n", "_metadata_2.csv": "a,b\n2,y\n"}, {}, ["_metadata_2.csv"]),
    ("a name that is a pattern",      {"1.csv": "a,b\n1,x\n", "[1].csv": "a,b\n2,y\n"},  {},       ["Spark takes names with any of", "[1].csv"]),
    ("a column in a folder's name",   {"b=00123/1.csv": f"a\n{SECRET}\n"},              {},        ["column 'b' is missing. A directory above has it in its name, which is not read."]),
    ("half a gzip file",              {"1.csv.gz": gzip.compress(b"a,b\n" + b"".join(b"%d,Zebedee-4711 %d\n" % (n, n * n) for n in range(5000)))[:9000]}, {}, ["It ends too early"]),
    ("half a gzip file, quoted_newlines", {"1.csv.gz": gzip.compress(b"a,b\n" + b"1,x\n" * 5000)[:60]}, NEWLINES, ["It ends too early"]),
    ("a .gz that is no gzip",         {"1.csv.gz": f"a,b\n1,{SECRET}\n"},               {},        ["A file named .gz is not compressed by gzip"]),
    ("a .gz that is no gzip, quoted_newlines", {"1.csv.gz": f"a,b\n1,{SECRET}\n"},      NEWLINES,  ["A file named .gz is not compressed by gzip"]),
    ("a compression that only Spark reads", {"1.csv.zst": f"a,b\n1,{SECRET}\n"},        NEWLINES,  ["1.csv.zst: expected .gz, .bz2 or no compression"]),
    ("no JSON record has the key",    {"1.json": f'{{"a": 1, "bb": "{SECRET}"}}\n'},     NDJSON,    ["no record has the key 'b'. Did you mean 'bb'?"]),
    ("no Parquet",                    {"1.parquet": f"a,b\n1,{SECRET}\n"},              {"format": "parquet"}, ["It is not a Parquet file"]),
    ("an empty Parquet file",         {"1.parquet": ""},                                {"format": "parquet"}, ["It is not a Parquet file"]),
    ("no ORC",                        {"1.orc": f"a,b\n1,{SECRET}\n"},                  {"format": "orc"}, ["a file cannot be read. It is damaged, or not of the format that the task names."]),
    ("a case id twice",               {"1.csv": f"a,b\n4711,{SECRET}\n4711,y\n"},      {},        ["expected each 'a' once, received 1 of them more than once", "duplicates: {same: [a], keep: first}"]),
]
# fmt: on


def write_files(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.mark.parametrize(
    ("files", "source", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_source_that_breaks_its_contract_is_refused_without_a_patients_value(
    files: dict[str, str | bytes], source: dict[str, Any], words: list[str], clean_path: Clean, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        clean_path(write_files(tmp_path, files), AB, **source)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)
    assert SECRET not in str(error.value)
    assert "4711" not in str(error.value)


def test_a_setting_that_hides_corrupt_files_does_not_pass(
    spark: SparkSession, clean_path: Clean, tmp_path: Path
) -> None:
    half = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(5000)))[:9000]
    files: dict[str, str | bytes] = {"1.csv.gz": half}
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    try:
        with pytest.raises(InputError, match="ignoreCorruptFiles"):
            clean_path(write_files(tmp_path, files), AB)
    finally:
        spark.conf.set("spark.sql.files.ignoreCorruptFiles", "false")


# ---------------------------------------------------------------- files that are fine


def test_files_are_found_whatever_the_folders_above_are_called(
    clean_path: Clean, records_of: Rows, tmp_path: Path
) -> None:
    folder = tmp_path / "_store" / ".hidden" / "date=2024"
    folder.mkdir(parents=True)
    files: dict[str, str | bytes] = {
        "1.csv": "a,b\n1,x\n",
        "sub/2 é+%41.csv": "a,b\n2,y\n",
        "_SUCCESS": "",
        ".1.csv.crc": b"\0",
    }
    cleaned = clean_path(write_files(folder, files), AB)
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()


def test_a_key_in_a_folders_name_is_no_column_and_stays_in_the_records_place(clean_path: Clean, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"pid=00123/1.csv": "a,b\n1,x\n", "pid=00124/1.csv": "a,b\n2,y\n"}
    cleaned = clean_path(write_files(tmp_path, files), AB)
    found = cleaned.records.orderBy("a").collect()
    assert [(row["a"], row["b"], row[SOURCE_FILE].split("/")[-2]) for row in found] == [
        (1, "x", "pid=00123"),
        (2, "y", "pid=00124"),
    ]
    cleaned.release()


@pytest.mark.parametrize("quoted_newlines", [False, True])
def test_compressed_files_are_read(quoted_newlines: bool, clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"1.csv.gz": gzip.compress(b"a,b\n1,x\n"), "2.csv.bz2": bz2.compress(b"a,b\n2,y\n")}
    cleaned = clean_path(write_files(tmp_path, files), AB, quoted_newlines=quoted_newlines)
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()


# ---------------------------------------------------------------- Parquet


def write_parquet(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)


def test_nan_is_missing_and_infinity_breaks_the_type_in_parquet(
    clean_path: Clean, records_of: Rows, set_aside: Rows, tmp_path: Path
) -> None:
    write_parquet(
        tmp_path / "1.parquet", a=[9007199254740993, 2, 3, None, -1], b=[1.5, float("nan"), float("inf"), 4.0, -999.0]
    )
    columns = {"a": {"type": "long", "missing": ["-1"]}, "b": {"type": "double", "missing": ["-999"]}, "id": "string"}
    pq.write_table(pq.read_table(tmp_path / "1.parquet").append_column("id", [list("vwxyz")]), tmp_path / "1.parquet")
    cleaned = clean_path(tmp_path, columns, format="parquet", case="id", subject="id")
    assert sorted(records_of(cleaned), key=lambda row: row[2]) == [
        (9007199254740993, 1.5, "v"), (2, None, "w"), (None, 4.0, "y"), (None, None, "z"),
    ]  # fmt: skip
    assert set_aside(cleaned) == [(None, "b: type")]
    assert '"id":"x"' in cleaned.quarantine.head()["raw"]
    cleaned.release()


PARQUET_NEIGHBOURS = [
    # the second file's columns                  words of the refusal
    ({"a": [1], "b": ["x"], "c": [SECRET]}, "column 'c' is not in the task"),
    ({"a": [1]}, "column 'b' is missing"),
    ({"a": [1], "B": [SECRET]}, "column 'B' is not in the task"),
    ({"a": ["4711"], "b": [SECRET]}, "column 'a' is string here and bigint in"),
]


@pytest.mark.parametrize(("columns", "words"), PARQUET_NEIGHBOURS)
def test_a_parquet_file_with_other_columns_or_types_is_refused(
    columns: dict[str, Any], words: str, clean_path: Clean, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "1.parquet", a=[1], b=["x"])
    write_parquet(tmp_path / "2.parquet", **columns)
    with pytest.raises(InputError) as error:
        clean_path(tmp_path, AB, format="parquet")
    assert words in str(error.value)
    assert SECRET not in str(error.value)


def test_parquet_columns_may_come_in_another_order(clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    write_parquet(tmp_path / "1.parquet", b=["x"], a=[1])
    write_parquet(tmp_path / "2.parquet", a=[2], b=["y"])
    cleaned = clean_path(tmp_path, AB, format="parquet")
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()


# ---------------------------------------------------------------- real files

BAD_PARQUET = [
    # file                                columns                                     words of the refusal
    ("ARROW-GH-41317.parquet", {"int32": "integer"}, "a file cannot be read. It has a column of a type that Spark does not read."),
    ("ARROW-GH-41321.parquet", {"int32": "integer"}, "a file cannot be read. It has a column of a type that Spark does not read."),
    ("ARROW-GH-45185.parquet", {"x": "integer"}, "column 'x' is declared integer"),
    ("ARROW-GH-47662.parquet", {"flba_field": "string"}, "a file cannot be read. It ends too early"),
    ("ARROW-RS-GH-6229-DICTHEADER.parquet", {"nation_key": "integer", "name": "string", "region_key": "integer", "comment_col": "string"}, "column 'name' is declared string, which can be read from string; the source has binary"),
    ("ARROW-RS-GH-6229-LEVELS.parquet", {"outer": "integer"}, "a file cannot be read. It is damaged"),
    ("PARQUET-1481.parquet", {"Handle": "integer"}, "a file cannot be read"),
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize(("name", "columns", "words"), BAD_PARQUET)
def test_each_corrupt_parquet_file_is_refused(
    name: str, columns: dict[str, Any], words: str, data: Path, clean_path: Clean
) -> None:
    with pytest.raises(InputError) as error:
        clean_path(data / "parquet_testing" / "bad_data" / name, columns, format="parquet")
    assert words in str(error.value)


@pytest.mark.data
def test_the_corrupt_parquet_file_that_reads_without_an_error_gives_what_was_written(
    data: Path, clean_path: Clean, records_of: Rows
) -> None:
    """ARROW-GH-43605: a bit width of 0 for the indices of a dictionary of one value, which pyarrow 26 reads alike."""
    path = data / "parquet_testing" / "bad_data" / "ARROW-GH-43605.parquet"
    cleaned = clean_path(path, {"min_fl": "integer"}, format="parquet", duplicates={"same": ["min_fl"]})
    assert records_of(cleaned) == [(0,)]
    assert cleaned.counts.rows_in == pq.ParquetFile(path).metadata.num_rows == 21186
    assert pq.read_table(path)["min_fl"].unique().to_pylist() == [0]
    cleaned.release()


CARS = dict.fromkeys(["year", "make", "model", "comment", "blank"], "string")
DAY = {"type": "date", "format": "yyyy-MM-dd"}
TIME = {"type": "timestamp", "format": "yyyy-MM-dd'T'HH:mm:ss"}
NO_HEADER = {"header": False}
SPARK_CSV: list[tuple[str, dict[str, Any], dict[str, Any], int, list[tuple[int, str]] | str]] = [
    # file                          columns               settings              records  set aside, or words of the refusal
    ("bad_after_good.csv", {"name": "string", "day": DAY}, NO_HEADER, 1, [(2, "day: type")]),
    ("cars-alternative.csv", CARS, {"delimiter": "|"}, 3, []),
    ("cars-blank-column-name.csv", CARS, {}, 0, "column '' is not in the task"),
    ("cars-malformed.csv", CARS, {}, 0, "expected a header as the first line"),
    ("cars-malformed.json", {"year": "long", "make": "string", "model": "string", "price": "double", "comment": "string"}, JSON, 1, [(1, "record: json"), (8, "record: json"), (10, "record: json"), (15, "record: unknown key")]),
    ("cars-multichar-delim-crazy.csv", CARS, {}, 0, "expected a header as the first line"),
    ("cars-null.csv", CARS, {"missing": ["null"]}, 2, [(5, "year: required")]),
    ("cars-with-multiline-lines-to-skip.csv", CARS, {}, 0, "expected a header as the first line"),
    ("comments-whitespaces.csv", {"colA": "string"}, {}, 0, "expected a header as the first line"),
    ("date-infer-schema.csv", {"date": "string", "timestamp-date": TIME, "date-timestamp": DAY}, {}, 1, [(3, "date-timestamp: type"), (4, "timestamp-date: type")]),
    ("malformedRow.csv", {"fruit": "string", "color": "string", "price": "long", "quantity": "long"}, {}, 3, [(5, "record: fields")]),
    ("malformed_utf8.json", {"a": "long"}, {**NDJSON, "duplicates": {"same": ["a"]}}, 1, [(2, "duplicate"), (3, "record: encoding")]),
    ("mixed-types1.csv", {"col_mixed_types": "integer"}, {}, 2, [(4, "col_mixed_types: type")]),
    ("more-columns.csv", {"a": "long", "b": "double"}, NO_HEADER, 0, [(1, "record: fields")]),
    ("unescaped-quotes-unescaped-delimiter.csv", {"c1": "string", "c2": "string"}, {}, 2, []),
    ("value-malformed.csv", {"n": "integer", "day": DAY}, NO_HEADER, 1, [(1, "day: type")]),
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "columns", "source", "records", "outcome"), SPARK_CSV, ids=[case[0] for case in SPARK_CSV]
)
def test_sparks_own_malformed_files(
    name: str,
    columns: dict[str, Any],
    source: dict[str, Any],
    records: int,
    outcome: list[tuple[int, str]] | str,
    data: Path,
    clean_path: Clean,
    set_aside: Rows,
) -> None:
    path = data / "spark_csv" / name
    if isinstance(outcome, str):
        with pytest.raises(InputError, match=outcome):
            clean_path(path, columns, **source)
        return
    cleaned = clean_path(path, columns, **source)
    assert (cleaned.counts.records, set_aside(cleaned)) == (records, outcome)
    cleaned.release()


CSV_SPECTRUM = [
    "comma_in_quotes",
    "empty",
    "empty_crlf",
    "escaped_quotes",
    "json",
    "newlines",
    "newlines_crlf",
    "quotes_and_newlines",
    "simple",
    "simple_crlf",
    "utf8",
]


@pytest.mark.data
@pytest.mark.parametrize("name", CSV_SPECTRUM)
def test_csv_spectrum_is_read_as_its_authors_expect(name: str, data: Path, clean_text: Clean, records_of: Rows) -> None:
    expected = json.loads((data / "csv_spectrum" / "json" / f"{name}.json").read_text(encoding="utf-8"))
    content = (data / "csv_spectrum" / "csvs" / f"{name}.csv").read_bytes()
    if name.endswith("_crlf") and b"\r\n" not in content:  # a checkout changed the line ends
        content = content.replace(b"\n", b"\r\n")
    cleaned = clean_text(content, dict.fromkeys(expected[0], "string"), quoted_newlines=True)
    assert records_of(cleaned) == [tuple(value or None for value in row.values()) for row in expected]
    assert cleaned.counts.quarantined == {}
    cleaned.release()


@pytest.mark.data
def test_the_csv_spectrum_file_in_a_broken_encoding_keeps_its_replacement_letters(
    data: Path, clean_path: Clean, records_of: Rows
) -> None:
    """Its letters were lost before it was published (they are U+FFFD), and its expected JSON has another number."""
    columns = dict.fromkeys(["Contact Phone Number", "Location Coordinates", "Cities", "Counties"], "string")
    cleaned = clean_path(data / "csv_spectrum" / "csvs" / "location_coordinates.csv", columns)
    assert records_of(cleaned) == [("2095257564", "37\ufffd36'37.8\"N 121\ufffd2'17.9\"W", "Modesto", "Stanislaus")]
    cleaned.release()
