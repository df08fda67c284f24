"""Of a source that grows: which writing of which of its rows each event is of.

A row of a table with `row` is known by its id and its patient. Each of its writings that makes no event, for the source
takes the row back, or a rule passes it over or sets it aside, is kept as an event without a code: it ends the writings
before. A row of another table is known by all that it has, so that one that comes again is the same one.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, STATUS
from medspark.events.build import EVENTS, NON_EVENT, has_id, id_parts
from medspark.events.count import JudgedTable
from medspark.events.since import READ_BEFORE, TAKEN_BACK, written, written_as_text
from medspark.schemas import (
    EVENT_COLUMNS,
    EVENT_OF_ROW,
    ROW,
    ROW_COLUMNS,
    ROW_DIGEST,
    ROW_DIGEST_OF_ID,
    SOURCE_FILE,
    SUBJECT_ID,
    WRITING,
    quoted,
)
from medspark.sources.record_rules import DUPLICATE
from medspark.task.mapping import MappedTable
from medspark.task.raw_table import TYPED, RawTable

_ENDS = "_ends_others"
"""Whether a writing that makes no event ends those before it."""
_EVENT = "_event"


def with_writings(judged: DataFrame, table: RawTable, spec: MappedTable, by: str, folder: str) -> DataFrame:
    """Add to a table's rows what tells a row and its writings: ROW, WRITING, ROW_DIGEST_OF_ID.

    Args:
        judged: the rows.
        table: theirs.
        spec: its mapping.
        by: what kind of increment the source has.
        folder: the source's, as `raw_path` has it.
    """
    columns = [F.col(quoted(name)) for name in table.columns if name in judged.columns]
    # Spark's hash passes over nulls, so that (t, null) and (null, t) were one
    flagged = [part for column in columns for part in (column.isNull(), column)]
    content = flagged if table.source.format in TYPED else [F.col(ROW_DIGEST)]
    parts = [F.col(ROW_DIGEST), *(column.isNull() for column in columns)]
    if by == "changes":  # a row is deleted as it was
        parts.append(F.coalesce(F.col(NON_EVENT) == TAKEN_BACK, F.lit(False)))
    digest = F.xxhash64(*parts)
    identified = has_id(spec)
    was_read = F.coalesce(F.col(NON_EVENT) == READ_BEFORE, F.lit(False))
    named = [F.lit(table.name), F.col(SUBJECT_ID).cast("string")]
    return judged.withColumns(
        {
            ROW: F.when(identified, F.xxhash64(*named, F.lit("id"), *id_parts(spec))).otherwise(
                F.xxhash64(*named, *content)
            ),
            WRITING: _writing(spec, by, folder),
            ROW_DIGEST_OF_ID: F.when(identified, digest),
            _ENDS: identified & F.col(SUBJECT_ID).isNotNull() & (F.col(STATUS) != DUPLICATE) & ~was_read,
        }
    )


def _writing(spec: MappedTable, by: str, folder: str) -> Column:
    """Text by whose order the newest writing is told: a file's path below the source, a time, or a commit."""
    name = written(spec)
    if by == "column":
        return written_as_text(name) if name is not None else F.lit("")
    if by == "changes":
        return F.col(SOURCE_FILE)
    place = F.regexp_replace(F.col(SOURCE_FILE), "^[a-zA-Z0-9+.-]+:(//[^/]*)?", "")
    return F.substring(place, len(folder.rstrip("/")) + 2, 2**30)


def events_of_writings(table: JudgedTable) -> DataFrame:
    """The events of a table's rows, as EVENT_COLUMNS and ROW_COLUMNS; of a writing that makes none, one without a
    code."""
    kind = table.judged.schema[EVENTS].dataType.elementType  # type: ignore[attr-defined]
    nothing = F.array(F.struct(*(F.lit(None).cast(field.dataType).alias(field.name) for field in kind.fields)))
    events = F.when(F.col(STATUS) == KEPT, F.col(EVENTS)).when(F.col(_ENDS), nothing)
    keys = [name for name in ROW_COLUMNS if name != EVENT_OF_ROW]
    found = table.judged.select(SUBJECT_ID, *keys, F.posexplode(events).alias(EVENT_OF_ROW, _EVENT))
    columns = [F.col(f"{_EVENT}.{name}") for name in EVENT_COLUMNS if name != SUBJECT_ID]
    return found.where(f"{_EVENT} is not null").select(SUBJECT_ID, *columns, *ROW_COLUMNS)
