"""Tensors that were just scored to counts, one batch at a time: bounded memory, whatever the night. No Spark here."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.worker.tensors import Arrays
from medspark.monitor.plan import Group, Plan
from medspark.monitor.worker.read import Floats, Ints, tokens_of
from medspark.monitor.worker.tally import Columns, empty, later, packed, tally_of, together
from medspark.schemas import NEWEST_EVENT, PREDICTION_TIME

HELD_BYTES = 2**20
"""Of drawn cases before they are counted."""


class _Worker:
    """What this process has counted since it was last asked, how many rows passed by, and drawn cases that are still to
    be counted: many at once cost a quarter of what few cost."""

    def __init__(self, text: str) -> None:
        self.plan = Plan.model_validate_json(text)
        self.inputs = _inputs(self.plan)
        self.passed = 0
        self.forget()

    def forget(self) -> None:
        self.tally = empty(self.plan)
        self.held: list[tuple[Arrays, Floats, Columns]] = []
        self.bytes = 0

    def hold(self, tensors: Arrays, probability: Floats, columns: Columns) -> None:
        self.held.append((tensors, probability, columns))
        self.bytes += sum(array.nbytes for array in tensors.values())
        if self.bytes >= HELD_BYTES:
            self.count()

    def count(self) -> None:
        """Count what is held."""
        if self.held:
            tensors = {name: np.concatenate([part[0][name] for part in self.held]) for name in self.inputs}
            columns = {name: pa.concat_arrays([part[2][name] for part in self.held]) for name in self.held[0][2]}
            probability = np.concatenate([part[1] for part in self.held])
            self.tally = together(self.tally, tally_of(self.plan, tensors, probability, columns))
        self.held, self.bytes = [], 0


def _inputs(plan: Plan) -> list[str]:
    """The network's inputs that gauges read."""
    names = {gauge.input for gauge in plan.gauges}
    hours = {tokens_of(gauge) for gauge in plan.gauges if gauge.reads == "hours"}
    return sorted(names | hours)


@lru_cache(maxsize=2)
def _worker(text: str) -> _Worker:
    return _Worker(text)


def columns_watched(text: str) -> list[str]:
    """The columns of cases that a plan asks for beside what the network reads."""
    return [group.column for group in _worker(text).plan.groups if group.gauge is None] if text else []


def observe(
    text: str,
    batch: pa.RecordBatch,
    tensors: Arrays,
    risks: Callable[[Ints], Floats],
    scored: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Count each step-th of n cases that were scored.

    Args:
        text: the plan, in JSON.
        batch: the n cases, or rows of tensors, with prediction times, and newest events where cases have any.
        tensors: (n, width) each, by input.
        risks: gives some rows' probabilities of the headline.
        scored: (n,) which of them have a score; all of them where it is None.
    """
    worker = _worker(text)
    n, step = batch.num_rows, worker.plan.step
    rows = np.arange((-worker.passed) % step, n, step)
    worker.passed += n
    if scored is not None:
        rows = rows[scored[rows]]
    if len(rows):
        columns = {group.column: batch.column(group.column) for group in worker.plan.groups if _is_in(group, batch)}
        drawn = {name: tensors[name] if len(rows) == n else tensors[name][rows] for name in worker.inputs}
        worker.hold(drawn, risks(rows), {name: column.take(pa.array(rows)) for name, column in columns.items()})
        worker.tally = worker.tally._replace(
            newest=later(worker.tally.newest, _newest(batch, PREDICTION_TIME)),
            newest_event=later(worker.tally.newest_event, _newest(batch, NEWEST_EVENT)),
        )


def _is_in(group: Group, batch: pa.RecordBatch) -> bool:
    """Whether a batch has the column of a group that is no feature."""
    return group.gauge is None and group.column in batch.schema.names


def take(text: str) -> str | None:
    """What was counted in this process since it was last asked; None without a plan."""
    if not text:
        return None
    worker = _worker(text)
    worker.count()
    found = worker.tally
    worker.forget()
    return packed(found)


def _newest(batch: pa.RecordBatch, column: str) -> int | None:
    """The latest of a column's times; None where there is none, or no such column."""
    if column not in batch.schema.names:
        return None
    latest = pc.max(batch.column(column)).cast(pa.timestamp("us")).cast(pa.int64()).as_py()
    return None if latest is None else int(latest)
