"""Small inputs that failed once, kept beside the data sets: each is read as it should be, refused, or learned from."""

import json
import shutil

import pandas as pd
import pytest

import medspark
from medspark.errors import InputError, RejectedError, TaskError

pytestmark = pytest.mark.slow
SOUND = {"quarantined": {}, "duplicates": 0, "set_missing": {}}
NOWHERE = {"lactate": "the same in all training cases: only whether it is missing is kept"}
"""Named in the case whose training has one value of it."""


@pytest.fixture(scope="module")
def cases(data):
    folder = data.parent / "cases"
    if not folder.is_dir():
        pytest.skip("no small cases beside the data sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASES", str(folder))
        yield folder


def cleaned(spark, place, task_file):
    task = medspark.load_task(str(task_file))
    run = medspark.open_run(str(place), task, quiet=True)
    return medspark.clean_stage(run, task), run


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "03-invisible",
            SOUND | {"records": 7, "normalised": {f"{name}: invisible letters": 5 for name in ("patient_id", "sex")}},
        ),
        ("06b-nanos", SOUND | {"records": 3}),
        ("06d-oracle-number38", SOUND | {"records": 3}),
        ("06f-float-id", SOUND | {"records": 3}),
        ("06h-all-null-arrow-null", SOUND | {"records": 3, "missing": {"sex": 3}}),
        ("07a-int-then-double-age", SOUND | {"records": 6}),
        ("07c-float32-then-64", SOUND | {"records": 6}),
        ("18b-clean", SOUND | {"records": 2161}),
        ("18b-four", SOUND | {"records": 2157, "quarantined": {"data, time: range": 4}}),
        ("newcomer/q", {"rows_in": 3, "records": 2, "quarantined": {"record: quote": 1}}),
    ],
)
def test_a_case_is_read_and_what_is_not_is_counted(spark, cases, tmp_path, case, expected):
    file = cases / f"{case}.yaml" if (cases / f"{case}.yaml").exists() else cases / case / "task.yaml"
    counts = cleaned(spark, tmp_path, file)[1].receipt.counts["clean"]
    for name, value in expected.items():
        if isinstance(value, dict) and value:
            assert {key: counts[name][key] for key in value} == value
        else:
            assert counts[name] == value, name


def test_one_patient_however_his_id_is_padded_is_one(spark, cases, tmp_path):
    cleaned(spark, tmp_path, cases / "03-invisible" / "task.yaml")
    records = pd.read_parquet(next((tmp_path / "records").glob("*/")))
    assert records["patient_id"].value_counts().to_dict() == {"P001": 6, "p001": 1}
    assert set(records["sex"]) == {"F", "f"}


def test_a_code_with_a_space_that_nobody_sees_is_under_its_unit_rule(spark, cases, tmp_path):
    counts = cleaned(spark, tmp_path, cases / "19-codes" / "task.yaml")[1].receipt.counts["clean"]
    assert counts["normalised"] == {"data, code: invisible letters": 3, "data, unit: invisible letters": 1}
    assert counts["quarantined"] == {"data, code: required": 1, "data, value: range": 1, "data, value: unit": 1}


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("05-two-digit-year-yy/task.yaml", "columns.born.format: 'dd-MMM-yy' reads years of two digits"),
        ("newcomer/cast.yaml", "'status' is a number; expected true or false, as of: status = 2"),
    ],
)
def test_a_task_that_would_be_wrong_in_silence_is_refused(cases, case, says):
    with pytest.raises(TaskError, match=says):
        medspark.load_task(str(cases / case))


def test_a_file_in_utf_16_is_named_and_read_where_it_is_declared(spark, cases, tmp_path):
    file = cases / "02-utf16" / "task.yaml"
    with pytest.raises(InputError, match="seems to be utf-16"):
        cleaned(spark, tmp_path / "unsaid", file)
    (tmp_path / "task.yaml").write_text(file.read_text().replace("format: csv", "format: csv, encoding: utf-16"))
    _, run = cleaned(spark, tmp_path / "said", tmp_path / "task.yaml")
    counts = run.receipt.counts["clean"]
    assert (counts["rows_in"], counts["quarantined"]) == (counts["records"], {})


def test_a_wards_link_to_a_file_that_is_away_is_named(spark, cases, tmp_path):
    shutil.copytree(cases / "25-dangling" / "in", tmp_path / "in")
    (tmp_path / "in" / "ward-b.csv").symlink_to(tmp_path / "away.csv")
    text = (cases / "03-invisible" / "task.yaml").read_text()
    (tmp_path / "task.yaml").write_text(text.replace("${CASES}/03-invisible/a.csv", f"{tmp_path}/in"))
    with pytest.raises(InputError, match=r"ward-b\.csv"):
        cleaned(spark, tmp_path / "store", tmp_path / "task.yaml")


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("10-constant-seed/task1.yaml", NOWHERE | {"site": "left out, the same in all training cases"}),
        ("11e-1e30-in-training/task.yaml", {"creat": "some values lie more than 30 spreads from the median"}),
        ("11b-three-positives/task.yaml", {"site": "left out, the same in all training cases"}),
        ("16c-dot/task.yaml", {}),
        ("newcomer/dot.yaml", {}),
    ],
)
def test_what_is_strange_about_a_feature_is_named_and_every_case_gets_a_score(spark, cases, tmp_path, case, named):
    task, run = cleaned(spark, tmp_path, cases / case)
    medspark.features_stage(run, task)
    bundle = medspark.load_bundle(medspark.train_stage(run, task))
    found = run.receipt.counts["train"]["features_to_look_at"]
    assert {name: found[name] for name in named} == named
    tonight = cases / "10-constant-seed" / "tonight.csv" if "10-" in case else None
    scored = medspark.open_run(str(tmp_path / "scored"), task, quiet=True)
    version = medspark.score_stage(scored, bundle, None if tonight is None else str(tonight))
    risks = pd.read_parquet(tmp_path / "scored" / "scores" / version)["probability"]
    assert len(risks) == scored.receipt.counts["score"]["rows_in"]
    if tonight is not None:
        assert risks.nunique() == 1, "they differ by what was constant in training alone"
        _scores_of_dates_in_another_format_are_refused(cases, tmp_path, task, bundle)
    if "11b-" in case:
        auroc = json.loads(bundle.read_bytes("metrics.json"))["test"]["metrics"]["auroc"]
        assert (auroc["value"], auroc["reason"]) == (None, "no case has the outcome")


def _scores_of_dates_in_another_format_are_refused(cases, tmp_path, task, bundle):
    run = medspark.open_run(str(tmp_path / "refused"), task, quiet=True)
    with pytest.raises(RejectedError) as refused:
        medspark.score_stage(run, bundle, str(cases / "09-everything-rejected" / "dates-us.csv"))
    assert refused.value.exit_code == 6
