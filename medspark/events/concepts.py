"""Concept sets resolved into plain codes, looked up once, so that scoring needs no vocabulary."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE, judge_rows
from medspark.errors import InputError
from medspark.events.warehouse import open_warehouse, raw_table, table_files
from medspark.schemas import quoted
from medspark.sources.invisible_letters import COMPOSING, normalise
from medspark.sources.read import read_rows
from medspark.store.files import exists
from medspark.store.tables import read_parquet
from medspark.task.columns import NumberColumn, TextColumn
from medspark.task.event_source import EventSource
from medspark.task.event_task import EventTask
from medspark.task.mapping import ConceptTables, MappedTable, Mapping
from medspark.task.population import Concept
from medspark.task.spelling import normalised

MAPS_TO, MAPPED_FROM = "Maps to", "Mapped from"
"""The relationships that lead to standard concepts, in either direction."""

_ANCESTOR, _DESCENDANT = "ancestor_concept_id", "descendant_concept_id"
_FIRST, _SECOND, _RELATION = "concept_id_1", "concept_id_2", "relationship_id"

_Columns = dict[str, NumberColumn | TextColumn]
_ID: Final = NumberColumn(type="long")
_ANCESTRY: Final[_Columns] = {_ANCESTOR: _ID, _DESCENDANT: _ID}
_RELATIONS: Final[_Columns] = {_FIRST: _ID, _SECOND: _ID, _RELATION: TextColumn(type="string")}

_Pairs = dict[int, set[int]]
"""Concepts by the concept that leads to them."""


def freeze_concepts(spark: SparkSession, task: EventTask, mapping: Mapping) -> EventTask:
    """The task with each concept's descendants and mappings among its codes.

    Raises:
        InputError: a concept asks for a table that the mapping or the source lacks.
    """
    asking = {name: concept for name, concept in task.concepts.items() if concept.descendants or concept.mapped}
    if not asking:
        return task
    if mapping.concepts is not None:
        frozen = _by_tables(partial(_read, spark, task.source, mapping), mapping.concepts, asking)
    elif mapping.code_metadata is not None:
        frozen = _by_parents(_children(spark, f"{task.source.path}/{mapping.code_metadata}"), asking)
    else:
        raise InputError(f"concepts {', '.join(asking)}: mapping {mapping.mapping!r} names no tables that relate them")
    return task.model_copy(update={"concepts": {**task.concepts, **frozen}})


# ---------------------------------------------------------------- parents of codes, as MEDS has them


def _children(spark: SparkSession, path: str) -> dict[str, set[str]]:
    """The codes directly below each code, from a file of codes and their parents.

    Raises:
        InputError: there is no such file, or it has no parents.
    """
    if not exists(spark.sparkContext, path):
        raise InputError(f"{path}: expected the codes and their parents here, received nothing")
    frame = read_parquet(spark, path)
    if not {"code", "parent_codes"} <= set(frame.columns):
        raise InputError(f"{path}: expected the columns code and parent_codes, received {', '.join(frame.columns)}")
    below: dict[str, set[str]] = defaultdict(set)
    parents = frame.select("code", F.explode("parent_codes").alias("parent"))
    for row in parents.dropna().collect():
        below[normalised(row["parent"])].add(normalised(row["code"]))
    return below


def _by_parents(below: dict[str, set[str]], asking: dict[str, Concept]) -> dict[str, Concept]:
    frozen = {}
    for name, concept in asking.items():
        if concept.mapped:
            raise InputError(f"concept {name!r}: a file of codes and parents maps nothing to standard concepts")
        codes, left = set(concept.codes), list(concept.codes)
        while left:
            new = below.get(left.pop(), set()) - codes
            codes |= new
            left += new
        frozen[name] = concept.model_copy(update={"codes": tuple(sorted(codes)), "descendants": False})
    return frozen


# ---------------------------------------------------------------- tables of concepts, as OMOP has them


def _by_tables(
    read: Callable[[str, _Columns], DataFrame], tables: ConceptTables, asking: dict[str, Concept]
) -> dict[str, Concept]:
    mapped: _Pairs = {}
    given = {id_of(code) for concept in asking.values() if concept.mapped for code in concept.codes}
    if given:
        mapped = _mappings(read(tables.relationships, _RELATIONS), given)
    wanted = {
        found
        for concept in asking.values()
        if concept.descendants
        for code in concept.codes
        for found in (id_of(code), *(mapped.get(id_of(code), ()) if concept.mapped else ()))
    }
    below = _pairs(read(tables.ancestors, _ANCESTRY), wanted) if wanted else {}
    return {name: _with_codes(concept, mapped, below) for name, concept in asking.items()}


def id_of(code: str) -> int:
    """The concept id that a code ends in.

    >>> id_of("CONDITION/192671")
    192671

    Raises:
        InputError: it ends in none.
    """
    last = code.rsplit("/", 1)[-1]
    if not last.isdecimal():
        raise InputError(f"code {code!r}: expected a concept's id after the last /, as in CONDITION/192671")
    return int(last)


def _with_codes(concept: Concept, mapped: _Pairs, below: _Pairs) -> Concept:
    codes = set(concept.codes)
    if concept.mapped:
        codes |= {_beside(code, other) for code in concept.codes for other in mapped.get(id_of(code), ())}
    if concept.descendants:
        codes |= {_beside(code, other) for code in list(codes) for other in below.get(id_of(code), ())}
    return concept.model_copy(update={"codes": tuple(sorted(codes)), "descendants": False, "mapped": False})


def _beside(code: str, other: int) -> str:
    """The code of another concept of the same kind."""
    return f"{code.rsplit('/', 1)[0]}/{other}"


def _mappings(frame: DataFrame, ids: set[int]) -> _Pairs:
    """Standard concepts by the concept that maps to them, in whichever direction the table has it."""
    forward = frame.where(F.col(_RELATION) == MAPS_TO).select(_FIRST, _SECOND)
    backward = frame.where(F.col(_RELATION) == MAPPED_FROM).select(F.col(_SECOND), F.col(_FIRST))
    return _pairs(forward.union(backward), ids)


def _pairs(frame: DataFrame, ids: set[int]) -> _Pairs:
    """The second column's ids by the first's, for the first ones in `ids`."""
    first, second = frame.columns
    found: _Pairs = defaultdict(set)
    for row in frame.where(F.col(first).isin(list(ids)) & F.col(second).isNotNull()).collect():
        found[row[first]].add(row[second])
    return found


def _read(spark: SparkSession, source: EventSource, mapping: Mapping, name: str, columns: _Columns) -> DataFrame:
    """A table that relates concepts.

    Raises:
        InputError: a row of it cannot be read, since a descendant would be missing without a word.
    """
    found = read_beside(spark, source, mapping, name, columns)
    unread = found.where(F.col(SET_ASIDE) != "").count()
    if unread:
        raise InputError(f"table {name!r}: expected whole numbers as concept ids, received {unread} rows without them")
    return found.select(*columns)


def read_beside(
    spark: SparkSession,
    source: EventSource,
    mapping: Mapping,
    name: str,
    columns: _Columns,
) -> DataFrame:
    """A table of the source that no event is made of, with the rule that a row breaks in SET_ASIDE.

    Raises:
        InputError: the source has no such table.
    """
    spec = MappedTable(subject=next(iter(columns)), columns=dict(columns), events=[{"code": "none"}])
    with open_warehouse(spark, source, mapping) as warehouse:
        if warehouse.database is not None:
            frame = warehouse.database.read(name, None, list(columns))
            types = (_typed(column, kind).alias(column) for column, kind in columns.items())
            typed = frame.select(*types, F.lit("").alias(SET_ASIDE))
            return typed.localCheckpoint()  # the snapshot ends with this block
        table = raw_table(warehouse, name, spec)
        return judge_rows(read_rows(spark, table, table_files(warehouse, name, spec), None), table)


def _typed(name: str, column: NumberColumn | TextColumn) -> Column:
    if isinstance(column, NumberColumn):
        return F.col(name).try_cast("bigint")
    return F.expr(normalise(f"string({quoted(name)})", COMPOSING))
