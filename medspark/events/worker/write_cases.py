"""A bucket's cases, made and written by the worker that reads it. No Spark here."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medspark.cases.worker.candidates import Plan, make_candidates
from medspark.cases.worker.concepts import concept_read, events_read
from medspark.cases.worker.history import EVENTS_READ
from medspark.cases.worker.split import sides
from medspark.schemas import (
    AGE,
    CASE_ID,
    EXCLUDED,
    FOLD,
    INDEX_TIME,
    PREDICTION_TIME,
    SPLIT,
    SUBJECT_ID,
)
from medspark.score.worker.files import put
from medspark.store.worker.buckets import Kept, read_bucket


def write_cases(kept: Kept, bucket: int, plan: Plan, folder: str) -> tuple[Counter[str | None], int]:
    """Write the cases of a bucket's patients, none or some; how many candidates each criterion excludes (None: none),
    and how many have an impossible age.

    Args:
        kept: the records.
        bucket: of them; one with events.
        plan: what is asked for.
        folder: the address of the folder that the file goes to.
    """
    events = read_bucket(kept, bucket, EVENTS_READ)
    assert events is not None, "a bucket with events"
    found = make_candidates(events_read(events, concept_read(plan.task)), plan)
    cases = cases_of(found.filter(pc.is_null(found[EXCLUDED])), plan)
    buffer = pa.BufferOutputStream()
    pq.write_table(cases, buffer, compression="zstd", store_schema=False, write_page_checksum=True)
    put(buffer.getvalue(), f"{folder}/part-{bucket:05}.parquet")
    counts = pc.value_counts(found[EXCLUDED].combine_chunks()).to_pylist()
    impossible = pc.sum(pc.is_nan(found[AGE])).as_py() or 0
    return Counter({count["values"]: count["counts"] for count in counts}), impossible


def cases_of(candidates: pa.Table, plan: Plan) -> pa.Table:
    """Candidates that nothing excludes as the table of cases has them."""
    subject = candidates[SUBJECT_ID].combine_chunks()
    side, fold = sides(subject, plan.task.split)
    moment = pc.strftime(candidates[PREDICTION_TIME].combine_chunks(), "%Y-%m-%dT%H:%M:%S")
    labels = plan.task.outcome.targets.labels
    first = {
        CASE_ID: pc.binary_join_element_wise(subject.cast(pa.string()), moment, "@"),
        SUBJECT_ID: subject,
        PREDICTION_TIME: candidates[PREDICTION_TIME],
        SPLIT: side,
        FOLD: fold,
        **{name: candidates[name] for name in (*labels, INDEX_TIME)},
    }
    features = [name for name in candidates.schema.names if name not in (*first, EXCLUDED)]
    return pa.table(first | {name: candidates[name] for name in features})
