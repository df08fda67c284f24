"""Both ways to read a table come to the same: Spark's, and workers' that read the files themselves."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from support.cleaning import AB, Clean
from support.dirty import COLUMNS, SECTIONS, SETTINGS, dirty_files, each_cell

from medspark.clean.table import Cleaned
from medspark.errors import InputError, TaskError
from medspark.schemas import DIGEST, FILE, LINE, SOURCE_FILE, SOURCE_LINE
from medspark.sources import spans
from medspark.spark import wide

FEW = settings(max_examples=1, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
"""Without shrinking, which would take hours at some seconds a file."""


def outcome(cleaned: Cleaned) -> dict[str, Any]:
    """All that a reader can see of what was cleaned."""
    records = cleaned.records.orderBy(SOURCE_FILE, SOURCE_LINE)
    quarantine = cleaned.quarantine.orderBy(FILE, LINE, DIGEST)
    found = {
        "counts": asdict(cleaned.counts),
        "fingerprint": cleaned.fingerprint,
        "types": (records.dtypes, quarantine.dtypes),
        "records": [tuple(row) for row in _printable(records).collect()],
        "quarantine": [tuple(row) for row in quarantine.collect()],
    }
    cleaned.release()
    return found


def _printable(records: DataFrame) -> DataFrame:
    """Times as text: Python's have no year 12020."""
    times = [name for name, kind in records.dtypes if kind in ("timestamp", "date")]
    return records.withColumns({name: F.col(name).cast("string") for name in times})


def both(clean_path: Clean, path: Path, columns: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The outcome, which is that of both ways."""
    by_workers = outcome(clean_path(path, columns, reader="workers", **settings))
    by_spark = outcome(clean_path(path, columns, reader="spark", **settings))
    for name, found in by_spark.items():
        assert by_workers[name] == found, name
    return by_spark


@FEW
@given(file=dirty_files())
def test_a_dirty_file_has_the_same_records_quarantine_counts_and_fingerprint(
    file: tuple[bytes, str], clean_path: Clean, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("dirty") / "in.csv"
    path.write_bytes(file[0])
    found: dict[str, Any] = {}
    for reader in ("workers", "spark"):
        try:
            cleaned = clean_path(path, COLUMNS, sections=SECTIONS, reader=reader, delimiter=file[1], **SETTINGS)
            found[reader] = outcome(cleaned)
        except InputError as error:  # an other header among the rows, or a case that is there twice, ends both
            found[reader] = str(error)
    assert found["workers"] == found["spark"]


def test_every_cell_that_somebody_has_to_judge_is_judged_alike(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_bytes(each_cell())
    found = both(clean_path, tmp_path / "in.csv", COLUMNS, sections=SECTIONS, **SETTINGS)
    monkeypatch.setattr(wide, "MANY", 1)  # as of a wide table, of which Spark compiles nothing
    assert both(clean_path, tmp_path / "in.csv", COLUMNS, sections=SECTIONS, **SETTINGS) == found
    assert found["counts"]["records"] > 200
    assert len(found["counts"]["quarantined"]) > 15


def test_files_that_begin_and_end_in_any_way(clean_path: Clean, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = [bytes(random.choice([*range(32, 127), *range(128, 256), 0xE2, 0x80, 0xF0], 12)) for _ in range(400)]
    files = {
        "a": b"a,b\n1,x",
        "b": b"\xef\xbb\xbfa,b\r\n2,x\r\n",
        "c": b"a,b\r3,x\r\r4,x\r",
        "d": b"a,b\n",
        "e": b"a,b\n\xef\xbb\xbf5,x\n\xef\xbb\xbfa,b\nA, B \n\xef\xbb\xbfA,B\n6,\xef\xbb\xbfx\n\n   \n",
        "f": b'a,b\n"7","x ""y"""\n8,"x\ty"\n9,"x\n10,x"\n11,""\n"12" ,x\n13,"x"y\n,\n',
        "g": b"a,b\n" + b"\n".join(b"%d,%s" % item for item in enumerate(noise, 100)),
    }
    for name, content in files.items():
        (tmp_path / f"{name}.csv").write_bytes(content)
    found = both(clean_path, tmp_path, AB)
    assert {row[0] for row in found["records"]} >= {1, 2, 3, 4, 5, 6, 7, 8, 11}
    assert found["counts"]["normalised"]["b: invisible letters"] >= 1
    assert found["counts"]["quarantined"]["record: encoding"] > 300


@pytest.mark.parametrize("plain", [0, 200])
def test_a_quoted_tab_at_a_value_s_end_is_white_space_where_tabs_are_delimiters(
    clean_path: Clean, tmp_path: Path, plain: int
) -> None:
    rows = ['1\t"\tP1"', '2\t"P1\t"', '3\t"P\t1"', "4\tP1", '5\t"\t"', '"\t6"\t"P1"', '7\t"""\tP1"""']
    (tmp_path / "in.tsv").write_text("\n".join(["a\tb", *rows, *(f"{at}\tP1" for at in range(100, 100 + plain))]))
    found = both(clean_path, tmp_path / "in.tsv", AB, delimiter="\t")
    values = [(1, "P1"), (2, "P1"), (3, "P\t1"), (4, "P1"), (5, None), (6, "P1"), (7, '"\tP1"')]
    assert [row[:2] for row in found["records"][:7]] == values
    assert found["counts"]["normalised"]["b: invisible letters"] == 3
    assert found["counts"]["records"] == 7 + plain


def test_a_file_that_has_a_mark_alone_has_no_line(clean_path: Clean, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf\xef\xbb\xbf1,x\n2,\xe2\x80\x8bx")
    found = both(clean_path, tmp_path, AB, header=False)
    assert (found["counts"]["blank_lines"], found["counts"]["records"]) == (0, 2)
    assert found["counts"]["normalised"] == {"a: invisible letters": 1, "b: invisible letters": 1}


def test_a_check_that_fails_the_run_counts_rows_that_were_set_aside_too(clean_path: Clean, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('a,b,c\n1,x,9\n2,x,9,9\n3,x,1\n4,x,"9\n5,5 "q",9\n6,x,9x\n')
    checks = [
        {"name": "b is no x", "expect": "b != 'x' or c < 5", "otherwise": "fail"},
        {"name": "a is low", "expect": "a < 6"},
    ]
    columns, said = {**AB, "c": "integer"}, []
    for reader in ("workers", "spark"):
        with pytest.raises(InputError) as error:
            clean_path(tmp_path / "in.csv", columns, sections={"checks": checks}, reader=reader)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "b is no x: 3 rows" in said[0]
    checks[0]["otherwise"] = "set_aside"
    found = both(clean_path, tmp_path / "in.csv", columns, sections={"checks": checks})
    assert [row[0] for row in found["records"]] == [3, 5]
    assert [row[5] for row in found["quarantine"]] == [
        "expected b != 'x' or c < 5",
        "expected one field for each column; expected b != 'x' or c < 5",
        "expected every quote to be closed within its field, and none unpaired: is a delimiter lost before it?; "
        "expected b != 'x' or c < 5",
        "c: expected a whole number of at most 32 bits; expected a < 6",
    ]


def test_files_in_several_spans_have_true_lines(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "LEAST_BYTES", 64)
    monkeypatch.setattr(spans, "SPAN_BYTES", 64)
    (tmp_path / "a b.csv").write_text("a,b\n" + "".join(f"{n},{'x' * (n % 50)}\n" for n in range(60)))
    (tmp_path / "c.csv").write_text("a,b\n\n" + "".join(f"{n},{'y' if n % 7 else 'z,z'}\n\n" for n in range(100, 130)))
    found = both(clean_path, tmp_path, AB)
    lines = {row[0]: row[3] for row in found["records"]}
    assert (lines[0], lines[59], lines[101], lines[129]) == (2, 61, 5, 61)
    assert [(row[2], row[4]) for row in found["quarantine"][:2]] == [(13, "record: fields"), (27, "record: fields")]


@pytest.mark.parametrize(
    ("duplicates", "kept"),
    [
        ({"same": ["b"], "keep": "first"}, [1, 3, 4, 6]),
        ({"same": ["b"], "keep": "latest", "by": "c"}, [2, 3, 4, 6]),
        ({"same": ["b", "c"], "keep": "earliest", "by": "a"}, [1, 2, 3, 4, 6, 7]),
        ({"same": "whole_row"}, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_which_of_the_rows_that_are_the_same_counts(
    clean_path: Clean, tmp_path: Path, duplicates: dict[str, Any], kept: list[int]
) -> None:
    rows = ["1,x,1", "2,x,2", "3,y,", "4,,5", "5,,5", "6,z,1", "7,z,", "3,y,"]
    (tmp_path / "in.csv").write_text("a,b,c\n" + "\n".join(rows))
    columns = {**AB, "c": "integer"}
    found = both(clean_path, tmp_path / "in.csv", columns, duplicates=duplicates)
    assert [row[0] for row in found["records"]] == kept
    assert found["counts"]["duplicates"] == len(rows) - len(kept)


def test_a_case_that_is_there_twice_ends_the_run(clean_text: Clean) -> None:
    with pytest.raises(InputError, match="expected each 'a' once, received 1 of them more than once"):
        clean_text("a,b\n1,x\n1,y\n2,x\n", AB, reader="workers")


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252"])
def test_one_byte_encodings(clean_path: Clean, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "in.csv").write_bytes(b"a,b\n1,\xe9\n2,\x80\n3,\x81\n4,\x93x\x94\r\n5,x\n")
    found = both(clean_path, tmp_path / "in.csv", AB, encoding=encoding)
    assert found["records"][0][1] == "é"


def test_lines_that_only_spark_can_read_are_read_by_it(clean_path: Clean, tmp_path: Path) -> None:
    text = 'a,b\n1,5 "q" y\n2,x\n2,5 "q" y\n3,"x"\n1,again\n4,5 "q",z\n'
    (tmp_path / "in.csv").write_text(text)
    found = both(clean_path, tmp_path / "in.csv", AB, duplicates={"same": ["a"], "keep": "first"})
    assert [row[:2] for row in found["records"]] == [(1, '5 "q" y'), (2, "x"), (3, "x")]
    assert found["counts"]["duplicates"] == 2


def test_the_receipt_can_say_who_read_and_why_and_what_workers_cannot_is_refused(
    clean_text: Clean, tmp_path: Path
) -> None:
    cleaned = clean_text("a,b\n1,x\n", AB)
    assert cleaned.reader == ("workers", "they can tell all that the table asks")
    cleaned.release()
    columns = {"a": "long", "b": {"type": "date", "format": "d/M/yyyy"}}
    cleaned = clean_text("a,b\n1,1/2/2003\n", columns)
    assert cleaned.reader == ("spark", "workers cannot: column 'b': the pattern d/M/yyyy")
    cleaned.release()
    with pytest.raises(TaskError, match="workers cannot do it here: column 'b'"):
        clean_text("a,b\n1,1/2/2003\n", columns, reader="workers")


def test_files_beside_which_hadoops_checksums_lie_are_read_by_spark_which_compares_them(
    clean_path: Clean, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,x\n")
    (tmp_path / ".in.csv.crc").write_bytes(b"crc\x00\x00\x00\x02\x00" + b"\x00" * 4)  # of other bytes
    with pytest.raises(InputError, match="cannot be read"):
        clean_path(tmp_path / "in.csv", AB).records.collect()


def test_where_hadoops_checksums_agree_workers_read_unless_there_is_much_to_compare(
    clean_path: Clean, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark.createDataFrame([("a,b",), ("1,x",)], "value string").coalesce(1).write.text(str(tmp_path / "in"))
    assert list((tmp_path / "in").glob(".part-*.crc"))
    cleaned = clean_path(tmp_path / "in", AB)
    assert (cleaned.reader.kind, cleaned.counts.records) == ("workers", 1)
    cleaned.release()
    monkeypatch.setattr("medspark.clean.choose_way.SMALL", 7)
    cleaned = clean_path(tmp_path / "in", AB)
    assert cleaned.reader.kind == "spark"
    assert cleaned.reader.because.endswith("checksums lie beside the files, which its own reader compares")
    cleaned.release()


def test_many_small_files_are_read_by_spark_unless_workers_are_asked_for(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(3):
        (tmp_path / f"{at}.csv").write_text(f"a,b\n{at},x\n")
    monkeypatch.setattr("medspark.clean.choose_way.MANY", 2)
    for asked, kind in (("auto", "spark"), ("workers", "workers")):
        cleaned = clean_path(tmp_path, AB, reader=asked)
        assert (cleaned.reader.kind, cleaned.counts.records) == (kind, 3)
        cleaned.release()
    monkeypatch.setattr("medspark.clean.choose_way.SMALL_FILE", 4)
    cleaned = clean_path(tmp_path, AB)
    assert cleaned.reader.kind == "workers"
    cleaned.release()
