"""A run that was stopped goes on with what is missing; one that does not add up is not published."""

import pyarrow.parquet as pq
import pytest
from support.roads import score
from support.tensors import REASONS, WAYS, rewritten, score_tensors, spoil

from medspark.bundles.bundle import load_bundle
from medspark.errors import AccountingError
from medspark.score.serve import statistics_digest
from medspark.sources import spans
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_stopped_goes_on_with_what_is_missing(spark, road, encoded, tmp_path, units, way):
    options = WAYS[way]
    rewritten(spark, road, encoded, tmp_path, change=spoil, files=4)
    expected, run = score_tensors(spark, road, tmp_path, f"stopped-{way}", **options)
    store = road["folder"] / f"stopped-{way}"
    (scores,) = (path for path in (store / "scores").iterdir() if path.is_dir())
    pieces = sorted(path for path in scores.glob("part-*.parquet") if pq.read_metadata(path).num_rows)
    kept = {path: path.stat().st_mtime_ns for path in pieces[::2]}
    rows_kept = sum(pq.read_metadata(path).num_rows for path in kept)
    for path in pieces[1::2]:
        path.unlink()
    (scores / "_part-half.parquet.1234").write_bytes(b"half a piece")
    (store / "CURRENT").unlink()
    (store / "scores" / "CURRENT").unlink()
    again, run = score_tensors(spark, road, tmp_path, f"stopped-{way}", **options)
    assert again == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # what was finished was not scored again
    assert run.receipt.counts["score"]["scored_before"] == rows_kept > 0
    assert run.receipt.counts["score"]["rejected"] == REASONS
    assert read_table(spark, run.store, "rejected").count() == sum(REASONS.values())


def test_what_one_way_left_is_not_counted_twice_by_another(spark, road, encoded, tmp_path, units):
    rewritten(spark, road, encoded, tmp_path, files=4)
    expected, _ = score_tensors(spark, road, tmp_path, "mixed", writer="spark")
    for way in ("workers", "spark", "spark-reads", "spark", "workers", "spark-reads"):
        (road["folder"] / "mixed" / "CURRENT").unlink()
        (road["folder"] / "mixed" / "scores" / "CURRENT").unlink()
        found, run = score_tensors(spark, road, tmp_path, "mixed", **WAYS[way])
        assert found == expected
        assert read_table(spark, run.store, "scores").count() == len(expected)


@pytest.mark.parametrize("writer", ["workers", "spark"])
def test_a_raw_run_that_was_stopped_goes_on_with_what_is_missing(spark, road, writer, monkeypatch):
    monkeypatch.setattr(spans, "LEAST_BYTES", 8192)  # of what workers read
    monkeypatch.setattr(spans, "SPAN_BYTES", 8192)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "8192")
    try:
        expected, _ = score(spark, road, f"raw-stopped-{writer}", writer=writer)
        store = road["folder"] / f"raw-stopped-{writer}"
        (scores,) = (path for path in (store / "scores").iterdir() if path.is_dir())
        pieces = sorted(path for path in scores.glob("part-*.parquet") if pq.read_metadata(path).num_rows)
        assert len(pieces) > 3
        rows_kept = sum(pq.read_metadata(path).num_rows for path in pieces[1:])
        pieces[0].unlink()
        (store / "CURRENT").unlink()
        (store / "scores" / "CURRENT").unlink()
        again, run = score(spark, road, f"raw-stopped-{writer}", writer=writer)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert again == expected
    assert run.receipt.counts["score"]["scored_before"] == rows_kept


def test_rows_that_do_not_add_up_are_not_published(spark, road, encoded, tmp_path):
    whole = rewritten(spark, road, encoded, tmp_path)
    facts = TensorsFacts(statistics_digest(load_bundle(road["bundle"])), whole.num_rows + 1, "short")
    write_facts(spark.sparkContext, str(tmp_path / "tensors" / "made"), facts)
    for way, options in WAYS.items():
        with pytest.raises(AccountingError, match="Nothing was published"):
            score_tensors(spark, road, tmp_path, f"short-{way}", **options)
        assert not (road["folder"] / f"short-{way}" / "scores" / "CURRENT").exists()
