"""medspark's tables: the names they have, and of their columns the names and types, each written once.

Types are Spark's. A KEY is typed as the source has it, so that every table tells cases and patients as the source does.
"""

from collections.abc import Mapping
from typing import Final

Types = Mapping[str, str]
"""Columns in their order, each with its type."""

KEY: Final = "key"

# Tables of a store
RECORDS: Final = "records"
QUARANTINE: Final = "quarantine"
CASES: Final = "cases"
ATTRITION: Final = "attrition"
TENSORS: Final = "tensors"
PREDICTIONS: Final = "predictions"
SCORES: Final = "scores"
REJECTED: Final = "rejected"
EXPLANATIONS: Final = "explanations"
FINDINGS: Final = "findings"

# Columns that are there only while a source is read
BLOCK: Final = "_block"
POSITION: Final = "_position"
RECORD_RULE: Final = "_record_rule"
REPAIRED: Final = "_repaired"
TEXT: Final = "_text"
ROW_OF_LINE: Final = "row_of_line"
"""Of a view: the row's place among those of its line, from 0; null where a line makes none."""

# records of a table: after the source's own columns, where each row came from
SOURCE_FILE: Final = "_source_file"
SOURCE_LINE: Final = "_source_line"
ROW_DIGEST: Final = "_row_digest"

PLACE_TYPES: Final[Types] = {SOURCE_FILE: "string", SOURCE_LINE: "bigint", ROW_DIGEST: "bigint"}

# records of an event source; the first five are the Medical Event Data Standard's
SUBJECT_ID: Final = "subject_id"
TIME: Final = "time"
CODE: Final = "code"
NUMERIC_VALUE: Final = "numeric_value"
TEXT_VALUE: Final = "text_value"
UNIT: Final = "unit"
ENCOUNTER_ID: Final = "encounter_id"
AVAILABLE_TIME: Final = "available_time"

EVENT_TYPES: Final[Types] = {
    SUBJECT_ID: KEY,
    TIME: "timestamp",
    CODE: "string",
    NUMERIC_VALUE: "double",
    TEXT_VALUE: "string",
    UNIT: "string",
    ENCOUNTER_ID: "string",
    AVAILABLE_TIME: "timestamp",
}

EVENT_COLUMNS: Final = tuple(EVENT_TYPES)

# records of an event source that grows: after the columns above, which writing of which of the source's rows each event
# is of. A row that its newest writing takes back has one event without a code, which no reader of records sees
ROW: Final = "_row"
"""A hash of the table, the patient and the row's id; of a table without ids of all that the row has."""

WRITING: Final = "_writing"
"""What orders the writings of a row: the file's path below the source, a time or a commit; behind a time the run that
read it, where an earlier run had read other content of the same time."""

ROW_DIGEST_OF_ID: Final = "_digest"
"""Of a row with an id what it has, by which of two writings in one file one counts; null without ids."""

EVENT_OF_ROW: Final = "_event_of_row"
"""Which of the table's rules made the event."""

ROW_TYPES: Final[Types] = {
    ROW: "bigint",
    WRITING: "string",
    ROW_DIGEST_OF_ID: "bigint",
    EVENT_OF_ROW: "int",
}

ROW_COLUMNS: Final = tuple(ROW_TYPES)

# quarantine
SOURCE: Final = "source"
FILE: Final = "file"
LINE: Final = "line"
RAW: Final = "raw"
RULE: Final = "rule"
REASON: Final = "reason"
DIGEST: Final = "row_digest"

QUARANTINE_TYPES: Final[Types] = {
    SOURCE: "string",
    FILE: "string",
    LINE: "bigint",
    RAW: "string",
    RULE: "string",
    REASON: "string",
    DIGEST: "bigint",
}

QUARANTINE_COLUMNS: Final = tuple(QUARANTINE_TYPES)

# cases: these columns, then what features and subgroups read; the label's name is the Medical Event Data Standard's
CASE_ID: Final = "case_id"
PREDICTION_TIME: Final = "prediction_time"
SPLIT: Final = "split"
FOLD: Final = "fold"
LABEL: Final = "boolean_value"

CASE_TYPES: Final[Types] = {
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    PREDICTION_TIME: "timestamp",
    SPLIT: "string",
    FOLD: "int",
    LABEL: "boolean",
}

CASE_COLUMNS: Final = tuple(CASE_TYPES)

# After the label, where there is more than yes or no: each target's label, and how long a case was followed
TARGETS: Final = "boolean_values"
FOLLOWED: Final = "days_followed"

TARGET_TYPES: Final[Types] = {TARGETS: "array<boolean>", FOLLOWED: "double"}

TRAIN: Final = "train"
VALID: Final = "valid"
TEST: Final = "test"
UNUSED: Final = "unused"
"""The side of cases that a temporal or a site split leaves out: they are neither learned from nor tested on."""

# Candidates, of which those that no criterion excludes become cases
EXCLUDED: Final = "_excluded"
INDEX_TIME: Final = "index_time"
AGE: Final = "age"
NEWEST_EVENT: Final = "newest_event"
"""When the last event happened that was known at the prediction time, of those that the task reads."""

CANDIDATE_TYPES: Final[Types] = {
    SUBJECT_ID: KEY,
    INDEX_TIME: "timestamp",
    PREDICTION_TIME: "timestamp",
    EXCLUDED: "string",
    LABEL: "boolean",
    NEWEST_EVENT: "timestamp",
    AGE: "double",
}

# attrition
ATTRITION_TYPES: Final[Types] = {
    "criterion": "string",
    "because": "string",
    "removed": "bigint",
    "remaining": "bigint",
}

# tensors: these columns, and an array for each input of the network
TENSOR_TYPES: Final[Types] = {
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    PREDICTION_TIME: "timestamp",
    SPLIT: "string",
    LABEL: "boolean",
}

# predictions
LOGIT: Final = "logit"
PROBABILITY: Final = "probability"

PREDICTION_TYPES: Final[Types] = {
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    LABEL: "tinyint",
    LOGIT: "double",
    SPLIT: "string",
    PROBABILITY: "double",
}

# scores and rejected
RUN_ID: Final = "run_id"
BUNDLE_ID: Final = "bundle_id"
RISK_BAND: Final = "risk_band"
SCORED_AT: Final = "scored_at"

SCORE_TYPES: Final[Types] = {
    RUN_ID: "string",
    BUNDLE_ID: "string",
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    PREDICTION_TIME: "timestamp",
    PROBABILITY: "double",
    RISK_BAND: "string",
    SCORED_AT: "timestamp",
}

# Beside the scores of a bundle that says how far they can be relied on
UNUSUAL: Final = "unusual"
STRANGENESS: Final = "strangeness"
DISAGREEMENT: Final = "disagreement"
INTERVAL_LOW: Final = "interval_low"
INTERVAL_HIGH: Final = "interval_high"
CONFORMAL_BAND: Final = "conformal_band"
MISSING_SHARE: Final = "missing_share"
"""Of tensors as well, where it comes from."""

BESIDE_TYPES: Final[Types] = {
    UNUSUAL: "boolean",
    STRANGENESS: "double",
    DISAGREEMENT: "double",
    INTERVAL_LOW: "double",
    INTERVAL_HIGH: "double",
    CONFORMAL_BAND: "string",
    MISSING_SHARE: "double",
    NEWEST_EVENT: "timestamp",
}

SCORE_COLUMNS: Final = tuple(SCORE_TYPES)
"""Where there are several targets, the probability of each follows (double), `probability_` and its name; then what
stands beside the scores."""

REJECTED_TYPES: Final[Types] = {
    RUN_ID: "string",
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    FILE: "string",
    LINE: "bigint",
    REASON: "string",
}

REJECTED_COLUMNS: Final = tuple(REJECTED_TYPES)

EXCLUDED_BY: Final = "excluded: "
"""Begins the reason of a case that a criterion takes out."""
QUARANTINED_BY: Final = "quarantined: "
"""Begins the reason of a row that a rule sets aside."""

# explanations: the items that raise or lower a case's risk most
RANK: Final = "rank"
FEATURE: Final = "feature"
ITEM: Final = "item"
VALUE: Final = "value"
DIRECTION: Final = "direction"
CONTRIBUTION: Final = "contribution"
RISK_POINTS: Final = "risk_points"
ADDS_UP: Final = "adds_up"
METHOD: Final = "method"
SALIENCY: Final = "saliency"

EXPLANATION_TYPES: Final[Types] = {
    RUN_ID: "string",
    BUNDLE_ID: "string",
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    PREDICTION_TIME: "timestamp",
    RANK: "int",
    FEATURE: "string",
    ITEM: "string",
    VALUE: "string",
    DIRECTION: "string",
    CONTRIBUTION: "double",
    RISK_POINTS: "double",
    ADDS_UP: "boolean",
    METHOD: "string",
    SALIENCY: "binary",
}

EXPLANATION_COLUMNS: Final = tuple(EXPLANATION_TYPES)

# What a night publishes: these columns, then what else stands in scores, and the explanations where they are asked for
NIGHT: Final = "night"
DEPLOYMENT: Final = "deployment"
AS_OF_TIME: Final = "as_of_time"

PUBLISHED_TYPES: Final[Types] = {
    NIGHT: "string",
    DEPLOYMENT: "string",
    AS_OF_TIME: "timestamp",
    CASE_ID: KEY,
    SUBJECT_ID: KEY,
    PREDICTION_TIME: "timestamp",
    PROBABILITY: "double",
    RISK_BAND: "string",
    BUNDLE_ID: "string",
    RUN_ID: "string",
    SCORED_AT: "timestamp",
}

# findings: what monitoring found of a scoring run, none where all is well
FINDING_TYPES: Final[Types] = {
    RUN_ID: "string",
    BUNDLE_ID: "string",
    "subject": "string",
    "subgroup": "string",
    "measure": "string",
    "value": "double",
    "expected": "double",
    "threshold": "double",
    "p": "double",
    "verdict": "string",
    "sentence": "string",
}


def quoted(name: str) -> str:
    """`name` as Spark SQL reads it whatever letters it has.

    >>> quoted("a-b"), quoted("a`b")
    ('`a-b`', '`a``b`')
    """
    return "`" + name.replace("`", "``") + "`"


def with_keys(types: Types, keys: Types) -> dict[str, str]:
    """Columns and types with each KEY typed as `keys` has it.

    >>> with_keys({"case_id": KEY, "line": "bigint"}, {"case_id": "int", "line": "float"})
    {'case_id': 'int', 'line': 'bigint'}
    """
    return {name: keys[name] if kind == KEY else kind for name, kind in types.items()}


def ddl(types: Types) -> str:
    """Columns and types as Spark's schemas are written.

    >>> ddl({"a-b": "bigint", "c": "array<string>"})
    '`a-b` bigint, `c` array<string>'
    """
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
