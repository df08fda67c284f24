"""A wheel has what the command needs: installed alone, it works where no file of the repository is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from support.places import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, as what a build leaves would be in the next one's wheel."""
    place = tmp_path_factory.mktemp("wheel")
    copy = place / "medspark"
    for folder in ("medspark", "conf"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=leave)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(copy)]
    subprocess.run(command, check=True, timeout=300)
    (found,) = place.glob("medspark-*.whl")
    return found


@pytest.fixture(scope="module")
def medspark(wheel, tmp_path_factory):
    """The command of an environment that has the wheel, and the other packages from the one that runs the tests."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True, timeout=60)
    python = place / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    alone["MEDSPARK_DATA"] = str(place)  # what a shipped task asks for; nothing is read there
    subprocess.run(pip, check=True, timeout=120, env=alone)
    own = next((place / "venv" / "lib").glob("python*/site-packages"))
    (own / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(*arguments):
        command = [str(python.with_name("medspark")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=place, env=alone, timeout=300)

    return run


def test_a_wheel_has_the_mappings_tasks_and_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("sources", "tasks"):
        for path in (ROOT / "conf" / folder).glob("*.yaml"):
            assert f"medspark/conf/{folder}/{path.name}" in names
    assert {"medspark/draft/profile.html.j2", "medspark/evaluate/report/report.html.j2"} <= names


def test_what_is_installed_checks_a_task_that_it_brings_along_with_its_mapping(medspark):
    found = medspark("check", "conf/tasks/gi-bleed.yaml")
    assert (found.returncode, found.stderr) == (0, "")
    assert "fine. Events by omop" in found.stdout


def test_what_is_installed_drafts_and_profiles_a_table(medspark, tmp_path):
    table = tmp_path / "stays.csv"
    table.write_text("stay_id,age,died\n" + "".join(f"{at},{20 + at % 60},{at % 2}\n" for at in range(200)))
    assert medspark("init", table, "--outcome", "died", "--out", tmp_path / "task.yaml").returncode == 0
    assert medspark("profile", table, "--out", tmp_path / "page.html").returncode == 0
    assert "<title>stays.csv: profile</title>" in (tmp_path / "page.html").read_text()
