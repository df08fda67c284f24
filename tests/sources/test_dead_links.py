"""Links of a source that lead nowhere: refused by name, where Hadoop's listing would leave them out."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medspark.errors import InputError
from medspark.sources.files import source_files


def linked(folder: Path) -> Path:
    """A folder with one file, and a link to one on a disk that is away."""
    folder.mkdir()
    (folder / "ward-a.csv").write_text("a\n1\n")
    (folder / "ward-b.csv").symlink_to("/mnt/away/ward-b.csv")
    return folder


@pytest.mark.parametrize("pattern", ["", "/*.csv", "/ward-b.csv", "/ward-?.csv"])
def test_a_link_to_what_is_not_there_is_named_and_stops_the_run(
    spark: SparkSession, tmp_path: Path, pattern: str
) -> None:
    source = linked(tmp_path / "in")
    with pytest.raises(InputError, match=r"received links to what is not there: .*/in/ward-b\.csv"):
        source_files(spark, f"{source}{pattern}")


def test_a_link_to_a_file_that_is_there_is_read(spark: SparkSession, tmp_path: Path) -> None:
    source = linked(tmp_path / "in")
    (source / "ward-b.csv").unlink()
    (tmp_path / "elsewhere.csv").write_text("a\n2\n")
    (source / "ward-b.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert [path.rsplit("/", 1)[-1] for path in source_files(spark, str(source))] == ["ward-a.csv", "ward-b.csv"]


def test_a_link_that_the_pattern_does_not_name_is_no_part_of_the_source(spark: SparkSession, tmp_path: Path) -> None:
    assert len(source_files(spark, f"{linked(tmp_path / 'in')}/*-a.csv")) == 1
