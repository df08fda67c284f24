"""Spark's spill: in a folder of the run alone, gone at its end, or at the next run's start after a kill."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from medspark.spark.spill import OWNER, PREFIX, remove_abandoned

RUN = """
import os, sys, tempfile
from pathlib import Path
os.umask(0)
from medspark.spark.session import start_session
spark = start_session("t")
spark.range(100).repartition(4).persist().count()
here = spark.sparkContext.getConf().get("spark.local.dir")
print(here, oct(Path(here).stat().st_mode & 0o777), len(list(Path(here).rglob("blockmgr-*"))), flush=True)
print([str(p) for p in Path(tempfile.gettempdir()).glob("*") if p.name.startswith(("spark-", "blockmgr-"))], flush=True)
sys.stdin.readline()
"""


def begin(temporary: Path) -> tuple[subprocess.Popen[str], Path, str]:
    """A run that has spilled, and what it says of its folder."""
    environment = {**os.environ, "TMPDIR": str(temporary), "MEDSPARK_MASTER": "local[1]"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen([sys.executable, "-c", RUN], env=environment, text=True, **pipes)
    assert run.stdout is not None
    folder, _, says = run.stdout.readline().strip().partition(" ")
    assert run.stdout.readline() == "[]\n"  # nothing of Spark's beside it
    return run, Path(folder), says


@pytest.mark.integration
def test_a_runs_folder_is_private_and_goes_at_its_end_and_one_of_a_killed_run_at_the_next(tmp_path: Path) -> None:
    killed, left, _ = begin(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.exists()
    run, folder, says = begin(tmp_path)
    assert (folder.name.startswith(PREFIX), says) == (True, "0o700 1")
    assert (left.exists(), folder.exists()) == (False, True)
    run.communicate("\n", timeout=60)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(PREFIX)] == []


GONE = {"host": socket.gethostname(), "pid": 2**22 + 1, "since": ""}


@pytest.mark.parametrize(
    ("name", "owner", "removed"),
    [
        (f"{PREFIX}gone", GONE, True),
        (f"{PREFIX}reused", {**GONE, "pid": os.getpid(), "since": "another start"}, True),
        (f"{PREFIX}elsewhere", {**GONE, "host": "another-machine"}, False),
        (f"{PREFIX}silent", None, False),
        (f"{PREFIX}odd", ["x"], False),
        ("spark-of-another-program", GONE, False),
    ],
)
def test_only_what_a_run_of_this_machine_left_is_removed(
    name: str, owner: object, removed: bool, tmp_path: Path
) -> None:
    (tmp_path / name / "blockmgr-1").mkdir(parents=True)
    (tmp_path / name / "blockmgr-1" / "rows").write_text("x")
    if owner is not None:
        (tmp_path / name / OWNER).write_text(json.dumps(owner))
    remove_abandoned(tmp_path)
    assert (tmp_path / name).exists() != removed


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / OWNER).write_text(json.dumps(GONE))
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "precious")
    (tmp_path / f"{PREFIX}gone").mkdir()
    (tmp_path / f"{PREFIX}gone" / OWNER).write_text(json.dumps(GONE))
    (tmp_path / f"{PREFIX}gone" / "inner").symlink_to(tmp_path / "precious")
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}link", "precious"]
    assert [path.name for path in (tmp_path / "precious").iterdir()] == [OWNER]
