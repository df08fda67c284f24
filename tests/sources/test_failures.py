# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Files that cannot be read: one sentence each, without a patient's value."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from support.cleaning import NEWLINES, Clean, Files, Refusal
from support.errors import SECRET

from medspark.errors import InputError

# fmt: off
REFUSED: list[tuple[str, Files, dict[str, Any], list[str]]] = [
    # name                            files                                             settings   words of the refusal
    ("half a gzip file",              {"1.csv.gz": gzip.compress(b"a,b\n" + b"".join(b"%d,Zebedee-4711 %d\n" % (n, n * n) for n in range(5000)))[:9000]}, {}, ["It ends too early"]),
    ("half a gzip file, quoted_newlines", {"1.csv.gz": gzip.compress(b"a,b\n" + b"1,x\n" * 5000)[:60]}, NEWLINES, ["It ends too early"]),
    ("a .gz that is no gzip",         {"1.csv.gz": f"a,b\n1,{SECRET}\n"},               {},        ["A file named .gz is not compressed by gzip"]),
    ("a .gz that is no gzip, quoted_newlines", {"1.csv.gz": f"a,b\n1,{SECRET}\n"},      NEWLINES,  ["A file named .gz is not compressed by gzip"]),
    ("a compression that only Spark reads", {"1.csv.zst": f"a,b\n1,{SECRET}\n"},        NEWLINES,  ["1.csv.zst: expected .gz, .bz2 or no compression"]),
    ("no Parquet",                    {"1.parquet": f"a,b\n1,{SECRET}\n"},              {"format": "parquet"}, ["It is not a Parquet file"]),
    ("an empty Parquet file",         {"1.parquet": ""},                                {"format": "parquet"}, ["It is not a Parquet file"]),
    ("no ORC",                        {"1.orc": f"a,b\n1,{SECRET}\n"},                  {"format": "orc"}, ["a file cannot be read. It is damaged, or not of the format that the task names."]),
]
# fmt: on


@pytest.mark.parametrize(
    ("files", "source", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_file_that_cannot_be_read_is_refused_without_a_patients_value(
    files: Files, source: dict[str, Any], words: list[str], refusal: Refusal
) -> None:
    says = refusal(files, **source)
    assert [word for word in words if word not in says] == [], says


# ---------------------------------------------------------------- real files

BAD_PARQUET = [
    # file                                columns                                     words of the refusal
    ("ARROW-GH-41317.parquet", {"int32": "integer"}, "column 'geometry' is not in the task"),
    ("ARROW-GH-41321.parquet", {"int32": "integer"}, "column 'geometry' is not in the task"),
    ("ARROW-GH-45185.parquet", {"x": "integer"}, "column 'x' has a type that Spark does not read: nested"),
    ("ARROW-GH-47662.parquet", {"flba_field": "string"}, "a file cannot be read. It ends too early"),
    ("ARROW-RS-GH-6229-DICTHEADER.parquet", {"nation_key": "integer", "name": "string", "region_key": "integer", "comment_col": "string"}, "column 'name' is declared string, which can be read from bigint or double or float or int or smallint or string or tinyint; the source has binary"),
    ("ARROW-RS-GH-6229-LEVELS.parquet", {"outer": "integer"}, "column 'outer' has a type that Spark does not read: nested"),
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
