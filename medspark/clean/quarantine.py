"""Rows set aside, with their text, their place and what they break."""

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, SET_ASIDE, STATUS, reasons
from medspark.clean.worker.staged import BETWEEN
from medspark.schemas import (
    DIGEST,
    FILE,
    LINE,
    RAW,
    REASON,
    ROW_DIGEST,
    RULE,
    SOURCE,
    SOURCE_FILE,
    SOURCE_LINE,
    TEXT,
)
from medspark.sources.record_rules import DUPLICATE, RECORD_REASONS
from medspark.task.raw_table import RawTable


def quarantine_rows(judged: DataFrame, table: RawTable, more_reasons: Mapping[str, str] | None = None) -> DataFrame:
    """Every row that is no record, with its text, its place, the first rule it breaks and what all of them expect."""
    rules = F.when(F.col(STATUS) == DUPLICATE, F.array(F.lit(DUPLICATE))).otherwise(F.split(SET_ASIDE, BETWEEN))
    expected = {**RECORD_REASONS, **(more_reasons or {}), **reasons(judged, table)}
    known = F.from_json(F.lit(json.dumps(expected)), "map<string,string>")
    return (
        judged.where(F.col(STATUS) != KEPT)
        .withColumn("_rules", rules)
        .select(
            F.lit(table.name).alias(SOURCE),
            F.col(SOURCE_FILE).alias(FILE),
            F.col(SOURCE_LINE).alias(LINE),
            F.make_valid_utf8(TEXT).alias(RAW),
            F.element_at("_rules", 1).alias(RULE),
            F.array_join(F.transform("_rules", lambda rule: F.element_at(known, rule)), "; ").alias(REASON),
            F.col(ROW_DIGEST).alias(DIGEST),
        )
    )
