"""A made-up source of events that grows by files, and what its rows come to in the end."""

import random

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.task.load import check_task
from support.events import ASTHMA, UNOBSERVED_MAPPING, micros

CODES = ("INDEX", "INDEX", "DX/a", "DX/asthma", "LAB/x", "LAB/y")
COLUMNS = {
    "row_id": pa.int64(),
    "subject_id": pa.int64(),
    "time": pa.int64(),
    "code": pa.string(),
    "number": pa.float64(),
    "gone": pa.bool_(),
}
EVENT = {"code": "{code}", "time": "time", "number": "number"}
TABLE = {
    "subject": "subject_id",
    "columns": {"subject_id": "long", "time": "timestamp", "code": "string", "number": "double"},
    "events": [EVENT],
}
WITH_IDS = {
    **TABLE,
    "files": "labs/*.parquet",
    "optional": True,
    "columns": {"row_id": "long", **TABLE["columns"], "gone": {"type": "boolean"}},
    "events": [EVENT, {"code": "SEEN/{code}", "time": "time"}],
    "row": {"same": ["row_id"], "deleted": "gone"},
}
WITHOUT_IDS = {**TABLE, "files": "notes/*.parquet", "optional": True}
FEATURES = {
    "values": {"labs": {"of": ["LAB/"], "take": ["count", "mean", "last", "sd"], "at_least": 1}},
    "codes": {"all": {"of": ["DX/", "SEEN/"], "at_least": 1}},
    "sequences": {"path": {"of": ["DX/", "LAB/"], "last": 6, "at_least": 1}},
}


def growing_task(folder, grows=True, **increment):
    """A task of labs with ids and notes without; one whose source does not grow has no `row` either."""
    labs = WITH_IDS if grows else {name: part for name, part in WITH_IDS.items() if name != "row"}
    source = {"kind": "events", "mapping": "made-up", "format": "parquet", "path": str(folder)}
    source |= {"increment": {"by": "files", **increment}} if grows else {}
    mapping = {**UNOBSERVED_MAPPING, "tables": {"labs": labs, "notes": WITHOUT_IDS}}
    task, problems = check_task({**ASTHMA, "source": source, "mapping": mapping, "features": FEATURES})
    assert problems == [], problems
    return task


def lab(row_id, subject, day, code, number=None, gone=False):
    return {
        "row_id": row_id,
        "subject_id": subject,
        "time": micros(day),
        "code": code,
        "number": number,
        "gone": gone,
    }


def note(subject, day, code, number=None):
    return {"subject_id": subject, "time": micros(day), "code": code, "number": number}


def write_rows(path, rows):
    """Rows as a file of the table that its folder names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = COLUMNS if path.parent.name == "labs" else {n: COLUMNS[n] for n in ("subject_id", "time", "code", "number")}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    columns["time"] = columns["time"].cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table(columns), path)


def random_files(seed, nights=4):
    """Files of some nights in the order in which they come, as (name, rows): with corrected, deleted, repeated and late
    rows, and a file that comes after those whose names are later."""
    draw = random.Random(seed)
    known: dict[int, dict] = {}
    files = []

    def labs(night):
        rows = []
        for _ in range(draw.randint(20, 40)):
            row_id = draw.choice([len(known), *known]) if known else 0
            subject = known[row_id]["subject_id"] if row_id in known else draw.randint(1, 12)
            number = draw.choice([None, 0.5, 1.0, 2.25])
            row = lab(row_id, subject, draw.randint(0, 30 + night), draw.choice(CODES), number, draw.random() < 0.15)
            if row_id not in {one["row_id"] for one in rows}:
                known[row_id] = row
                rows.append(row)
        return rows

    told = []
    for night in range(nights):
        files.append((f"labs/2026-01-{night + 1:02}.parquet", labs(night)))
        notes = [note(draw.randint(1, 12), draw.randint(0, 60), draw.choice(CODES)) for _ in range(8)]
        told += notes
        files.append((f"notes/2026-01-{night + 1:02}.parquet", [*notes, *draw.sample(told, 3)]))
    late = files.pop(2)
    return [*files[:4], late, *files[4:]]


def truth(files):
    """What files come to: of each lab the writing of the latest name, none where it is gone; each note once."""
    labs, notes = {}, {}
    for name, rows in sorted(files):
        for row in rows:
            if name.startswith("labs/"):
                labs[row["row_id"]] = row
            else:
                notes[tuple(row.values())] = row
    return [row for row in labs.values() if not row["gone"]], [*notes.values()]
