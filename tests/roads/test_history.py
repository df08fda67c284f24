"""A task whose signal is in the patient's own past alone, down the whole road."""

import random

import pytest
from support.past import HISTORY, PAST, past_task
from support.roads import new_run, scores_of, walk, write
from support.tasks import STAYS

from medspark.bundles.bundle import load_bundle
from medspark.errors import InputError, TaskError
from medspark.stages.clean import clean_stage
from medspark.stages.eligible import eligible
from medspark.stages.encode import encode_stage
from medspark.stages.score import score_stage, score_tensors_stage
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow

HEADER = ",".join([*STAYS["columns"], "back_then"])
STAYS_A_PATIENT = 4


def stays(patients, seed=0):
    """CSV lines of four stays a patient; who comes back is who had I50 the time before. Some stays end in death."""
    rng = random.Random(seed)
    lines = []
    for patient in range(patients):
        ill = False
        for stay in range(STAYS_A_PATIENT):
            back = rng.random() < (0.9 if ill else 0.1)
            ill = rng.random() < 0.5
            died = stay == 1 and patient % 25 == 0
            key, code = patient * STAYS_A_PATIENT + stay, "I50" if ill else "I10"
            row = (key, f"p{patient}", rng.randint(20, 90), rng.choice("FM"), code, "", died, back, back)
            lines.append(",".join(map(str, row)).replace("True", "true").replace("False", "false"))
    return lines


def at(path, **changes):
    changes["history"] = {"last": [*HISTORY["last"], "diag_1"], **changes.pop("history", {})}
    return past_task(source={**STAYS["source"], "path": str(path)}, **changes)


@pytest.fixture(scope="module")
def past_road(spark, tmp_path_factory):
    """Stays cleaned and learned with their past; `last` has the last stay of each patient alone."""
    folder = tmp_path_factory.mktemp("past")
    lines = stays(400)
    source = write(folder / "stays.csv", lines, HEADER)
    bundle, run = walk(spark, folder / "store", at(source))
    last = write(folder / "last.csv", lines[STAYS_A_PATIENT - 1 :: STAYS_A_PATIENT], HEADER)
    return {"folder": folder, "lines": lines, "source": source, "bundle": bundle, "run": run, "last": last}


def scored(spark, road, name, source, bundle=None, **options):
    store = road["folder"] / name
    run = new_run(spark, store)
    score_stage(run, load_bundle(bundle or road["bundle"]), str(source), **options)
    return scores_of(spark, store), run


def store_of(road):
    return str(road["folder"] / "store")


def largest_difference(found, expected):
    return max(abs(found[case] - expected[case]) for case in found)


def test_the_network_and_the_baselines_learn_from_the_past(past_road):
    metrics = load_bundle(past_road["bundle"]).read_json("metrics.json")
    found = [metrics["test"], *metrics["baselines"].values()]
    assert [one["metrics"]["auroc"]["value"] > 0.75 for one in found] == [True] * 3


def test_features_training_counts_the_cases_with_a_past(past_road):
    found = past_road["run"].receipt.counts["features"]
    cases = sum(split["cases"] for split in found["splits"].values())
    assert (cases, found["with_earlier_rows"]) == (400 * 4 - 16, 400 * 3 - 16)  # the 16 dead are excluded
    assert load_bundle(past_road["bundle"]).manifest["with_earlier_rows"] == 1184


def test_scoring_the_whole_source_gives_the_training_runs_predictions(spark, past_road):
    found, run = scored(spark, past_road, "whole", past_road["source"])
    trained = read_table(spark, store_of(past_road), "predictions").collect()
    assert largest_difference(found, {row["case_id"]: row["probability"] for row in trained}) < 1e-6
    assert run.receipt.counts["score"]["with_earlier_rows"] == 1184
    assert run.receipt.absent == []


def test_tonights_rows_with_a_store_have_the_features_that_training_had(spark, past_road):
    task = load_bundle(past_road["bundle"]).task
    run = new_run(spark, past_road["folder"] / "features")
    with eligible(run, task, str(past_road["last"]), None, store_of(past_road)) as found:
        tonight = {row["case_id"]: [row[name] for name in PAST] for row in found.cases.collect()}
    trained = read_table(spark, store_of(past_road), "cases").collect()
    assert len(tonight) == 400
    assert tonight == {row["case_id"]: [row[name] for name in PAST] for row in trained if row["case_id"] in tonight}


def test_tonights_rows_with_a_store_have_the_scores_of_training(spark, past_road):
    whole, _ = scored(spark, past_road, "all", past_road["source"])
    found, run = scored(spark, past_road, "with-store", past_road["last"], history=store_of(past_road))
    assert len(found) == 400
    assert found == {case: whole[case] for case in found}
    counts = run.receipt.counts["score"]
    assert (counts["rows_in"], counts["scored"], counts["with_earlier_rows"]) == (400, 400, 400)
    assert run.receipt.inputs["history"].path.startswith(f"{store_of(past_road)}/records/")
    assert run.receipt.absent == []


def test_tonights_rows_alone_are_scored_without_a_past_and_that_is_said(spark, past_road):
    with_store, one = scored(spark, past_road, "both", past_road["last"], history=store_of(past_road))
    alone, other = scored(spark, past_road, "alone", past_road["last"])
    assert alone.keys() == with_store.keys()
    assert largest_difference(alone, with_store) > 0.2
    assert other.receipt.absent == ["0 of 400 cases have an earlier row; of training's 74.7% had one"]
    assert one.receipt.version != other.receipt.version


def test_encoded_with_a_store_and_scored_as_tensors_is_the_same(spark, past_road):
    store = past_road["folder"] / "tensors"
    bundle = load_bundle(past_road["bundle"])
    encode_stage(new_run(spark, store), bundle, str(past_road["last"]), history=store_of(past_road))
    score_tensors_stage(new_run(spark, store), bundle, str(store))
    at_once, _ = scored(spark, past_road, "at-once", past_road["last"], history=store_of(past_road))
    assert largest_difference(scores_of(spark, store), at_once) < 1e-6


def test_an_earlier_row_in_quarantine_is_no_past_and_one_that_is_excluded_is(spark, past_road, tmp_path):
    lines = ["1,a,240,F,I50,,false,false,false", "2,b,50,F,I50,,true,false,false"]  # no such age; died
    later = ["3,a,50,F,I10,,false,false,false", "4,b,50,F,I10,,false,false,false"]
    tonight = write(tmp_path / "tonight.csv", [*lines, *later], HEADER)
    with eligible(new_run(spark, tmp_path), load_bundle(past_road["bundle"]).task, str(tonight), None) as found:
        cases = {row["case_id"]: (row["earlier_rows"], row["past"]) for row in found.cases.collect()}
    assert cases == {3: (0, []), 4: (1, ["I50"])}


def test_the_store_may_stand_in_the_task(spark, past_road, tmp_path):
    """And is no rule: the same task with another store has the same cases."""
    task = at(past_road["source"], history={"records": store_of(past_road)})
    run = new_run(spark, tmp_path / "tonight")
    with eligible(run, task, str(past_road["last"]), None) as found:
        assert found.cases.where("earlier_rows = 3").count() == 400
    assert found.earlier.path.startswith(store_of(past_road))


def test_records_of_other_rules_are_refused(spark, past_road, tmp_path):
    columns = {**STAYS["columns"], "back_then": {"type": "boolean"}, "age": {"type": "double", "range": [0, 70]}}
    columns = {name: columns[name] for name in [*STAYS["columns"], "back_then"]}
    clean_stage(new_run(spark, tmp_path / "other"), at(past_road["source"], columns=columns))
    with pytest.raises(InputError, match="expected records cleaned by the rules of the bundle's task"):
        scored(spark, past_road, "refused", past_road["last"], history=str(tmp_path / "other"))
    with pytest.raises(InputError, match="has no table 'records' yet"):
        scored(spark, past_road, "none", past_road["last"], history=str(tmp_path / "nothing"))


def test_a_store_of_earlier_rows_is_for_tasks_that_read_them(spark, road, past_road):
    with pytest.raises(TaskError, match=r"the bundle's task has no features.history"):
        scored(spark, past_road, "pastless", road["source"], bundle=road["bundle"], history=store_of(past_road))


def test_a_later_row_in_the_store_or_tonight_changes_no_score(spark, past_road):
    """Neither does a row of another patient: two stays of each patient, then four."""
    lines = past_road["lines"]
    first = [line for number, line in enumerate(lines) if number % STAYS_A_PATIENT < 2]
    two, _ = scored(spark, past_road, "two", write(past_road["folder"] / "two.csv", first, HEADER))
    with_later, _ = scored(spark, past_road, "later", past_road["folder"] / "two.csv", history=store_of(past_road))
    assert two == with_later
    one, _ = scored(spark, past_road, "one", write(past_road["folder"] / "one.csv", first[:2], HEADER))
    assert one == {case: two[case] for case in one}
