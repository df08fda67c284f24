"""What is small, as this machine can tell before Spark has started."""

from pathlib import Path

import pytest

from medspark.sources.size import is_small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.csv").write_text("x" * 60)
    (tmp_path / "a" / "b" / "two.csv").write_text("x" * 40)
    return tmp_path / "a"


@pytest.mark.parametrize(("most", "small"), [(100_000, True), (2_000, True), (1_999, False), (99, False)])
def test_a_folder_is_as_large_as_all_that_is_below_it_and_every_file_counts(
    folder: Path, most: int, small: bool
) -> None:
    assert is_small(str(folder), most) == small


@pytest.mark.parametrize("path", ["one.csv", "*.csv", "o?e.csv", "../a"])
def test_a_file_and_a_pattern_of_files_are_as_large_as_what_they_name(folder: Path, path: str) -> None:
    assert is_small(f"{folder}/{path}", 2_000)
    assert not is_small(f"{folder}/{path}", 59)


@pytest.mark.parametrize("path", [None, "hdfs://host/stays.csv", "s3a://stays", "hive.hospital", "absent/*.csv"])
def test_what_cannot_be_told_from_here_is_not_small(path: str | None) -> None:
    assert not is_small(path)


def test_a_link_to_nothing_is_not_what_ends_the_command(folder: Path) -> None:
    (folder / "gone.csv").symlink_to(folder / "nothing")
    assert is_small(str(folder), 100_000)


def test_what_a_link_to_a_folder_leads_to_cannot_be_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "b" / "more").symlink_to(tmp_path / "elsewhere")
    assert not is_small(str(folder))
    (folder / "b" / "more").unlink()
    (tmp_path / "link").symlink_to(folder)
    assert is_small(str(tmp_path / "link"))
