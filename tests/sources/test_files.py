# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Which files a source has, and those that Spark would pass over."""

import bz2
import gzip
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.cleaning import AB, Clean, Files, Refusal, Rows, write_files
from support.errors import SECRET

from medspark.errors import InputError
from medspark.schemas import SOURCE_FILE

# fmt: off
REFUSED: list[tuple[str, Files, dict[str, Any], list[str]]] = [
    # name                            files                                             settings   words of the refusal
    ("no file",                       {},                                               {},        ["expected at least one file, received none"]),
    ("a file hidden by _",            {"1.csv": "a,b\n1,x\n", "_2.csv": f"a,b\n2,{SECRET}\n"}, {}, ["Spark passes over names that start with _ or .", "_2.csv"]),
    ("a file hidden by a dot",        {"1.csv": "a,b\n1,x\n", ".2.csv": "a,b\n2,y\n"},  {},        ["Spark passes over names that start with _ or .", ".2.csv"]),
    ("a file in a hidden folder",     {"1.csv": "a,b\n1,x\n", "_old/2.csv": "a,b\n2,y\n"}, {},     ["Spark passes over names that start with _ or .", "_old/2.csv"]),
    ("a name that looks like a marker", {"1.csv": "a,b\n1,x\n", "_metadata_2.csv": "a,b\n2,y\n"}, {}, ["_metadata_2.csv"]),
    ("a name that is a pattern",      {"1.csv": "a,b\n1,x\n", "[1].csv": "a,b\n2,y\n"},  {},       ["Spark takes names with any of", "[1].csv"]),
    ("a colon in a file's name",      {"1.csv": "a,b\n1,x\n", "T10:30.csv": "a,b\n2,y\n"}, {},   ["Hadoop reads no file of this machine whose name has a colon", "T10:30.csv. Rename them."]),
]
# fmt: on


@pytest.mark.parametrize(
    ("files", "source", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_source_with_files_that_are_not_read_is_refused(
    files: Files, source: dict[str, Any], words: list[str], refusal: Refusal
) -> None:
    says = refusal(files, **source)
    assert [word for word in words if word not in says] == [], says


@pytest.mark.parametrize("path", ["w:1", "./w:1/a.csv", "{here}/w:*/a.csv", "{here}/*/a.csv"])
def test_a_colon_in_a_relative_path_or_beside_a_pattern_is_named(
    path: str, clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"w:1/a.csv": "a,b\n1,x\n"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Hadoop takes what is before a colon for a protocol"):
        clean_path(path.format(here=tmp_path), AB)


def test_a_folder_with_a_colon_is_read_by_its_whole_path(clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    cleaned = clean_path(write_files(tmp_path / "w:1", {"sub/a.csv": "a,b\n1,x\n"}), AB)
    assert records_of(cleaned) == [(1, "x")]
    cleaned.release()


def test_a_setting_that_hides_corrupt_files_does_not_pass(
    spark: SparkSession, clean_path: Clean, tmp_path: Path
) -> None:
    half = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(5000)))[:9000]
    files: Files = {"1.csv.gz": half}
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    try:
        with pytest.raises(InputError, match="ignoreCorruptFiles"):
            clean_path(write_files(tmp_path, files), AB)
    finally:
        spark.conf.set("spark.sql.files.ignoreCorruptFiles", "false")


def test_files_are_found_whatever_the_folders_above_are_called(
    clean_path: Clean, records_of: Rows, tmp_path: Path
) -> None:
    folder = tmp_path / "_store" / ".hidden" / "date=2024"
    folder.mkdir(parents=True)
    files: Files = {
        "1.csv": "a,b\n1,x\n",
        "sub/2 é+%41.csv": "a,b\n2,y\n",
        "_SUCCESS": "",
        ".1.csv.crc": b"\0",
    }
    cleaned = clean_path(write_files(folder, files), AB)
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()


def test_a_key_in_a_folders_name_is_no_column_and_stays_in_the_records_place(clean_path: Clean, tmp_path: Path) -> None:
    files: Files = {"pid=00123/1.csv": "a,b\n1,x\n", "pid=00124/1.csv": "a,b\n2,y\n"}
    cleaned = clean_path(write_files(tmp_path, files), AB)
    found = cleaned.records.orderBy("a").collect()
    assert [(row["a"], row["b"], row[SOURCE_FILE].split("/")[-2]) for row in found] == [
        (1, "x", "pid=00123"),
        (2, "y", "pid=00124"),
    ]
    cleaned.release()


@pytest.mark.parametrize("quoted_newlines", [False, True])
def test_compressed_files_are_read(quoted_newlines: bool, clean_path: Clean, records_of: Rows, tmp_path: Path) -> None:
    files: Files = {"1.csv.gz": gzip.compress(b"a,b\n1,x\n"), "2.csv.bz2": bz2.compress(b"a,b\n2,y\n")}
    cleaned = clean_path(write_files(tmp_path, files), AB, quoted_newlines=quoted_newlines)
    assert records_of(cleaned) == [(1, "x"), (2, "y")]
    cleaned.release()
