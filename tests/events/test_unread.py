"""Tables by whatever case of their names; files, columns and links of a warehouse that nobody reads, by name."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.mapped import Read

from medspark.errors import InputError
from medspark.events.read import read_events
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping

TABLE = {
    "subject": "patient",
    "optional": True,
    "columns": {"patient": "long", "numeric_value": "double"},
    "absent": ["numeric_value"],
    "events": [{"code": "IN", "number": "numeric_value"}],
}


@pytest.mark.parametrize("name", ["LABS.csv", "Labs.CSV", "labs.csv", "LABS/part-0.csv"])
def test_a_tables_file_is_found_whatever_its_case(read: Read, name: str) -> None:
    found = read({name: "patient,numeric_value\n1,2.5\n"}, {"labs": TABLE})
    assert [event[:4] for event in found.events] == [(1, "IN", None, 2.5)]


def test_a_tables_file_has_the_mappings_case_where_the_path_is_a_pattern(spark: SparkSession, tmp_path: Path) -> None:
    for folder, patient in (("2026-01", 1), ("2026-02", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "LABS.csv").write_text(f"patient,numeric_value\n{patient},2.5\n")
    source = EventSource(kind="events", mapping="m", format="csv", path=f"{tmp_path}/2026-*")
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"LABS": TABLE}})
    with read_events(spark, source, mapping) as found:
        assert sorted(row["subject_id"] for row in found.records.collect()) == [1, 2]


def test_a_table_in_two_cases_is_there_twice(read: Read) -> None:
    with pytest.raises(InputError, match="expected it once, received"):
        read({"LABS.csv": "patient\n1\n", "labs.csv": "patient\n2\n"}, {"labs": TABLE})


def test_files_and_columns_that_nobody_reads_are_named_with_what_they_may_be_meant_for(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "device_exposure.csv").write_text("patient,value\n1,7.5\n")
    (tmp_path / "devices_exposure.csv").write_text("patient\n1\n")
    (tmp_path / "readme.txt").write_text("x")
    source = EventSource(kind="events", mapping="m", format="csv", path=str(tmp_path))
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"device_exposure": TABLE}})
    with read_events(spark, source, mapping) as found:
        assert found.unread == {
            "files": ["devices_exposure.csv Did you mean 'device_exposure.csv'?", "readme.txt"],
            "device_exposure": ["value"],
        }
        assert found.counts["device_exposure"].columns == ["patient"]


def test_a_file_with_a_tables_name_and_another_ending_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "person.csv").write_text("patient\n1\n")
    others = ["labs.2024.csv", "labs.csv.bak", "labs.csv.xz", "labs.tsv"]
    for name in [*others, "_SUCCESS", "LABS_EXTRA.CSV.GZ"]:
        (tmp_path / name).write_text("patient\n1\n")
    source = EventSource(kind="events", mapping="m", format="csv", path=str(tmp_path))
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"labs": TABLE, "person": TABLE}})
    with read_events(spark, source, mapping) as found:
        assert [name.split()[0] for name in found.unread["files"]] == ["LABS_EXTRA.CSV.GZ", *others]
        assert found.unread["files"][-1] == "labs.tsv Did you mean 'labs.csv'?"


def test_an_optional_tables_link_to_a_disk_that_is_away_is_no_absent_table(read: Read, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "labs.csv").symlink_to("/mnt/away/labs.csv")
    with pytest.raises(InputError, match="received links to what is not there"):
        read({"others.csv": "patient\n1\n"}, {"labs": TABLE, "others": TABLE})
