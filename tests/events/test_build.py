# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""The events of a row, by a mapping's rules: codes, times, values and units, with rows and events in sight."""

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE
from medspark.events.build import BAD_UNIT, EVENTS, NO_EVENT, NON_EVENT, OUT_OF_RANGE, add_events
from medspark.schemas import AVAILABLE_TIME, CODE, ENCOUNTER_ID, NUMERIC_VALUE, TEXT_VALUE, TIME, UNIT
from medspark.task.mapping import Mapping

Event = dict[str, Any]
Made = list[tuple[str, str | None, list[Event]]]
Build = Callable[..., Made]
PARTS = (CODE, TIME, NUMERIC_VALUE, TEXT_VALUE, UNIT, ENCOUNTER_ID, AVAILABLE_TIME)


@pytest.fixture
def build(spark: SparkSession) -> Build:
    """build("patient bigint, day date", rows of text, rules): what sets each row aside, passes it over, its events."""

    def run(
        schema: str, rows: list[tuple[str | None, ...]], events: list[Event], skip: Any = (), **mapping: Any
    ) -> Made:
        types = dict(column.split() for column in schema.split(", "))
        table = {"subject": "patient", "skip": skip, "events": events}
        whole = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"t": table}, **mapping})
        frame = spark.createDataFrame(rows, ", ".join(f"{name} string" for name in types))
        typed = [F.col(name).cast(kind).alias(name) for name, kind in types.items()]
        found = add_events(frame.select(*typed, F.lit("").alias(SET_ASIDE)), whole.tables["t"], whole)
        kinds = {TIME: "string", AVAILABLE_TIME: "string", NUMERIC_VALUE: "double"}
        shown = F.transform(
            F.array_compact(EVENTS),
            lambda event: F.struct(*(event[part].cast(kinds.get(part, "string")).alias(part) for part in PARTS)),
        )
        collected = found.select(SET_ASIDE, NON_EVENT, shown.alias(EVENTS)).collect()
        return [(row[SET_ASIDE], row[NON_EVENT], [event.asDict() for event in row[EVENTS]]) for row in collected]

    return run


def of(made: Made, *parts: str) -> list[Any]:
    """Those parts of the one event of each row; what sets the row aside where it has none."""
    found = []
    for aside, _, events in made:
        values = [tuple(event[part] for part in parts) for event in events] or [(aside,)]
        assert len(values) == 1
        found.append(values[0] if len(values[0]) > 1 else values[0][0])
    return found


# ---------------------------------------------------------------- codes

CODES = [
    # concept, source, the code
    ("192671", "K92.2", "CONDITION/192671"),
    (None,     "K92.2", "CONDITION/source/K92.2"),
    (None,     "{x}",   "CONDITION/source/{x}"),
    (None,     None,    "CONDITION/0"),
    ("0",      "K92.2", "CONDITION/0"),
]  # fmt: skip


def test_a_code_is_the_first_pattern_whose_columns_all_have_a_value(build: Build) -> None:
    rule = {"code": ["CONDITION/{concept}", "CONDITION/source/{source}", "CONDITION/0"]}
    made = build("patient bigint, concept bigint, source string", [("1", *row[:2]) for row in CODES], [rule])
    assert of(made, CODE) == [row[2] for row in CODES]


def test_a_pattern_of_several_columns_needs_all_of_them(build: Build) -> None:
    rows = [("1", "a", "b"), ("1", "a", None), ("1", None, None)]
    made = build("patient bigint, x string, y string", rows, [{"code": ["{x}-{y}/{x}", "{x}"]}])
    assert of(made, CODE) == ["a-b/a", "a", NO_EVENT]


# ---------------------------------------------------------------- values

VALUES = [
    # given       number, text
    ("6.1",       6.1,    None),
    (" 6 ",       6.0,    None),
    ("-1e3",      -1000.0, None),
    (".5",        0.5,    None),
    (">6",        6.0,    ">6"),
    ("<= 5",      5.0,    "<= 5"),
    ("≥3",        3.0,    "≥3"),
    ("≤ .25 ",    0.25,   "≤ .25"),
    ("< -2.",     -2.0,   "< -2."),
    ("positive",  None,   "positive"),
    ("> 6 mmol",  None,   "> 6 mmol"),
    ("=5",        None,   "=5"),
    ("6,1",       None,   "6,1"),
    ("NaN",       None,   "NaN"),
    ("Infinity",  None,   "Infinity"),
    ("1e400",     None,   "1e400"),
    ("",          None,   None),
    ("  ",        None,   None),
    (None,        None,   None),
]  # fmt: skip


def test_a_value_is_a_number_a_comparator_with_one_or_text(build: Build) -> None:
    made = build("patient bigint, value string", [("1", row[0]) for row in VALUES], [{"code": "LAB", "value": "value"}])
    assert of(made, NUMERIC_VALUE, TEXT_VALUE) == [row[1:] for row in VALUES]


def test_number_and_text_go_before_the_value(build: Build) -> None:
    rows = [
        ("1", "5", "x", ">7"),
        ("1", None, "x", ">7"),
        ("1", "5", None, ">7"),
        ("1", "5", None, "7"),
        ("1", None, None, None),
    ]
    rule = {"code": "LAB", "number": "number", "text": "text", "value": "value"}
    made = build("patient bigint, number double, text string, value string", rows, [rule])
    assert of(made, NUMERIC_VALUE, TEXT_VALUE) == [(5.0, "x"), (7.0, "x"), (5.0, ">7"), (5.0, None), (None, None)]


# ---------------------------------------------------------------- units

RULES = {
    "hb": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}, "range": [1, 300]},
    "hb_named": {"unit": "g/L", "to_unit": {"g/L": 1, "g/dL": 10}, "when_missing": "g/dL"},
    "temp": {"unit": "C", "to_unit": {"C": 1, "F": {"factor": 0.5, "offset": -16}}, "range": [None, 45]},
    "ph": {"range": [6.5, None]},
}
UNITS = [
    # code,     number, unit,   number then, unit then, set aside by
    ("hb",       "140",  "g/L",  140.0, "g/L", ""),
    ("hb",       "14",   "g/dL", 140.0, "g/L", ""),
    ("hb",       "14",   None,   14.0,  None,  ""),
    ("hb",       "14",   "mg",   14.0,  "mg",  BAD_UNIT),
    ("hb",       "14",   "G/DL", 14.0,  "G/DL", BAD_UNIT),
    ("hb",       "30",   "g/dL", 300.0, "g/L", ""),
    ("hb",       "30.1", "g/dL", 301.0, "g/L", OUT_OF_RANGE),
    ("hb",       "0.5",  "g/L",  0.5,   "g/L", OUT_OF_RANGE),
    ("hb",       "301",  None,   301.0, None,  OUT_OF_RANGE),
    ("hb",       None,   "mg",   None,  "mg",  ""),
    ("hb_named", "14",   None,   140.0, "g/L", ""),
    ("hb_named", "14",   "mg",   14.0,  "mg",  BAD_UNIT),
    ("temp",     "100",  "F",    34.0,  "C",   ""),
    ("temp",     "-300", "C",    -300.0, "C",  ""),
    ("temp",     "46",   "C",    46.0,  "C",   OUT_OF_RANGE),
    ("ph",       "7.4",  "x",    7.4,   "x",   ""),
    ("ph",       "6.4",  None,   6.4,   None,  OUT_OF_RANGE),
    ("other",    "9",    "mg",   9.0,   "mg",  ""),
]  # fmt: skip


def test_numbers_are_brought_to_their_codes_unit_and_range(build: Build) -> None:
    rule = {"code": "{code}", "number": "number", "unit": "unit"}
    made = build(
        "patient bigint, code string, number double, unit string",
        [("1", *row[:3]) for row in UNITS],
        [rule],
        values=RULES,
    )
    assert [(*of([row], NUMERIC_VALUE, UNIT)[0], row[0]) for row in made] == [row[3:] for row in UNITS]


def test_one_wrong_event_sets_its_row_aside_and_the_rest_of_it_too(build: Build) -> None:
    rules = [{"code": "{code}", "number": "number", "unit": "unit"}, {"code": "SEEN"}]
    made = build(
        "patient bigint, code string, number double, unit string", [("1", "hb", "14", "mg")], rules, values=RULES
    )
    assert [(aside, len(events)) for aside, _, events in made] == [(BAD_UNIT, 2)]


def test_a_unit_of_a_code_without_a_rule_stays(build: Build) -> None:
    rows = [("1", "5", "mg"), ("1", "5", None)]
    made = build(
        "patient bigint, number double, unit string", rows, [{"code": "LAB", "number": "number", "unit": "unit"}]
    )
    assert of(made, NUMERIC_VALUE, UNIT) == [(5.0, "mg"), (5.0, None)]


# ---------------------------------------------------------------- times

TIMES = [
    # at (UTC), day in Amsterdam, known (UTC)
    ("2020-07-01 10:00:00", "2020-07-01", None),                 # the time goes before the day
    (None,                  "2020-07-01", None),
    (None,                  "2020-03-29", None),                 # a day of 23 hours
    (None,                  "2020-10-25", None),                 # a day of 25
    ("2020-06-30 22:00:00", None,         None),                 # midnight in Amsterdam
    (None,                  "2020-07-01", "2020-07-05 09:00:00"),
    (None,                  "2020-07-01", "2020-06-30 23:00:00"),
    ("2020-07-01 10:00:00", None,         "2020-07-05 09:00:00"),
    (None,                  None,         "2020-07-05 09:00:00"),
]  # fmt: skip
HAPPENED = [
    "2020-07-01 10:00:00",
    "2020-06-30 22:00:00",
    "2020-03-28 23:00:00",
    "2020-10-24 22:00:00",
    "2020-06-30 22:00:00",
    "2020-06-30 22:00:00",
    "2020-06-30 22:00:00",
    "2020-07-01 10:00:00",
]
LATE, EARLY, DAY_ENDS = "2020-07-05 09:00:00", "2020-06-30 23:00:00", "2020-07-01 22:00:00"
SPRING, AUTUMN = "2020-03-29 22:00:00", "2020-10-25 23:00:00"
KNOWN = [
    # settings, and when each event of TIMES is known
    ({"midnight": "date_only"},                                     [None, DAY_ENDS, SPRING, AUTUMN, DAY_ENDS, LATE, DAY_ENDS, LATE]),
    ({"midnight": "time"},                                          [None, DAY_ENDS, SPRING, AUTUMN, None,     LATE, DAY_ENDS, LATE]),
    ({"midnight": "date_only", "date_only_known": "start_of_day"},  [None, None,     None,   None,   None,     LATE, EARLY,    LATE]),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "known"), KNOWN)
def test_a_date_without_a_time_is_known_when_its_day_has_ended_where_it_is(
    settings: dict[str, str], known: list[str | None], build: Build
) -> None:
    rule = {"code": "X", "time": "at", "date": "day", "available": "known"}
    schema = "patient bigint, at timestamp, day date, known timestamp"
    made = build(schema, [("1", *row) for row in TIMES], [rule], timezone="Europe/Amsterdam", **settings)
    assert of(made, TIME, AVAILABLE_TIME) == [*zip(HAPPENED, known, strict=True), NO_EVENT]


def test_an_event_without_time_and_date_is_static(build: Build) -> None:
    made = build(
        "patient bigint, sex string",
        [("1", "F"), ("1", None)],
        [{"code": "SEX/{sex}", "encounter": "patient"}],
        midnight="date_only",
    )
    assert of(made, CODE, TIME, AVAILABLE_TIME, ENCOUNTER_ID) == [("SEX/F", None, None, "1"), NO_EVENT]


# ---------------------------------------------------------------- rows

SKIP = [
    {"name": "void", "when": "state = 'void'", "because": "it was withdrawn"},
    {"name": "old", "when": "born < '1900'", "because": "nobody is"},
]
EVENTS_OF = [
    {"code": "BORN", "date": "cast(born as date)"},
    {"code": "SEX/{sex}"},
    {"code": "WOMAN", "when": "sex = 'F'"},
]
ROWS = [
    # patient, born, sex, state                   set aside, passed over, codes
    (("1", "1950-01-01", "F", None),              "",        None,   ["BORN", "SEX/F", "WOMAN"]),
    (("1", None, "M", "fine"),                    "",        None,   ["SEX/M"]),
    (("1", "1950-01-01", None, "fine"),           "",        None,   ["BORN"]),
    (("1", None, None, "fine"),                   NO_EVENT,  None,   []),
    (("1", None, None, "void"),                   "",        "void", []),
    (("1", "1850-01-01", "F", "void"),            "",        "void", ["BORN", "SEX/F", "WOMAN"]),
    (("1", "1850-01-01", "F", "fine"),            "",        "old",  ["BORN", "SEX/F", "WOMAN"]),
    ((None, "1950-01-01", "F", "fine"),           NO_EVENT,  None,   ["BORN", "SEX/F", "WOMAN"]),
]  # fmt: skip


def test_a_row_has_all_its_events_or_is_passed_over_by_the_first_rule_or_set_aside(build: Build) -> None:
    made = build("patient bigint, born string, sex string, state string", [row[0] for row in ROWS], EVENTS_OF, SKIP)
    assert [(aside, passed, [event[CODE] for event in events]) for aside, passed, events in made] == [
        row[1:] for row in ROWS
    ]
