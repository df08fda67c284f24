"""Text cut into records: what was written comes out, and no letter is lost."""

import csv
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.cells import CELLS

from medspark.sources.worker.split_records import split_csv, split_json


@given(rows=CELLS)
def test_csv_is_cut_into_what_was_written(rows: list[tuple[str, str]]) -> None:
    texts = []
    for row in rows:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        texts.append(out.getvalue())
    found = list(split_csv("".join(texts)))
    assert [raw + "\n" for _, raw, _ in found] == texts
    assert [rule for _, _, rule in found] == [None] * len(rows)
    assert [line for line, _, _ in found] == [1 + "".join(texts[:n]).count("\n") for n in range(len(rows))]


@given(text=st.text(st.sampled_from('",\n\rab'), max_size=60))
def test_no_letter_of_any_text_is_lost_when_csv_is_cut(text: str) -> None:
    rebuilt = "\n".join(raw for _, raw, _ in split_csv(text))
    assert rebuilt.replace("\r", "") == text.removesuffix("\n").replace("\r", "")


JSON_OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=6), max_size=3),
    max_size=8,
)


@given(rows=JSON_OBJECTS, indent=st.sampled_from([None, 2]), as_array=st.booleans())
def test_json_is_cut_into_what_was_written(rows: list[dict[str, Any]], indent: int | None, as_array: bool) -> None:
    text = json.dumps(rows, indent=indent) if as_array else "\n".join(json.dumps(row, indent=indent) for row in rows)
    found = list(split_json(text))
    assert [(json.loads(raw), rule) for _, raw, rule in found] == [(row, None) for row in rows]
    assert all(text.split("\n")[line - 1].strip(" [").startswith(raw.split("\n")[0][:1]) for line, raw, _ in found)


@given(text=st.text(st.sampled_from('{}[]":,\n a1'), max_size=60))
def test_no_letter_of_any_text_is_lost_when_json_is_cut(text: str) -> None:
    blank = str.maketrans("", "", " \n[],")
    assert "".join(raw for _, raw, _ in split_json(text)).translate(blank) == text.translate(blank)
