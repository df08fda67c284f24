"""Resources that a FHIR export takes back: bundles of requests to delete them, one a line."""

from contextlib import ExitStack
from typing import Final, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE, judge_rows
from medspark.errors import InputError
from medspark.events.build import NON_EVENT
from medspark.events.warehouse import Warehouse, raw_table, table_files
from medspark.schemas import TEXT
from medspark.sources.failures import readable
from medspark.sources.read import read_rows
from medspark.sources.unchanged import FileStates, file_states
from medspark.task.mapping import MappedTable

DELETED: Final = "deleted"
"""Why a row that was taken back is no event."""
_ID, _SINCE, _KIND = "_deleted_id", "_deleted_at", "_deleted_kind"
_REQUEST: Final = r"(?:[^?]*/)?([A-Za-z]+)/([^/?]+)(?:/_history/.*)?"
"""To delete what a search finds names no resource, whatever is searched for."""
_ALWAYS: Final = "timestamp '9999-12-31 00:00:00'"
BUNDLES: Final = MappedTable.model_validate(
    {
        "optional": True,
        "subject": "requests",
        "view": {
            "resource": "Bundle",
            "select": [
                {
                    "column": [
                        {"name": "at", "path": "timestamp.combine(meta.lastUpdated).first()"},
                        {"name": "requests", "path": "entry.request.where(method = 'DELETE').count()"},
                        {"name": "urls", "path": "entry.request.where(method = 'DELETE').url", "collection": True},
                    ]
                },
            ],
        },
        "columns": {"at": "timestamp", "requests": "integer", "urls": "string"},
        "events": [{"code": "none"}],
    }
)
"""A row each: one for each request would have all of its bundle's text with it."""


class Deletions(NamedTuple):
    """What is taken back: a row each with the kind of the resource, its id and since when."""

    rows: DataFrame
    fingerprint: int
    states: FileStates


def read_deletions(warehouse: Warehouse, kept: ExitStack) -> Deletions | None:
    """What a source takes back, until `kept` frees it; None where its mapping names no such files, or it has none.

    Raises:
        InputError: a file or a line cannot be read, so that what was deleted would stay without a word.
    """
    if warehouse.mapping.deleted is None or warehouse.database is not None:
        return None
    spec = BUNDLES.model_copy(update={"files": warehouse.mapping.deleted})
    files = table_files(warehouse, DELETED, spec)
    if not files:
        return None
    states = file_states(warehouse.spark.sparkContext, files)
    table = raw_table(warehouse, DELETED, spec)
    with readable(table.source.place):
        raw = read_rows(warehouse.spark, table, files, None)
        requests = _requests(judge_rows(raw, table)).persist(StorageLevel.MEMORY_AND_DISK)
        kept.callback(requests.unpersist)
        unread = requests.where(F.col(_ID).isNull()).count()
    if unread:
        raise InputError(
            f"{table.source.path}: expected bundles of requests to delete resources, as Observation/17, received "
            f"{unread} lines or requests that are none"
        )
    rows = requests.groupBy(_KIND, _ID).agg(F.max(F.coalesce(_SINCE, F.expr(_ALWAYS))).alias(_SINCE))
    return Deletions(rows, int(raw.survey.fingerprint, 16), states)


def _requests(bundles: DataFrame) -> DataFrame:
    """When each request deletes what: the kind and the id of a resource, null where a line or a request says none."""
    urls = F.from_json("urls", "array<string>")
    whole = (F.col(SET_ASIDE) == "") & (F.coalesce(F.array_size(urls), F.lit(0)) == F.col("requests"))
    each = F.explode(F.when(whole, urls).otherwise(F.array(F.lit("")))).alias("url")
    kind, key = (F.nullif(F.regexp_extract("url", f"^{_REQUEST}$", part), F.lit("")) for part in (1, 2))
    return bundles.select(F.col("at").alias(_SINCE), each).select(_SINCE, kind.alias(_KIND), key.alias(_ID))


def take_back(rows: DataFrame, spec: MappedTable, deletions: Deletions | None) -> DataFrame:
    """Pass over the rows of resources that were deleted, and were not updated since."""
    if deletions is None or spec.view is None:
        return rows
    gone = deletions.rows.where(F.col(_KIND) == spec.view.resource).select(_ID, _SINCE)
    joined = rows.join(F.broadcast(gone), on=F.get_json_object(TEXT, "$.id") == F.col(_ID), how="left")
    updated = F.try_to_timestamp(F.get_json_object(TEXT, "$.meta.lastUpdated"))
    is_gone = F.col(_SINCE).isNotNull() & F.coalesce(updated <= F.col(_SINCE), F.lit(True))
    return joined.withColumn(NON_EVENT, F.when(is_gone, DELETED).otherwise(F.col(NON_EVENT))).drop(_ID, _SINCE)
