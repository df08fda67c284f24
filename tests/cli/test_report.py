"""`medspark report`: what a bundle found, and what it could not find out."""

import json
import shutil

from typer.testing import CliRunner

from medspark.bundles.bundle import MANIFEST, METRICS, save_bundle
from medspark.cli.main import app

NOBODY = {"value": None, "low": None, "high": None}


def test_of_a_test_split_without_the_outcome_report_says_what_is_not_known(road, tmp_path):
    def write(folder):
        for file in road["bundle"].iterdir():
            if file.name != MANIFEST:
                shutil.copy(file, folder)
        metrics = json.loads((folder / METRICS).read_text())
        metrics["test"]["metrics"] |= {"auroc": NOBODY, "brier": {"value": 0.25, "low": None, "high": None}}
        (folder / METRICS).write_text(json.dumps(metrics))
        manifest = json.loads((road["bundle"] / MANIFEST).read_text())
        return {name: manifest[name] for name in manifest if name not in {"format", "bundle_id", "files"}}

    found = CliRunner().invoke(app, ["report", str(save_bundle(tmp_path, write))])
    assert found.exit_code == 0
    assert "  auroc                  not known\n" in found.stdout
    assert "  brier                  0.2500 (interval not known)\n" in found.stdout
    assert found.stdout.rstrip().endswith("/card.json")
