"""A draft of the synthetic hospital's flat extract is the shipped task, but for differences that are named here."""

import pytest
from support.places import ROOT

from medspark.draft.profile import make_profile
from medspark.draft.sample import read_sample
from medspark.draft.task_file import write_task
from medspark.synth import flat, hospital
from medspark.task.load import load_task
from medspark.task.yaml_text import read_yaml

PATIENTS = 3000
KINDS = ("numeric", "categorical")
SHIPPED = ROOT / "conf" / "tasks" / "readmission-synthetic.yaml"


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """The draft's file, read."""
    folder = tmp_path_factory.mktemp("hospital")
    lines = [
        line for block in range(hospital.blocks(PATIENTS)) for line in flat.lines(0, block, PATIENTS, "admissions")
    ]
    (folder / "admissions.csv").write_bytes(b"\n".join([",".join(flat.columns("admissions")).encode(), *lines]) + b"\n")
    (folder / "task.yaml").write_text(
        write_task(make_profile(read_sample(str(folder / "admissions.csv")), "readmitted_30d")), encoding="utf-8"
    )
    load_task(folder / "task.yaml")
    return read_yaml(folder / "task.yaml")


def test_it_has_every_column_of_the_same_type(drafted):
    shipped = read_yaml(SHIPPED)
    assert list(drafted["columns"]) == list(shipped["columns"])
    types = {name: (spec["type"], drafted["columns"][name]["type"]) for name, spec in shipped["columns"].items()}
    assert {name: pair for name, pair in types.items() if pair[0] != pair[1]} == {}


def test_what_its_columns_say_differs_only_in_what_values_cannot_tell(drafted):
    dirt_is_set_missing, wider, no_unit_in_the_name = {"otherwise"}, {"range"}, {"unit"}
    levels_of_common_values, none_as_one_is_rare, by_category = {"otherwise"}, {"levels"}, {"roll_up"}
    named = {
        "age": dirt_is_set_missing,
        "ward": {"levels"} | levels_of_common_values,
        "admission_type": levels_of_common_values,
        "discharge_to": none_as_one_is_rare,
        "length_of_stay_days": wider,
        "creatinine": wider | dirt_is_set_missing,
        "hba1c": wider | no_unit_in_the_name,
        "haemoglobin": wider | no_unit_in_the_name,
        "sodium": wider | no_unit_in_the_name,
        "n_drugs": wider,
        "diag_1": by_category | dirt_is_set_missing,
        **dict.fromkeys(("diag_2", "diag_3", "diag_4", "diag_5"), by_category),
    }
    assert {name: keys for name, keys in differences(drafted["columns"]).items() if keys} == named


def differences(columns):
    """Of each column the keys that say something else than the shipped task's; the order of levels says nothing."""
    found = {}
    for name, spec in read_yaml(SHIPPED)["columns"].items():
        pair = [{**one, "levels": sorted(one.get("levels", ()))} for one in (spec, columns[name])]
        found[name] = {key for key in {**pair[0], **pair[1]} if pair[0].get(key) != pair[1].get(key)}
    return found


def test_keys_times_duplicates_and_spellings_of_missing_are_found(drafted):
    source, shipped = drafted["source"], read_yaml(SHIPPED)["source"]
    for key in ("kind", "format", "case", "subject", "time", "duplicates", "missing"):
        assert source[key] == shipped[key], key
    assert source["timezone"] == "UTC"  # which zone a hospital is in, its times do not say


def test_outcome_and_features_are_the_shipped_ones_but_for_options(drafted):
    def named(features):
        return {kind: [one if isinstance(one, str) else one["column"] for one in features[kind]] for kind in KINDS}

    shipped = read_yaml(SHIPPED)
    assert drafted["outcome"]["when"] == shipped["outcome"]["when"]
    assert named(drafted["features"]) == named(shipped["features"])
    assert drafted["features"]["codes"]["diagnoses"]["from"] == shipped["features"]["codes"]["diagnoses"]["from"]
    assert drafted["report"]["subgroups"] == ["sex", "age_band"]
