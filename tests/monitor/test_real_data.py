"""On real data: what is estimated comes true, and nights without drift raise no more alarms than is said."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from support.nights import batch_of

from medspark.encode.kinds.table import CategoricalStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.evaluate.metrics import performance
from medspark.monitor.drift import compare
from medspark.monitor.estimate import estimate
from medspark.monitor.plan import SCORE_CELLS
from medspark.monitor.reference import fit_reference, plan_of, recalibration_of
from medspark.monitor.verdict import findings_of
from medspark.monitor.worker.read import score_cell
from medspark.monitor.worker.tally import tally_of
from medspark.task.monitoring import Monitoring

pytestmark = [pytest.mark.data, pytest.mark.slow]

NUMBERS = ["time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications", "number_outpatient",
           "number_emergency", "number_inpatient", "number_diagnoses"]  # fmt: skip
LEVELS = ["race", "gender", "age", "insulin", "A1Cresult", "diabetesMed", "change", "admission_type_id"]
DEAD = {11, 13, 14, 19, 20, 21}


@pytest.fixture(scope="module")
def encounters(data):
    """diabetes130's encounters in their order, without those who cannot come back."""
    (path,) = (data / "diabetes130").glob("diabetic_data.csv")
    frame = pd.read_csv(path, keep_default_na=False, na_values=["?"], low_memory=False).sort_values("encounter_id")
    return frame[~frame["discharge_disposition_id"].isin(DEAD)].reset_index(drop=True)


def design(frame):
    levels = pd.get_dummies(frame[LEVELS].astype(str)).astype(float)
    return np.concatenate([np.log1p(frame[NUMBERS].to_numpy(float)), levels.to_numpy()], axis=1)


def learned(rows, label, first, second):
    """The calibrated risks, (n,), of a model learned from `first`, calibrated on `second`, and how sure that is."""
    linear = pytest.importorskip("sklearn.linear_model")
    spread = rows[first].std(axis=0)
    rows = (rows - rows[first].mean(axis=0)) / np.where(spread > 0, spread, 1)
    logit = linear.LogisticRegression(C=0.01, max_iter=500).fit(rows[first], label[first]).decision_function(rows)
    platt = linear.LogisticRegression(C=1e6).fit(logit[second, None], label[second])
    risk = platt.predict_proba(logit[:, None])[:, 1]
    return risk, recalibration_of(label[second].astype(bool), risk[second])


def beside_the_truth(risk, label, sure):
    """By figure what was estimated, what came true, and whether it is within the interval."""
    found = estimate(np.bincount(score_cell(risk), minlength=SCORE_CELLS), sure)
    truth = performance(label, risk)
    return {name: (found[name], truth[name], found[name]["low"] <= truth[name] <= found[name]["high"])
            for name in ("auroc", "brier")}  # fmt: skip


def test_the_auroc_of_each_later_year_of_diabetes130_lies_within_its_estimate(encounters, capsys):
    """Five parts of encounters in their order: the first learns, its last third calibrates. The Brier score comes out
    lower from the third on, since at the same risk fewer come back: no estimate without outcomes can see that."""
    label = (encounters["readmitted"] == "<30").to_numpy().astype(int)
    year = np.arange(len(label)) * 5 // len(label)
    of_first = np.flatnonzero(year == 0)
    cut = len(of_first) * 2 // 3
    risk, sure = learned(design(encounters), label, of_first[:cut], of_first[cut:])
    every = {at: beside_the_truth(risk[year == at], label[year == at], sure) for at in range(1, 5)}
    with capsys.disabled():
        for at, found in every.items():
            print(f"year {at + 1}:", {name: _told(*one) for name, one in found.items()})
    assert all(found["auroc"][2] for found in every.values())


def _told(estimated, truth, inside):
    span = f"{estimated['low']:.4f} to {estimated['high']:.4f}"
    return f"{estimated['value']:.4f} ({span}), came true {truth:.4f}{'' if inside else ' OUTSIDE'}"


@pytest.fixture(scope="module")
def stays(data):
    """cinc2012's set-a: the last value of each parameter of each stay, and who died in hospital."""
    folder = data / "cinc2012"
    rows = {}
    with tarfile.open(folder / "set-a.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".txt") and member.isfile():
                table = pd.read_csv(io.BytesIO(archive.extractfile(member).read()))
                last = table[table["Value"] != -1].groupby("Parameter")["Value"].last()
                rows[int(member.name.rsplit("/", 1)[-1].removesuffix(".txt"))] = last
    values = pd.DataFrame(rows).T.drop(columns="RecordID", errors="ignore")
    died = pd.read_csv(folder / "Outcomes-a.txt").set_index("RecordID")["In-hospital_death"]
    return values, died.reindex(values.index).to_numpy()


def test_performance_in_the_other_half_of_cinc2012_lies_within_its_estimate(stays, capsys):
    values, label = stays
    known = values.notna()
    rows = np.concatenate([values.fillna(values.median()).rank(pct=True).to_numpy(), known.to_numpy(float)], axis=1)
    told = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(label))
        half, third = len(order) // 2, len(order) // 3
        risk, sure = learned(rows, label, order[:third], order[third:half])
        told.append(beside_the_truth(risk[order[half:]], label[order[half:]], sure))
    with capsys.disabled():
        for seed, found in enumerate(told):
            print(f"halves {seed}:", {name: _told(*one) for name, one in found.items()})
    inside = [found[name][2] for found in told for name in found]
    assert sum(inside) >= 9, told  # of 10 intervals of 95 %


# ---------------------------------------------------------------- false alarms


def columns_of(frame):
    def levels(values):
        return values.where(values.isna(), values.astype(str)).astype(object).where(values.notna(), None).to_numpy()

    numbers = {name: frame[name].to_numpy(float) for name in NUMBERS}
    return numbers | {name: levels(frame[name]) for name in LEVELS}


def statistics_of(columns):
    numeric, categorical = [], []
    for name in NUMBERS:
        middle, spread = np.median(columns[name]), columns[name].std()
        known = (0.0,) * 13
        numeric.append(
            NumericStatistics(column=name, scaling="smooth", center=middle, scale=spread, knots=known, impute=middle,
                              missing_indicator=False, mean=0, sd=1, missing_share=0)
        )  # fmt: skip
    for name in LEVELS:
        counts = pd.Series(columns[name]).astype("string").value_counts()
        levels = tuple(counts.index)
        categorical.append(
            CategoricalStatistics(column=name, levels=levels, counts=tuple(map(int, counts)), rare=0, missing_share=0)
        )
    return Statistics(cases=len(columns["age"]), numeric=tuple(numeric), categorical=tuple(categorical), codes=())


def test_of_200_bootstrapped_nights_of_diabetes130_no_more_are_false_alarms_than_the_task_says(encounters, capsys):
    """A random half of the patients' first encounters trains; nights of 500 are drawn from the other half, and nothing
    is too small to be told."""
    first = encounters.drop_duplicates("patient_nbr").sample(frac=1, random_state=0)
    train, other = first.iloc[: len(first) // 2], first.iloc[len(first) // 2 :]
    columns = columns_of(train)
    statistics = statistics_of(columns)
    tensors = encode(batch_of(columns), statistics)
    plan = plan_of(statistics, tensors, ("gender", "race"))
    made_up = np.random.default_rng(0).beta(1, 8, len(first))
    whole = tally_of(plan, tensors, made_up[: len(train)], {})
    reference = fit_reference(plan, whole, whole)
    least = dict.fromkeys(("psi", "scores", "codes", "missing", "unseen", "outside", "units"), 1e-9)
    settings = Monitoring(false_alarms=0.05, warn=least)
    alarms = []
    rng = np.random.default_rng(1)
    for at in range(200):
        night = other.iloc[rng.integers(0, len(other), 500)]
        seen = tally_of(plan, encode(batch_of(columns_of(night)), statistics), rng.beta(1, 8, 500), {})
        found = findings_of(plan, compare(reference, seen, 399, seed=at), reference.tally(), seen, settings)
        alarms += [found[0].sentence] if found else []
    with capsys.disabled():
        print(f"{len(alarms)} of 200 nights: {alarms[:3]}")
    assert len(alarms) <= 20  # 5 % are 10; above 20 is one such count in a thousand
