"""The rows of `explanations`: the largest items of each case, as a clinician reads them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from support.explained import TABLE, drawn, made, tensors_of
from support.tasks import stays_task

from medspark.encode.worker.encoder import as_list
from medspark.errors import BundleError
from medspark.evaluate.logistic import sigmoid
from medspark.score.worker.explanations.explain import explain_batches


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    tensors = tensors_of(400)
    return made(tmp_path_factory.mktemp("table"), drawn(TABLE, tensors), TABLE, tensors, stays_task(), top=3)


def batch_of(tensors):
    rows = len(tensors["numeric"])
    keys = {
        "case_id": pa.array(range(rows)),
        "subject_id": pa.array([f"p{at}" for at in range(rows)]),
        "prediction_time": pa.nulls(rows, pa.timestamp("us", "UTC")),
    }
    return pa.RecordBatch.from_pydict(keys | {name: as_list(array) for name, array in tensors.items()})


def explained(table, tensors, **changes):
    found = list(explain_batches([batch_of(tensors)], table.served, table.asked._replace(**changes)))
    return pa.concat_tables([one.table for one in found]).to_pylist(), found


ONE = {
    "numeric": np.array([[1.25, 0.0, 0.0, 1.0]], np.float32),
    "categories": np.array([[3]], np.int32),
    "codes_diagnoses": np.array([[4, 1]], np.int32),
}
"""A man of 72.5 years without a creatinine, with J44 and a code that training did not have often enough."""


def test_each_item_is_told_as_a_clinician_reads_it(table):
    facts = table.asked.facts.replace('"units":{}', '"units":{"age":"years"}').replace(
        '"units": {}', '"units": {"age": "years"}'
    )
    import hashlib

    digest = hashlib.sha256(facts.encode()).hexdigest()
    rows, _ = explained(table, ONE, top=10, facts=facts, facts_digest=digest)
    told = {(row["feature"], row["item"]): row["value"] for row in rows}
    assert told == {
        ("age", None): "72.5 years",
        ("creatinine", None): "missing",
        ("ignored", None): "0",
        ("sex", None): "M",
        ("diagnoses", "J44"): "present",
        ("diagnoses", "a rare or unknown one"): "present",
    }


def test_the_largest_contributions_come_first_whichever_their_direction(table):
    rows, found = explained(table, tensors_of(50, seed=1))
    assert [row["rank"] for row in rows] == [1, 2, 3] * 50
    sizes = np.abs([row["contribution"] for row in rows]).reshape(50, 3)
    assert (np.diff(sizes, axis=1) <= 0).all()
    assert {row["direction"] == "raises" for row in rows if row["contribution"] > 0} == {True}
    assert sum(one.cases for one in found) == 50
    assert all(row["adds_up"] for row in rows)


def test_risk_points_are_the_probability_less_that_without_the_contribution(table):
    tensors = tensors_of(20, seed=1)
    rows, _ = explained(table, tensors)
    logit = table.engine()(tensors)[:, 0]
    for row in rows:
        at = logit[row["case_id"]]
        risk, without = (sigmoid(1.1 * np.array([one]) - 0.5)[0] for one in (at, at - row["contribution"]))
        assert row["risk_points"] == pytest.approx(100 * (risk - without))


def test_rows_below_the_least_probability_and_rows_without_a_score_are_not_explained(table):
    tensors = tensors_of(60, seed=1)
    tensors["numeric"][7] = np.nan
    risk = sigmoid(1.1 * table.engine()(tensors)[:, 0] - 0.5)
    least = float(np.nanmedian(risk))
    rows, found = explained(table, tensors, least=least)
    expected = {at for at in range(60) if at != 7 and risk[at] >= least}
    assert {row["case_id"] for row in rows} == expected
    assert sum(one.cases for one in found) == len(expected)


def test_a_case_that_does_not_add_up_is_counted_and_told(table):
    import hashlib
    import json

    facts = json.dumps(json.loads(table.asked.facts) | {"baseline_logit": table.facts.baseline_logit + 1})
    rows, found = explained(
        table, tensors_of(5, seed=1), facts=facts, facts_digest=hashlib.sha256(facts.encode()).hexdigest()
    )
    assert sum(one.unsound for one in found) == 5
    assert not any(row["adds_up"] for row in rows)


def test_facts_that_reach_a_worker_altered_explain_nothing(table):
    with pytest.raises(BundleError, match="reached this worker altered"):
        explained(table, ONE, facts=table.asked.facts + " ")


def test_no_rows_give_no_rows(table):
    found = list(explain_batches([batch_of(tensors_of(0))], table.served, table.asked))
    assert found == []


def test_a_worker_that_explains_imports_neither_tensorflow_nor_pandas(table, tmp_path):
    import pickle

    (tmp_path / "asked").write_bytes(pickle.dumps((table.served, table.asked, batch_of(tensors_of(300, seed=1)))))
    script = """
import pickle, sys
from pathlib import Path
from medspark.score.worker.explanations.explain import explain_batches
served, asked, batch = pickle.loads(Path(sys.argv[1]).read_bytes())
heavy = ("tensorflow", "keras", "pandas", "sklearn", "pyspark", "shap", "lime")
before = {name for name in heavy if name in sys.modules}
cases = sum(one.cases for one in explain_batches([batch], served, asked))
print(cases, sorted({name for name in heavy if name in sys.modules} - before), sorted(before - {"pandas"}))
"""
    command = [sys.executable, "-c", script, tmp_path / "asked"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout == "300 [] []\n", found.stderr
