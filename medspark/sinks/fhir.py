"""Scores as FHIR R4 RiskAssessment resources, one JSON line each, as bulk data has them.

A patient is named by their identifier, for a source's ids need not be FHIR's. `probabilityDecimal` is a percentage, as
the standard has it. https://hl7.org/fhir/R4/riskassessment.html
"""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.schemas import (
    AS_OF_TIME,
    BUNDLE_ID,
    CASE_ID,
    CONTRIBUTION,
    DEPLOYMENT,
    EXPLANATIONS,
    FEATURE,
    ITEM,
    NIGHT,
    PROBABILITY,
    RISK_BAND,
    SCORED_AT,
    SUBJECT_ID,
    VALUE,
)

INSTANT: Final = "yyyy-MM-dd'T'HH:mm:ss'Z'"


def as_risk_assessments(rows: DataFrame, outcome: str) -> DataFrame:
    """The rows as one column of JSON texts, `value`.

    Args:
        rows: by `published_rows`.
        outcome: what the probability is of.
    """
    case = F.col(CASE_ID).cast("string")
    told = EXPLANATIONS in rows.columns
    resource = F.struct(
        F.lit("RiskAssessment").alias("resourceType"),
        F.sha2(F.concat(DEPLOYMENT, F.lit("\n"), NIGHT, F.lit("\n"), case), 256).alias("id"),
        F.array(F.struct(case.alias("value"))).alias("identifier"),
        F.lit("final").alias("status"),
        F.struct(F.concat(F.lit("medspark bundle "), BUNDLE_ID).alias("text")).alias("method"),
        _patient().alias("subject"),
        _instant(SCORED_AT).alias("occurrenceDateTime"),
        F.array(_prediction(outcome, told)).alias("prediction"),
        F.array(F.struct(F.concat(F.lit("As of "), _instant(AS_OF_TIME)).alias("text"))).alias("note"),
    )
    return rows.select(F.to_json(resource).alias("value"))


def _patient() -> Column:
    identifier = F.struct(F.col(SUBJECT_ID).cast("string").alias("value"))
    return F.struct(F.lit("Patient").alias("type"), identifier.alias("identifier"))


def _instant(name: str) -> Column:
    return F.date_format(name, INSTANT)


def _prediction(outcome: str, told: bool) -> Column:
    """What is predicted, with the reasons as a sentence where there are any; what is null is left out of the JSON."""
    band = F.when(F.col(RISK_BAND).isNotNull(), F.struct(F.col(RISK_BAND).alias("text")))
    reasons = [_reasons().alias("rationale")] if told else []
    return F.struct(
        F.struct(F.lit(outcome).alias("text")).alias("outcome"),
        (F.col(PROBABILITY) * 100).alias("probabilityDecimal"),
        band.alias("qualitativeRisk"),
        *reasons,
    )


def _reasons() -> Column:
    def sentence(one: Column) -> Column:
        what = F.concat_ws(" ", one[FEATURE], one[ITEM], one[VALUE])
        return F.concat(what, F.lit(" ("), F.format_string("%+.3f", one[CONTRIBUTION]), F.lit(")"))

    listed = F.transform(EXPLANATIONS, sentence)
    return F.when(F.size(EXPLANATIONS) > 0, F.concat_ws("; ", listed))
