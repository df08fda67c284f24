"""A made-up ward whose events come by files, night after night, and the bundles of a task on them.

Of the made-up hospital of `support.relapse`, with an id for each row: so rows are corrected and taken back.
"""

import random
import shutil
from datetime import UTC, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from medspark.bundles.bundle import TASK, load_bundle, save_bundle
from medspark.task.event_source import Increment
from medspark.task.mapping import MappedTable
from support.relapse import DAY_0, hospital

FIRST_PATIENTS, NIGHTLY = 30, {"corrected": 5, "deleted": 2, "late": 3, "as it was": 3}
ROWS = {
    "subject": "subject_id",
    "columns": {"row_id": "long", "gone": {"type": "boolean"}},
    "row": {"same": ["row_id"], "deleted": "gone"},
    "events": [{"code": "none"}],
}
TYPES = {
    "subject_id": pa.int64(),
    "time": pa.timestamp("us"),
    "code": pa.string(),
    "numeric_value": pa.float32(),
    "text_value": pa.string(),
    "available_time": pa.timestamp("us"),
    "row_id": pa.int64(),
    "gone": pa.bool_(),
}


def moment_of(night):
    """The as-of time of a night: the patients go home in these weeks."""
    return (DAY_0 + timedelta(days=402 + night / 2)).replace(tzinfo=UTC)


def night_files(seed, nights):
    """Of each night the files that come, as {name: rows}: with new, corrected, deleted, late and repeated rows, and now
    and then a file that comes a night later than its name says."""
    draw = random.Random(seed)
    patients = hospital(FIRST_PATIENTS + nights, seed)
    known = [(*row, at, False) for at, row in enumerate(row for row in patients if row[0] <= FIRST_PATIENTS)]
    found = [{"000": list(known)}]
    for night in range(1, nights):
        rows = [row for row in patients if row[0] == FIRST_PATIENTS + night]
        rows = [(*row, len(known) + at, False) for at, row in enumerate(rows)]
        changed = draw.sample(range(len(known)), NIGHTLY["corrected"] + NIGHTLY["deleted"] + NIGHTLY["as it was"])
        for at in changed[: NIGHTLY["corrected"]]:
            known[at] = (*known[at][:3], draw.uniform(0, 90), None, *known[at][5:7], False)
        for at in changed[NIGHTLY["corrected"] : -NIGHTLY["as it was"]]:
            known[at] = (*known[at][:7], True)
        rows += [known[at] for at in changed]
        for _ in range(NIGHTLY["late"]):
            subject, day = draw.randint(1, FIRST_PATIENTS), DAY_0 + timedelta(days=draw.uniform(370, 400))
            rows.append((subject, day, "LAB/crp", draw.uniform(0, 90), None, None, len(known) + len(rows), False))
        known += [row for row in rows if row[6] >= len(known)]
        found.append({f"{night:03}": rows})
    for night in range(1, nights - 1):
        if draw.random() < 0.2 and len(found[night]) == 1:
            found[night + 1] |= found[night]
            found[night] = {}
    return found


def write_file(path, rows):
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, TYPES.values(), strict=True)]
    pq.write_table(pa.table(arrays, names=list(TYPES)), path)


def ward_at(source, task, metadata):
    """A task of the made-up hospital whose source grows, and an empty source."""
    (source / "data").mkdir(parents=True)
    shutil.copytree(metadata, source / "metadata")
    given, spec = MappedTable.model_validate(ROWS), task.mapping.tables["data"]
    spec = spec.model_copy(update={"columns": {**spec.columns, **given.columns}, "row": given.row})
    mapping = task.mapping.model_copy(update={"tables": {"data": spec}})
    grows = task.source.model_copy(update={"increment": Increment(by="files"), "path": str(source)})
    return task.model_copy(update={"source": grows, "mapping": mapping})


def with_other_bands(folder, bundle):
    """A bundle as another one, but for its risk bands."""
    found = load_bundle(bundle)

    def write(into):
        for name in found.manifest["files"]:
            (into / name).write_bytes(found.read_bytes(name))
        task = {**yaml.safe_load(found.read_text(TASK)), "risk_bands": {"high": 0.2}}
        (into / TASK).write_text(yaml.safe_dump(task))
        return {name: fact for name, fact in found.manifest.items() if name not in ("format", "files", "bundle_id")}

    return save_bundle(folder, write)
