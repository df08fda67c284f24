"""Small event tasks and tables of events. Times are in days since the first of January 2020, 10.5 being a noon."""

import datetime

import pyarrow as pa

from medspark.cases.events import Plan, make_candidates
from medspark.cases.history import DAY
from medspark.task_checks import check_task

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
}


def asthma_task(**changes):
    """The task of asthma after an index event, with some sections replaced."""
    task, problems = check_task({**ASTHMA, **changes})
    assert problems == [], problems
    return task


def micros(days):
    """Days since the first of January 2020 as microseconds since 1970; a whole number is taken as it is."""
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
    return rows_of(make_candidates(table, Plan(task, task.mapping, as_of=micros(as_of), scoring=scoring)))


def rows_of(table):
    """Rows as dicts: times as whole microseconds, maps as dicts."""
    maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    for name in times:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    return [row | {name: row[name] and dict(row[name]) for name in maps} for row in table.to_pylist()]


def in_days(time):
    """Microseconds since 1970 as days since the first of January 2020."""
    return (time - START) / DAY


def day_text(days):
    """As a snapshot names a time."""
    moment = datetime.datetime(2020, 1, 1) + datetime.timedelta(days=days)
    return moment.isoformat()
