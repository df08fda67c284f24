"""No feature knows the future: whatever happens or becomes known after the prediction time changes nothing."""

import events
import pyarrow as pa
import pytest
from events import asthma_task, events_table, in_days, made_candidates
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from medspark.cases.split import assign_split
from medspark.event_task import EventOutcome
from medspark.learning import Split

OF_THE_FUTURE = ("OBSERVED_FROM", "OBSERVED_TO", "MEDS_DEATH", "MEDS_BIRTH", "INDEX", "DRUG/p")
"""What says who is a candidate at all counts by its time, whenever known; here it is known at its time."""

many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def candidates_of(rows, task, **plan):
    return made_candidates(events_table(rows, pa.int64()), task, **plan)


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


def is_known(row, by, task):
    if row[1] is None:
        return True
    return time_known(row) <= by if task.time.at_prediction_time == "included" else time_known(row) < by


def without_the_outcome(task):
    """The task with every candidate kept whatever happens after its prediction time."""
    outcome = EventOutcome(name="outcome", event="DX/asthma/", to_days=1, follow_up="keep_all")
    return task.model_copy(update={"outcome": outcome})


@st.composite
def questions(draw):
    """A task, rows of events, and one of the cases they make."""
    task = without_the_outcome(draw(events.random_tasks()))
    rows, _ = draw(events.random_events())
    rows = [row[:4] if row[2] in OF_THE_FUTURE else row for row in rows]
    cases = [row for row in candidates_of(rows, task) if row["_excluded"] is None]
    assume(cases)
    return task, rows, draw(st.sampled_from(cases))


@many
@given(questions())
def test_features_are_the_same_when_everything_later_or_not_yet_known_is_cut_off(question):
    task, rows, case = question
    by = in_days(case["prediction_time"])
    cut = [row for row in rows if is_known(row, by, task) or (row[1] <= by and row[2] in OF_THE_FUTURE)]
    # Where periods of observation end, or the last event is, says who is a case; its features do not depend on it
    kept = [row for row in rows if row[2] in ("OBSERVED_FROM", "OBSERVED_TO") and row not in cut]
    kept += [(case["subject_id"], by + 99, "LAST SEEN"), (case["subject_id"], in_days(case["index_time"]), "SEEN")]
    found = pick(candidates_of([*cut, *kept], task), case)
    assume(found["_excluded"] not in ("not observed", "history"))
    assert (found["_excluded"], features_of(found)) == (None, features_of(case))


LATER_CODES = st.sampled_from(("DX/a", "DX/b", "DX/asthma", "LAB/x", "LAB/y", "GENDER/F", "GENDER/M", "DX/unheard-of"))


@many
@given(questions(), st.data())
def test_events_later_or_known_later_change_no_feature_and_no_criterion_before_the_outcome(question, data):
    task, rows, case = question
    subject, by = case["subject_id"], in_days(case["prediction_time"])
    after = st.sampled_from((1 / events.DAY, 0.25, 1, 20))  # a microsecond later is later
    later = st.tuples(st.just(subject), after.map(lambda days: by + days), LATER_CODES, st.just(99.0))
    earlier = st.sampled_from((0, 0.25, 1, 20)).map(lambda days: by - days)
    unknown = st.tuples(st.just(subject), earlier, LATER_CODES, st.just(99.0), after.map(lambda days: by + days))
    planted = data.draw(st.lists(later | unknown, min_size=1, max_size=6))
    # Observed from the first event to the last: one that is known late may still be the first
    seen = [row[1] for row in rows if row[0] == subject and row[1] is not None and row[2] != "MEDS_BIRTH"]
    start = min(seen, default=by)
    planted = [row for row in planted if row[1] >= start]
    found = pick(candidates_of([*rows, *planted], task), case)
    assert (found["_excluded"], features_of(found)) == (None, features_of(case))


@many
@given(questions())
def test_the_label_itself_as_an_event_just_after_changes_no_feature(question):
    task, rows, case = question
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
    # Who is observed is judged by what is known: without later events a patient may have left
    by = in_days(case["prediction_time"])
    by += later if task.population.snapshot is None else 0
    scored = candidates_of(rows, task, as_of=by, scoring=True)
    keys = ("subject_id", "prediction_time", "index_time")
    found = [row for row in scored if all(row[key] == case[key] for key in keys)]
    assume(found and found[0]["_excluded"] not in ("not observed", "history"))
    assert (found[0]["_excluded"], features_of(found[0])) == (None, features_of(case))
    assert found[0]["boolean_value"] is None


def test_a_patients_split_depends_on_no_other_row(spark):
    names = [str(number) for number in range(50)]
    alone = {name: spark.createDataFrame([(name,)], "subject string") for name in names[:3]}
    together = spark.createDataFrame([(name,) for name in reversed(names)], "subject string").repartition(3)
    side = assign_split(F.col("subject"), Split()).alias("side")
    sides = {row["subject"]: row["side"] for row in together.select("subject", side).collect()}
    assert {name: frame.select(side).first()[0] for name, frame in alone.items()} == {n: sides[n] for n in alone}


@pytest.mark.xfail(strict=True, reason="without periods of observation, scoring takes the last known event for the end")
def test_without_periods_scoring_keeps_the_patients_that_training_keeps():
    task = asthma_task(
        concepts={"asthma": {"codes": ["DX/asthma"]}},
        population={"snapshot": {"at": [events.day_text(10)]}, "history_days": 5},
    )
    rows = [(1, 0, "DX/a"), (1, 9, "DX/a"), (1, 20, "DX/a")]
    trained, scored = candidates_of(rows, task), candidates_of(rows, task, as_of=10, scoring=True)
    assert [row["_excluded"] for row in trained] == [row["_excluded"] for row in scored] == [None]
