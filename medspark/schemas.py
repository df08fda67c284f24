"""The names of medspark's tables and of the columns they share, each written once."""

from typing import Final

BLOCK = "_block"

POSITION = "_position"

RECORD_RULE = "_record_rule"

REPAIRED = "_repaired"

TEXT = "_text"

EXCLUDED = "_excluded"

# Tables of a store
RECORDS: Final = "records"

QUARANTINE: Final = "quarantine"

CASES: Final = "cases"

ATTRITION: Final = "attrition"

TENSORS: Final = "tensors"

PREDICTIONS: Final = "predictions"

SCORES: Final = "scores"

REJECTED: Final = "rejected"

# Where a row came from
SOURCE_FILE: Final = "_source_file"

SOURCE_LINE: Final = "_source_line"

ROW_DIGEST: Final = "_row_digest"

# quarantine
SOURCE: Final = "source"

FILE: Final = "file"

LINE: Final = "line"

RAW: Final = "raw"

RULE: Final = "rule"

REASON: Final = "reason"

DIGEST: Final = "row_digest"

QUARANTINE_COLUMNS: Final = (SOURCE, FILE, LINE, RAW, RULE, REASON, DIGEST)

# records of an event source; the first five are the Medical Event Data Standard's
TIME: Final = "time"

CODE: Final = "code"

NUMERIC_VALUE: Final = "numeric_value"

TEXT_VALUE: Final = "text_value"

UNIT: Final = "unit"

ENCOUNTER_ID: Final = "encounter_id"

AVAILABLE_TIME: Final = "available_time"

# cases and tensors; the label's name is the Medical Event Data Standard's
CASE_ID: Final = "case_id"

SUBJECT_ID: Final = "subject_id"

PREDICTION_TIME: Final = "prediction_time"

SPLIT: Final = "split"

FOLD: Final = "fold"

LABEL: Final = "boolean_value"

INDEX_TIME: Final = "index_time"

AGE: Final = "age"

CASE_COLUMNS: Final = (CASE_ID, SUBJECT_ID, PREDICTION_TIME, SPLIT, FOLD, LABEL)

EVENT_COLUMNS: Final = ("subject_id", TIME, CODE, NUMERIC_VALUE, TEXT_VALUE, UNIT, ENCOUNTER_ID, AVAILABLE_TIME)

TRAIN: Final = "train"

VALID: Final = "valid"

TEST: Final = "test"

# scores and rejected
RUN_ID: Final = "run_id"

BUNDLE_ID: Final = "bundle_id"

PROBABILITY: Final = "probability"

RISK_BAND: Final = "risk_band"

SCORED_AT: Final = "scored_at"

LOGIT: Final = "logit"

SCORE_COLUMNS: Final = (
    RUN_ID,
    BUNDLE_ID,
    CASE_ID,
    SUBJECT_ID,
    PREDICTION_TIME,
    PROBABILITY,
    RISK_BAND,
    SCORED_AT,
)

REJECTED_COLUMNS: Final = (RUN_ID, CASE_ID, SUBJECT_ID, FILE, LINE, REASON)


def quoted(name: str) -> str:
    """`name` as Spark SQL reads it whatever letters it has: quoted("a-b") gives "`a-b`"."""
    return "`" + name.replace("`", "``") + "`"
