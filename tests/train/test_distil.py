"""A student and its teacher, on made-up tensors."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from support.sound import TABLE_TASK, changed

from medspark.bundles.bundle import load_bundle, save_bundle
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import as_list
from medspark.score.worker.engine import litert_engine
from medspark.store.facts import Attrition, CasesFacts, SplitCounts, TableCounts
from medspark.task.load import check_task
from medspark.train import distil as module
from medspark.train.batches import Folds, fold_of, load_split, split_files
from medspark.train.distil import distil, soft_input, write_soft_labels
from medspark.train.export import export_litert, keras_logits
from medspark.train.fill_bundle import Made, fill_bundle
from medspark.train.fit import fit_network, held_out_logit
from medspark.train.networks.student import student_settings
from medspark.train.steps import Schedule
from medspark.train.train_network import learn

pytestmark = pytest.mark.slow

NUMBER = NumericStatistics(
    column="age", scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False, mean=0, sd=1,
    missing_share=0,
)  # fmt: skip
STATISTICS = Statistics(
    cases=1, numeric=tuple(NUMBER.model_copy(update={"column": f"x{at}"}) for at in range(4)), categorical=(), codes=()
)


def task_with(**changes):
    raw = TABLE_TASK
    for path, value in changes.items():
        raw = changed(raw, path, value)
    task, problems = check_task(raw)
    assert problems == []
    return task


def written(folder, cases=1500, seed=0, targets=None, flip=None):
    """Tensors of the three splits, two cases a patient, whose outcome follows the first two numbers and their product.

    Args:
        targets: of n numbers (n, 4) and a generator the labels (n, k) of several targets, NaN where not known, and the
            days (n,) that each was followed.
        flip: a patient whose outcomes are turned round.
    """
    rng = np.random.default_rng(seed)
    for split, count in (("train", cases), ("valid", cases // 4), ("test", cases)):
        x = rng.normal(size=(count, 4)).astype(np.float32)
        patient = [f"{split} {case // 2}" for case in range(count)]
        odds = x[:, 0] + x[:, 1] + x[:, 0] * x[:, 1] - 1
        label = (rng.random(count) < 1 / (1 + np.exp(-odds))) ^ (np.array(patient) == flip)
        frame = pa.table({"case_id": [*range(count)], "subject_id": patient, "boolean_value": label})
        frame = frame.append_column("missing_share", pa.array(np.zeros(count)))
        if targets is not None:
            found, days = targets(x, rng)
            rows = [[None if np.isnan(one) else bool(one) for one in row] for row in found]
            frame = frame.append_column("boolean_values", pa.array(rows, pa.list_(pa.bool_())))
            frame = frame.append_column("days_followed", pa.array(days))
        place = folder / f"split={split}"
        place.mkdir(parents=True)
        pq.write_table(frame.append_column("numeric", as_list(x)), place / "0.parquet", row_group_size=400)
    return str(folder)


def learned_files(table):
    return [*split_files(table, "train"), *split_files(table, "valid")]


def taught(table, task):
    return fit_network(split_files(table, "train"), split_files(table, "valid"), STATISTICS, task, lambda *_: None)


def learned(table, task):
    """What a training run makes of tensors."""
    return learn(table, STATISTICS, task, lambda *_: None, pd.DataFrame({"case_id": [*range(1500)]}), False)


def student_of(table, task, teacher, folder):
    targets = task.outcome.targets
    settings = student_settings(STATISTICS, task.network, targets.kind, len(targets.names))
    folder.mkdir()
    files = write_soft_labels(teacher, learned_files(table), STATISTICS, folder)
    return distil(teacher, files, STATISTICS, task, settings, lambda *_: None)


NETWORK = {"members": 4, "hidden": [32], "student": "small"}


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilled")
    table = written(folder / "tensors")
    task = task_with(network=NETWORK, training={"epochs": 12, "batch_size": 64})
    teacher = taught(table, task)
    return table, task, teacher, student_of(table, task, teacher, folder / "soft")


def test_the_student_ranks_the_test_patients_nearly_as_its_teacher_does(distilled):
    table, _, teacher, student = distilled
    test = load_split(table, "test", STATISTICS.inputs(), teacher.reading)
    one, other = (
        roc_auc_score(test.truth.label[:, 0], keras_logits(found.network, test.tensors)[:, 0])
        for found in (teacher, student)
    )
    assert one > 0.8
    assert abs(one - other) < 0.01
    assert student.network.count_params() <= 20_000 < teacher.network.count_params() * 20


def test_soft_labels_stand_beside_their_own_case_and_the_last_is_of_the_member_that_left_the_patient_out(
    distilled, tmp_path
):
    table, task, teacher, _ = distilled
    inputs, said = STATISTICS.inputs(), soft_input(5, 1)
    files = write_soft_labels(teacher, split_files(table, "train"), STATISTICS, tmp_path)
    soft, plain = pq.read_table(files[0]), load_split(table, "train", inputs, teacher.reading, ("subject_id",))
    assert soft.column("case_id").to_pylist() == [*range(1500)]
    fold = fold_of(soft.column("subject_id").to_numpy(), Folds(4, task.training.seed))
    logits = teacher.members.predict(plain.tensors, verbose=0)[:, :, 0]
    rows = np.array(soft.column(said.name).to_pylist())
    assert np.abs(rows[:, :4] - logits).max() < 1e-5
    found = rows[:, 4]
    assert np.abs(found - logits[np.arange(1500), fold]).max() < 1e-5
    assert np.abs(found - logits.mean(axis=1)).max() > 0.05


def test_a_patients_own_outcome_changes_neither_the_patients_soft_label_nor_what_calibrates_the_student(
    tmp_path, monkeypatch
):
    # of one epoch, and plain: where members begin, and when they stop, is by the outcomes of all patients
    task = task_with(network={**NETWORK, "kind": "plain"}, training={"epochs": 1, "batch_size": 64})
    monkeypatch.setattr(module, "schedule", lambda *_: Schedule(64, 1, 6))
    every, of_patient, judged, served = [], [], [], []
    for flip in (None, "train 7"):
        table = written(tmp_path / f"tensors {flip}", cases=300, flip=flip)
        teacher = taught(table, task)
        found = load_split(table, "train", STATISTICS.inputs(), teacher.reading, ("subject_id",))
        subject = found.keys["subject_id"].to_numpy()
        logits = np.asarray(teacher.members.predict(found.tensors, verbose=0))
        every.append(logits[subject == "train 7"])
        of_patient.append(held_out_logit(logits, subject, teacher.folds)[subject == "train 7"])
        student = student_of(table, task, teacher, tmp_path / f"soft {flip}")
        logits = np.asarray(student.members.predict(found.tensors, verbose=0))
        judged.append(held_out_logit(logits, subject, student.folds)[subject == "train 7"])
        served.append(logits[subject == "train 7", -1])
    assert len(of_patient[0]) == 2
    assert np.array_equal(*of_patient)
    assert not np.array_equal(*every), "the other members learned from the patient"
    assert np.array_equal(*judged), "who judges the patient has heard of the outcome in no way"
    assert not np.array_equal(*served)


def test_there_is_a_student_for_each_fold_and_the_one_that_is_served(distilled):
    table, _, teacher, student = distilled
    found = load_split(table, "train", STATISTICS.inputs(), teacher.reading, ("subject_id",))
    logits = np.asarray(student.members.predict(found.tensors, verbose=0))
    assert logits.shape == (1500, 5, 1), "a student a fold, and the one that is served"
    assert np.abs(keras_logits(student.network, found.tensors) - logits[:, 4]).max() < 1e-5
    assert student.folds == teacher.folds


def test_the_same_teacher_gives_the_same_student(distilled, tmp_path):
    table, task, teacher, student = distilled
    again = student_of(table, task, teacher, tmp_path / "soft")
    assert all(
        np.array_equal(one, other)
        for one, other in zip(student.network.get_weights(), again.network.get_weights(), strict=True)
    )


def test_litert_serves_the_student_as_keras_has_it(distilled, tmp_path):
    table, _, teacher, student = distilled
    test = load_split(table, "test", STATISTICS.inputs(), teacher.reading)
    assert export_litert(student.network, tmp_path / "model.tflite", test.tensors).difference < 1e-5
    empty = {"numeric": np.zeros((3, 4), np.float32)}
    engine = litert_engine(tmp_path / "model.tflite")
    assert np.abs(engine(empty) - keras_logits(student.network, empty)).max() < 1e-5


FACTS = CasesFacts(
    rules="",
    fingerprint="",
    counts=TableCounts(4000, 0, 4000, {}, 0, {}, 0),
    case_rules="",
    attrition=[Attrition("made up", "of the test", 0, 3375)],
    splits={"train": SplitCounts(1500, 750, 500, 0), "test": SplitCounts(1500, 750, 500, 0)},
)


def test_the_bundle_serves_the_student_and_says_what_the_teacher_would_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 300)
    table = written(tmp_path / "tensors")
    task = task_with(network=NETWORK, training={"epochs": 2, "batch_size": 64}, report={"bootstrap": 20})
    trained = learned(table, task)
    assert {path.name for path in (tmp_path / "tensors").iterdir()} == {"split=train", "split=valid", "split=test"}
    beside = trained.metrics["baselines"]
    assert [*beside] == ["teacher"]
    of_student, of_teacher = (one["metrics"]["auroc"]["value"] for one in (trained.metrics["test"], beside["teacher"]))
    assert beside["teacher"]["difference"]["auroc"]["value"] == pytest.approx(of_student - of_teacher, abs=1e-9)
    made = Made(task, table, FACTS, {}, {}, "run", "2026-01-01T00:00:00Z")
    bundle = load_bundle(save_bundle(tmp_path / "bundles", lambda folder: fill_bundle(folder, trained, made)))
    engine, metrics = bundle.manifest["engine"], bundle.read_json("metrics.json")
    assert engine["parameters"] == trained.fitted.network.count_params() <= 20_000
    assert engine["teacher"]["parameters"] == trained.teacher.network.count_params()
    assert engine["rows_measured"] == 4096, "the validation split, repeated"
    assert engine["rows_per_second"] > 0
    assert engine["teacher"]["rows_per_second"] > 0
    assert metrics["engine"] == engine
    assert len(metrics["teacher_history"]) == 2 < len(metrics["history"])
    test = load_split(table, "test", STATISTICS.inputs(), trained.fitted.reading)
    served = litert_engine(bundle.path / "model.tflite")(test.tensors)
    said = trained.predictions[trained.predictions["split"] == "test"]["logit"].to_numpy()
    assert np.abs(served[:, 0] - said).max() < 1e-5
    report = bundle.read_text("report.html")
    assert f"{trained.teacher.network.count_params():,} weights, " in report
    assert "The teacher, which the network was distilled from, reached an AUROC of" in report


def three(x, rng):
    """One of three classes, by the first two numbers."""
    return np.eye(3)[np.argmax(x[:, :3] + rng.normal(size=(len(x), 3)), axis=1)], np.ones(len(x))


def two_partly_known(x, rng):
    found = (x[:, :2] + rng.normal(size=(len(x), 2)) > 0).astype(float)
    found[rng.random(found.shape) < 0.3] = np.nan
    return found, np.ones(len(x))


def two_horizons(x, rng):
    """By an event whose rate the first number says, among patients who are followed for 5 to 60 days."""
    event, end = rng.exponential(20 * np.exp(-x[:, 0])), rng.uniform(5, 60, len(x))
    days = np.minimum(event, end)[:, None]
    by = np.array([10, 30])
    return np.where((event <= end)[:, None] & (days <= by), 1.0, np.where(days >= by, 0.0, np.nan)), days[:, 0]


@pytest.mark.parametrize(
    ("outcome", "targets"),
    [
        ({"classes": {"a": "age > 80", "b": "age > 60", "c": "age <= 60"}}, three),
        ({"several": {"a": "age > 80", "b": "dose > 2"}}, two_partly_known),
        ({"event": "back", "days": "age", "horizons_days": [10, 30]}, two_horizons),
    ],
    ids=["classes", "several", "horizons"],
)
def test_the_student_of_every_kind_of_outcome_is_near_its_teacher_for_each_target(
    tmp_path, monkeypatch, outcome, targets
):
    monkeypatch.setattr(module, "STEPS", 600)
    table = written(tmp_path / "tensors", targets=targets)
    raw = {"outcome": {"name": "made up", **outcome}, "network": {**NETWORK, "members": 3}}
    raw["features"] = {"categorical": ["ward"]}
    task = task_with(**raw, training={"epochs": 5, "batch_size": 64}, report={"bootstrap": 5})
    trained = learned(table, task)
    for one in trained.metrics["outcomes"]["targets"]:
        of_student, of_teacher = one["metrics"]["auroc"]["value"], one["baselines"]["teacher"]["auroc"]["value"]
        assert of_student > 0.7
        assert abs(of_student - of_teacher) < 0.02
    if targets is two_horizons:
        test = load_split(table, "test", STATISTICS.inputs(), trained.fitted.reading)
        assert (np.diff(keras_logits(trained.fitted.network, test.tensors), axis=1) >= 0).all()
