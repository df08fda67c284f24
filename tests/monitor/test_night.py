"""A night beside the nights before it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from medspark.monitor.night import Newest, Night, beside_before, newest_of
from medspark.monitor.verdict import findings_beside, verdict_of
from medspark.monitor.worker.tally import Tally
from medspark.task.monitoring import Monitoring


def night(at, rows=1000, unscored=10, tables=None, **more):
    rejected = {"quarantined: age: type": unscored, "excluded: died": 300}
    whole = {"version": f"v{at}", "run_id": f"r{at:03}", "bundle_id": "b", "at": "2026-11-26T06:00:00+00:00", **more}
    return Night(rows_in=rows, scored=rows - unscored - 300, rejected=rejected, tables=tables or {}, **whole)


def usual(count=10, **more):
    return [night(at, 1000 + 7 * (at % 5), 10 + at % 3, **more) for at in range(count)]


def found(tonight, before, newest=None, **settings):
    asked = Monitoring(**settings)
    return findings_beside(beside_before(tonight, before, newest, asked), asked)


def test_a_night_like_those_before_has_no_finding():
    assert found(night(20, 1010), usual()) == []


def test_a_feed_that_stopped_is_named_the_same_night_even_the_second_one():
    before = usual(1, tables={"labs": 5000, "visits": 900})
    one = found(night(20, 1010, tables={"visits": 880}), before)
    assert [(each.subject, each.measure, each.verdict) for each in one] == [("table labs", "volume", "stop")]
    assert one[0].sentence == "0 rows of table labs (before: 5,000): the feed stopped"


def growing(*rows):
    return [night(at, tables={"labs": count}) for at, count in enumerate(rows)]


def test_a_table_of_all_rows_ever_that_does_not_grow_as_it_did_is_a_feed_that_stopped():
    """A warehouse that keeps everything has as many rows as the night before once a feed stops."""
    (one,) = found(night(20, 1010, tables={"labs": 5400}), growing(5000, 5120, 5260, 5400))
    assert (one.subject, one.measure, one.verdict) == ("table labs", "freshness", "stop")
    assert one.sentence.startswith("table labs has 5,400 rows as in the run before")


@pytest.mark.parametrize(
    ("tonight", "before"),
    [
        (5530, (5000, 5120, 5260, 5400)),  # it grew
        (5400, (5400, 5400, 5400, 5400)),  # it never does
        (5003, (5000, 5001, 5002, 5003)),  # a row a night: some night has none
        (5400, (5260, 5400)),  # too few nights to know
    ],
)
def test_a_table_that_grows_or_never_did_is_none(tonight, before):
    assert found(night(20, 1010, tables={"labs": tonight}), growing(*before)) == []


def test_a_night_of_no_row_stops():
    nothing = Night(version="v", run_id="r9", bundle_id="b", at="2026-11-26T06:00:00+00:00", rows_in=0, scored=0)
    assert verdict_of(found(nothing, usual())) == "stop"
    assert [each.sentence for each in found(nothing, [])] == ["no case has a score"]


@pytest.mark.parametrize(("rows", "verdict"), [(980, "ok"), (450, "warn"), (2500, "warn"), (12_000, "stop")])
def test_a_night_of_far_more_or_fewer_rows_is_told(rows, verdict):
    assert verdict_of(found(night(20, rows), usual())) == verdict


def test_from_fewer_than_five_nights_nobody_knows_how_many_rows_are_usual():
    assert found(night(20, 450), usual(4)) == []


@pytest.mark.parametrize(("unscored", "verdict"), [(12, "ok"), (200, "warn"), (600, "stop")])
def test_many_rows_without_a_score_are_told_and_those_that_a_criterion_excludes_are_not_among_them(unscored, verdict):
    assert verdict_of(found(night(20, 1010, unscored), usual())) == verdict


def microseconds(hour):
    return int(datetime(2026, 11, 26, hour, tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("what", "named"), [("event", "event that the task reads"), ("prediction time", "prediction time")]
)
@pytest.mark.parametrize(("hour", "verdict"), [(5, "ok"), (3, "stop")])
def test_what_is_newest_and_too_long_ago_stops_where_the_task_says_how_long(what, named, hour, verdict):
    newest = Newest(what, microseconds(hour))
    one = found(night(20, 1010), usual(), newest, newest_within_hours=2)
    assert verdict_of(one) == verdict
    assert [each.sentence for each in one] == (
        [] if verdict == "ok" else [f"the newest {named} is 3 hours before the run (expected: at most 2)"]
    )
    assert found(night(20, 1010), usual(), newest) == []


def test_a_warehouse_is_as_old_as_its_newest_event_whatever_time_is_predicted_for():
    """Scored as of six, when the run begins, from records that end the evening before."""
    nothing = Tally(np.zeros((1, 1), np.int64), np.zeros((0, 1), np.int64))
    tally = nothing._replace(newest=microseconds(6), newest_event=microseconds(0))
    one = found(night(20, 1010), usual(), newest_of(tally), newest_within_hours=2)
    assert [(each.subject, each.value, each.verdict) for each in one] == [("event", 6.0, "stop")]
    assert one[0].sentence.startswith("the newest event that the task reads is 6 hours before the run")
    assert newest_of(tally._replace(newest_event=None)) == Newest("prediction time", microseconds(6))
    assert newest_of(nothing) is None
