"""The command: `medspark score --require-verdict` and `medspark monitor`, their exit codes and receipts."""

import json
import subprocess
import sys

import pytest
from support.roads import receipt_in, stays, write


def medspark(*arguments):
    return subprocess.run([sys.executable, "-m", "medspark.cli", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.integration
def test_a_refused_night_ends_with_4_and_an_overridden_one_with_0_until_it_is_monitored(road, tmp_path):
    lines = [line.split(",") for line in stays(600, seed=11)]
    divided = [",".join([*line[:2], f"{float(line[2]) / 12:.2f}" if line[2] else "", *line[3:]]) for line in lines]
    source, store = write(tmp_path / "stays.csv", divided), tmp_path / "store"
    score = ("score", road["bundle"], "--to", store, "--source", source, "--require-verdict", "warn", "--json")

    refused = medspark(*score)
    assert refused.returncode == 4
    assert "expected a verdict of warn or better, received stop: nothing was published" in refused.stderr
    receipt = receipt_in(refused.stdout)
    assert (receipt["exit_code"], receipt["verdict"], receipt["override"]) == (4, "stop", None)
    assert not (store / "scores" / "CURRENT").exists()

    published = medspark(*score, "--override", "checked by hand")
    assert published.returncode == 0, published.stderr
    receipt = receipt_in(published.stdout)
    assert (receipt["verdict"], receipt["override"]) == ("stop", "checked by hand")
    assert (store / "scores" / "CURRENT").read_text() == receipt["version"]

    monitored = medspark("monitor", store, "--json")
    assert monitored.returncode == 4
    receipt = receipt_in(monitored.stdout)
    assert (receipt["exit_code"], receipt["verdict"]) == (4, "stop")
    assert receipt["verdict_reasons"][0].startswith("stop: age: ")
    assert "checked by hand" in (store / "site" / "index.html").read_text()
    assert json.loads(next((store / "monitoring" / "nights").glob("*.json")).read_text())["version"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--override", "checked"], "there is nothing to override: say --require-verdict ok or warn too"),
        (["--override", " ", "--require-verdict", "ok"], "expected the reason, which the receipt keeps, received none"),
    ],
)
def test_a_reason_without_a_gate_and_a_gate_without_a_reason_are_wrong_arguments(road, tmp_path, more, told):
    found = medspark("score", road["bundle"], "--to", tmp_path / "store", "--source", road["source"], *more)
    assert found.returncode == 2
    assert told in found.stderr
