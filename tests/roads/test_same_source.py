"""What is scored is what was fingerprinted: the order of rows where it decides, and files that stay as they are."""

import os

import pandas as pd
import pytest
from support.relapse import hospital, task_at, write_meds
from support.roads import new_run, score, write
from support.tasks import stays_at

from medspark.bundles.bundle import load_bundle
from medspark.clean.table import clean
from medspark.errors import InputError
from medspark.events.read import read_events
from medspark.schemas import RECORDS
from medspark.stages import clean as clean_module
from medspark.stages import encode as encode_module
from medspark.stages.clean import clean_stage
from medspark.store.tables import current_version
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping

ROWS = ["1,p1,40.0,F,I10,I10,false,true", "1,p1,80.0,F,I10,I10,false,true", "2,p2,50.0,M,I10,I10,false,false"]


def keep_first(source, **duplicates):
    return stays_at(source, source={"duplicates": duplicates or {"same": ["stay"], "keep": "first"}})


def fingerprint(spark, source, **duplicates):
    cleaned = clean(spark, keep_first(source, **duplicates))
    cleaned.release()
    return cleaned.fingerprint


def test_two_orders_of_rows_are_two_sources_where_the_first_counts(spark, tmp_path):
    one = write(tmp_path / "one.csv", ROWS)
    other = write(tmp_path / "other.csv", [ROWS[1], ROWS[0], ROWS[2]])
    assert fingerprint(spark, one) != fingerprint(spark, other)


def test_two_orders_of_rows_are_one_source_where_none_is_taken_for_another(spark, tmp_path):
    one = write(tmp_path / "one.csv", ROWS[1:])
    other = write(tmp_path / "other.csv", ROWS[:0:-1])
    assert fingerprint(spark, one, same="whole_row") == fingerprint(spark, other, same="whole_row")


def test_the_order_of_files_counts_too(spark, tmp_path):
    for folder, names in (("one", ("a.csv", "b.csv")), ("other", ("b.csv", "a.csv"))):
        (tmp_path / folder).mkdir()
        for name, row in zip(names, ROWS[:2], strict=True):
            write(tmp_path / folder / name, [row])
    assert fingerprint(spark, tmp_path / "one") != fingerprint(spark, tmp_path / "other")


FILE_RULES = {
    "no rule": {},
    "a rule": {"skip": [{"name": "others", "when": "_source_file not like '%ward-a%'", "because": "of others"}]},
    "a derived column": {"derived": {"ward": {"type": "category", "expression": "right(_source_file, 5)"}}},
}


@pytest.mark.parametrize("rule", FILE_RULES)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_names_of_files_count_where_a_rule_of_events_reads_them(spark, tmp_path, rule, kind):
    table = {"files": "ward-*", "subject": "stay", "columns": {"stay": "long", "code": "string"}}
    table |= {"events": [{"code": "DX/{code}"}], **FILE_RULES[rule]}
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"stays": table}})
    rows, found = pd.DataFrame({"stay": [1, 2], "code": ["I10", "I50"]}), []
    for name in ("ward-a", "ward-b"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / f"{name}.{kind}"
        rows.to_csv(file, index=False) if kind == "csv" else rows.to_parquet(file)
        source = EventSource(kind="events", mapping="m", format=kind, path=str(tmp_path / name))
        with read_events(spark, source, mapping) as events:
            found.append(events.fingerprint)
    assert (found[0] == found[1]) == (rule == "no rule")


def test_how_spark_cuts_a_file_changes_no_fingerprint(spark, tmp_path):
    source = write(tmp_path / "stays.csv", [f"{at},p{at},40.0,F,I10,I10,false,true" for at in range(2000)])
    whole = fingerprint(spark, source)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "8192")
    try:
        assert fingerprint(spark, source) == whole
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")


def test_a_source_that_changes_between_the_passes_is_refused_and_nothing_published(spark, tmp_path, monkeypatch):
    source = write(tmp_path / "stays.csv", ROWS[1:])
    write_facts = clean_module.write_facts

    def change_and_write(*args):
        write(source, [ROWS[1].replace("80.0", "81.0"), ROWS[2]])  # of the same size
        os.utime(source, (1, 1))
        write_facts(*args)

    monkeypatch.setattr(clean_module, "write_facts", change_and_write)
    run = new_run(spark, tmp_path / "store")
    with pytest.raises(InputError, match="stays as it is while it is read, received other content of file:"):
        clean_stage(run, stays_at(source))
    assert current_version(run.context, run.store, RECORDS) is None
    assert not list((tmp_path / "store" / RECORDS).glob("*"))


@pytest.mark.parametrize("writer", ["workers", "spark"])
def test_scores_of_a_source_that_was_replaced_meanwhile_are_not_published(spark, road, monkeypatch, writer):
    from medspark.score import publish

    name = f"replaced-{writer}"
    publish_tables = publish.publish_tables

    def replace_and_publish(*args):
        os.utime(road["folder"] / f"{name}.csv", (1, 1))
        publish_tables(*args)

    monkeypatch.setattr(publish, "publish_tables", replace_and_publish)
    with pytest.raises(InputError, match="Nothing was published"):
        score(spark, road, name, road["lines"][:300], writer=writer)
    assert current_version(spark.sparkContext, str(road["folder"] / name), "scores") is None


def test_events_that_change_between_the_passes_are_refused_and_nothing_published(spark, tmp_path, monkeypatch):
    source = write_meds(tmp_path / "meds", hospital(40))
    publish_tables = clean_module.publish_tables

    def change_and_publish(*args):
        os.utime(source / "data" / "1.parquet", (1, 1))
        publish_tables(*args)

    monkeypatch.setattr(clean_module, "publish_tables", change_and_publish)
    run = new_run(spark, tmp_path / "store")
    with pytest.raises(InputError, match="stays as it is while it is read, received other content of file:"):
        clean_stage(run, task_at(tmp_path, source))
    assert current_version(run.context, run.store, RECORDS) is None
    assert not list((tmp_path / "store" / RECORDS).glob("*"))


def test_tensors_of_a_source_that_was_replaced_meanwhile_are_not_published(spark, road, tmp_path, monkeypatch):
    source = write(tmp_path / "stays.csv", road["lines"][:300])
    publish_tables = encode_module.publish_tables

    def change_and_publish(*args):
        os.utime(source, (1, 1))
        publish_tables(*args)

    monkeypatch.setattr(encode_module, "publish_tables", change_and_publish)
    run = new_run(spark, tmp_path / "store")
    with pytest.raises(InputError, match="stays as it is while it is read"):
        encode_module.encode_stage(run, load_bundle(road["bundle"]), str(source))
    assert current_version(run.context, run.store, "tensors") is None
