# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Sources whose columns are not the table's."""

from pathlib import Path
from typing import Any

import pytest
from support.cleaning import NDJSON, NEWLINES, Clean, Files, Refusal, Rows
from support.errors import SECRET

from medspark.errors import InputError
from medspark.sources.headers import compare_columns
from medspark.task.columns import NumberColumn
from medspark.task.raw_table import RawTable, TableSource

# fmt: off
REFUSED: list[tuple[str, Files, dict[str, Any], list[str]]] = [
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
    ("a column in a folder's name",   {"b=00123/1.csv": f"a\n{SECRET}\n"},              {},        ["column 'b' is missing. A directory above has it in its name, which is not read."]),
    ("UTF-16 that is not declared",   {"1.csv": f"\ufeffa,b\n1,{SECRET}\n".encode("utf-16-le")}, {}, ["1.csv: seems to be utf-16", "Declare it as `encoding:`"]),
    ("UTF-16 for Latin-1",            {"1.csv": f"\ufeff1,{SECRET}\n".encode("utf-16-be")}, {"encoding": "windows-1252", "header": False}, ["1.csv: seems to be utf-16"]),
    ("UTF-16 without its mark",       {"1.csv": f"a,b\n1,{SECRET}\n".encode("utf-16-be")}, NEWLINES,  ["1.csv: seems to be utf-16be"]),
    ("JSON in UTF-16",                {"1.json": f'{{"a": "{SECRET}"}}\n'.encode("utf-16")}, NDJSON,  ["1.json: seems to be utf-16"]),
    ("no JSON record has the key",    {"1.json": f'{{"a": 1, "bb": "{SECRET}"}}\n'},     NDJSON,    ["no record has the key 'b'. Did you mean 'bb'?"]),
]
# fmt: on


@pytest.mark.parametrize(
    ("files", "source", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_source_with_other_columns_is_refused_without_a_patients_value(
    files: Files, source: dict[str, Any], words: list[str], refusal: Refusal
) -> None:
    says = refusal(files, **source)
    assert [word for word in words if word not in says] == [], says


# ---------------------------------------------------------------- many columns


def test_of_thousands_of_columns_with_other_names_each_is_named_with_what_is_a_letter_off() -> None:
    """Comparing each with each, as of a few columns, takes minutes."""
    source = TableSource(kind="table", path="f", format="csv", case="x0", subject="x0")
    table = RawTable("wide", source, {f"x{at}": NumberColumn(type="double") for at in range(3000)})
    problems = compare_columns([f"y{at}" for at in range(3000)], table, "f")
    assert len(problems) == 6000
    assert "column 'x17' is missing. Did you mean 'y17'?" in problems


# ---------------------------------------------------------------- scoring

OUTCOME = {
    "outcome": {"name": "back", "when": "back = 'yes' or late"},
    "derived": {"late": {"type": "boolean", "expression": "days > 3"}},
    "features": {"numeric": ["age"]},
}
STAYS = {"id": "long", "age": "integer", "back": "category", "days": "integer"}


def test_scoring_may_lack_the_outcomes_columns_and_nothing_else(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text("id,age\n1,40\n", STAYS, scoring=True, sections=OUTCOME)
    assert records_of(cleaned) == [(1, 40)]
    cleaned.release()
    with pytest.raises(InputError, match="column 'age' is missing"):
        clean_text("id,back,days\n1,yes,3\n", STAYS, scoring=True, sections=OUTCOME)
    with pytest.raises(InputError, match="column 'back' is missing"):
        clean_text("id,age,days\n1,40,3\n", STAYS, sections=OUTCOME)


def test_files_agree_on_whether_they_have_the_outcome(clean_path: Clean, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,age\n1,40\n")
    (tmp_path / "2.csv").write_text("id,age,back,days\n2,40,yes,3\n")
    with pytest.raises(InputError, match="some files have columns that scoring does not read and some do not"):
        clean_path(tmp_path, STAYS, scoring=True, sections=OUTCOME)
