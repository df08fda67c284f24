"""Files on Hadoop's file systems, here this machine's."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark import SparkContext

from medspark.store.files import (
    _file_system,
    _hadoop,
    bring,
    copy_to_local,
    create_text,
    delete,
    exists,
    full_path,
    list_files,
    list_paths,
    match_files,
    path_here,
    read_text,
    write_text,
)


def test_a_small_file_is_replaced_in_one_step_and_keeps_its_letters(context: SparkContext, tmp_path: Path) -> None:
    path = f"{tmp_path}/a/b.json"
    for text in ("first", "zweite Fassung: ä\n€", ""):
        write_text(context, path, text)
        assert read_text(context, path) == text
    assert [name for name in os.listdir(tmp_path / "a") if not name.endswith(".crc")] == ["b.json"]


def test_a_small_file_is_for_its_owner_only_and_no_link_in_its_way_is_followed(
    context: SparkContext, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("kept")
    for name in ("b.json", "b.json.new"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    write_text(context, f"{tmp_path}/b.json", "text")
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "b.json").is_symlink()
    assert (tmp_path / "b.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["copy", "a ä b", "50%20"])
def test_a_folder_is_copied_here_and_from_here_by_the_name_that_it_has(
    context: SparkContext, tmp_path: Path, name: str
) -> None:
    write_text(context, f"{tmp_path}/there/part.csv", "x")
    copy_to_local(context, f"{tmp_path}/there", tmp_path / name)
    assert (tmp_path / name / "part.csv").read_text() == "x"
    bring(context, tmp_path / name, f"{tmp_path}/back")
    assert (tmp_path / "back" / "part.csv").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == sorted([name, "back", "there"])


def test_what_was_brought_half_way_is_removed_by_who_brings_next(context: SparkContext, tmp_path: Path) -> None:
    write_text(context, f"{tmp_path}/here/made/part.csv", "x")
    write_text(context, f"{tmp_path}/there/.new-killed/part.csv", "a patient's row")
    bring(context, tmp_path / "here" / "made", f"{tmp_path}/there/made")
    assert os.listdir(tmp_path / "there") == ["made"]


@pytest.mark.parametrize("write", [create_text, write_text])
def test_of_a_small_file_that_cannot_be_written_nothing_stays(
    context: SparkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., object]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(context, f"{tmp_path}/b.json", "text")
    assert os.listdir(tmp_path) == []


def test_files_are_listed_at_a_file_below_a_folder_and_by_a_pattern(context: SparkContext, tmp_path: Path) -> None:
    for name in ("2024/a.csv", "2024/_b.csv", "2025/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(list_files(context, str(tmp_path)).values()) == ["2024/_b.csv", "2024/a.csv", "2025/c.csv"]
    assert list_files(context, f"{tmp_path}/2024/a.csv") == {f"file:{tmp_path}/2024/a.csv": "a.csv"}
    assert list(match_files(context, f"{tmp_path}/20*").values()) == ["_b.csv", "a.csv", "c.csv"]
    assert match_files(context, f"{tmp_path}/nothing*") == list_files(context, f"{tmp_path}/nothing") == {}
    assert list_paths(context, str(tmp_path)) == [f"file:{tmp_path}/2024", f"file:{tmp_path}/2025"]
    delete(context, f"{tmp_path}/2024")
    assert not exists(context, f"{tmp_path}/2024/a.csv")


def test_a_folder_is_no_pattern_whatever_its_name(context: SparkContext, tmp_path: Path) -> None:
    for name in ("x[1]/a.csv", "x1/b.csv", "x{1}/c.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    assert list_paths(context, f"{tmp_path}/x[1]") == [f"file:{tmp_path}/x[1]/a.csv"]
    assert list(list_files(context, f"{tmp_path}/x[1]").values()) == ["a.csv"]
    assert list(match_files(context, f"{tmp_path}/x[1]").values()) == ["a.csv"]
    assert list(match_files(context, "*.csv", f"{tmp_path}/x[1]").values()) == ["a.csv"]
    assert list(match_files(context, "*.csv", f"{tmp_path}/x{{1}}").values()) == ["c.csv"]
    assert list_files(context, f"{tmp_path}/x[2]") == {}
    assert list_paths(context, f"{tmp_path}/x?") == []
    delete(context, f"{tmp_path}/x[1]")
    assert sorted(os.listdir(tmp_path)) == ["x1", "x{1}"]


PLACES = ["/a/b", "/a//b/", "/a/./c/../b", "/a/50%20/ä €", "file:/a", "file:///a/b c", "/", "/a/x[1]"]


@pytest.mark.parametrize("path", PLACES)
def test_a_path_of_this_machine_is_named_as_hadoop_names_it(context: SparkContext, path: str) -> None:
    system, place = _file_system(context, path)
    assert full_path(context, path) == system.makeQualified(place).toString()


def test_a_path_of_another_machine_or_file_system_is_not_looked_for_here(
    context: SparkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert path_here(context, "/a/b") == path_here(context, "file:/a/b") == Path("/a/b")
    for elsewhere in ("hdfs://host/a", "//host/a", "file://host/a", "a/b", "s3a://bucket/a"):
        assert path_here(context, elsewhere) is None
    of_hdfs = _hadoop(context)._replace(starts_here=False)
    monkeypatch.setattr("medspark.store.files._hadoop", lambda _: of_hdfs)
    assert path_here(context, "/a/b") is None
    assert path_here(context, "file:/a/b") == Path("/a/b")
