"""A run that dies at any step of publishing leaves the old night or the new one, whole, and the next run completes."""

import duckdb
import pytest
from support.publishing import ROWS, night

from medspark.sinks import files
from medspark.sinks.files import FilesSink

STEPS = ("delete", "list_files", "sha256_of", "move_file", "write_text")
"""Everything that the sink does to a file system, but Spark's own writing, which goes to the staging folder."""


class Died(BaseException):
    """As a process that is killed: nothing catches it."""


def seen(folder, kind):
    """What a reader of the folder sees: the night and its rows, of all files together."""
    read = "read_parquet" if kind == "parquet" else "read_csv"
    query = f"SELECT night, count(*) FROM {read}('{folder}/scores/*/*.{kind}') GROUP BY night"
    return dict(duckdb.sql(query).fetchall())


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_each_step_leaves_the_old_night_or_the_new_one(spark, tmp_path, monkeypatch, kind, when):
    out = FilesSink(spark.sparkContext, kind, str(tmp_path), kind)
    first, second = night(spark, "first"), night(spark, "second")
    out.put(first)
    done, at = [], 0
    while True:
        at += 1
        steps = []
        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(files, name, dying(getattr(files, name), name, at, when, steps))
            try:
                out.put(second)
            except Died:
                done.append(steps[-1])
                found = seen(tmp_path, kind)
                assert found in ({"first": ROWS["first"]}, {"second": ROWS["second"]}), done
                assert not (out.holds(first) and out.holds(second))
                continue
        break
    assert out.holds(second)
    assert set(done) == set(STEPS)
    assert seen(tmp_path, kind) == {"second": ROWS["second"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores"]


def dying(step, name, at, when, steps):
    """The step, which dies before or after the so-many-th of all steps."""

    def do(*arguments):
        steps.append(name)
        if len(steps) == at and when == "before":
            raise Died
        found = step(*arguments)
        if len(steps) == at:
            raise Died
        return found

    return do
