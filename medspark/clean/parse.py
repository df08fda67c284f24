"""Raw records to columns of text, one for each column of the source, with the rule a record breaks as a whole."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.rules import BAD_FIELDS, BAD_JSON, BAD_QUOTE, REPEATED_KEY, UNKNOWN_KEY
from medspark.clean.sources import RECORD_RULE, REPAIRED
from medspark.columns import LINE, RAW, ROW_DIGEST, SOURCE_FILE, quoted

_CORRUPT = "_corrupt_record"
_PARSED = "_parsed"


def parse_csv(records: DataFrame, names: list[str], delimiter: str) -> DataFrame:
    """RFC 4180: quotes doubled within quotes, no escape character, space kept.

    A record with too few or too many fields, or with a quote left open, breaks a record rule.
    """
    options = {
        "sep": delimiter,
        "quote": '"',
        "escape": '"',
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": _CORRUPT,
        "multiLine": "true",  # keeps line ends within quotes as they are
        "maxCharsPerColumn": "-1",
        "maxColumns": str(max(20480, 2 * len(names))),
    }
    parsed = F.from_csv(F.col(RAW), F.lit(_text_schema(names)), options)
    quotes = F.length(RAW) - F.length(F.replace(F.col(RAW), F.lit('"'), F.lit("")))
    rule = F.when(quotes % 2 == 1, BAD_QUOTE).when(F.col(_PARSED)[_CORRUPT].isNotNull(), BAD_FIELDS)
    return _columns(records, parsed, names, rule)


def parse_json(records: DataFrame, names: list[str], decimals: set[str]) -> DataFrame:
    """One JSON object a record; numbers and booleans as their text, nested values as JSON text.

    `decimals` are read as exact decimals, since JSON's other numbers pass through a double.
    Keys are compared by their exact case; an unknown or repeated one breaks a record rule.
    """
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE"}
    parsed = F.from_json(F.col(RAW), F.lit(_text_schema(names, decimals)), options)
    keys = F.json_object_keys(RAW)
    known = F.array(*map(F.lit, names))
    # Spark reads the first object of a text and passes over what follows it: so one more item must stand after it
    items = F.json_array_length(F.concat(F.lit("["), F.col(RAW), F.lit(",0]")))
    is_object = F.coalesce((items == 2) & keys.isNotNull() & F.col(_PARSED)[_CORRUPT].isNull(), F.lit(False))
    rule = (
        F.when(~is_object, BAD_JSON)
        .when(F.size(F.array_except(keys, known)) > 0, UNKNOWN_KEY)
        .when(F.size(keys) != F.size(F.array_distinct(keys)), REPEATED_KEY)
    )
    return _columns(records, parsed, names, rule)


def _text_schema(names: list[str], decimals: Collection[str] = ()) -> str:
    fields = [f"{quoted(name)} {'decimal(38,18)' if name in decimals else 'string'}" for name in names]
    return ", ".join([*fields, f"{_CORRUPT} string"])


def _columns(records: DataFrame, parsed: Column, names: list[str], rule: Column) -> DataFrame:
    """Place and text of the record, the rule it breaks, and its columns as text."""
    return records.withColumn(_PARSED, parsed).select(
        SOURCE_FILE,
        LINE,
        RAW,
        ROW_DIGEST,
        REPAIRED,
        F.coalesce(F.col(RECORD_RULE), rule).alias(RECORD_RULE),
        *(F.col(_PARSED)[name].cast("string").alias(name) for name in names),
    )
