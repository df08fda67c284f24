"""A made-up MEDS dataset in which a result tells of a relapse, a task on it, and one walk down the road."""

import datetime as dt
import hashlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.task.load import load_task
from support.roads import new_run

DAY_0 = dt.datetime(2020, 1, 1)
PATIENTS = 700

TASK = {
    "task": "relapse",
    "title": "Relapse after a made-up discharge",
    "source": {"kind": "events", "mapping": "meds", "format": "parquet", "path": "unset"},
    "concepts": {
        "discharge": {"codes": ["VISIT_END"]},
        "relapse": {"codes": ["DX/relapse"]},
        "heart": {"codes": ["DX/heart"], "descendants": True, "as_one": True},
    },
    "population": {
        "index": {"event": "discharge", "take": "every"},
        "age_at_least": 18,
        "exclude": [{"name": "relapsed before", "had": "relapse", "because": "the first relapse is predicted"}],
    },
    "outcome": {"name": "relapse in 90 days", "event": "relapse", "from_days": 0, "to_days": 90},
    "features": {
        "demographics": ["age", "sex"],
        "codes": {"past": {"of": ["DX/", "heart"], "at_least": 5}},
        "values": {
            "labs": {"of": ["LAB/"], "look_back_days": [30, 7.5], "take": ["last", "mean", "count"], "at_least": 5}
        },
        "sequences": {"path": {"of": ["DX/", "LAB/"], "last": 8, "at_least": 5}},
        "grids": {"curve": {"of": ["LAB/"], "look_back_hours": 96, "every_hours": 24, "at_least": 5}},
    },
    "network": {"members": 1, "dropout": 0.1},
    "training": {"epochs": 8, "batch_size": 64, "learning_rate": 0.01},
    "risk_bands": {"high": 0.5},
    "report": {"subgroups": ["sex"], "bootstrap": 20},
}


def hospital(patients, seed=0):
    """Rows of MEDS data: two visits each, a result that tells of a relapse, and a relapse for some."""
    draw = random.Random(seed)
    rows = []

    def add(subject, day, code, number=None, text=None, available=None):
        times = [None if at is None else DAY_0 + dt.timedelta(days=at) for at in (day, available)]
        rows.append((subject, times[0], code, number, text, times[1]))

    for subject in range(1, patients + 1):
        add(subject, -draw.uniform(15, 80) * 365, "MEDS_BIRTH")
        add(subject, None, draw.choice(["GENDER/F", "GENDER/M"]))
        sick = draw.random() < 0.4
        for visit in (0, 400):
            day = visit + draw.uniform(0, 30)
            for step in range(4):
                add(subject, day - 5 + step, "LAB/crp", 20 + 30 * sick + draw.gauss(0, 8), ">6" if step == 2 else None)
            add(subject, day - 3, draw.choice(["DX/heart/failure", "DX/lung"]))
            add(subject, day, "VISIT_END")
            add(subject, day - 1, "LAB/late", 1000.0, None, day + 2)
            if draw.random() < (0.7 if sick else 0.1):
                add(subject, day + draw.uniform(1, 80), "DX/relapse")
        add(subject, 700, "LAB/crp", 1.0)
    return rows


def write_meds(folder, rows):
    """A MEDS dataset, with one extension column and the parents of codes."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    naive = pa.timestamp("us")
    table = pa.table(
        {
            "subject_id": pa.array(columns[0], pa.int64()),
            "time": pa.array(columns[1], naive),
            "code": pa.array(columns[2], pa.string()),
            "numeric_value": pa.array(columns[3], pa.float32()),
            "text_value": pa.array(columns[4], pa.large_string()),
            "available_time": pa.array(columns[5], naive),
        }
    )
    (folder / "data" / "train").mkdir(parents=True)
    (folder / "metadata").mkdir()
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), folder / "data" / "train" / "0.parquet")
    pq.write_table(table.slice(half), folder / "data" / "1.parquet")
    parents = pa.table({"code": ["DX/heart/failure"], "description": [None], "parent_codes": [["DX/heart"]]})
    pq.write_table(parents, folder / "metadata" / "codes.parquet")
    return folder


def task_at(folder, source, **changes):
    """A task file for a source, read."""
    raw = {**TASK, **changes, "source": {**TASK["source"], "path": str(source)}}
    path = folder / f"{raw['task']}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_task(path)


def digest(spark, store):
    """A digest of every value of every case."""
    rows = read_table(spark, str(store), "cases").orderBy("case_id").toJSON().collect()
    assert rows
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def walked(spark, folder):
    """The source, the store and the bundle of one walk down the road."""
    source = write_meds(folder / "meds", hospital(PATIENTS))
    task = task_at(folder, source)
    run = new_run(spark, folder / "store")
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    bundle = train_stage(run, frozen)
    return {"folder": folder, "source": source, "task": frozen, "run": run, "bundle": bundle, "store": folder / "store"}
