"""Two real scoring commands into one folder at once: one wins, the other says who holds it."""

import os
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from support.places import ROOT
from support.roads import write

pytestmark = pytest.mark.integration

SETTINGS = {"MEDSPARK_MASTER": "local[1]", "MEDSPARK_DRIVER_MEMORY": "1g"}


def begin(road, source, store):
    command = [sys.executable, "-m", "medspark.cli", "score", road["bundle"], "--to", store, "--source", source]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(("same", "apart"), [(True, 0), (False, 0.3), (True, 1.5)])
def test_of_two_commands_at_once_one_wins_and_the_other_says_who_holds_the_store(road, tmp_path, same, apart):
    sources = [road["source"], road["source"] if same else write(tmp_path / "other.csv", road["lines"][:700])]
    runs = []
    for source in sources:
        runs.append(begin(road, source, tmp_path / "scores-of-tonight"))
        time.sleep(apart)  # seconds: they meet at other steps
    said = [run.communicate(timeout=300)[0] for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes, said
    assert set(codes) <= {0, 5}, said
    for code, words in zip(codes, said, strict=True):
        assert ("is in use: run" in words) == (code == 5)
        assert "Traceback" not in words
    store = tmp_path / "scores-of-tonight"
    versions = {(store / table / "CURRENT").read_text() for table in ("scores", "rejected")}
    assert len(versions) == 1
    (version,) = versions
    rows = sum(pq.read_metadata(path).num_rows for path in store.glob(f"*/{version}/*.parquet"))
    assert rows in ([1501] if same else [1501, 700])
    assert not list(store.glob("LOCK*"))
