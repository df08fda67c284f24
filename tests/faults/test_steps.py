"""A run that dies at any step of publishing leaves the old night or the new one, whole, and the next run completes."""

from datetime import UTC, datetime

import duckdb
import pytest
from pyspark.sql import functions as F

from medspark.sinks import files
from medspark.sinks.files import FilesSink
from medspark.sinks.publication import Publication, published_rows, sums_of
from medspark.store import folders

pytestmark = pytest.mark.slow

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)
ROWS = {"first": 30, "second": 20}
STEPS = ("delete", "list_files", "sha256_of", "move_file", "write_text", "put_folder")
"""Everything that the sink does to a file system, but Spark's own writing, which goes to the staging folder."""


class Died(BaseException):
    """As a process that is killed: nothing catches it."""


def night(spark, name):
    scores = spark.range(ROWS[name]).select(
        F.lit(name).alias("run_id"),
        F.lit("b1").alias("bundle_id"),
        F.col("id").alias("case_id"),
        F.col("id").alias("subject_id"),
        F.lit(None).cast("timestamp").alias("prediction_time"),
        F.lit(0.5).alias("probability"),
        F.lit(None).cast("string").alias("risk_band"),
        F.timestamp_micros(F.lit(0)).alias("scored_at"),
    )
    rows = published_rows(scores, None, name, "stays", AS_OF)
    return Publication(name, "stays", AS_OF, name, "b1", "r1", "back", rows, sums_of(rows))


def seen(folder, kind="parquet"):
    """What a reader of the folder sees: the nights and their rows, of all files together. Where a layout has no night,
    how many rows there are says which it is."""
    found = duckdb.sql(f"SELECT * FROM read_{kind}('{folder}/scores/*/*.{kind}')")
    if "night" not in found.columns:
        return {name: rows for name, rows in ROWS.items() if rows == len(found)}
    return dict(duckdb.sql("SELECT night, count(*) FROM found GROUP BY night").fetchall())


@pytest.mark.parametrize(
    ("kind", "layout", "exchanges"), [("parquet", "scores", True), ("csv", "omop", True), ("parquet", "scores", False)]
)
def test_death_before_any_step_leaves_the_old_night_or_the_new_one(
    spark, tmp_path, monkeypatch, kind, layout, exchanges
):
    if not exchanges:  # as on HDFS
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    out = FilesSink(spark.sparkContext, kind, str(tmp_path), kind, layout)
    first, second = night(spark, "first"), night(spark, "second")
    out.put(first)
    left, found = [], []
    while (died := died_before(out, second, monkeypatch, len(left))) is not None:
        left.append(died)
        found.append(seen(tmp_path, kind))
        assert out.holds(first) == (found[-1] == {"first": 30})
    assert set(left) == set(STEPS)
    # a night that is shown and dies before it deletes what it wrote aside is put once more, which no reader sees
    moved = left.index("put_folder") + 1 if exchanges else len(left) - left[::-1].index("move_file")
    assert found == [{"first": 30}] * moved + [{"second": 20}] * (len(left) - moved)
    assert out.holds(second)
    assert seen(tmp_path, kind) == {"second": 20}
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]


def test_death_before_any_step_of_the_first_night_leaves_nothing_or_all_of_it_and_stops_no_later_one(
    spark, tmp_path, monkeypatch
):
    left = []
    while True:
        out = FilesSink(spark.sparkContext, "parquet", f"{tmp_path}/{len(left)}", "parquet")
        died = died_before(out, night(spark, "first"), monkeypatch, len(left))
        if died is None:
            break
        left.append(died)
        died_before(out, night(spark, "second"), monkeypatch, 3)  # and once more, early
        out.put(night(spark, "second"))
        assert seen(out.path) == {"second": 20}
    assert left[-5:] == ["move_file", "write_text", "write_text", "put_folder", "delete"]


def died_before(out, night, monkeypatch, after):
    """Publish, and die in place of the step that follows so many; its name, or None where all was done before."""
    steps = []
    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(files, name, dying(getattr(files, name), name, after, steps))
        try:
            out.put(night)
        except Died:
            return steps[-1]
    return None


def dying(step, name, after, steps):
    """The step, which dies in place of the one that follows so many of all steps."""

    def do(*arguments):
        steps.append(name)
        if len(steps) > after:
            raise Died
        return step(*arguments)

    return do
