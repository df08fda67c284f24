"""The candidates among whole patients, with their features."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medspark.cases.criteria import criteria
from medspark.cases.worker.history import History, last_known, read_history
from medspark.cases.worker.population import Candidates, candidates
from medspark.cases.worker.windows import Cases, group_columns
from medspark.schemas import (
    AGE,
    EXCLUDED,
    FOLLOWED,
    INDEX_TIME,
    LABEL,
    NEWEST_EVENT,
    PREDICTION_TIME,
    SUBJECT_ID,
    TARGETS,
)
from medspark.task.event_task import EventTask


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to make cases of histories."""

    task: EventTask
    as_of: int | None = None
    """Microseconds since 1970: the histories are cut there. Scoring takes a snapshot there; who learns, only
    those whose time at risk is over by then."""
    scoring: bool = False
    """Whether labels and the criteria of follow-up are left out."""
    labels: pa.Table | None = None
    """All of the population's, where it is one of labels."""

    @property
    def labels_asked(self) -> int | None:
        """How many candidates there would be if every patient with a label had events; None without labels."""
        if self.labels is None or self.scoring:
            return None
        times = self.labels[PREDICTION_TIME]
        return len(times) if self.as_of is None else pc.sum(pc.less_equal(times, self.as_of)).as_py() or 0


_TIMESTAMP = pa.timestamp("us", tz="UTC")


def make_candidates(events: pa.Table, plan: Plan) -> pa.Table:
    """The candidates among whole patients; no Spark needed. Columns as `candidate_types` has them."""
    task = plan.task
    history = read_history(events, plan.as_of)
    found = candidates(history, task, plan.as_of, plan.scoring, plan.labels)
    eligible = found.excluded_by < 0
    cases = Cases(found.subject[eligible], found.time[eligible])
    included = task.time.at_prediction_time == "included"
    columns = task.features.columns()
    made = group_columns(history, cases, columns, task.concepts, included=included)
    # The place of each candidate among the cases, null for one that is none: takes null rows
    at = pa.array(np.cumsum(eligible) - 1, mask=~eligible)
    names = [criterion.name for criterion in criteria(task, plan.scoring, plan.as_of)]
    arrays = {
        SUBJECT_ID: history.subjects.take(pa.array(found.subject)),
        INDEX_TIME: pa.array(found.index_time).cast(_TIMESTAMP),
        PREDICTION_TIME: pa.array(found.time).cast(_TIMESTAMP),
        EXCLUDED: pa.array(names, pa.string()).take(pa.array(found.excluded_by, mask=eligible)),
        **_labels(found, task),
        NEWEST_EVENT: _newest(history, found, included),
        AGE: pa.array(found.age, mask=np.isnan(found.age) & ~found.impossible),
    }
    for name in task.features.demographics:
        if name != AGE:
            arrays[name] = _demographic(history, found, task.mapping.demographics[name], included)
    arrays |= {column.name: array.take(at) for column, array in zip(columns, made, strict=True)}
    return pa.table(arrays)


def _labels(found: Candidates, task: EventTask) -> dict[str, pa.Array]:
    """What is known of the outcome, by the name of the column."""
    targets = task.outcome.targets
    known, rows = found.labels == 1, len(found.labels)
    headline = found.labels[:, targets.headline]
    flat = pa.array(known.reshape(-1), mask=np.isnan(found.labels).reshape(-1))
    starts = np.arange(0, (rows + 1) * len(targets.names), len(targets.names), dtype=np.int32)
    arrays = {
        LABEL: pa.array(headline == 1, mask=np.isnan(headline)),
        TARGETS: pa.ListArray.from_arrays(pa.array(starts), flat),
        FOLLOWED: pa.array(found.followed, mask=np.isnan(found.followed)),
    }
    return {name: arrays[name] for name in targets.labels}


def _newest(history: History, found: Candidates, included: bool) -> pa.Array:
    """When the last event happened that was known by each prediction time; null where none was."""
    place = last_known(history, found.subject, found.time, included)
    times = history.time[place] if len(history) else np.zeros(len(place), np.int64)
    return pa.array(times, mask=place < 0).cast(_TIMESTAMP)


def _demographic(history: History, found: Candidates, first_part: str, included: bool) -> pa.Array:
    """The rest of a code such as GENDER/8532: of those with a time the last known by then, else the static one."""
    begins = np.array([code.startswith(f"{first_part}/") for code in history.codes], np.bool_)
    code = np.full(len(history.subjects), -1)
    static = begins[history.static_code] if len(begins) else np.zeros(0, np.bool_)
    order = np.argsort(-history.static_code[static], kind="stable")  # of several, the first by name
    code[history.static_subject[static][order]] = history.static_code[static][order]
    chosen = code[found.subject]
    events = history.of_codes(begins)
    place = last_known(events, found.subject, found.time, included)
    chosen[place >= 0] = events.code[place[place >= 0]]
    values = pa.array([name[len(first_part) :].lstrip("/") for name in history.codes], pa.string())
    return values.take(pa.array(chosen, mask=chosen < 0))
