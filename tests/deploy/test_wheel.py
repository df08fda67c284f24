"""A wheel has what the command needs beside its modules: no folder of the repository is asked for."""

import subprocess
import sys
import zipfile

import pytest
from support.places import ROOT


@pytest.mark.integration
def test_a_wheel_has_the_mappings_tasks_and_templates(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("medspark-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("sources", "tasks"):
        for path in (ROOT / "conf" / folder).glob("*.yaml"):
            assert f"medspark/conf/{folder}/{path.name}" in names
    assert {"medspark/draft/profile.html.j2", "medspark/evaluate/report/report.html.j2"} <= names
