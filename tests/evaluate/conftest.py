"""A small task, a test set with a known signal, and the report they make."""

import numpy as np
import pandas as pd
import pytest

from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.logistic import sigmoid
from medspark.evaluate.report.data import ReportData
from medspark.task.table_task import TableTask


@pytest.fixture(scope="session")
def task() -> TableTask:
    return TableTask.model_validate(
        {
            "task": "sepsis-ward",
            "title": "Sepsis on the ward <within 48 hours>",
            "intended_use": "Ask a nurse to look & measure.",
            "source": {
                "kind": "table",
                "path": "ward/stays.csv",
                "format": "csv",
                "case": "stay",
                "subject": "patient",
            },
            "columns": {
                "stay": {"type": "long"},
                "patient": {"type": "long"},
                "heart_rate": {"type": "double"},
                "sex": {"type": "category"},
                "ward": {"type": "category"},
                "sepsis": {"type": "boolean"},
            },
            "exclude": [{"name": "day cases", "when": "ward = 'day'", "because": "they leave too early"}],
            "outcome": {"name": "sepsis within 48 hours", "when": "sepsis"},
            "features": {"numeric": ["heart_rate"], "categorical": ["sex"]},
            "risk_bands": {"raised": 0.2, "high": 0.5},
            "report": {"subgroups": ["sex", "ward"], "bootstrap": 20},
        }
    )


@pytest.fixture(scope="session")
def test_set() -> pd.DataFrame:
    """3,000 cases of 2,000 patients; the logits are right, and 4 cases have no sex."""
    rng = np.random.default_rng(7)
    logits = rng.normal(-1.5, 1.2, 3000)
    sex = np.where(rng.random(3000) < 0.5, "female", "male").astype(object)
    sex[:4] = None
    return pd.DataFrame(
        {
            "case_id": np.arange(3000),
            "subject_id": rng.integers(0, 2000, 3000),
            "boolean_value": rng.random(3000) < sigmoid(logits),
            "probability": sigmoid(logits),
            "sex": sex,
            "ward": np.where(np.arange(3000) < 30, "surgery", "medicine"),
        }
    )


@pytest.fixture(scope="session")
def report_data(task: TableTask, test_set: pd.DataFrame) -> ReportData:
    rng = np.random.default_rng(1)
    metrics = evaluate(test_set, task, {"logistic_regression": rng.random(len(test_set))})
    metrics["cross_validation"] = {"folds": 5, "metrics": {"auroc": {"mean": 0.71, "sd": 0.012}}}
    return ReportData(
        task=task,
        decides_scores="3f9a1c",
        created_at="2026-01-02 03:04 UTC",
        metrics=metrics,
        attrition=[{"criterion": "day cases", "removed": 500, "remaining": 15000, "because": "they leave too early"}],
        counts={
            "rows_in": 15620,
            "blank_lines": 0,
            "records": 15500,
            "quarantined": {"heart_rate: out of range": 100},
            "duplicates": 20,
            "set_missing": {"sex: not a level": 4},
            "splits": {
                "train": {"cases": 10500, "positives": 2400},
                "valid": {"cases": 1500, "positives": 340},
                "test": {"cases": 3000, "positives": int(test_set["boolean_value"].sum())},
            },
        },
        features=[
            {"name": "heart_rate", "kind": "numeric", "missing_share": 0.123, "summary": "mean 84, SD 15"},
            {"name": "sex", "kind": "categorical", "missing_share": 0.0003, "summary": None},
        ],
        history=[{"epoch": epoch, "loss": 1 / epoch, "valid_loss": 1.1 / epoch} for epoch in range(1, 6)],
        versions={"medspark": "0.1.0"},
        engine={"litert_max_difference": 1.2e-7, "parameters": 41234},
        seconds={"train": 12.34},
    )
