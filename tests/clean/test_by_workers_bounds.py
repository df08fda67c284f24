"""What workers read whatever a file is like: nothing of a row through the driver, failures as what they are."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext
from support.cleaning import AB, Clean

from medspark.clean import by_workers, same_rows
from medspark.clean.tasks import each
from medspark.clean.worker.same_rows import Repeated
from medspark.errors import InputError, SparkError, TaskError
from medspark.sources.worker import spans

FIRST = {"same": ["a"], "keep": "first"}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What workers sent to the driver."""
    found: list[Any] = []

    def noted(*arguments: Any) -> list[Any]:
        told = each(*arguments)
        found.extend(told)
        return told

    for module in (by_workers, same_rows):
        monkeypatch.setattr(module, "each", noted)
    return found


@pytest.fixture
def no_frame_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql.classic.dataframe import DataFrame

    def refused(_: Any) -> pa.Table:
        raise AssertionError("rows on the driver")

    monkeypatch.setattr(DataFrame, "toArrow", refused)


@pytest.mark.usefixtures("no_frame_collected")
@pytest.mark.parametrize(("duplicates", "copies"), [(FIRST, 400), ({"same": "whole_row"}, 200)])
def test_a_delivery_that_is_there_twice_and_that_only_spark_can_read_has_no_row_on_the_driver(
    clean_path: Clean, tmp_path: Path, results: list[Any], duplicates: dict[str, Any], copies: int
) -> None:
    doubtful = "".join(f'{n},5 "q" y\n' for n in range(1, 201))
    sound = "".join(f"{n},x\n" for n in range(1, 201))
    for name, text in (("1", doubtful), ("2", doubtful), ("3", sound if duplicates == FIRST else "")):
        (tmp_path / f"{name}.csv").write_text("a,b\n" + text)
    if duplicates != FIRST:  # of rows whose text differs a case is there twice no more
        (tmp_path / "3.csv").write_text("a,b\n" + sound.replace(",x", "0000,x"))
    cleaned = clean_path(tmp_path, AB, duplicates=duplicates, reader="workers")
    assert (cleaned.counts.rows_in, cleaned.counts.duplicates) == (600, copies)
    cleaned.release()
    assert len(repr(results)) < 10_000


def test_workers_send_the_same_of_few_rows_and_of_many(clean_path: Clean, tmp_path: Path, results: list[Any]) -> None:
    sizes = []
    for rows in (100, 10_000):
        text = "".join(f"{n},x\n" for n in range(rows))
        (tmp_path / "in.csv").write_text("a,b\n" + text + text)
        results.clear()
        cleaned = clean_path(tmp_path / "in.csv", AB, duplicates=FIRST, reader="workers")
        assert (cleaned.counts.records, cleaned.counts.duplicates) == (rows, rows)
        cleaned.release()
        sizes.append(len(repr(results)))
    assert sizes[1] < 2 * sizes[0]


@pytest.mark.parametrize(("duplicates", "by_bytes"), [(FIRST, False), ({"same": "whole_row"}, True)])
def test_rows_whose_text_is_compared_are_shared_out_by_their_bytes(
    clean_path: Clean,
    context: SparkContext,
    tmp_path: Path,
    results: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    duplicates: dict[str, Any],
    by_bytes: bool,
) -> None:
    monkeypatch.setattr(same_rows, "BYTES_OF_A_BUCKET", 100)
    (tmp_path / "in.csv").write_text("a,b\n" + "".join(f"{n},{'x' * 90}\n" for n in range(10, 20)) + f"19,{'x' * 90}\n")
    cleaned = clean_path(tmp_path / "in.csv", AB, duplicates=duplicates, reader="workers")
    assert (cleaned.counts.records, cleaned.counts.duplicates) == (10, 1)
    cleaned.release()
    buckets = sum(isinstance(told, Repeated) for told in results)
    assert buckets == (11 if by_bytes else context.defaultParallelism)


@pytest.mark.parametrize(("duplicates", "has_text"), [(FIRST, False), ({"same": "whole_row"}, True)])
def test_text_is_compared_only_where_it_says_which_rows_are_the_same(
    clean_path: Clean,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    duplicates: dict[str, Any],
    has_text: bool,
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.setattr(by_workers, "spill_folders", lambda: str(place))
    (tmp_path / "in.csv").write_text('a,b\n1,5 "q" y\n2,x\n1,5 "q" y\n')
    cleaned = clean_path(tmp_path / "in.csv", AB, duplicates=duplicates, reader="workers")
    assert cleaned.counts.duplicates == 1
    found = [pq.read_schema(file).names for file in place.glob("raw-*/compared/*.parquet")]
    assert {"text" in names for names in found} == {has_text}
    cleaned.release()


# ---------------------------------------------------------------- failures


def test_a_file_that_this_user_may_not_read_is_told_as_that(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,x\n")

    class Refusing:
        def open_input_file(self, path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

    place = spans.open_place
    size = lambda address: place(address)[0].get_file_info(place(address)[1]).size  # noqa: E731
    monkeypatch.setattr("medspark.sources.spans.size_of", size)
    monkeypatch.setattr(spans, "open_place", lambda address: (Refusing(), address))
    with pytest.raises(InputError, match=r"in\.csv: this user may not read the file"):
        clean_path(tmp_path / "in.csv", AB, reader="workers")


def test_a_file_that_is_gone_or_that_this_user_may_not_look_at_has_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"in\.csv: the file is gone\. Run again once the source is complete"):
        spans.size_of(f"file:{tmp_path}/in.csv")

    class Refusing:
        def get_file_info(self, path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(spans, "open_place", lambda address: (Refusing(), address))
    with pytest.raises(InputError, match=r"in\.csv: this user may not read the file"):
        spans.size_of(f"file:{tmp_path}/in.csv")


def test_what_a_worker_says_of_a_file_is_told_as_it_is(context: SparkContext, tmp_path: Path) -> None:
    span = spans.Span("in.csv", f"file:{tmp_path}/in.csv", 0, 10)
    with pytest.raises(InputError, match=r"in\.csv: the file is gone"):
        each(context, [span], lambda span: spans.read_lines(span, "utf-8"))


@pytest.mark.parametrize("work", [lambda _: os._exit(9), lambda _: bytes(2**62)])
def test_a_worker_that_ends_for_lack_of_memory_is_no_damaged_source(
    context: SparkContext, work: Callable[[int], None]
) -> None:
    with pytest.raises(SparkError, match="as where memory is short"):
        each(context, [1], work)


# ---------------------------------------------------------------- lines of any length


def test_a_file_whose_lines_end_in_carriage_returns_alone_is_cut_into_spans(tmp_path: Path) -> None:
    ends = [b"\r", b"\r\n", b"\n", b"\r\r", b"\n\r"]
    content = b"".join(b"%d,x%s" % (n, ends[n % 5]) for n in range(40))
    (tmp_path / "in.csv").write_bytes(content)
    whole = _lines_of(tmp_path / "in.csv", len(content))
    assert len(whole) == 56
    for size in (1, 2, 3, 7):
        assert _lines_of(tmp_path / "in.csv", size) == whole


def _lines_of(path: Path, size: int) -> list[bytes]:
    length = path.stat().st_size
    parts = [spans.Span("f", f"file:{path}", at, min(at + size, length)) for at in range(0, length, size)]
    read = (spans.read_lines(part, "utf-8") for part in parts)
    return [lines.line(at) for lines in read for at in range(len(lines))]


def test_a_header_that_is_too_long_for_workers_is_no_reason_to_hold_it(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "LONGEST_LINE", 2**20)
    (tmp_path / "in.csv").write_text("a," + "b" * 3 * 2**20 + "\n1,x\n")
    with pytest.raises(TaskError, match="workers cannot do it here: a line has more than 1 MB"):
        clean_path(tmp_path / "in.csv", AB, reader="workers")


def test_a_line_that_is_too_long_for_workers_is_spark_s(
    clean_path: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medspark.sources.spans.SPAN_BYTES", 2 * 2**20)
    (tmp_path / "in.csv").write_text("a,b\n1," + "b" * 36 * 2**20 + "\n2,x\n")
    cleaned = clean_path(tmp_path / "in.csv", AB)
    assert cleaned.reader == ("spark", "workers cannot: a line has more than 32 MB")
    assert cleaned.counts.records == 2
    cleaned.release()
