"""What codes are called, where a source says so: for explanations, which a clinician reads."""

from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.events.concepts import read_beside
from medspark.schemas import quoted
from medspark.sources.invisible_letters import COMPOSING, normalise
from medspark.store.files import exists
from medspark.store.tables import read_parquet
from medspark.task.columns import NumberColumn, TextColumn
from medspark.task.event_task import EventTask

CONCEPT: Final = "concept"
"""OMOP's table of all concepts."""
_ID, _NAME = "concept_id", "concept_name"
LONGEST: Final = 120
"""Letters of a name that are kept."""


def code_names(spark: SparkSession, task: EventTask, statistics: Statistics) -> dict[str, str]:
    """Names of the codes in the features' vocabularies, and of demographics by `FEATURE LEVEL`; none where the source
    has no names, for then codes are told as they are."""
    codes = {code for feature in statistics.features() for code in getattr(feature, "codes", ())}
    levels = {
        f"{feature.column} {level}": f"{task.mapping.demographics[feature.column]}/{level}"
        for feature in statistics.categorical
        if feature.column in task.mapping.demographics
        for level in feature.levels
    }
    wanted = codes | set(levels.values())
    mapping = task.mapping
    if mapping.code_metadata is not None:
        named = _described(spark, f"{task.source.path}/{mapping.code_metadata}", wanted)
    elif mapping.concepts is not None:
        named = _of_concepts(spark, task, wanted)
    else:
        return {}
    found = {code: named[code] for code in sorted(codes) if code in named}
    return found | {key: named[code] for key, code in sorted(levels.items()) if code in named}


def _described(spark: SparkSession, path: str, wanted: set[str]) -> dict[str, str]:
    """By a file of codes and their descriptions, as MEDS has it."""
    if not exists(spark.sparkContext, path):
        return {}
    frame = read_parquet(spark, path)
    return _pairs(frame, "code", "description", wanted) if {"code", "description"} <= set(frame.columns) else {}


def _of_concepts(spark: SparkSession, task: EventTask, wanted: set[str]) -> dict[str, str]:
    """By OMOP's concepts, whose ids codes end in."""
    ids = {code: code.rsplit("/", 1)[-1] for code in wanted if "/source/" not in code}
    known = {code: last for code, last in ids.items() if last.isdecimal() and int(last)}
    columns: dict[str, NumberColumn | TextColumn] = {_ID: NumberColumn(type="long"), _NAME: TextColumn(type="string")}
    try:
        table = read_beside(spark, task.source, task.mapping, CONCEPT, columns)
    except InputError:  # a source without this table, or with another one of its name
        return {}
    named = _pairs(table.where(F.col(SET_ASIDE) == ""), _ID, _NAME, set(known.values()))
    return {code: named[last] for code, last in known.items() if last in named}


def _pairs(frame: DataFrame, key: str, name: str, wanted: set[str]) -> dict[str, str]:
    text = F.expr(normalise(f"string({quoted(key)})", COMPOSING))
    rows = frame.where(text.isin([*wanted]) & F.col(name).isNotNull()).select(text.alias(key), name).collect()
    return {row[key]: row[name][:LONGEST] for row in rows}
