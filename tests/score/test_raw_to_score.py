"""Raw rows that workers clean are scored by workers too, and come to what Spark's way comes to."""

import pytest
from support.roads import new_run, stays, write

from medspark.bundles.bundle import load_bundle
from medspark.schemas import FILE, LINE, REASON, SCORED_AT
from medspark.score import by_workers
from medspark.stages.score import score_stage
from medspark.store.tables import read_table

DIRTY = ["9101,p9101,250,F,I10,I10,false,true", '9102,p9102,50,F,I1 "0",I10,false,true', "9103,p9103"]


def tables_in(spark, store):
    """All that is told of every row, but for the time of the run."""
    scores = read_table(spark, store, "scores").drop(SCORED_AT).orderBy("case_id").collect()
    rejected = read_table(spark, store, "rejected").orderBy(FILE, LINE, "case_id").collect()
    return [row.asDict() for row in scores], [row.asDict() for row in rejected]


@pytest.fixture
def scored(spark, road, tmp_path):
    """scored("workers"): the scores and rejected rows of dirty lines, and of what the receipt counts."""
    source = write(tmp_path / "stays.csv", [*stays(700, seed=3), *DIRTY])

    def run(way):
        run = new_run(spark, tmp_path / way)
        score_stage(run, load_bundle(road["bundle"]), str(source), reader=way, writer=way)
        return *tables_in(spark, run.store), run.receipt.counts["score"]

    return run


def test_every_score_and_reason_is_that_of_sparks_way(scored, monkeypatch):
    by_spark = scored("spark")

    def refused(*_):
        raise AssertionError("Spark reads the cases")

    monkeypatch.setattr(by_workers, "_score_to_pieces", refused)
    by_worker = scored("workers")
    assert by_worker[0] == by_spark[0]
    assert by_worker[1] == by_spark[1]
    assert {row[REASON] for row in by_worker[1]} >= {"excluded: died", "quarantined: age: range"}
    assert 9102 in {row["case_id"] for row in by_worker[0]}
    for name in ("rows_in", "records", "quarantined", "missing"):
        assert by_worker[2][name] == by_spark[2][name]
