"""`medspark runs` and `medspark show`: a store at a glance, for people and for programs; nothing is changed."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from medspark.cli.main import app


def medspark(*arguments):
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return found.exit_code, found.output


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def store(road, tmp_path):
    """A copy of the store of a walk down the road, with the walk's receipt."""
    shutil.copytree(road["run"].store, tmp_path / "stays")
    receipt = road["run"].receipt
    (tmp_path / "stays" / "runs").mkdir(exist_ok=True)
    (tmp_path / "stays" / "runs" / f"{receipt.run_id}.json").write_text(receipt.to_json())
    return tmp_path / "stays"


def test_a_store_is_its_tables_bundles_and_runs_and_stays_as_it_was(road, store):
    bundle, receipt, before = road["bundle"].name, road["run"].receipt, files(store)
    code, shown = medspark("show", store.parent)
    assert code == 0
    for words in (str(store), "records", bundle, "AUROC", "logistic regression", receipt.run_id):
        assert words in shown, words
    (told,) = json.loads(medspark("show", store.parent, "--json")[1])
    assert [found["bundle_id"] for found in told["bundles"]] == [bundle]
    rows = {table["table"]: table["rows"] for table in told["tables"]}
    assert rows["records"] == receipt.counts["clean"]["records"]
    assert rows["cases"] == sum(split["cases"] for split in receipt.counts["features"]["splits"].values())
    assert files(store) == before


def test_a_bundle_that_was_altered_is_told(road, store):
    (store / "bundles" / road["bundle"].name / "report.html").write_text("another")
    code, shown = medspark("show", store)
    assert code == 0
    assert "report.html was altered" in shown


def test_so_many_runs_are_shown_as_are_asked_for(tmp_path):
    (tmp_path / "runs").mkdir()
    for at in range(7):
        receipt = {"run_id": f"r{at}", "command": "score", "status": "done", "counts": {}, "arguments": {}}
        receipt |= {"started_at": f"2026-11-2{at}T06:00:00+00:00", "finished_at": f"2026-11-2{at}T06:00:07+00:00"}
        (tmp_path / "runs" / f"r{at}.json").write_text(json.dumps(receipt))
    code, shown = medspark("runs", tmp_path, "--last", 3)
    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()[2:]] == ["r6", "r5", "r4"]
    assert [run["run_id"] for run in json.loads(medspark("runs", tmp_path, "--last", 2, "--json")[1])] == ["r6", "r5"]
    assert "2 more: medspark runs" in medspark("show", tmp_path)[1]


def test_what_is_no_store_ends_with_code_3(tmp_path):
    code, said = medspark("runs", tmp_path)
    assert code == 3
    assert "expected a store or a folder of some, received none" in said
