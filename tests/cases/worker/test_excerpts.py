"""Histories cut into excerpts, from which encoders learn without outcomes."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from medspark.cases.worker.excerpts import make_excerpts
from medspark.task.features import EventFeatures

(PAST,) = EventFeatures.model_validate({"sequences": {"past": {"of": ["DX/"], "last": 2}}}).columns()
START = datetime(2020, 1, 1, tzinfo=UTC)


def events(*rows):
    """Rows of (subject, hours since the start, code)."""
    time = pa.array([START + timedelta(hours=hours) for _, hours, _ in rows], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "subject_id": pa.array([row[0] for row in rows], pa.int64()),
            "time": time,
            "code": [row[2] for row in rows],
            "numeric_value": pa.nulls(len(rows), pa.float64()),
            "available_time": time,
        }
    )


def excerpts(*rows):
    made = make_excerpts(events(*rows), PAST, {})
    return [[(event["code"], event["hours_before"]) for event in row] for row in made["past_all"].to_pylist()]


def test_a_history_is_cut_from_its_newest_event_back_and_only_the_groups_events_count():
    found = excerpts(
        (1, 0, "DX/a"), (1, 1, "DX/b"), (1, 3, "LAB/x"), (1, 4, "DX/c"), (1, 9, "LAB/y"), (2, 5, "DX/a")
    )  # fmt: skip
    assert found == [[("DX/a", 0.0)], [("DX/b", 3.0), ("DX/c", 0.0)], [("DX/a", 0.0)]]


def test_a_patient_without_an_event_of_the_group_has_no_excerpt():
    assert excerpts((1, 0, "LAB/x"), (2, 0, "DX/a")) == [[("DX/a", 0.0)]]
    assert excerpts((1, 0, "LAB/x")) == []


def test_excerpts_that_end_at_one_time_are_made_once():
    assert excerpts(*((1, 0, f"DX/{at}") for at in range(4))) == [[("DX/2", 0.0), ("DX/3", 0.0)]]
