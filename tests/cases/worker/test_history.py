"""Questions to histories: the answers of writing every window out, in the memory of events and questions."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import INDEXED, MAPPING, asthma_task, events_table, made_candidates

from medspark.cases.worker import observation
from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.cases.worker.history import (
    EVER,
    NEVER,
    between,
    expand,
    first_time_known,
    had,
    is_known,
    last_known,
    lowest_between,
    read_history,
)

QUESTIONS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-2, 14), st.integers(-2, 14), st.integers(-2, 14)), max_size=9
)
EVENTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.sampled_from("ABC"), st.none(), st.none() | st.integers(0, 14)),
    min_size=1,
    max_size=25,
)


def asked(rows, questions):
    """A history, and of each question its patient, its ends and the time by which an event must have been known."""
    history = read_history(events_table([*((patient, 0, "A") for patient in (1, 2, 3)), *rows]))
    columns = np.array(questions, np.int64).reshape(-1, 4).T
    subject, low, high, by = columns[0], *(18_262 * 86_400_000_000 + columns[1:] * 86_400_000_000)
    return history, subject, low, high, by


@settings(deadline=None)
@given(EVENTS, QUESTIONS, st.booleans(), st.tuples(st.booleans(), st.booleans()))
def test_had_answers_as_windows_written_out_do(rows, questions, included, closed):
    history, subject, low, high, by = asked(rows, questions)
    at, owner = expand(*between(history, subject, low, high, closed=closed))
    known = is_known(history.known[at], by[owner], included)
    naive = [bool(known[owner == question].any()) for question in range(len(questions))]
    assert had(history, subject, low, high, closed=closed, by=by, included=included).tolist() == naive


@settings(deadline=None)
@given(EVENTS, QUESTIONS, st.booleans())
def test_first_and_last_known_answer_as_histories_written_out_do(rows, questions, included):
    history, subject, _, _, by = asked(rows, questions)
    at, owner = expand(*between(history, subject, EVER, by, closed=(True, True)))
    until, before = history.known[at] <= by[owner], is_known(history.known[at], by[owner], included)
    first = [min(history.time[at[(owner == q) & until]], default=NEVER) for q in range(len(questions))]
    last = [max(at[(owner == q) & before], default=-1) for q in range(len(questions))]
    assert first_time_known(history, subject, by).tolist() == first
    assert last_known(history, subject, by, included).tolist() == last


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=9)
)
def test_the_lowest_of_a_range_is_its_minimum(values, ranges):
    numbers = np.array(values, np.int64)
    ends = [(min(start, len(values)), min(stop, len(values))) for start, stop in ranges]
    start, stop = np.array(ends, np.int64).reshape(-1, 2).T
    naive = [min(values[low:high], default=NEVER) for low, high in ends]
    assert lowest_between(numbers, start, stop).tolist() == naive


LIVES = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 30),
        st.sampled_from(["OBSERVED_FROM", "OBSERVED_TO", "INDEX", "INDEX"]),
        st.none(),
        st.none() | st.integers(0, 40),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(LIVES)
def test_periods_looked_at_in_blocks_say_what_they_say_at_once(events):
    task = asthma_task(mapping=MAPPING, population={"index": INDEXED, "history_days": 5})
    at_once = made_candidates(events, task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation, "HELD_PERIODS", 2)
        assert made_candidates(events, task) == at_once


def peak_megabytes(task, rows):
    events = events_table(rows)
    tracemalloc.start()
    made = make_candidates(events, Plan(task))
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return made, peak


@pytest.mark.parametrize("mapping", ["observed", "by events"])
def test_one_heavy_patient_takes_the_memory_of_his_events_not_of_their_product_with_his_index_events(mapping):
    heavy = [(1, day / 10, "DX/a", None, day / 10 + 1) for day in range(40_000)]
    rows = [*heavy, *((1, 2 * day, "INDEX") for day in range(2_000)), (1, -9000, "MEDS_BIRTH"), (1, 5, "GENDER/F")]
    rows += [(1, 20 * n, "OBSERVED_FROM") for n in range(200)] + [(1, 20 * n + 9, "OBSERVED_TO") for n in range(200)]
    rule = {"name": "a", "had": "DX/", "because": "of it"}
    population = {"index": INDEXED, "washout_days": 1, "history_days": 5, "age_at_least": 1}
    sections = {
        "concepts": {"index": {"codes": ["INDEX"]}, "asthma": {"codes": ["DX/a"]}},
        "outcome": {"name": "a", "event": "asthma", "from_days": 365, "to_days": 730, "gap": "outcome"},
        "population": {**population, "require": [{**rule, "within_days": 900}], "exclude": [{**rule, "name": "b"}]},
    }
    if mapping == "observed":
        sections["mapping"] = MAPPING
    made, peak = peak_megabytes(asthma_task(**sections, features={"demographics": ["age", "sex"]}), rows)
    assert made.num_rows == 2_000
    assert peak < 100, f"{peak:.0f} MB"  # 80 million pairs of 41 bytes would be 3 GB
