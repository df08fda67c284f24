"""medspark's candidates beside the oracle's."""

import math

from medspark.cases.criteria import criteria
from support.oracle.candidates import oracle
from support.oracle.features import column_of, sex_of

EMPTY = {"codes": [], "sequence": [], "values": {}, "grid": {}}


def assert_same(db, task, found):
    """medspark's candidates are the oracle's, with every column of every case."""
    expected = oracle(db, task)
    found = sorted(found, key=lambda row: (row["subject_id"], row["prediction_time"]))
    keys = ("subject_id", "index_time", "prediction_time", "age", "_excluded", "boolean_value")
    assert_close([tuple(row[key] for key in keys) for row in found], expected)
    numbers = [number for number, row in enumerate(found, 1) if row["_excluded"] is None]
    for column in task.features.columns():
        wanted = column_of(db, task, column)
        for number in numbers:
            assert_close(found[number - 1][column.name], wanted.get(number, EMPTY[column.kind]), column.name)
    if "sex" in task.features.demographics:
        wanted = sex_of(db, "<=" if task.time.at_prediction_time == "included" else "<")
        assert {number: found[number - 1]["sex"] for number in numbers} == wanted
    return counts_of(task, [row[4] for row in expected]), sum(row[5] or 0 for row in expected)


def counts_of(task, excluded_by):
    names = [criterion.name for criterion in criteria(task, scoring=False)]
    assert {*excluded_by} <= {*names, None}
    return {name: excluded_by.count(name) for name in (*names, None)}


def assert_close(found, expected, where=""):
    """Equal, floats to nine digits."""
    if isinstance(expected, float) and found is not None:
        alike = math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
        assert alike or (math.isnan(found) and math.isnan(expected)), (where, found, expected)
    elif isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where} {key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), (where, found, expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, where)
    else:
        assert found == expected, (where, found, expected)
