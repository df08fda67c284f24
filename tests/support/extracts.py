"""A made-up table whose rows are written again in place, with the time of each writing, in files and in databases."""

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.task.load import check_task
from support.events import ASTHMA, UNOBSERVED_MAPPING
from support.growing import CODES, EVENT, FEATURES, WITH_IDS, lab

WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("row_id", "subject_id", "time", "code", "number", "gone", "written")
LABS = {
    **{name: part for name, part in WITH_IDS.items() if name not in ("files", "optional")},
    "columns": {**WITH_IDS["columns"], "written": {"type": "timestamp"}},
    "events": [EVENT, {"code": "SEEN/{code}", "time": "time"}],
    "row": {"same": ["row_id"], "deleted": "gone", "written": "written"},
}


def extract_task(source, **row):
    """A task of one table, from a source that grows."""
    labs = {**LABS, "row": {**LABS["row"], **row}}
    labs["row"] = {name: part for name, part in labs["row"].items() if part is not None}
    unused = {"gone", "written"} - {labs["row"].get(name) for name in ("deleted", "written")}
    labs["columns"] = {name: kind for name, kind in labs["columns"].items() if name not in unused}
    given = {"kind": "events", "mapping": "made-up", **source}
    mapping = {**UNOBSERVED_MAPPING, "tables": {"labs": labs}}
    task, problems = check_task({**ASTHMA, "source": given, "mapping": mapping, "features": FEATURES})
    assert problems == [], problems
    return task


def written(row, hours):
    """A row of `lab` as it was written so many hours after WRITTEN; None where nobody says when."""
    return {**row, "written": None if hours is None else WRITTEN + timedelta(hours=hours)}


def write_extract(folder, rows):
    """All rows as one file, in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    times = pa.timestamp("us", "UTC")
    kinds = (pa.int64(), pa.int64(), pa.int64(), pa.string(), pa.float64(), pa.bool_(), times)
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in zip(COLUMNS, kinds, strict=True)}
    columns["time"] = columns["time"].cast(times)
    pq.write_table(pa.table(columns), folder / "labs.parquet")


def random_extracts(seed, nights=3):
    """The rows as they stand each night, some written again, taken back, written late, or at no known time."""
    draw, rows, told = random.Random(seed), {}, []
    for night in range(nights):
        for _ in range(25):
            row_id = draw.choice([*rows]) if rows and draw.random() < 0.4 else len(rows)
            subject = rows[row_id]["subject_id"] if row_id in rows else draw.randint(1, 12)
            late = 26 if draw.random() < 0.2 else 0  # it was written before the newest that was read
            row = lab(row_id, subject, draw.randint(0, 40), draw.choice(CODES), draw.choice([None, 0.5, 2.25]))
            row["gone"] = draw.random() < 0.15
            before = rows[row_id]["written"] if row_id in rows else None
            at = WRITTEN + timedelta(hours=24 * night + draw.random() - late)
            if row_id in rows and (before is None or at <= before):
                continue
            rows[row_id] = {**row, "written": None if row_id not in rows and draw.random() < 0.1 else at}
        told.append(list(rows.values()))
    return told


def as_sql(row):
    """A row's values in PostgreSQL."""
    values = [row["row_id"], row["subject_id"], _time(micros_of(row)), row["code"], row["number"], row["gone"]]
    values.append(_time(row["written"]))
    return ", ".join("NULL" if value is None else repr(value) for value in values)


def micros_of(row):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["time"])


def _time(moment):
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f}"
