"""Counts that are published are of patients: many cases of one are few."""

import numpy as np
import pandas as pd
import pytest
from support.tasks import stays_task

from medspark.evaluate.curves import curves
from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.metrics import at_thresholds
from medspark.evaluate.targets import confusion
from medspark.privacy.small_cells import distinct, publishable_counts, publishable_thresholds
from medspark.task.table_task import TableTask


@pytest.mark.parametrize(
    ("counts", "patients", "shown"),
    [
        ([120, 43], [90, 40], [120, 43]),
        ([120, 30], [90, 1], ["~120", "<11"]),
        ([120, 0], [10, 0], ["<11", 0]),
        ([], [], []),
    ],
)
def test_a_count_of_few_patients_is_hidden_however_many_cases_it_is_of(counts, patients, shown):
    assert publishable_counts(counts, patients) == shown


def test_patients_are_counted_once():
    subject = np.array(["a", "a", "b", "c"])
    assert distinct(subject, np.array([True, True, True, False])) == 2
    assert distinct(subject, np.zeros(4, bool)) == 0


def frame(patients: int, cases: int = 600) -> pd.DataFrame:
    """Cases of many patients in ward A, and 60 of `patients` in ward B, every other one with the outcome."""
    who = np.where(np.arange(cases) < 60, np.arange(cases) % patients, np.arange(cases) + 1000)
    return pd.DataFrame(
        {
            "case_id": range(cases),
            "subject_id": who,
            "boolean_value": np.arange(cases) // patients % 2 == 0,
            "probability": np.where(np.arange(cases) < 60, 0.8, np.linspace(0.1, 0.4, cases)),
            "sex": np.where(np.arange(cases) < 60, "F", "M"),
        }
    )


def task() -> TableTask:
    return stays_task(privacy={}, features={"numeric": ["age"]})


@pytest.mark.parametrize(("patients", "shown"), [(30, 60), (10, "<11"), (1, "<11")])
def test_a_subgroup_of_few_patients_shows_no_count(patients, shown):
    rows = {row["level"]: row for row in evaluate(frame(patients), task(), {})["subgroups"]}
    assert rows["F" if patients > 4 else "rarer levels"]["cases"] == shown


@pytest.mark.parametrize(("patients", "hidden"), [(30, False), (10, True)])
def test_a_band_and_a_bar_of_few_patients_show_no_count(patients, hidden):
    given = frame(patients)
    label, risk, who = (given[name].to_numpy() for name in ("boolean_value", "probability", "subject_id"))
    high = publishable_thresholds(at_thresholds(label, risk, {"high": 0.5}, None, who))[-1]
    assert (high["n"] is None) == hidden
    assert "fewest_patients" not in high
    bars = curves(label, risk, None, who)["histogram"]
    assert (None in bars["positive"][-2:]) == hidden
    assert curves(label, risk)["histogram"]["positive"][-1] == 30


def test_calibration_is_drawn_of_pieces_with_eleven_patients_of_each_outcome():
    label, risk, who = np.tile([0, 1], 500), np.linspace(0.1, 0.9, 1000), np.arange(1000) % 10
    assert curves(label, risk, None, who)["calibration"] == []
    assert len(curves(label, risk, None, np.arange(1000))["calibration"]) == 10


def test_a_cell_of_the_confusion_of_classes_is_of_patients_too():
    label, risk = np.eye(2)[[0] * 40 + [1] * 30], np.eye(2)[[0] * 40 + [1] * 30]
    assert confusion(label, risk, np.arange(70)) == [[40, 0], [0, 30]]
    assert confusion(label, risk, np.minimum(np.arange(70), 40)) == [["~40", 0], [0, "<11"]]
