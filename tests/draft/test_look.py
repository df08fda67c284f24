"""`medspark check --data` tells what is not there, and no row of what is."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.sound import EVENT_TASK, TABLE_TASK, changed

from medspark.draft.look import data_problems
from medspark.task.load import check_task

HEADER = ",".join(TABLE_TASK["columns"])
SECRET = "Ada Lovelace"


NOTHING = "expected a file, a folder or a pattern, received nothing that is there"


def told(path, sound=TABLE_TASK, **changes):
    """What is told of a task that is sound, whose source is at a path."""
    for place, value in {"source.path": str(path), **changes}.items():
        sound = changed(sound, place.replace("__", "."), value)
    task, problems = check_task(sound)
    assert problems == []
    return data_problems(task)


@pytest.mark.parametrize("name", ["a.csv", "a.dat", "folder/a.csv"])
def test_a_table_with_the_columns_of_its_task_is_fine_whatever_its_name(tmp_path, name):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"\ufeff{HEADER}\n", encoding="utf-8")
    assert told(tmp_path / name.split("/")[0]) == []


def test_packed_and_parquet_files_are_looked_into(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(f"{HEADER},more\n".encode()))
    assert told(tmp_path) == [f"source: {tmp_path}/a.csv.gz: column 'more' is not in the task."]
    names = list(TABLE_TASK["columns"])
    pq.write_table(pa.table({name: ["x"] for name in reversed(names[1:])}), tmp_path / "b.parquet")
    (problem,) = told(tmp_path / "b.parquet", source__format="parquet")
    assert problem == f"source: {tmp_path}/b.parquet: column {names[0]!r} is missing."


def test_what_differs_in_many_files_is_told_once(tmp_path):
    for at in range(3):
        (tmp_path / f"{at}.csv").write_text(f"more,{HEADER}\n")
    (tmp_path / "3.csv").write_text(f"{HEADER}\n")
    assert told(tmp_path) == [f"source: {tmp_path}/0.csv: column 'more' is not in the task."]


@pytest.mark.parametrize("text", ["", f"1,{SECRET}\n2,{SECRET}\n", f"\n{HEADER}\n"])
def test_a_file_without_a_header_is_told_without_its_rows(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    (problem,) = told(tmp_path / "a.csv")
    assert "expected the task's columns in its header, received none of them" in problem
    assert SECRET not in problem


@pytest.mark.parametrize("path", ["no/such.csv", "no/such/*.csv"])
def test_a_source_that_is_not_there_is_told(path):
    assert told(path) == [f"source.path: {NOTHING}: {path}"]


@pytest.mark.parametrize("path", ["hdfs://namenode:8020/stays", "s3a://bucket/stays.csv"])
def test_what_another_machine_has_is_not_looked_at(path):
    assert told(path) == []


def test_a_lookup_that_is_not_there_is_told(tmp_path):
    (tmp_path / "a.csv").write_text(f"{HEADER}\n")
    lookups = {"wards": {"path": f"{tmp_path}/wards.csv", "key": "id", "value": "name"}}
    problems = told(tmp_path / "a.csv", lookups=lookups)
    assert problems == [f"lookups.wards.path: {NOTHING}: {tmp_path}/wards.csv"]


def test_sides_and_labels_that_are_not_there_are_told(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.parquet").touch()
    shard = tmp_path / "labels" / "shard" / "0.parquet"
    shard.parent.mkdir(parents=True)
    shard.touch()
    labelled = changed(
        {
            **EVENT_TASK,
            "concepts": {},
            "population": {"labels": {"path": f"{tmp_path}/labels"}},
            "outcome": {"name": "o", "label": "boolean_value"},
        },
        "features",
        {"demographics": ["age", "sex"]},
    )
    sides = {"subjects": {"path": f"{tmp_path}/sides.parquet"}}
    problems = told(tmp_path, labelled, split=sides)
    assert f"split.subjects: expected a file, received nothing that is there: {tmp_path}/sides.parquet" in problems
    assert not any(problem.startswith("population.labels") for problem in problems)
    shard.rename(shard.with_suffix(".csv"))
    assert f"population.labels: expected Parquet files, received none: {tmp_path}/labels" in told(tmp_path, labelled)


def test_a_fasta_file_lies_beside_the_table_file_or_folder(tmp_path):
    (tmp_path / "stays").mkdir()
    (tmp_path / "stays" / "a.csv").write_text(f"{HEADER}\n")
    genome = {"type": "string", "fasta": "genomes.fasta", "id": "stay"}
    columns = {**TABLE_TASK["columns"], "genome": genome}
    assert told(tmp_path / "stays", columns=columns) == [f"columns.genome.fasta: {NOTHING}: {tmp_path}/genomes.fasta"]
    (tmp_path / "genomes.fasta").write_text(">1\nACGT\n")
    assert told(tmp_path / "stays", columns=columns) == []


def test_a_table_of_a_warehouse_that_is_not_there_is_told(tmp_path):
    (tmp_path / "labs_old.csv").write_text("x\n")
    assert told(tmp_path / "no", EVENT_TASK) == [
        f"source.path: expected a folder, received nothing that is there: {tmp_path}/no"
    ]
    assert told(tmp_path, EVENT_TASK) == [
        f"source: expected labs.csv* or labs in {tmp_path}, received nothing that is there"
    ]
    (tmp_path / "labs.csv.gz").write_text("x")
    assert told(tmp_path, EVENT_TASK) == []
    assert told(tmp_path, EVENT_TASK, mapping__tables__labs__files="labs_*.csv") == []
    assert len(told(tmp_path, EVENT_TASK, mapping__tables__labs__files="parts/*.csv")) == 1
    assert (
        told(tmp_path, EVENT_TASK, mapping__tables__labs__files="parts/*.csv", mapping__tables__labs__optional=True)
        == []
    )
