"""Resources that a FHIR export takes back: bundles of requests to delete them, one a line."""

from typing import Final, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE, judge_rows
from medspark.errors import InputError
from medspark.events.build import NON_EVENT
from medspark.events.warehouse import Warehouse, raw_table, table_files
from medspark.schemas import TEXT
from medspark.sources.read import read_rows
from medspark.sources.record_rules import NO_ROW
from medspark.sources.unchanged import FileStates, file_states
from medspark.task.mapping import MappedTable

DELETED: Final = "deleted"
"""Why a row that was taken back is no event."""
_ID, _SINCE, _KIND = "_deleted_id", "_deleted_at", "_deleted_kind"
_REQUEST: Final = r"(?:.*/)?([A-Za-z]+)/([^/?]+)(?:/_history/.*)?"
_ALWAYS: Final = "timestamp '9999-12-31 00:00:00'"
_BUNDLES: Final = MappedTable.model_validate(
    {
        "optional": True,
        "subject": "url",
        "view": {
            "resource": "Bundle",
            "select": [
                {"column": [{"name": "at", "path": "timestamp.combine(meta.lastUpdated).first()"}]},
                {"forEach": "entry.request.where(method = 'DELETE')", "column": [{"name": "url", "path": "url"}]},
            ],
        },
        "columns": {
            "at": "timestamp",
            "url": {"type": "string", "matches": _REQUEST},
        },
        "events": [{"code": "none"}],
    }
)


class Deletions(NamedTuple):
    """What is taken back: a row each with the kind of the resource, its id and since when."""

    rows: DataFrame
    fingerprint: int
    states: FileStates


def read_deletions(warehouse: Warehouse) -> Deletions | None:
    """What a source takes back; None where its mapping names no such files, or it has none.

    Raises:
        InputError: a line cannot be read, so that what was deleted would stay without a word.
    """
    if warehouse.mapping.deleted is None or warehouse.database is not None:
        return None
    spec = _BUNDLES.model_copy(update={"files": warehouse.mapping.deleted})
    files = table_files(warehouse, DELETED, spec)
    if not files:
        return None
    states = file_states(warehouse.spark.sparkContext, files)
    table = raw_table(warehouse, DELETED, spec)
    raw = read_rows(warehouse.spark, table, files, None)
    rows = judge_rows(raw, table)
    unread = rows.where(~F.col(SET_ASIDE).isin("", NO_ROW)).count()
    if unread:
        raise InputError(
            f"{table.source.path}: expected bundles of requests to delete resources, as Observation/17, received "
            f"{unread} lines or requests that are none"
        )
    found = rows.where(F.col(SET_ASIDE) == "").groupBy(
        F.regexp_extract("url", f"^{_REQUEST}$", 1).alias(_KIND), F.regexp_extract("url", f"^{_REQUEST}$", 2).alias(_ID)
    )
    since = F.max(F.coalesce(F.col("at"), F.expr(_ALWAYS))).alias(_SINCE)
    return Deletions(found.agg(since), int(raw.survey.fingerprint, 16), states)


def take_back(rows: DataFrame, spec: MappedTable, deletions: Deletions | None) -> DataFrame:
    """Pass over the rows of resources that were deleted, and were not updated since."""
    if deletions is None or spec.view is None:
        return rows
    gone = deletions.rows.where(F.col(_KIND) == spec.view.resource).select(_ID, _SINCE)
    joined = rows.join(F.broadcast(gone), on=F.get_json_object(TEXT, "$.id") == F.col(_ID), how="left")
    updated = F.try_to_timestamp(F.get_json_object(TEXT, "$.meta.lastUpdated"))
    is_gone = F.col(_SINCE).isNotNull() & F.coalesce(updated <= F.col(_SINCE), F.lit(True))
    return joined.withColumn(NON_EVENT, F.when(is_gone, DELETED).otherwise(F.col(NON_EVENT))).drop(_ID, _SINCE)
