"""The nightly job as a scheduler runs it: its receipt, its exit codes, and what it says of a case."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from support.places import ROOT
from support.roads import receipt_in, stays, write

from medspark.bundles.champion import promote


def medspark(*arguments, **changes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    command = [sys.executable, "-m", "medspark.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def deployment_file(folder, road, **changes):
    path = folder / "stays-nightly.yaml"
    given = {
        "deployment": "stays",
        "bundle": str(road["bundle"]),
        "source": str(folder / "tonight.csv"),
        "store": str(folder / "store"),
        "sinks": [{"kind": kind, "path": str(folder / kind)} for kind in ("parquet", "ndjson", "fhir")],
        "door": {"files": {"names": ["tonight.csv"]}, "fresh": {"hours": 26}},
    }
    path.write_text(yaml.safe_dump({**given, **changes}))
    return path


@pytest.mark.integration
def test_a_night_of_the_champion_by_the_command_then_again_then_why_and_verify(road, tmp_path):
    write(tmp_path / "tonight.csv", stays(60, seed=5))
    (tmp_path / "models").mkdir()
    decision = promote(tmp_path / "models", road["bundle"])
    file = deployment_file(tmp_path, road, bundle=None, champion=str(tmp_path / "models"))
    first, again = (medspark("night", file, "--as-of", "2026-11-27T06:00", "--json") for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    outcomes = [receipt_in(done.stdout)["counts"]["publish"]["sinks"].values() for done in (first, again)]
    assert [set(found) for found in outcomes] == [{"published"}, {"there before"}]
    lines = (tmp_path / "ndjson/scores/as_of=20261127T060000Z/scores.ndjson").read_text().splitlines()
    score = json.loads(lines[0])
    told = json.loads(medspark("why", tmp_path / "store", score["case_id"], "--json").stdout)
    assert [one["probability"] for one in told] == [score["probability"]]
    assert told[0]["bundle_id"] == decision.bundle_id
    assert told[0]["arguments"]["as_of"] == "2026-11-27T06:00:00+00:00"
    proved = medspark("verify", tmp_path / "store", "--json")
    assert receipt_in(proved.stdout)["counts"]["verify"]["entries"] == 1


@pytest.mark.integration
def test_a_source_without_its_file_ends_with_3_and_a_ledger_that_says_so(road, tmp_path):
    write(tmp_path / "tonight.csv", stays(60, seed=5))
    file = deployment_file(tmp_path, road, door={"files": {"names": ["beds.csv"]}})
    done = medspark("night", file, "--json")
    assert done.returncode == 3
    assert "expected beds.csv, received 1 files without" in done.stderr
    entry = json.loads((tmp_path / "store/ledger/00000001.json").read_text())
    assert entry["outcome"] == "refused"
    assert not (tmp_path / "parquet").exists()


def test_arguments_that_are_wrong_end_with_2_before_anything_starts(tmp_path):
    road = {"bundle": tmp_path / "bundle"}
    file = deployment_file(tmp_path, road)
    for arguments, says in (
        (("night", file, "--as-of", "yesterday"), "expected a time such as 2026-11-27T06:00"),
        (("night", file, "--override", "because"), "expected a reason, and a deployment with a gate"),
        (("backfill", file, "--from", "2026-11-02", "--to", "2026-11-01"), "expected a day not before"),
        (("backfill", file, "--from", "2026-11-02", "--to", "2999-01-01"), "received one to come"),
        (("night", tmp_path / "absent.yaml"), "received none"),
    ):
        done = medspark(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
