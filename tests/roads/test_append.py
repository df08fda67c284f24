"""A store of events that grows by increments has the cases of one that read everything at once."""

import json
import re
from dataclasses import replace
from io import StringIO

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.events import rows_of
from support.growing import growing_task, lab, note, random_files, truth, write_rows
from support.places import ROOT
from support.roads import new_run

from medspark.errors import InputError, TaskError
from medspark.schemas import DIGEST, FILE, LINE, RAW
from medspark.stages.append import append_stage, compact_stage
from medspark.stages.clean import clean_stage
from medspark.stages.concepts import concepts_stage
from medspark.stages.eligible import eligible
from medspark.stages.features import features_stage, require_records
from medspark.stages.records import current_records
from medspark.store.tables import read_table, table_path

pytestmark = pytest.mark.slow

FATES = ("new", "seen_before", "corrected", "deleted", "without_events", "late")


def cases_of(spark, store, task):
    run = new_run(spark, store)
    features_stage(run, task)
    return sorted(map(repr, rows_of(read_table(spark, str(store), "cases").toArrow())))


def appended(spark, store, task):
    """What an append counted."""
    run = new_run(spark, store)
    append_stage(run, task)
    return run.receipt.counts["append"]


def fates(counts):
    return {name: rows for name, rows in counts["rows"].items() if rows}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.integration)])
def test_random_increments_give_the_cases_of_the_final_truth_and_of_a_whole_clean(spark, tmp_path, seed):
    files, source = random_files(seed), tmp_path / "source"
    growing = growing_task(source)
    for at, (name, rows) in enumerate(files):
        write_rows(source / name, rows)
        if at == 1:
            clean_stage(new_run(spark, tmp_path / "grown"), growing)
        elif at > 1 and at % 2:
            assert appended(spark, tmp_path / "grown", growing)["files"] == 2
    clean_stage(new_run(spark, tmp_path / "whole"), growing)
    labs, notes = truth(files)
    write_rows(tmp_path / "truth" / "labs" / "all.parquet", labs)
    write_rows(tmp_path / "truth" / "notes" / "all.parquet", notes)
    once = growing_task(tmp_path / "truth", grows=False)
    clean_stage(new_run(spark, tmp_path / "once"), once)
    expected = cases_of(spark, tmp_path / "once", once)
    assert len(expected) > 10
    assert cases_of(spark, tmp_path / "grown", growing) == expected
    assert cases_of(spark, tmp_path / "whole", growing) == expected
    compact_stage(new_run(spark, tmp_path / "grown"), growing)
    assert cases_of(spark, tmp_path / "grown", growing) == expected


@pytest.fixture
def grown(spark, tmp_path):
    """A store of three labs and a note, its source's folder and its task."""
    source, store = tmp_path / "the source", tmp_path / "store"
    write_rows(
        source / "labs" / "1.parquet",
        [lab(1, 7, 10, "INDEX"), lab(2, 7, 5, "LAB/x", 1.0), lab(3, 8, 10, "INDEX")],
    )
    write_rows(source / "notes" / "1.parquet", [note(7, 4, "DX/a")])
    task = growing_task(source)
    clean_stage(new_run(spark, store), task)
    return store, source, task


def test_rows_are_counted_as_new_late_seen_before_corrected_and_deleted(spark, grown):
    store, source, task = grown
    rows = [
        lab(2, 7, 5, "LAB/x", 9.0),  # corrected
        lab(3, 8, 10, "INDEX", gone=True),  # deleted
        lab(1, 7, 10, "INDEX"),  # as it was
        lab(4, 7, 11, "LAB/x", 2.0),
        lab(5, 7, 3, "LAB/y", 4.0),  # new, and before what the patient had
        lab(6, 7, 3, "LAB/y", gone=True),  # never there
    ]
    write_rows(source / "labs" / "2.parquet", rows)
    write_rows(source / "notes" / "2.parquet", [note(7, 4, "DX/a"), note(7, 20, "DX/a")])
    counts = appended(spark, store, task)
    expected = {"new": 3, "late": 1, "seen_before": 2, "corrected": 1, "deleted": 1, "without_events": 1}
    assert fates(counts) == expected
    # Two events a lab: 3 labs and a note before; one lab gone, two labs and a note more
    assert counts["records"] == 7 - 2 + 4 + 1
    (case,) = rows_of_cases(spark, store, task)
    assert case["labs_all"] == {
        "LAB/x": {"count": 1.0, "mean": 9.0, "last": 9.0, "sd": 0.0},
        "LAB/y": {"count": 1.0, "mean": 4.0, "last": 4.0, "sd": 0.0},
    }


def test_the_documented_query_gives_the_events_that_count(spark, grown):
    store, source, task = grown
    rows = [lab(2, 7, 5, "LAB/x", 9.0), lab(3, 8, 10, "INDEX", gone=True), lab(4, 7, 1, "LAB/y", 1.0)]
    write_rows(source / "labs" / "2.parquet", rows)
    appended(spark, store, task)
    (query,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "increments.md").read_text(), re.DOTALL)
    run, columns = new_run(spark, store), ("subject_id", "time", "code", "numeric_value")
    counting = current_records(run, require_records(run, task)).select(*columns)
    files = read_table(spark, str(store), "records")
    files.createOrReplaceTempView("records")
    try:
        found = spark.sql(query).select(*columns).collect()
    finally:
        spark.catalog.dropTempView("records")
    assert sorted(map(repr, found)) == sorted(map(repr, counting.collect()))
    assert (files.count(), len(found)) == (12, 7)


def test_rows_that_lack_their_id_are_told_apart_by_all_that_they_have(spark, grown):
    store, source, task = grown
    rows = [lab(None, 7, 5, "LAB/y", 1.0), lab(None, 7, 6, "LAB/y", 3.0), lab(None, 7, 5, "LAB/y", 1.0)]
    write_rows(source / "labs" / "2.parquet", rows)
    assert fates(appended(spark, store, task)) == {"new": 2, "late": 2}
    (case, _) = rows_of_cases(spark, store, task)
    assert case["labs_all"]["LAB/y"] == {"count": 2.0, "mean": 2.0, "last": 3.0, "sd": 1.0}


def rows_of_cases(spark, store, task):
    features_stage(new_run(spark, store), task)
    return rows_of(read_table(spark, str(store), "cases").toArrow())


def test_writings_are_ordered_by_the_paths_of_their_files_below_the_source(spark, grown):
    store, _, _ = grown
    writings = read_table(spark, str(store), "records").select("_writing").distinct().collect()
    assert sorted(row["_writing"] for row in writings) == ["labs/1.parquet", "notes/1.parquet"]


def test_nothing_new_changes_nothing_and_says_so(spark, grown):
    store, _, task = grown
    before = table_path(spark.sparkContext, str(store), "records")
    assert appended(spark, store, task) == {"files": 0}
    assert table_path(spark.sparkContext, str(store), "records") == before


def test_a_file_that_was_read_and_has_changed_is_named(spark, grown):
    store, source, task = grown
    write_rows(source / "labs" / "1.parquet", [lab(1, 7, 11, "INDEX")])
    with pytest.raises(InputError, match=r"received other content of labs/1\.parquet"):
        append_stage(new_run(spark, store), task)


def test_a_file_that_vanished_ends_the_run_unless_its_rows_stay(spark, grown):
    store, source, task = grown
    (source / "notes" / "1.parquet").unlink()
    with pytest.raises(InputError, match=r"received none of notes/1\.parquet"):
        append_stage(new_run(spark, store), task)


def test_where_files_go_once_they_are_read_their_rows_stay(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    task = growing_task(source, vanished="keep")
    write_rows(source / "labs" / "1.parquet", [lab(1, 7, 10, "INDEX")])
    clean_stage(new_run(spark, store), task)
    (source / "labs" / "1.parquet").unlink()
    write_rows(source / "labs" / "2.parquet", [lab(2, 7, 5, "LAB/x", 1.0)])
    assert fates(appended(spark, store, task)) == {"new": 1, "late": 1}
    run = new_run(spark, store)
    concepts_stage(run, task)
    assert run.receipt.counts["concepts"]["index"] == {"events": 1, "patients": 1}
    assert len(rows_of_cases(spark, store, task)) == 1


def test_a_clean_that_would_lose_the_rows_of_files_that_are_gone_is_refused(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    task = growing_task(source, vanished="keep")
    for name in ("1", "2", "3"):
        write_rows(source / "labs" / f"{name}.parquet", [lab(int(name), 7, 10, "INDEX")])
    clean_stage(new_run(spark, store), task)
    before = table_path(spark.sparkContext, str(store), "records")
    for name in ("1", "3"):
        (source / "labs" / f"{name}.parquet").rename(tmp_path / name)
    with pytest.raises(
        InputError, match=r"all 3 files .* none of 2 of them: labs/1\.parquet, labs/3\.parquet\. Put them"
    ):
        clean_stage(new_run(spark, store), task)
    assert table_path(spark.sparkContext, str(store), "records") == before
    for name in ("1", "3"):
        (tmp_path / name).rename(source / "labs" / f"{name}.parquet")
    clean_stage(new_run(spark, store), task)
    assert table_path(spark.sparkContext, str(store), "records") != before


def test_what_was_set_aside_stays_in_the_quarantine(spark, grown):
    store, source, task = grown
    for name in ("2", "3"):
        write_rows(source / "labs" / f"{name}.parquet", [lab(None, 7, int(name), None)])
        appended(spark, store, task)
    assert read_table(spark, str(store), "quarantine").count() == 2


def test_an_append_names_columns_that_nobody_reads_and_those_that_came_before_and_are_absent(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    task = growing_task(source)
    tables = {name: table.model_copy(update={"absent": ("number",)}) for name, table in task.mapping.tables.items()}
    task = task.model_copy(update={"mapping": task.mapping.model_copy(update={"tables": tables})})
    for name in ("1", "2"):
        write_rows(source / "labs" / f"{name}.parquet", [lab(int(name), 7, 10, "INDEX")])
        write_rows(source / "notes" / f"{name}.parquet", [note(7, int(name), "DX/a", 1.0)])
        if name == "1":
            clean_stage(new_run(spark, store), task)
    renamed = pq.read_table(source / "notes" / "2.parquet").rename_columns(["subject_id", "time", "code", "nummer"])
    pq.write_table(renamed, source / "notes" / "2.parquet")
    run, said = new_run(spark, store), StringIO()
    append_stage(replace(run, console=Console(file=said, width=200)), task)
    assert (run.receipt.unread, run.receipt.absent) == ({"notes": ["nummer"]}, ["column notes.number"])
    assert "not read    notes: nummer" in said.getvalue()
    assert "absent      column notes.number" in said.getvalue()


def test_an_append_names_new_files_of_which_every_row_is_set_aside_or_without_a_value(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    task = growing_task(source)
    for name, code, number in (("1", "LAB/x", 1.0), ("2", "LAB/x", None), ("3", None, None)):
        rows = [lab(10 * int(name) + patient, patient, 10, code, number) for patient in range(5)]
        write_rows(source / "labs" / f"{name}.parquet", rows)
        write_rows(source / "notes" / f"{name}.parquet", [note(patient, 4, "DX/a", 1.0) for patient in range(5)])
        run = new_run(spark, store)
        (clean_stage if name == "1" else append_stage)(run, task)
        assert (
            run.receipt.absent
            == {
                "1": [],
                "2": ["a value in column labs.number"],
                "3": ["any event of table labs"],
            }[name]
        )


def test_an_append_that_fails_leaves_the_store_as_it_was(spark, grown):
    store, source, task = grown
    (source / "labs" / "2.parquet").write_bytes(pq.read_table(source / "labs" / "1.parquet").schema.serialize())
    before = table_path(spark.sparkContext, str(store), "records")
    with pytest.raises(InputError):
        append_stage(new_run(spark, store), task)
    assert table_path(spark.sparkContext, str(store), "records") == before
    assert len([path for path in (store / "records").iterdir() if path.is_dir()]) == 1


def test_a_store_without_an_event_can_be_read_once_it_was_appended_to_and_merged(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    task = growing_task(source)
    write_rows(source / "labs" / "1.parquet", [lab(None, 7, 9, None)])  # set aside
    clean_stage(new_run(spark, store), task)
    write_rows(source / "labs" / "2.parquet", [lab(None, 7, 10, None)])
    assert appended(spark, store, task)["records"] == 0
    assert read_table(spark, str(store), "records").count() == 0
    compact_stage(new_run(spark, store), task)
    assert read_table(spark, str(store), "records").count() == 0


def test_a_bucket_that_is_not_as_it_was_written_ends_an_append_and_a_merge_in_words(spark, grown):
    store, source, task = grown
    write_rows(source / "labs" / "2.parquet", [lab(4, 7, 11, "LAB/x", 2.0)])
    appended(spark, store, task)
    (file,) = (path for path in (store / "records").glob("*/bucket-00000-0001.parquet"))
    file.write_bytes(file.read_bytes()[:-8])
    write_rows(source / "labs" / "3.parquet", [lab(5, 7, 12, "LAB/x", 2.0)])
    for stage in (append_stage, compact_stage):
        with pytest.raises(InputError, match=r"bucket-00000-0001\.parquet has \d+ bytes of \d+\. Run the stage"):
            stage(new_run(spark, store), task)


def test_other_records_of_the_same_source_are_another_source_of_scores_and_unchanged_ones_the_same(spark, tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    write_rows(source / "labs" / "1.parquet", [lab(1, 7, 10, "INDEX"), lab(2, 7, 5, None)])
    task = growing_task(source)
    clean_stage(new_run(spark, store), task)

    def fingerprint():
        with eligible(new_run(spark, store), task, None, None, history=str(store)) as found:
            return found.read.fingerprint

    first = fingerprint()
    assert appended(spark, store, task) == {"files": 0}
    assert fingerprint() == first
    (wrong,) = read_table(spark, str(store), "quarantine").collect()
    place = {name: wrong[name] for name in (FILE, LINE, DIGEST)}
    mended = wrong[RAW].replace('"code":null', '"code":"LAB/x"')
    (tmp_path / "repaired.json").write_text(json.dumps({**place, RAW: mended}))
    clean_stage(new_run(spark, store), task, str(tmp_path / "repaired.json"))
    assert read_table(spark, str(store), "quarantine").count() == 0
    assert fingerprint() != first


def test_a_source_that_does_not_grow_cannot_be_appended_to(spark, grown):
    store, source, _ = grown
    with pytest.raises(TaskError, match="increment"):
        append_stage(new_run(spark, store), growing_task(source, grows=False))
