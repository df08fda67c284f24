"""No feature knows the future: whatever happens or becomes known after the prediction time changes nothing."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F
from support import events
from support.events import MAPPING, asthma_task, events_table, in_days, made_candidates

from medspark.cases.split import assign_split
from medspark.task.outcome import EventOutcome
from medspark.task.training import Split

KNOWN_AT_ONCE = ("OBSERVED_FROM", "OBSERVED_TO", "MEDS_BIRTH")
"""What became known at the very prediction time counts for age and observation even where `time` excludes it."""

many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def candidates_of(rows, task, **plan):
    found = made_candidates(events_table(rows, pa.int64()), task, **plan)
    return [{name: comparable(value) for name, value in row.items()} for row in found]


def comparable(value):
    """The same, an impossible age, as by a birth to come, being none: NaN until it is counted."""
    return None if value != value else value


def pick(candidates, wanted):
    """The candidate of the same patient and times as `wanted`."""
    keys = ("subject_id", "index_time", "prediction_time")
    (found,) = (row for row in candidates if all(row[key] == wanted[key] for key in keys))
    return found


def features_of(row):
    kept = ("_excluded", "boolean_value", "subject_id", "index_time", "prediction_time")
    return {name: value for name, value in row.items() if name not in kept}


def time_known(row):
    """When an event of `events_table` became known."""
    available = row[4] if len(row) > 4 else None
    return row[1] if available is None else max(row[1], available)


def until(rows, case, task):
    """The rows known by the prediction time and the index event, which alone is a case's whenever it became known.

    Of what became known at a prediction time that `time` excludes, no more is left than that the patient was seen.
    """
    by = in_days(case["prediction_time"])
    kept = []
    for row in rows:
        indexes = row[:2] == (case["subject_id"], in_days(case["index_time"])) and is_index(row[2], task)
        if row[1] is None or indexes or time_known(row) < by:
            kept.append(row)
        elif time_known(row) == by:
            same = task.time.at_prediction_time == "included" or row[2] in KNOWN_AT_ONCE
            kept += [row] if same else [(row[0], row[1], "SEEN", None, by)] if row[2] != "MEDS_DEATH" else []
    return kept


def is_index(code, task):
    index = task.population.index
    return index is not None and any(code in task.concepts[name].codes for name in index.event)


def without_the_outcome(task):
    """The task with every candidate kept whatever happens after its prediction time."""
    outcome = EventOutcome(name="outcome", event="DX/asthma/", to_days=1, follow_up="keep_all")
    return task.model_copy(update={"outcome": outcome})


def unknown_by(case, rows):
    """Rows of events of a candidate's patient that happened or became known after its prediction time."""
    subject, by = case["subject_id"], in_days(case["prediction_time"])
    after = st.sampled_from((1 / events.DAY, 0.25, 1, 20))  # a microsecond later is later
    codes = st.sampled_from(LATER_CODES)
    later = st.tuples(st.just(subject), after.map(lambda days: by + days), codes, st.just(99.0))
    earlier = st.sampled_from((0, 0.25, 1, 20)).map(lambda days: by - days)
    unknown = st.tuples(st.just(subject), earlier, codes, st.just(99.0), after.map(lambda days: by + days))
    return st.lists(later | unknown, min_size=1, max_size=6)


OF_LIFE = ("MEDS_BIRTH", "MEDS_DEATH", "OBSERVED_FROM", "OBSERVED_TO")
LATER_CODES = ("DX/a", "DX/b", "DX/asthma", "LAB/x", "LAB/y", "GENDER/F", "GENDER/M", "DX/unheard-of", "MEDS_DEATH")


@st.composite
def questions(draw):
    """A task, rows of events, and one of the cases they make."""
    task = without_the_outcome(draw(events.random_tasks()))
    rows, _ = draw(events.random_events())
    cases = [row for row in candidates_of(rows, task) if row["_excluded"] is None]
    assume(cases)
    return task, rows, draw(st.sampled_from(cases))


@many
@given(questions())
def test_features_are_the_same_when_everything_later_or_not_yet_known_is_cut_off(question):
    task, rows, case = question
    found = pick(candidates_of(until(rows, case, task), task), case)
    assert (found["_excluded"], features_of(found)) == (None, features_of(case))


@many
@given(questions(), st.data())
def test_events_later_or_known_later_change_no_feature_and_no_criterion_before_the_outcome(question, data):
    task, rows, case = question
    found = pick(candidates_of([*rows, *data.draw(unknown_by(case, rows))], task), case)
    assert (found["_excluded"], features_of(found)) == (None, features_of(case))


@many
@given(events.random_tasks(), events.random_events(), st.data())
def test_events_later_or_known_later_make_nobody_a_case(task, made, data):
    rows, _ = made
    task = without_the_outcome(task)
    outside = [row for row in candidates_of(rows, task) if row["_excluded"] is not None]
    assume(outside)
    case = data.draw(st.sampled_from(outside))
    found = pick(candidates_of([*rows, *data.draw(unknown_by(case, rows))], task), case)
    assert (found["_excluded"], found["age"]) == (case["_excluded"], case["age"])


@many
@given(questions())
def test_the_label_itself_as_an_event_just_after_changes_no_feature(question):
    task, rows, case = question
    assume(not any(row[2] == "MEDS_DEATH" for row in rows))  # after a death that was not known yet there is no label
    subject, by = case["subject_id"], in_days(case["prediction_time"])
    asked = task.model_copy(update={"outcome": EventOutcome(name="asthma", event="LABEL", to_days=9)})
    found = pick(candidates_of([*rows, (subject, by + 1 / events.DAY, "LABEL", 1.0)], asked), case)
    assert (found["boolean_value"], found["_excluded"]) == (True, None)
    assert features_of(found) == features_of(case)


@many
@given(events.random_tasks(), events.random_events(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(task, made, random):
    rows, _ = made
    shuffled = random.sample(rows, len(rows))
    assert by_patient(candidates_of(shuffled, task)) == by_patient(candidates_of(rows, task))


@many
@given(events.random_tasks(), events.random_events())
def test_the_patients_that_share_a_batch_change_nothing(task, made):
    rows, _ = made
    apart = [
        row
        for subject in sorted({row[0] for row in rows})
        for row in candidates_of([row for row in rows if row[0] == subject], task)
    ]
    assert by_patient(apart) == by_patient(candidates_of(rows, task))


def by_patient(candidates):
    return sorted(candidates, key=lambda row: (row["subject_id"], row["prediction_time"]))


@many
@given(questions(), st.sampled_from((0, 1 / events.DAY, 0.25, 3, 50)))
def test_scoring_at_or_after_the_prediction_time_gives_the_features_of_training(question, later):
    task, rows, case = question
    by = in_days(case["prediction_time"])
    by += later if task.population.snapshot is None else 0  # a snapshot is taken at the time that scoring asks for
    assume(is_index_known(rows, case, task, by))
    found = pick(candidates_of(rows, task, as_of=by, scoring=True), case)
    assert (found["_excluded"], features_of(found)) == (None, features_of(case))
    assert found["boolean_value"] is None


def is_index_known(rows, case, task, by):
    key = (case["subject_id"], in_days(case["index_time"]))
    of_it = [row for row in rows if row[:2] == key and is_index(row[2], task)]
    return task.population.index is None or any(time_known(row) <= by for row in of_it)


@many
@given(events.random_tasks(), events.random_events())
def test_scoring_at_the_prediction_time_decides_who_is_a_case_as_training_does(task, made):
    rows, _ = made
    task = without_the_outcome(task)
    trained = candidates_of(rows, task)
    for time in sorted({row["prediction_time"] for row in trained}):
        by = in_days(time)
        there = [row for row in trained if row["prediction_time"] == time and is_index_known(rows, row, task, by)]
        scored = [row for row in candidates_of(rows, task, as_of=by, scoring=True) if row["prediction_time"] == time]
        if task.population.index is not None and task.population.index.take == "first":
            # The first index event that is known need not be the first one
            keys = {(row["subject_id"], row["index_time"]) for row in there}
            scored = [row for row in scored if (row["subject_id"], row["index_time"]) in keys]
        assert by_patient(unlabelled(scored)) == by_patient(unlabelled(there))


def unlabelled(candidates):
    return [{name: value for name, value in row.items() if name != "boolean_value"} for row in candidates]


def test_a_patients_split_depends_on_no_other_row(spark):
    names = [str(number) for number in range(50)]
    alone = {name: spark.createDataFrame([(name,)], "subject string") for name in names[:3]}
    together = spark.createDataFrame([(name,) for name in reversed(names)], "subject string").repartition(3)
    side = assign_split(F.col("subject"), Split()).alias("side")
    sides = {row["subject"]: row["side"] for row in together.select("subject", side).collect()}
    assert {name: frame.select(side).first()[0] for name, frame in alone.items()} == {n: sides[n] for n in alone}


def test_without_periods_scoring_keeps_the_patients_that_training_keeps():
    task = asthma_task(
        concepts={"asthma": {"codes": ["DX/asthma"]}},
        population={"snapshot": {"at": [events.day_text(10)]}, "history_days": 5},
    )
    rows = [(1, 0, "DX/a"), (1, 9, "DX/a"), (1, 20, "DX/a")]
    trained, scored = candidates_of(rows, task), candidates_of(rows, task, as_of=10, scoring=True)
    assert [row["_excluded"] for row in trained] == [row["_excluded"] for row in scored] == [None]


OPEN = (1, 50, "OBSERVED_TO", None, 51)
HISTORY = {"history_days": 5}


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"population": HISTORY}, [(1, 0, "DX/a", None, 20), (1, 9, "DX/a")]),
        ({"population": {"age_at_most": 15}}, [(1, -7000, "MEDS_BIRTH", None, 20), (1, -3000, "MEDS_BIRTH")]),
    ],
    ids=["first event", "birth"],
)
def test_the_first_of_several_is_the_first_of_those_known_by_then(changes, rows):
    assert_decided_alike(changes, rows)


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 0, "OBSERVED_FROM"), (1, 8, "OBSERVED_TO", None, 9), (1, 9, "OBSERVED_FROM", None, 20), OPEN],
        [(1, 0, "OBSERVED_FROM", None, 20), (1, 30, "OBSERVED_TO", None, 31), (1, 9, "OBSERVED_FROM"), OPEN],
        [(1, 0, "OBSERVED_FROM", None, 20), OPEN, (1, 0, "OBSERVED_FROM"), OPEN],
    ],
    ids=["later one unknown", "earlier one unknown", "one of two at a time unknown"],
)
def test_periods_are_joined_of_those_known_by_then(rows):
    assert_decided_alike({"mapping": MAPPING, "population": {}}, rows)


def assert_decided_alike(changes, rows):
    """Training and scoring at its prediction time decide the same of an index event on day 10."""
    population = {"index": {"event": "index", "take": "every"}, **changes["population"]}
    task = asthma_task(**{**changes, "population": population})
    rows = [*rows, (1, 10, "INDEX")]
    trained, scored = candidates_of(rows, task), candidates_of(rows, task, as_of=10, scoring=True)
    assert unlabelled(trained) == unlabelled(scored)
