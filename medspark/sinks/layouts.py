"""How published rows are laid out where they are not medspark's own columns.

`omop`: a row a prediction, for a table of a results schema: the common data model itself has none, so its columns are
named by the model's conventions (`person_id`, a `_date` beside each `_datetime`, whole numbers for persons) and the
probability `value`, as OHDSI's PatientLevelPrediction has it. https://ohdsi.github.io/CommonDataModel
https://ohdsi.github.io/PatientLevelPrediction

`meds`: a prediction of the Medical Event Data Standard, as MEDS evaluation reads it.
https://github.com/kamilest/meds-evaluation

Where a score has no time of its own, the night's as-of time is its.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.deploy.deployment import Layout
from medspark.errors import InputError
from medspark.schemas import (
    AS_OF_TIME,
    BUNDLE_ID,
    CASE_ID,
    DEPLOYMENT,
    NIGHT,
    PREDICTION_TIME,
    PROBABILITY,
    RISK_BAND,
    RUN_ID,
    SCORED_AT,
    SUBJECT_ID,
    Types,
)
from medspark.sinks.publication import Publication, sums_of

PERSON_ID: Final = "person_id"
OMOP_PREDICTION_TYPES: Final[Types] = {
    PERSON_ID: "bigint",
    "prediction_date": "date",
    "prediction_datetime": "timestamp",
    "outcome_name": "string",
    "value": "double",
    RISK_BAND: "string",
    "model_id": "string",
    CASE_ID: "string",
    NIGHT: "string",
    DEPLOYMENT: "string",
    AS_OF_TIME: "timestamp",
    RUN_ID: "string",
    "scored_datetime": "timestamp",
}
"""Columns of `omop`, with Spark's types."""

MEDS_PREDICTION_TYPES: Final[Types] = {
    SUBJECT_ID: "bigint",
    PREDICTION_TIME: "timestamp_ntz",
    "predicted_boolean_value": "boolean",
    "predicted_boolean_probability": "double",
}
"""Columns of `meds`, with Spark's types."""
POSITIVE: Final = 0.5
"""The probability from which a prediction of MEDS is positive, unless the sink says another."""


def laid_out(night: Publication, layout: Layout, place: str, positive: float | None = None) -> Publication:
    """A night whose rows are laid out as a sink has them.

    Args:
        night: with medspark's own columns.
        layout: of the sink.
        place: of the sink, for messages.
        positive: the probability from which a prediction of MEDS is positive.

    Raises:
        InputError: patients are not told apart by whole numbers, and the layout has nothing else.
    """
    if layout == "scores":
        return night
    kind = dict(night.rows.dtypes)[SUBJECT_ID]
    if kind not in ("bigint", "int"):
        raise InputError(
            f"{place}: expected patients told apart by whole numbers, as the layout {layout} has them, received {kind}."
            " Type the subject's column as long, or leave `layout` out."
        )
    rows = as_omop(night.rows, night.outcome) if layout == "omop" else as_meds(night.rows, positive or POSITIVE)
    return replace(night, rows=rows, sums=sums_of(rows))


def as_omop(rows: DataFrame, outcome: str) -> DataFrame:
    """A row a prediction with the columns of OMOP_PREDICTION_TYPES; dates are UTC's."""
    named = {
        PERSON_ID: F.col(SUBJECT_ID),
        "prediction_date": F.to_date(_moment()),
        "prediction_datetime": _moment(),
        "outcome_name": F.lit(outcome),
        "value": F.col(PROBABILITY),
        RISK_BAND: F.col(RISK_BAND),
        "model_id": F.col(BUNDLE_ID),
        CASE_ID: F.col(CASE_ID).cast("string"),
        NIGHT: F.col(NIGHT),
        DEPLOYMENT: F.col(DEPLOYMENT),
        AS_OF_TIME: F.col(AS_OF_TIME),
        RUN_ID: F.col(RUN_ID),
        "scored_datetime": F.col(SCORED_AT),
    }
    return _typed(rows, named, OMOP_PREDICTION_TYPES)


def as_meds(rows: DataFrame, positive: float) -> DataFrame:
    """A row a prediction with the columns of MEDS_PREDICTION_TYPES; times are UTC, without a zone, as the standard has
    them. There is no `boolean_value`: what becomes of a case is not known yet, and a label has no nulls."""
    named = {
        SUBJECT_ID: F.col(SUBJECT_ID),
        PREDICTION_TIME: _moment(),
        "predicted_boolean_value": F.col(PROBABILITY) >= positive,
        "predicted_boolean_probability": F.col(PROBABILITY),
    }
    return _typed(rows, named, MEDS_PREDICTION_TYPES)


def _moment() -> Column:
    return F.coalesce(PREDICTION_TIME, AS_OF_TIME)


def _typed(rows: DataFrame, named: Mapping[str, Column], types: Mapping[str, str]) -> DataFrame:
    return rows.select(*(named[name].cast(kind).alias(name) for name, kind in types.items()))
