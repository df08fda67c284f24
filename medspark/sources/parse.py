"""Raw records to columns of text, one for each column of the source, with the rule a record breaks as a whole."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.schemas import (
    RECORD_RULE,
    REPAIRED,
    ROW_DIGEST,
    ROW_OF_LINE,
    SOURCE_FILE,
    SOURCE_LINE,
    TEXT,
    quoted,
)
from medspark.sources.record_rules import (
    BAD_FIELDS,
    BAD_JSON,
    BAD_QUOTE,
    OTHER_HEADER,
    REPEATED_HEADER,
    REPEATED_KEY,
    UNKNOWN_KEY,
)
from medspark.sources.worker.views import flatten
from medspark.spark.arrow import map_batches
from medspark.spark.columns import Value, literal, select
from medspark.task.view import View

_CORRUPT: Final = "_corrupt_record"
_PARSED: Final = "_parsed"
_EXACT: Final = "_exact"
_FIELDS: Final = "_fields"


def parse_csv(records: DataFrame, names: list[str], delimiter: str, text: str = TEXT) -> DataFrame:
    """RFC 4180: quotes doubled within quotes, no escape character, space kept.

    A record with too few or too many fields, with a quote left open or unpaired within a field, or with the columns'
    names for values breaks a record rule.

    Args:
        records: with their place and their text.
        names: of the columns.
        delimiter: between fields.
        text: the column with what is parsed; TEXT is what is kept.
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
    # Most records have no quote: cutting those at every delimiter takes a third of the parser's time
    quoted_record = F.contains(text, F.lit('"'))
    parsed = F.when(quoted_record, F.from_csv(F.col(text), F.lit(_text_schema(names)), options))
    fields = F.when(~quoted_record, F.split(text, re.escape(delimiter), -1))
    stray = F.when(quoted_record, _has_stray_quote(F.col(text), delimiter)).otherwise(F.lit(False))
    uneven = F.coalesce(F.size(_FIELDS) != len(names), F.col(_PARSED)[_CORRUPT].isNotNull())
    values = {name: f"coalesce(get({_FIELDS}, {at}), {_parsed(name)})" for at, name in enumerate(names)}
    rule = F.when(stray, BAD_QUOTE).when(uneven, BAD_FIELDS).when(_is_header(values), REPEATED_HEADER)
    if len(names) > 1:
        rule = rule.when(_is_other_header(values), OTHER_HEADER)
    return _columns(records.withColumns({_PARSED: parsed, _FIELDS: fields}), values, rule)


def _is_header(values: dict[str, str]) -> Column:
    """Whether every value is its column's name, as where a file was appended to another; most rows end at the first.

    Of several columns whatever the names' case and the spaces around them; a single value may be a word like its name.
    """
    first, *others = values
    if not others:
        return F.expr(values[first]).isin(first, f"\ufeff{first}")
    plain = {name: f"lower(trim({value}))" for name, value in values.items()}
    is_first = F.expr(plain[first]).isin(first.lower(), f"\ufeff{first.lower()}")
    # Side by side: a chain of comparisons is as deep as a table is wide, and Spark walks it by recursion
    found, names = (", ".join(texts) for texts in ((plain[o] for o in others), (literal(o.lower()) for o in others)))
    rest = F.coalesce(F.expr(f"array({found}) = array({names})"), F.lit(False))
    return F.when(is_first, rest).otherwise(F.lit(False))


def _is_other_header(values: dict[str, str]) -> Column:
    """Whether the first two values are names of columns, as where a file with another order was appended."""
    first, second = list(values.values())[:2]
    known, marked = (", ".join(literal(f"{mark}{name}") for name in values) for mark in ("", "\ufeff"))
    return F.expr(f"{first} IN ({known}, {marked}) AND {second} IN ({known}) AND {first} <> {second}")


def _has_stray_quote(text: Column, delimiter: str) -> Column:
    """Whether a quote that opens a field is closed nowhere, or before the field's end, or a field has an unpaired one.

    An unquoted field may hold quotes in pairs, as in 5 "q", but a pair never holds a delimiter: where one seems to, a
    delimiter is lost before it, and which field is which cannot be known.
    """
    comma = re.escape(delimiter)
    # Doubled quotes first: what is left of them, and the quoted fields after, need no look into their inside
    single = F.replace(text, F.lit('""'), F.lit(""))
    unquoted = F.regexp_replace(single, rf'(?:(?<={comma})|\A)"[^"]*"(?={comma}|\z)', "")
    unpaired = rf'[^"{comma}]++"[^"{comma}]*+(?:"[^"{comma}]*+"[^"{comma}]*+)*+(?:{comma}|\z)'
    return unquoted.rlike(rf'(?:{comma}|\A)(?:"|{unpaired})')


def parse_json(records: DataFrame, names: list[str], decimals: set[str]) -> DataFrame:
    """One JSON object a record; numbers and booleans as their text, nested values as JSON text.

    `decimals` are read as exact decimals, since JSON's other numbers pass through a double.
    Keys are compared by their exact case; an unknown or repeated one breaks a record rule.
    """
    options = {
        "columnNameOfCorruptRecord": _CORRUPT,
        "mode": "PERMISSIVE",
        "allowSingleQuotes": "false",
        "allowNonNumericNumbers": "false",
    }
    parsed = F.from_json(F.col(TEXT), F.lit(_text_schema(names)), options)
    exact = F.try_parse_json(TEXT) if decimals else F.lit(None)
    keys = F.json_object_keys(TEXT)
    known = F.array(*map(F.lit, names))
    # Spark reads the first object of a text and passes over what follows it: so one more item must stand after it
    items = F.json_array_length(F.concat(F.lit("["), F.col(TEXT), F.lit(",0]")))
    is_object = F.coalesce((items == 2) & keys.isNotNull() & F.col(_PARSED)[_CORRUPT].isNull(), F.lit(False))
    rule = (
        F.when(~is_object, BAD_JSON)
        .when(F.size(F.array_except(keys, known)) > 0, UNKNOWN_KEY)
        .when(F.size(keys) != F.size(F.array_distinct(keys)), REPEATED_KEY)
    )
    values: dict[str, Value] = {
        name: F.try_variant_get(_EXACT, _variant_path(name), "string") if name in decimals else _parsed(name)
        for name in names
    }
    return _columns(records.withColumns({_PARSED: parsed, _EXACT: exact}), values, rule)


def parse_view(records: DataFrame, view: View) -> DataFrame:
    """One FHIR resource a record, to the rows of a view as text; a record that makes none breaks a record rule."""
    others = (SOURCE_FILE, SOURCE_LINE, TEXT, ROW_DIGEST, REPAIRED, RECORD_RULE)
    lines = records.select(*others)
    types = [*lines.dtypes, (ROW_OF_LINE, "int"), *((name, "string") for name in view.names)]
    schema = ", ".join(f"{quoted(name)} {dtype}" for name, dtype in types)
    return map_batches(lines, partial(flatten, view, others), schema)


def _variant_path(name: str) -> str:
    """The path of an object's key.

    >>> _variant_path("lab.na")
    '$["lab.na"]'
    >>> print(_variant_path('6" band'))
    $['6" band']
    """
    quote = "'" if '"' in name else '"'
    return f"$[{quote}{name}{quote}]"


def _parsed(name: str) -> str:
    """In SQL, the value that a parser found of a column."""
    return f"{_PARSED}.{quoted(name)}"


def _text_schema(names: list[str]) -> str:
    return ", ".join([*(f"{quoted(name)} string" for name in names), f"{_CORRUPT} string"])


def _columns(parsed: DataFrame, values: Mapping[str, Value], rule: Column) -> DataFrame:
    """Place and text of the record, the rule it breaks, and its columns as text."""
    kept = [SOURCE_FILE, SOURCE_LINE, TEXT, ROW_DIGEST, REPAIRED]
    return select(parsed, kept, {RECORD_RULE: F.coalesce(F.col(RECORD_RULE), rule), **values})
