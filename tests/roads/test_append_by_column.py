"""A store that takes the rows past their newest time of writing has the cases of one that reads the table whole."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.events import rows_of
from support.extracts import extract_task, random_extracts, write_extract, written
from support.growing import lab
from support.roads import new_run

from medspark.stages.append import append_stage
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.facts import RecordsFacts, read_facts
from medspark.store.tables import read_table, table_path

pytestmark = pytest.mark.slow


def cases_of(spark, store, task):
    features_stage(new_run(spark, store), task)
    return sorted(map(repr, rows_of(read_table(spark, str(store), "cases").toArrow())))


def appended(spark, store, task):
    """What became of the rows that an append read."""
    run = new_run(spark, store)
    append_stage(run, task)
    return {name: rows for name, rows in run.receipt.counts["append"]["rows"].items() if rows}


def task_at(folder, **increment):
    return extract_task({"format": "parquet", "path": str(folder), "increment": {"by": "column", **increment}})


@pytest.fixture
def labs(spark, tmp_path):
    """labs(rows): the source then has these; the task and a store of the first ones."""
    source, store = tmp_path / "source", tmp_path / "store"
    rows = [written(lab(1, 7, 10, "INDEX"), 0), written(lab(2, 7, 5, "LAB/x", 1.0), 48)]
    write_extract(source, rows)
    task = task_at(source)
    clean_stage(new_run(spark, store), task)
    return lambda *more: (write_extract(source, [*rows, *more]), (store, task))[1]


def test_nights_of_written_rows_give_the_cases_of_a_whole_clean_and_nothing_new_changes_nothing(spark, tmp_path):
    task = task_at(tmp_path / "source")
    for night, rows in enumerate(random_extracts(seed=3)):
        write_extract(tmp_path / "source", rows)
        if night == 0:
            clean_stage(new_run(spark, tmp_path / "grown"), task)
        else:
            fates = appended(spark, tmp_path / "grown", task)
            assert fates["new"] + fates["corrected"] > 5
    clean_stage(new_run(spark, tmp_path / "whole"), task)
    expected = cases_of(spark, tmp_path / "whole", task)
    assert len(expected) > 5
    assert cases_of(spark, tmp_path / "grown", task) == expected
    before = table_path(spark.sparkContext, str(tmp_path / "grown"), "records")
    assert set(appended(spark, tmp_path / "grown", task)) == {"seen_before"}
    assert table_path(spark.sparkContext, str(tmp_path / "grown"), "records") == before


def test_a_row_that_comes_late_is_taken_within_the_hours_that_are_read_again_and_no_later(spark, labs):
    store, task = labs(
        written(lab(3, 7, 6, "LAB/x", 2.0), 25),
        written(lab(4, 7, 6, "LAB/y", 2.0), 23),  # more than 24 hours before row 2, which the store has
        written(lab(5, 7, 6, "LAB/y", 3.0), None),
    )
    assert appended(spark, store, task) == {"new": 2, "late": 2, "seen_before": 1}
    (case,) = rows_of(cases(spark, store, task))
    assert case["labs_all"]["LAB/y"]["last"] == 3.0
    clean_stage(new_run(spark, store), task)
    (case,) = rows_of(cases(spark, store, task))
    assert case["labs_all"]["LAB/y"]["count"] == 2.0


def cases(spark, store, task):
    features_stage(new_run(spark, store), task)
    return read_table(spark, str(store), "cases").toArrow()


def test_a_time_of_writing_that_is_yet_to_come_hides_no_row_that_is_written_until_then(spark, labs):
    ahead = {**lab(3, 7, 6, "LAB/x", 2.0), "written": datetime.now(UTC) + timedelta(days=9000)}
    store, task = labs(ahead)
    assert appended(spark, store, task)["new"] == 1
    now = {**lab(4, 7, 6, "LAB/x", 2.0), "written": datetime.now(UTC)}
    store, task = labs(ahead, now)
    assert appended(spark, store, task)["new"] == 1


def test_a_row_that_is_set_aside_and_read_again_stands_in_the_quarantine_once(spark, labs):
    wrong = written(lab(3, 7, 6, None), 49)
    for more in ((), (written(lab(4, 7, 6, "LAB/x", 1.0), 50),)):
        store, task = labs(wrong, *more)
        appended(spark, store, task)
        assert read_table(spark, str(store), "quarantine").count() == 1


def test_rows_that_each_night_reads_again_are_counted_once(spark, labs):
    old, late, wrong = written(lab(3, 7, 6, None), 1), written(lab(4, 7, 6, "LAB/x", 1.0), None), lab(5, 7, 6, None)
    more = [old, late, written(wrong, 49)]
    for hours in (49, 50, 90):
        more.append(written(lab(hours, 7, 6, "LAB/x", 1.0), hours))
        store, task = labs(*more)
        appended(spark, store, task)
    grown = counts_of(spark, store)
    clean_stage(new_run(spark, store), task)
    whole = counts_of(spark, store)
    (rule,) = whole.quarantined
    assert (whole.rows_in, whole.with_events, whole.quarantined) == (8, 6, {rule: 2})
    # The old one was written before what the store had when it came
    assert (grown.rows_in, grown.with_events, grown.quarantined) == (7, 6, {rule: 1})
    (of_grown,), (of_whole,) = grown.tables.values(), whole.tables.values()
    assert replace(of_whole, rows_in=7, quarantined={rule.removeprefix("labs, "): 1}) == of_grown


def counts_of(spark, store):
    return read_facts(spark.sparkContext, table_path(spark.sparkContext, str(store), "records"), RecordsFacts).counts


@pytest.mark.parametrize("hours", [None, 49])
def test_a_row_that_is_corrected_under_the_same_time_or_at_no_known_one_is_as_it_was_read_last(spark, labs, hours):
    for value in (3.0, 4.0, 5.0, 3.0, 3.0):
        store, task = labs(written(lab(5, 7, 6, "LAB/y", value), hours))
        fates = appended(spark, store, task)
    assert fates == {"seen_before": 2}
    (case,) = rows_of(cases(spark, store, task))
    assert (case["labs_all"]["LAB/y"]["last"], case["labs_all"]["LAB/y"]["count"]) == (3.0, 1.0)
