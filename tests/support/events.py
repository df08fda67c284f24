"""Small event tasks and tables of events. Times are in days since the first of January 2020, 10.5 being a noon."""

import datetime
from typing import get_args

import pyarrow as pa
from hypothesis import strategies as st

from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.cases.worker.history import DAY
from medspark.task.features import Take
from medspark.task.load import check_task

START = 18_262 * DAY
"""The first of January 2020, in microseconds since 1970."""

MAPPING = {
    "mapping": "made-up",
    "title": "Events that a test makes up",
    "demographics": {"sex": "GENDER"},
    "observation": {"start": "OBSERVED_FROM", "end": "OBSERVED_TO"},
    "tables": {"data": {"subject": "subject_id", "columns": {"subject_id": "long"}, "events": [{"code": "NONE"}]}},
}
UNOBSERVED_MAPPING = {name: part for name, part in MAPPING.items() if name != "observation"}

ASTHMA = {
    "task": "asthma",
    "title": "Asthma after a made-up index event",
    "source": {"kind": "events", "mapping": "made-up", "format": "parquet", "path": "unset"},
    "mapping": UNOBSERVED_MAPPING,
    "concepts": {"index": {"codes": ["INDEX"]}, "asthma": {"codes": ["DX/asthma"]}},
    "population": {"index": {"event": "index", "take": "every"}},
    "outcome": {"name": "asthma", "event": "asthma", "to_days": 30, "follow_up": "keep_all"},
    "features": {"codes": {"all": {"of": ["DX/"], "at_least": 1}}},
    "privacy": {"names_of_few": True},
}


def asthma_task(**changes):
    """The task of asthma after an index event, with some sections replaced."""
    task, problems = check_task({**ASTHMA, **changes})
    assert problems == [], problems
    return task


def micros(days):
    """Days since the first of January 2020 as microseconds since 1970."""
    return None if days is None else START + round(days * DAY)


def events_table(rows, subject=None):
    """Rows (subject, time, code), (…, number) or (…, number, available) as `read_history` wants them."""
    full = [(*row, *(None,) * (5 - len(row))) for row in rows]
    columns = list(zip(*full, strict=True)) if full else [()] * 5
    stamps = pa.timestamp("us", tz="UTC")
    if subject is None:
        subject = pa.string() if any(isinstance(name, str) for name in columns[0]) else pa.int64()
    return pa.table(
        {
            "subject_id": pa.array(columns[0], subject),
            "time": pa.array([micros(days) for days in columns[1]], pa.int64()).cast(stamps),
            "code": pa.array(columns[2], pa.string()),
            "numeric_value": pa.array(columns[3], pa.float64()),
            "available_time": pa.array([micros(days) for days in columns[4]], pa.int64()).cast(stamps),
        }
    )


def made_candidates(events, task, as_of=None, scoring=False):
    """Every candidate as a dict; `events` is a table of events or its rows."""
    table = events if isinstance(events, pa.Table) else events_table(events)
    return rows_of(make_candidates(table, Plan(task, as_of=micros(as_of), scoring=scoring)))


def rows_of(table):
    """Rows as dicts: times as whole microseconds, maps as dicts."""
    maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    for name in times:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    return [row | {name: dict(row[name]) for name in maps if row[name] is not None} for row in table.to_pylist()]


def in_days(time):
    """Microseconds since 1970 as days since the first of January 2020."""
    return (time - START) / DAY


def day_text(days):
    """As a snapshot names a time."""
    moment = datetime.datetime(2020, 1, 1) + datetime.timedelta(days=days)
    return moment.isoformat()


# ---------------------------------------------------------------- fates

INDEXED = {"event": "index", "take": "every"}
LOST = "no full follow-up"


def fates(rows, task, **plan):
    """Patient, day of the prediction, and the label or the criterion that takes the candidate out."""
    return [
        (row["subject_id"], in_days(row["prediction_time"]), row["_excluded"] or row["boolean_value"])
        for row in made_candidates(rows, task, **plan)
    ]


def population(**changes):
    return asthma_task(population={"index": INDEXED, **changes})


def outcome(**changes):
    return asthma_task(outcome={"name": "asthma", "event": "asthma", "to_days": 10, **changes})


# ---------------------------------------------------------------- by chance

CODES = ("INDEX", "DX/a", "DX/b", "DX/asthma", "LAB/x", "LAB/y", "DRUG/p", "GENDER/F", "GENDER/M")
STEP = 0.25
"""Days between the times of made-up events, so that many are on the edges of windows."""


@st.composite
def random_events(draw, subjects=3):
    """Rows for `events_table` and periods of observation, which are among the rows too.

    A period is (subject, start, when the start became known, stop); its last day is known to the end.
    """
    size = draw(st.sampled_from((0, 1, 3, 5, 10, 20, 40)))
    times = st.integers(0, 160).map(lambda steps: steps * STEP)
    lateness = st.none() | st.sampled_from((-1, 0, 0.5, 1, 3, 15))
    one = st.tuples(
        st.integers(1, subjects),
        times,
        st.sampled_from(("INDEX", *CODES)),
        st.none() | st.integers(-4, 8).map(lambda halves: halves / 2),
        lateness,
    )
    rows = [
        (subject, time, code, number, None if late is None else time + late)
        for subject, time, code, number, late in draw(st.lists(one, min_size=size, max_size=size))
    ]
    rows += [(subject, None, f"GENDER/{draw(st.sampled_from('FM'))}") for subject in range(1, draw(st.integers(1, 4)))]
    births = st.tuples(st.integers(1, subjects), st.sampled_from((-YEARS * 365.25, 5.0)), lateness)
    deaths = st.tuples(st.just(1), times, lateness)
    rows += [
        (subject, time, code, None, None if late is None else time + late)
        for code, drawn in (("MEDS_BIRTH", births), ("MEDS_DEATH", deaths))
        for subject, time, late in draw(st.lists(drawn, max_size=3))
    ]
    lengths = st.integers(0, 120).map(lambda steps: steps * STEP)
    periods = [
        (subject, start, start + late, start + length)
        for subject, start, late, length in draw(
            st.lists(st.tuples(st.integers(1, subjects), times, st.sampled_from((0, 0, 0.5, 1)), lengths), max_size=6)
        )
    ]
    for subject, start, known, stop in periods:
        rows += [(subject, start, "OBSERVED_FROM", None, known), (subject, stop, "OBSERVED_TO", None, stop + 1)]
    return rows, periods


YEARS = 50


@st.composite
def random_tasks(draw):
    """Tasks of a few parts each, drawn from all that a task can say."""
    days = st.sampled_from((0.5, 1, 2, 7, 30))
    names = st.sampled_from(("DX/", "LAB/", "drug", "asthma", "either", "DRUG/"))
    criterion = st.tuples(names, st.none() | days)
    of = st.lists(names, min_size=1, max_size=3, unique=True)
    back = st.lists(days, max_size=2, unique=True)
    takes = st.lists(st.sampled_from(get_args(Take)), min_size=1, max_size=5, unique=True)
    if draw(st.booleans()):
        population = {"snapshot": {"at": [day_text(day) for day in draw(st.sampled_from(([20], [10, 20.5, 30])))]}}
    else:
        population = {"index": {"event": draw(st.sampled_from((["index"], ["index", "drug"]))), "take": "first"}}
        population["predict_after_hours"] = draw(st.sampled_from((0, 12, 36)))
        if draw(st.booleans()):
            population["index"]["take"] = "every"
            population["washout_days"] = draw(st.none() | days)
    is_indexed = "index" in population
    population["age_at_most"] = draw(st.sampled_from((None, None, None, None, YEARS + 0.05)))
    population["history_days"] = draw(st.sampled_from((None, None, 0.5, 2, 7)))
    population["require"] = [
        {"name": "required", "had": had, "within_days": within, "because": "so"}
        for had, within in draw(st.lists(criterion, max_size=1))
    ]
    population["exclude"] = [
        {"name": f"excluded {at}", "had": had, "within_days": within, "because": "so"}
        | {"after_index": is_indexed and draw(st.booleans())}
        for at, (had, within) in enumerate(draw(st.lists(criterion, max_size=2)))
    ]
    outcome = {"name": "outcome", "event": draw(st.sampled_from(("asthma", "DX/")))}
    outcome["from_days"] = draw(st.sampled_from((0, 0.5, 1)))
    outcome["to_days"] = draw(st.sampled_from((None, 5, 14)))
    outcome["gap"] = draw(st.sampled_from(("exclude", "outcome", "ignore")))
    outcome["death"] = draw(st.sampled_from(("no_outcome", "outcome", "leave_out")))
    if outcome["to_days"] is not None:
        outcome["follow_up"] = draw(st.sampled_from(("keep_outcomes", "keep_all", "require_full")))
    features = {
        "demographics": ["age", "sex"],
        "codes": {"bag": {"of": draw(of), "look_back_days": draw(back)}},
        "values": {"numbers": {"of": draw(of), "look_back_days": draw(back), "take": draw(takes)}},
        "sequences": {"past": {"of": draw(of), "look_back_days": draw(back), "last": draw(st.integers(1, 6))}},
        "grids": {"grid": {"of": draw(of), "look_back_hours": 48, "every_hours": draw(st.sampled_from((6, 12, 24)))}},
    }
    features["grids"]["grid"]["take"] = draw(st.sampled_from(("mean", "last", "min", "max", "count")))
    concepts = {
        "index": {"codes": ["INDEX"]},
        "drug": {"codes": ["DRUG/p"]},
        "asthma": {"codes": ["DX/asthma"]},
        "either": {"codes": ["DX/a", "LAB/x"], "as_one": True},
    }
    text = repr((population, outcome, features))
    return asthma_task(
        mapping=draw(st.sampled_from((UNOBSERVED_MAPPING, UNOBSERVED_MAPPING, MAPPING))),
        concepts={name: concept for name, concept in concepts.items() if repr(name) in text},
        population=population,
        outcome=outcome,
        time={"at_prediction_time": draw(st.sampled_from(("included", "excluded")))},
        features=features,
    )
