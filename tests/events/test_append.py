"""What a bucket has after any increments, in any order, is what its rows come to in the end."""

import tempfile

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from medspark.events.worker.append import MOST_RUNS, add_to_bucket, merge_bucket
from medspark.events.worker.by_patient import Part
from medspark.store.worker.buckets import Kept, SortedRun, read_bucket

COLUMNS = ("subject_id", "time", "code", "numeric_value")
SCHEMA = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us", "UTC")),
        ("code", pa.string()),
        ("numeric_value", pa.float64()),
        ("_row", pa.int64()),
        ("_writing", pa.string()),
        ("_digest", pa.int64()),
        ("_event_of_row", pa.int32()),
    ]
)
IDS = 6

contents = st.none() | st.lists(st.tuples(st.integers(0, 3), st.sampled_from("AB")), min_size=1, max_size=2)
writings = st.tuples(st.integers(0, IDS - 1), contents)
"""An id, and its events or that the source takes it back."""
notes = st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from("CD"))
"""A row without an id: patient, time and code."""
files = st.lists(st.tuples(st.lists(writings, max_size=5), st.lists(notes, max_size=4)), min_size=1, max_size=14)


def events_of(name, labs, told):
    """A file's rows as records; of two writings of one id in it the last."""
    rows = []
    for row_id, content in dict(labs).items():
        digest = hash((row_id, str(content)))
        for at, (time, code) in enumerate(content or [(None, None)]):
            rows.append((row_id % 3, time, code, None, row_id, name, digest, at))
    rows += [(subject, time, code, None, 100 + 10 * time + ord(code), name, None, 0) for subject, time, code in told]
    return (
        pa.table(
            [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)],
            SCHEMA,
        )
        if rows
        else SCHEMA.empty_table()
    )


def add(folder, kept, events):
    """The bucket with some more events."""
    if not events.num_rows:
        return kept
    with pa.OSFile(f"{folder}/aside.arrow", "wb") as stream, pa.ipc.new_file(stream, SCHEMA) as writer:
        writer.write_batch(events.combine_chunks().to_batches()[0])
    run = kept.runs[-1].number + 1 if kept is not None else 0
    parts = [Part("aside.arrow", 0, 0, events.num_rows)]
    added = add_to_bucket(parts, f"file:{folder}", kept, 0, f"file:{folder}", run)
    before = () if kept is None or added.is_whole else kept.runs
    return Kept(f"file:{folder}", (*before, SortedRun(run, [added.events])), has_writings=True)


def rows_in(kept):
    found = read_bucket(kept, 0, COLUMNS)
    return [] if found is None else [(row["subject_id"], row["time"], row["code"]) for row in found.to_pylist()]


def whole(named):
    """Each id's events in the file of the latest name, and each note once."""
    labs = {}
    for _, (of_file, _) in sorted(named):
        labs |= dict(of_file)
    told = {note for _, (_, of_file) in named for note in of_file}
    events = events_of("", labs.items(), told)
    rows = [(row["subject_id"], row["time"], row["code"]) for row in events.to_pylist() if row["code"] is not None]
    return sorted(rows)


@settings(max_examples=80, deadline=None)
@given(files, st.randoms(use_true_random=False))
def test_any_increments_in_any_order_come_to_what_the_rows_come_to(made, draw):
    named = [(f"{at:02}", rows) for at, rows in enumerate(made)]
    draw.shuffle(named)
    kept = None
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in named:
            kept = add(folder, kept, events_of(name, *rows))
            if kept is not None:
                assert len(kept.files(0)) <= MOST_RUNS
        if kept is None:
            return
        assert rows_in(kept) == whole(named)
        merged = merge_bucket(kept, 0, f"file:{folder}", 99) if kept.files(0) else None
        if merged is not None:
            assert rows_in(kept._replace(runs=(SortedRun(99, [merged.events]),))) == whole(named)
