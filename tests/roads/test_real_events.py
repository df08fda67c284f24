"""Event tasks on real data: an OMOP warehouse and a folder of intensive-care stays, by the commands."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.places import ROOT

pytestmark = [pytest.mark.data, pytest.mark.integration]
MEDSPARK = Path(sys.executable).with_name("medspark")


def command(environment, *arguments):
    """A command's receipt."""
    done = subprocess.run(
        [MEDSPARK, *map(str, arguments), "--json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def gibleed(data, tmp_path_factory):
    """The store, the environment and the receipt of the whole road on the OMOP warehouse."""
    environment = {"MEDSPARK_DATA": str(data)}
    store = tmp_path_factory.mktemp("gibleed")
    receipt = command(environment, "run", "conf/tasks/gi-bleed.yaml", "--store", store)
    return {"store": store, "environment": environment, "receipt": receipt}


def test_the_published_counts_of_new_users_and_bleeds_come_out(gibleed):
    receipt = command(gibleed["environment"], "concepts", "conf/tasks/gi-bleed.yaml", "--store", gibleed["store"])
    patients = {name: found["patients"] for name, found in receipt["counts"]["concepts"].items()}
    assert patients == {"celecoxib": 1844, "diclofenac": 850, "gi_bleed": 479}


def test_bleeds_within_a_year_of_the_first_celecoxib_are_355(gibleed, tmp_path):
    task = "conf/tasks/gi-bleed-celecoxib.yaml"
    shutil.copytree(gibleed["store"] / "gi-bleed", tmp_path / "gi-bleed-celecoxib")  # records of the same rules
    counts = command(gibleed["environment"], "features", task, "--store", tmp_path)["counts"]["features"]
    assert counts["attrition"][0] == {"criterion": "candidates", "because": "", "removed": 0, "remaining": 1844}
    assert sum(split["positives"] for split in counts["splits"].values()) == 355


def test_every_row_of_every_table_is_accounted_for(gibleed):
    tables = gibleed["receipt"]["counts"]["clean"]["tables"]
    rows = {name: table["rows_in"] for name, table in tables.items()}
    assert rows == {
        "person": 2694,
        "observation_period": 5343,
        "visit_occurrence": 1037,
        "visit_detail": 0,
        "condition_occurrence": 65332,
        "condition_era": 65719,
        "drug_exposure": 67707,
        "drug_era": 52508,
        "procedure_occurrence": 37409,
        "device_exposure": 0,
        "specimen": 0,
        "measurement": 44053,
        "observation": 1477,
        "death": 0,
        "note": 0,
    }
    for table in tables.values():
        aside = sum(table["quarantined"].values()) + table["duplicates"]
        assert table["rows_in"] == table["with_events"] + sum(table["non_events"].values()) + aside


def test_the_whole_road_ends_in_a_score_for_every_case(gibleed):
    counts = gibleed["receipt"]["counts"]
    cases = counts["features"]["attrition"][-1]["remaining"]
    assert counts["score"]["scored"] >= cases > 2000  # patients without full follow-up are scored as well
    (bundle,) = (gibleed["store"] / "gi-bleed" / "bundles").iterdir()
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert metrics["test"]["metrics"]["auroc"]["value"] > 0.6
    assert set(metrics["baselines"]) == {"logistic_regression", "gradient_boosting"}


def test_the_population_as_it_stood_at_a_time_is_scored(gibleed, tmp_path):
    (bundle,) = (gibleed["store"] / "gi-bleed" / "bundles").iterdir()
    receipt = command(gibleed["environment"], "score", bundle, "--to", tmp_path, "--as-of", "2005-06-30T06:00")
    assert 0 < receipt["counts"]["score"]["scored"] < gibleed["receipt"]["counts"]["score"]["scored"]


def test_intensive_care_deaths_are_ranked_as_well_as_published(data, tmp_path):
    with tarfile.open(data / "cinc2012" / "set-a.tar.gz") as archive:
        archive.extractall(tmp_path / "cinc", filter="data")
    (tmp_path / "cinc" / "Outcomes-a.txt").write_bytes((data / "cinc2012" / "Outcomes-a.txt").read_bytes())
    task = "conf/tasks/icu-mortality-cinc2012.yaml"
    receipt = command({"CINC2012": str(tmp_path / "cinc")}, "run", task, "--store", tmp_path / "store")
    tables = receipt["counts"]["clean"]["tables"]
    assert tables["stays"]["non_events"] == {"not measured": 2215}
    assert tables["stays"]["rows_in"] == 1_754_430
    cases = receipt["counts"]["features"]
    assert cases["attrition"][-1]["remaining"] == 3996
    (bundle,) = (tmp_path / "store" / "icu-mortality-cinc2012" / "bundles").iterdir()
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert metrics["test"]["metrics"]["auroc"]["value"] >= 0.84
