# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""What a task writes of a source's values loses what nobody sees, as the source's own values do."""

from typing import Any

import pytest
from support.sound import EVENT_TASK, TABLE_TASK, changed

from medspark.clean.lookups import freeze_lookups
from medspark.task.load import check_task
from medspark.task.raw_table import Lookup
from medspark.task.table_task import TableTask

SCALES = {"g/L": 1, "g/dL": 10}

WRITTEN = [
    # task, path, as it may be written, as it is meant
    (EVENT_TASK, "concepts.bleed.codes", ["DX/2\u00a0", "\ufeffDX/3"], ["DX/2", "DX/3"]),
    (EVENT_TASK, "concepts.bleed.prefixes", ["DX/K\u200b92"], ["DX/K92"]),
    (EVENT_TASK, "mapping.values", {"LAB/7\u00a0": {"unit": "g/L", "to_unit": {"g/L ": 1, "g/\u200bdL": 10}}}, {"LAB/7": {"unit": "g/L", "to_unit": SCALES}}),
    (EVENT_TASK, "mapping.values", {"LAB/7": {"unit": "g/L", "to_unit": SCALES, "when_missing": "g/L\u00a0"}}, {"LAB/7": {"unit": "g/L", "to_unit": SCALES, "when_missing": "g/L"}}),
    (EVENT_TASK, "mapping.birth", "BORN\u00a0", "BORN"),
    (EVENT_TASK, "mapping.death", "\u200bDEAD", "DEAD"),
    (EVENT_TASK, "mapping.observation", {"start": "IN\u00a0", "end": "OUT\u00ad"}, {"start": "IN", "end": "OUT"}),
    (EVENT_TASK, "mapping.demographics.sex", "GENDER\u00ad", "GENDER"),
    (EVENT_TASK, "mapping.tables.labs.events.0.code", ["LAB\u200b/{loinc}\u00a0"], ["LAB/{loinc}"]),
    (EVENT_TASK, "population.index.event", ["drug\u00a0"], ["drug"]),
    (EVENT_TASK, "population.exclude.0.had", "bleed\u200b", "bleed"),
    (EVENT_TASK, "features.codes.past.of", ["DX/\u00a0", "sc\u00adope"], ["DX/", "scope"]),
    (TABLE_TASK, "columns.dose.units.to_unit", {"mg\u00a0": 1}, {"mg": 1}),
    (TABLE_TASK, "columns.dose.units.when_missing", "m\u200bg", "mg"),
    (TABLE_TASK, "lookups.wards.entries", {"1\u00a0": "surgery\u200b"}, {"1": "surgery"}),
    (TABLE_TASK, "split.site", {"column": "ward", "held_out": ["surgery\u00a0"]}, {"column": "ward", "held_out": ["surgery"]}),
]  # fmt: skip


@pytest.mark.parametrize(("sound", "path", "written", "meant"), WRITTEN)
def test_a_tasks_codes_units_and_levels_are_those_that_are_seen(
    sound: dict[str, Any], path: str, written: Any, meant: Any
) -> None:
    assert check_task(changed(sound, path, written)) == check_task(changed(sound, path, meant))
    assert check_task(changed(sound, path, written))[1] == []


@pytest.mark.parametrize(
    ("sound", "path", "same", "other", "named"),
    [
        (TABLE_TASK, "lookups.wards.entries", {"1": "a b", "1\u00a0": "a\u00a0b"}, {"1": "a", "1\u00a0": "b"}, "'1'"),
        (TABLE_TASK, "columns.dose.units.to_unit", {"mg": 1, "m\u200bg": 1}, {"mg": 1, "m\u200bg": 1000}, "'mg'"),
        (EVENT_TASK, "mapping.values.LAB/718-7.to_unit", {**SCALES, "g/L\u00a0": 1}, {**SCALES, "g/L\u00a0": 10}, "'g/L'"),
        (EVENT_TASK, "mapping.values", {"LAB/7": {}, "LAB/7\u00a0": {}}, {"LAB/7": {}, "LAB/7\u00a0": {"range": [1, 2]}}, "'LAB/7'"),
    ],
)  # fmt: skip
def test_two_keys_of_one_spelling_have_one_value(
    sound: dict[str, Any], path: str, same: Any, other: Any, named: str
) -> None:
    assert check_task(changed(sound, path, same))[1] == []
    problem, *_ = check_task(changed(sound, path, other))[1]  # then what is missing without it
    assert problem.endswith(f"expected {named} once, received it again with another value: the keys look alike")


def test_meanings_in_a_look_ups_file_are_those_that_are_seen() -> None:
    task, _ = check_task(TABLE_TASK)
    assert isinstance(task, TableTask)
    lookup = Lookup(path="wards.csv", key="ward", value="what", missing=("none\u00a0",))
    text = "ward,what\n1,Surgery\n2\u00a0,Surgery\u200b\n3,\u00a0none\n4,\u200b\n"
    frozen = freeze_lookups(task.model_copy(update={"lookups": {"wards": lookup}}), lambda _: text)
    assert frozen.lookups["wards"].entries == {"1": "Surgery", "2": "Surgery", "3": None, "4": None}
