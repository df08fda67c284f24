"""The nightly job as a scheduler runs it: its receipt, its exit codes, and what it says of a case."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from support.places import ROOT
from support.roads import receipt_in, stays, write
from train.test_update import later, risen
from typer.testing import CliRunner

from medspark.bundles.champion import champion_of, history, promote
from medspark.cli.main import app


def medspark(*arguments, said=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEDSPARK_DRIVER_MEMORY": "1g"}
    command = [sys.executable, "-m", "medspark.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, input=said)


def deployment_file(folder, **changes):
    path = folder / "stays-nightly.yaml"
    given = {
        "deployment": "stays",
        "bundle": str(folder / "bundle"),
        "source": str(folder / "tonight.csv"),
        "store": str(folder / "store"),
        "sinks": [{"kind": kind, "path": str(folder / kind)} for kind in ("parquet", "ndjson")],
        "door": {"files": {"names": ["tonight.csv"]}, "fresh": {"hours": 26}},
    }
    path.write_text(yaml.safe_dump({**given, **changes}))
    return path


@pytest.mark.integration
def test_a_night_of_the_champion_which_learns_after_it_and_what_the_store_tells_of_a_case(road, tmp_path):
    write(tmp_path / "tonight.csv", stays(60, seed=5))
    models = shutil.copytree(road["folder"] / "store", tmp_path / "models")
    decision = promote(models, road["bundle"])
    update = {"source": str(write(tmp_path / "known.csv", risen(later(1500, 1))))}
    changes = {"champion": str(models), "update": update, "metrics": str(tmp_path / "night.prom")}
    file = deployment_file(tmp_path, bundle=None, explain={"top": 2}, **changes)
    done = medspark("night", file, "--as-of", "2024-11-27T06:00", "--json")
    assert done.returncode == 0, done.stderr
    counts = receipt_in(done.stdout)["counts"]
    assert counts["update"]["outcome"] == "promoted", counts["update"]
    assert 'medspark_night_update{deployment="stays",outcome="promoted"} 1' in (tmp_path / "night.prom").read_text()
    assert champion_of(models).name == counts["update"]["bundle_id"] != decision.bundle_id
    again = medspark("night", file, "--as-of", "2024-11-27T06:00", "--json")
    assert set(receipt_in(again.stdout)["counts"]["publish"]["sinks"].values()) == {"there before"}  # by the old one
    assert receipt_in(again.stdout)["counts"]["update"]["outcome"] == "unchanged"
    assert [line.action for line in history(models)] == ["promote", "update"]
    assert set(counts["publish"]["sinks"].values()) == {"published"}
    assert (counts["door"]["files"], counts["door"]["warned"]) == (1, [])
    (file,) = tmp_path.glob("ndjson/scores/as_of=20241127T060000Z/scores-*.ndjson")
    lines = file.read_text().splitlines()
    score = json.loads(lines[0])
    told = json.loads(medspark("why", tmp_path / "store", "-", "--json", said=f"{score['case_id']}\n").stdout)
    assert [one["probability"] for one in told] == [score["probability"]]
    assert told[0]["bundle_id"] == decision.bundle_id
    assert told[0]["arguments"]["as_of"] == "2024-11-27T06:00:00+00:00"
    assert [one["feature"] for one in told[0]["reasons"]] == [one["feature"] for one in score["explanations"]]
    assert len(told[0]["reasons"]) == 2


def test_arguments_that_are_wrong_end_with_2_before_anything_starts(tmp_path):
    file = deployment_file(tmp_path)
    for arguments, says in (
        (("night", file, "--as-of", "yesterday"), "expected a time such as 2026-11-27T06:00"),
        (("night", file, "--as-of", "2999-01-01"), "received one to come"),
        (("night", file, "--override", "because"), "expected a reason, and a deployment with a gate"),
        (("backfill", file, "--from", "2026-11-02", "--to", "2026-11-01"), "expected a day not before"),
        (("backfill", file, "--from", "2026-11-02", "--to", "2999-01-01"), "received one to come"),
        (("night", tmp_path / "absent.yaml"), "received none"),
    ):
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert (done.exit_code, done.stdout) == (2, "")
        assert says in done.stderr


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 3),  # there is no bundle
        ({"bundle": None, "champion": "/nowhere/models"}, 3),
        ({"store": "file/store"}, 7),
    ],
)
def test_a_night_that_ends_before_it_has_a_run_is_no_success_in_the_metrics(tmp_path, monkeypatch, changes, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "stays.prom").write_text('medspark_night_success{deployment="stays"} 1.0\n')
    file = deployment_file(tmp_path, metrics=str(tmp_path / "stays.prom"), **changes)
    done = CliRunner().invoke(app, ["night", str(file), "--as-of", "2024-11-27T06:00"])
    assert done.exit_code == code, done.output
    told = (tmp_path / "stays.prom").read_text().splitlines()
    assert 'medspark_night_success{deployment="stays"} 0.0' in told
    assert f'medspark_night_exit_code{{deployment="stays"}} {code}.0' in told


def test_a_champion_that_cannot_learn_here_ends_with_2_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("medspark.cli.night.find_spec", lambda _: None)
    file = deployment_file(tmp_path, bundle=None, champion=str(tmp_path), update={"source": "known.csv"})
    done = CliRunner().invoke(app, ["night", str(file)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "expected TensorFlow here, by which a champion learns" in done.stderr
