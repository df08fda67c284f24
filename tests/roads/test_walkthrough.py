"""The notebook of the documentation, run cell by cell in a process and a folder of its own."""

import json
import os
import subprocess
import sys

import pytest
from support.places import ROOT

pytestmark = pytest.mark.integration
NOTEBOOK = ROOT / "docs" / "walkthrough.ipynb"


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    script = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    end = "print(len(scores), scores['probability'].notna().all(), version == tonight.receipt.version)"
    environment = {**os.environ, "MEDSPARK_MASTER": "local[2]", "MEDSPARK_DRIVER_MEMORY": "1g"}
    command = [sys.executable, "-c", f"{script}\n{end}\n"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    scored, each_has_one, is_tonights = done.stdout.splitlines()[-1].split()
    assert int(scored) > 50
    assert (each_has_one, is_tonights) == ("True", "True")


def test_the_notebook_carries_no_output_that_could_grow_old():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
