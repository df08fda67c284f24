"""Raw rows that workers clean are scored by workers where they lie, and come to what Spark's way comes to."""

import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import load_bundle
from medspark.clean import by_workers as clean_by_workers
from medspark.clean.by_workers import ByWorkers
from medspark.clean.worker.settle import Rows, settled_rows
from medspark.clean.worker.staged import ROWS, put_rows, rows_of
from medspark.clean.worker.unit import judge_span
from medspark.errors import AccountingError, MedsparkError, RejectedError
from medspark.schemas import FILE, LINE, REASON, RULE, SCORED_AT, SOURCE_FILE, SOURCE_LINE
from medspark.score import by_workers
from medspark.score.worker.records import score_rows
from medspark.sources import spans
from medspark.sources.record_rules import DUPLICATE
from medspark.stages.score import score_stage
from medspark.store.tables import read_table

DIRTY = ["9101,p9101,250,F,I10,I10,false,true", '9102,p9102,50,F,I1 "0",I10,false,true', "9103,p9103"]
RULES = {
    "source": {"duplicates": {"same": ["stay"], "keep": "first"}},
    "derived": {"old": {"type": "boolean", "expression": "age > 60"}},
    "checks": [{"name": "nobody is twenty", "expect": "age >= 21"}],
    "exclude": [
        {"name": "died", "when": "died", "because": "cannot come back"},
        {"name": "old men", "when": "old and sex = 'M' and diag_1 = 'e11'", "because": "in a trial"},
    ],
}


def tables_in(spark, store):
    """All that is told of every row, but for the time of the run."""
    scores = read_table(spark, store, "scores").drop(SCORED_AT).orderBy("case_id").collect()
    rejected = read_table(spark, store, "rejected").orderBy(FILE, LINE, "case_id").collect()
    return [row.asDict() for row in scores], [row.asDict() for row in rejected]


@pytest.fixture
def bundle(road):
    return load_bundle(road["bundle"])


@pytest.fixture
def scored(spark, bundle, tmp_path):
    """scored("workers", lines): the scores and rejected rows of lines, and what the receipt counts."""

    def run(way, lines, bundle=bundle, writer=None):
        source = write(tmp_path / "stays.csv", lines)
        run = new_run(spark, tmp_path / f"{way}-{writer}")
        with suppress(RejectedError):  # of too many rows; what there is was published
            score_stage(run, bundle, str(source), reader=way, writer=writer or way)
        return *tables_in(spark, run.store), run.receipt.counts["score"]

    return run


@pytest.fixture
def short_spans(monkeypatch):
    monkeypatch.setattr(spans, "LEAST_BYTES", 8192)
    monkeypatch.setattr(spans, "SPAN_BYTES", 8192)


@pytest.fixture
def nothing_written(monkeypatch):
    def refused(*_):
        raise AssertionError("Spark reads the cases, or records are written")

    monkeypatch.setattr(by_workers, "_score_to_pieces", refused)
    monkeypatch.setattr(ByWorkers, "_put_down", refused)


def same_counts(one, other):
    names = ("rows_in", "records", "quarantined", "duplicates", "missing", "set_missing", "scored", "bands", "rejected")
    return {name: one.get(name) for name in names} == {name: other.get(name) for name in names}


def test_every_score_and_reason_is_that_of_sparks_way(scored, nothing_written):
    lines = [*stays(700, seed=3), *DIRTY]
    by_worker = scored("workers", lines)
    by_spark = scored("spark", lines)
    assert by_worker[:2] == by_spark[:2]
    assert {row[REASON] for row in by_worker[1]} >= {"excluded: died", "quarantined: age: range"}
    assert 9102 in {row["case_id"] for row in by_worker[0]}
    assert same_counts(by_worker[2], by_spark[2])


def test_rows_that_are_there_twice_are_told_across_spans_and_whoever_reads_them(
    bundle, scored, short_spans, nothing_written
):
    lines = [*stays(700, seed=3), *DIRTY]
    again = [lines[0], lines[5].replace(",F,", ",M,"), *lines[100:120], DIRTY[1], DIRTY[1].replace("50", "51")]
    babies = ["9200,p9200,20.5,F,I10,I10,false,true", "9200,p9200,30.5,F,I10,I10,false,true"]
    with_rules = bundle._replace(task=stays_at("unset", **RULES))
    by_worker, by_spark = (scored(way, [*lines, *again, *babies], with_rules) for way in ("workers", "spark"))
    assert by_worker[:2] == by_spark[:2]
    assert same_counts(by_worker[2], by_spark[2])
    reasons = by_worker[2]["rejected"]
    assert reasons[f"quarantined: {DUPLICATE}"] > 20
    assert reasons["quarantined: nobody is twenty"] > 0 < reasons["excluded: old men"]
    assert 9200 in {row["case_id"] for row in by_worker[0]}  # what a check sets aside competes not


def test_spark_writes_scores_of_rows_that_workers_read_and_settle_once(bundle, scored, monkeypatch):
    settled, settle = [], ByWorkers._settled
    monkeypatch.setattr(ByWorkers, "_settled", lambda rows, put: settled.append(put) or settle(rows, put))
    lines, with_rules = [*stays(300, seed=3), *DIRTY, *DIRTY], bundle._replace(task=stays_at("unset", **RULES))
    by_worker, by_spark = (scored(way, lines, with_rules, writer="spark") for way in ("workers", "spark"))
    assert by_worker[:2] == by_spark[:2]
    assert same_counts(by_worker[2], by_spark[2])
    assert settled == [True]


@pytest.mark.parametrize("lines", [[], ["1,p1,250,F,I10,I10,false,true", "2"], ["1,p1,50,F,I10,I10,true,true"]])
def test_a_source_without_a_case_has_its_reasons_alone(scored, lines, nothing_written):
    found = []
    for way in ("workers", "spark"):
        try:
            found.append(scored(way, lines)[:2])
        except MedsparkError as error:
            found.append(str(error))
    assert found[0] == found[1]
    assert not lines or len(found[0][1]) == len(lines)


@pytest.fixture
def one_death(tmp_path, monkeypatch):
    """The worker that comes to the third piece dies, once."""
    died = tmp_path / "died"

    def dying(piece, *others):
        pieces = list(Path(others[-1].scores.removeprefix("file:")).glob("part-*.parquet"))
        if len(pieces) >= 2 and not died.exists():
            died.touch()
            os._exit(1)
        return score_rows(piece, *others)

    monkeypatch.setattr(by_workers, "score_rows", dying)


def test_a_run_whose_worker_died_goes_on_with_the_other_spans(scored, short_spans, one_death, tmp_path):
    lines = stays(700, seed=3)
    expected = scored("spark", lines)
    with pytest.raises(Exception, match=r"[Ww]orker"):
        scored("workers", lines)
    assert not (tmp_path / "workers-None" / "scores" / "CURRENT").exists()
    again = scored("workers", lines)
    assert again[:2] == expected[:2]
    assert again[2]["scored_before"] > 0


def test_pieces_of_a_run_whose_worker_died_are_not_those_of_the_same_rows_in_another_order(
    scored, short_spans, one_death, tmp_path
):
    # Of one length, so that the spans have as many rows
    fields = (line.split(",", 1) for line in stays(600, seed=3))
    lines = [f"{stay},{'p' * (60 - len(stay + rest))}{rest}" for stay, rest in fields]
    swapped = lines[300:] + lines[:300]
    expected = scored("spark", swapped)
    with pytest.raises(Exception, match=r"[Ww]orker"):
        scored("workers", lines)
    assert len(list((tmp_path / "workers-None" / "scores").glob("*/part-*.parquet"))) >= 2
    again = scored("workers", swapped)
    assert again[:2] == expected[:2]


def test_a_case_that_was_told_of_as_a_row_set_aside_is_noticed(scored, tmp_path, monkeypatch):
    def shifted(*asked):  # there are as many rows as before
        rows = settled_rows(*asked)
        first = rows.records.slice(0, 1)
        other = pa.table({FILE: first[SOURCE_FILE], LINE: first[SOURCE_LINE], RULE: pa.array(["age: range"])})
        return Rows(rows.records.slice(1), other)

    monkeypatch.setattr(by_workers, "settled_rows", shifted)
    with pytest.raises(AccountingError, match=r"40 came in, 0 of them quarantined, but .* rejected, 1 of them"):
        scored("workers", stays(40, seed=3))
    assert not (tmp_path / "workers-None" / "scores" / "CURRENT").exists()


def test_a_row_that_is_lost_before_it_is_scored_is_noticed(scored, monkeypatch):
    def losing(number, span, plan, folder):
        told = judge_span(number, span, plan, folder)
        put_rows(folder, ROWS, number, rows_of(folder, ROWS, number).take(list(range(1, told.rows))))
        return told

    monkeypatch.setattr(clean_by_workers, "judge_span", losing)
    with pytest.raises(AccountingError, match="40 records and 0 other rows were counted, 39 and 0 found"):
        scored("workers", stays(40, seed=3))
