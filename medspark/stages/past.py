"""The past of the cases to score: the store that it is read from, and how many have one, beside training."""

import math
from typing import Final

from pyspark.sql import DataFrame

from medspark.bundles.bundle import Bundle
from medspark.cases.attrition import count_with_past
from medspark.errors import InputError
from medspark.runs.run import Run
from medspark.schemas import RECORDS
from medspark.score.eligible import Eligible
from medspark.store.facts import RecordsFacts, RecordsRead, clean_rules, read_facts, records_fingerprint
from medspark.store.manifest import whole_path
from medspark.store.tables import read_parquet
from medspark.task.table_task import TableTask

FAR_BELOW: Final = 0.5
"""Of training's share of cases with an earlier row: less is named, where it is not by chance."""
BY_CHANCE: Final = 3.0
"""Standard deviations of a share."""


def read_earlier(run: Run, task: TableTask, store: str | None) -> tuple[DataFrame | None, RecordsRead | None]:
    """The records of a store, or of the one that the task names, and what they are; None where neither is named.

    Raises:
        InputError: the store has none, a file of them is not as it was published, or other rules than the task's made
            them.
    """
    history = task.features.history
    store = store if store is not None or history is None else history.records
    if store is None:
        return None, None
    path = whole_path(run.context, store, RECORDS)
    facts = read_facts(run.context, path, RecordsFacts)
    if facts.rules != clean_rules(task):
        raise InputError(
            f"{path}: expected records cleaned by the rules of the bundle's task, received those of other rules. "
            "Clean them by the bundle's task.yaml."
        )
    return read_parquet(run.spark, path), RecordsRead(path, records_fingerprint(facts, path))


def tell_past(run: Run, bundle: Bundle, found: Eligible) -> None:
    """Say how many cases have an earlier row, and name a share far below training's: what they lack is not health."""
    if found.earlier is not None:
        run.receipt.inputs["history"] = found.earlier
    cases, past = count_with_past(found.cases)
    run.receipt.counts["score"]["with_earlier_rows"] = past
    where = found.earlier.path if found.earlier is not None else "the source alone"
    run.say(f"  with a past {past:>12,}  of {cases:,} cases; earlier rows are from {where}")
    trained = bundle.manifest.get("with_earlier_rows") or 0
    share = trained / max(1, sum(split["cases"] for split in bundle.manifest["splits"].values()))
    if is_far_below(past, cases, share):
        told = f"{past} of {cases} cases have an earlier row; of training's {share:.1%} had one"
        run.receipt.absent.append(told)
        run.say(f"  absent      {told}")


def is_far_below(past: int, cases: int, share: float) -> bool:
    """Whether fewer cases have a past than FAR_BELOW of a share, and than chance would leave.

    >>> is_far_below(0, 2, 0.3), is_far_below(0, 100, 0.3), is_far_below(20, 100, 0.3)
    (False, True, False)
    """
    expected, spread = cases * share, math.sqrt(cases * share * (1 - share))
    return past < FAR_BELOW * expected and expected - past > BY_CHANCE * spread
