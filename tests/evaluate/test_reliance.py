import numpy as np
import pandas as pd

from medspark.evaluate.beside_scores import Beside
from medspark.evaluate.reliance import Stated, reliance

STATED = Stated(0.01, 0.9, {"disagreement": "one member"})


def found_of(stated, beside, label, missing, groups, subject=None):
    """Of cases of a patient each, unless said otherwise."""
    return reliance(stated, beside, label, missing, groups, np.arange(len(label)) if subject is None else subject)


def stands(band, unusual=None):
    rows = len(band)
    flags = np.zeros(rows, bool) if unusual is None else unusual
    return Beside(np.zeros(rows), flags, None, np.full(rows, 0.2), np.full(rows, 0.4), np.array(band, np.int8))


def test_a_coverage_of_everyone_hides_a_group_that_has_less():
    """1,000 cases with the outcome: 90 % covered in all, of the 200 at site b the half."""
    site = np.repeat(["a", "b"], [800, 200])
    band = np.concatenate([np.full(800, 2), np.repeat([0, 2], 100)])
    found = found_of(STATED, stands(band), np.ones(1000), np.zeros(1000), pd.DataFrame({"site": site}))
    shares = {row["level"]: row["with_outcome"]["covered"] for row in found["coverage"]["groups"]}
    assert shares == {"all": 0.9, "a": 1.0, "b": 0.5}
    assert [row["without_outcome"] for row in found["coverage"]["groups"]] == [None] * 3


def test_cases_are_looked_at_by_how_much_of_them_is_missing():
    missing = np.repeat([0.0, 0.2, 0.5], 100)
    label = np.tile([0.0, 1.0], 150)
    found = found_of(STATED, stands(np.ones(300)), label, missing, pd.DataFrame(index=range(300)))
    groups = [(row["group"], row["level"], row["cases"]) for row in found["coverage"]["groups"]]
    assert groups == [
        ("all", "all", 300),
        ("share missing", "up to 0%", 100),
        ("share missing", "0% to 20%", 100),
        ("share missing", "20% to 50%", 100),
    ]


def test_a_share_that_gives_few_patients_away_is_not_given():
    band = np.concatenate([np.full(95, 2), np.full(5, 0)])
    found = found_of(STATED, stands(band), np.ones(100), np.zeros(100), pd.DataFrame(index=range(100)))
    (row,) = found["coverage"]["groups"]
    assert (row["with_outcome"], row["uncertain"]) == (None, 0.0)


def test_cases_of_no_known_outcome_count_where_none_is_asked_for():
    label = np.where(np.arange(200) < 100, np.nan, 0.0)
    unusual = np.arange(200) < 20
    found = found_of(STATED, stands(np.ones(200), unusual), label, np.zeros(200), pd.DataFrame(index=range(200)))
    assert found["unusual"] == {"share": 0.1, "at_most": 0.01, "cases": 200}
    assert found["coverage"]["groups"][0]["cases"] == 100
    assert found["interval"]["observed"] == 0.0
    assert round(found["interval"]["median_width"], 9) == 0.2
    assert found["absent"] == {"disagreement": "one member"}


def test_of_nobody_nothing_is_said():
    found = found_of(STATED, stands([]), np.empty(0), np.empty(0), pd.DataFrame())
    assert found["unusual"]["share"] is None
    assert found["coverage"]["groups"][0]["uncertain"] is None


def test_many_cases_of_few_patients_are_few():
    band, subject = np.repeat([2, 0], [80, 20]), np.repeat(np.arange(20), 5)
    found = found_of(STATED, stands(band), np.ones(100), np.zeros(100), pd.DataFrame(index=range(100)), subject)
    (row,) = found["coverage"]["groups"]
    assert row["with_outcome"] is None
