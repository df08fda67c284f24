"""Labels that somebody else has drawn are read as they are, or refused with what is wrong with them."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.events import ASTHMA, asthma_task, micros

from medspark.errors import InputError
from medspark.events.labels import digest_of, read_labels
from medspark.task.event_task import EventTask
from medspark.task.load import check_task

NOON, LATER = dt.datetime(2020, 1, 11, 12), dt.datetime(2020, 1, 12)
US, UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")


def task_by(path: Path, **labels: str) -> EventTask:
    return asthma_task(
        concepts={},
        population={"labels": {"path": str(path), **labels}},
        outcome={"name": "asthma", "label": "boolean_value"},
    )


def write(path: Path, subjects: Any, times: Any, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"subject_id": subjects, "prediction_time": times, "boolean_value": values}
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


def test_every_file_of_a_folder_is_read_and_a_time_without_a_zone_is_utc(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a" / "0.parquet", [1, 2**53 + 1], pa.array([NOON, LATER], US), [True, None])
    write(tmp_path / "a" / "more" / "1.parquet", [1], pa.array([LATER], US), [False])
    (tmp_path / "a" / "README").write_text("no label")
    found = read_labels(spark, task_by(tmp_path / "a"))
    assert found is not None
    rows = sorted(map(str, found.to_pylist()))
    assert rows == sorted(
        str({"subject_id": who, "prediction_time": micros(day), "boolean_value": label})
        for who, day, label in [("1", 10.5, True), ("9007199254740993", 11, None), ("1", 11, False)]
    )
    zoned = write(tmp_path / "zoned.parquet", ["a"], pa.array([NOON], UTC), [True])
    assert read_labels(spark, task_by(zoned)).to_pylist() == [  # type: ignore[union-attr]
        {"subject_id": "a", "prediction_time": micros(10.5), "boolean_value": True}
    ]


@pytest.mark.parametrize(
    ("subjects", "times", "values", "says"),
    [
        ([1], pa.array([NOON], US), None, "expected boolean_value as boolean, received no such column"),
        ([1], pa.array([NOON], US), [1], "expected boolean_value as boolean, received bigint"),
        ([1.0], pa.array([NOON], US), [True], "expected subject_id as bigint or int or string, received double"),
        ([1, None], pa.array([NOON, NOON], US), [True, True], "received 1 without patient or time, and 0 of a patient"),
        ([1, 1], pa.array([NOON, NOON], US), [True, False], "received 0 without patient or time, and 1 of a patient"),
        (
            [1],
            pa.array([1], pa.timestamp("ns")),
            [True],
            "expected prediction_time as timestamp or timestamp_ntz, ",
        ),
    ],
)
def test_labels_that_cannot_be_told_are_refused(
    subjects: Any, times: Any, values: Any, says: str, spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "labels.parquet", subjects, times, values)
    with pytest.raises(InputError, match=says):
        read_labels(spark, task_by(path))


def test_each_file_of_a_folder_has_the_columns(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a" / "0.parquet", [1], pa.array([NOON], US), [True])
    write(tmp_path / "a" / "1.parquet", [2], pa.array([NOON], US), None)
    with pytest.raises(InputError, match=r"1\.parquet: expected boolean_value as boolean, received no such column"):
        read_labels(spark, task_by(tmp_path / "a"))


def test_labels_that_are_gone_or_others_than_before_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "labels.parquet", [1], pa.array([NOON], US), [True])
    task = task_by(path, sha256=digest_of(spark.sparkContext, task_by(path).population.labels))  # type: ignore[arg-type]
    assert read_labels(spark, task) is not None
    write(path, [1], pa.array([NOON], US), [False])
    with pytest.raises(InputError, match=r"expected .*labels\.parquet with the digest [0-9a-f]{64}, received one with"):
        read_labels(spark, task)
    path.unlink()
    with pytest.raises(InputError, match=r"population\.labels: there is no Parquet file at .*labels\.parquet"):
        read_labels(spark, task)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"outcome": ASTHMA["outcome"]}, "expected population.labels and outcome.label together"),
        ({"population": ASTHMA["population"]}, "expected population.labels and outcome.label together"),
        ({"population": {"labels": {"path": "x"}, "snapshot": {"at": ["2020-01-01"]}}}, "received snapshot and labels"),
        (
            {"population": {"labels": {"path": "x"}, "washout_days": 3}},
            "are of an index event, and there is none",
        ),
        (
            {"outcome": {"name": "o", "label": "boolean_value", "to_days": 9, "gap": "ignore"}},
            "outcome.gap, to_days: of events after the prediction time, and labels say what came",
        ),
        ({"outcome": {"name": "o", "label": "boolean_value", "event": "asthma"}}, "received event and label"),
    ],
)
def test_what_labels_leave_nothing_to_say_of_is_refused(changes: dict[str, Any], says: str) -> None:
    own = {"population": {"labels": {"path": "x"}}, "outcome": {"name": "o", "label": "boolean_value"}}
    _, problems = check_task({**ASTHMA, **own, **changes})
    assert says in " ".join(problems)
