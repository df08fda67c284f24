"""The jobs under the real spark-submit, with the settings files and lines that the README gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest
from support.places import ROOT
from support.roads import stays, write
from support.tasks import task_file

SUBMIT = Path(pyspark.__file__).parent / "bin" / "spark-submit"


def submit(job, *arguments):
    return subprocess.run(
        [str(SUBMIT), "--properties-file", "conf/spark/local.conf", f"jobs/{job}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )


@pytest.mark.integration
def test_the_road_by_spark_submit_job_by_job(tmp_path):
    task = task_file(tmp_path, write(tmp_path / "stays.csv", stays(800)))
    store = tmp_path / "store"
    for job in ("clean", "features", "train"):
        found = submit(job, task, "--store", store)
        assert found.returncode == 0, found.stdout + found.stderr
    (bundle,) = (store / "stays" / "bundles").iterdir()
    found = submit("score", bundle, "--source", tmp_path / "stays.csv", "--to", tmp_path / "scored", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    receipt = json.loads(found.stdout[found.stdout.index("{") :])
    assert receipt["counts"]["score"]["rows_in"] == 800


@pytest.mark.integration
def test_a_wrong_task_ends_spark_submit_with_2(tmp_path):
    found = submit("clean", tmp_path / "absent.yaml")
    assert found.returncode == 2
