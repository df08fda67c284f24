"""A run that fails on a patient's text leaves nothing of it: not on the console, in the log, in the receipt."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.errors import SECRET
from support.places import ROOT
from support.roads import stays, write
from support.tasks import task_file

pytestmark = pytest.mark.integration

DERIVED = {"derived": {"number": {"type": "long", "expression": "cast(diag_1 as int) + 1"}}}
BY_TYPE = {"derived": {"number": {"type": "long", "expression": "trim(diag_1)"}}}
DATED = {"checks": [{"name": "dated", "expect": "to_timestamp(diag_1, 'yyyy MM') > date '2000-01-01'"}]}
EXCLUDED = {"exclude": [{"name": "old", "when": "cast(diag_1 as int) > 3", "because": "of age"}]}
OUTCOME = {
    "outcome": {"name": "back", "when": "cast(diag_1 as int) > 4"},
    "features": {"numeric": ["age"]},
}


@pytest.mark.parametrize(
    ("stages", "changes", "says"),
    [
        (["clean"], DERIVED, "derived.number: fails on some row (CAST_INVALID_INPUT). Guard it with"),
        (["clean"], BY_TYPE, "derived.number: fails on some row (CAST_INVALID_INPUT)."),
        (["clean"], DATED, "checks.dated, exclude.died, outcome.when: fails on some row (CANNOT_PARSE_TIMESTAMP)."),
        (["clean", "features"], EXCLUDED, "exclude.old: fails on some row (CAST_INVALID_INPUT)."),
        (["clean", "features"], OUTCOME, "outcome.when: fails on some row (CAST_INVALID_INPUT)."),
    ],
)
def test_an_expression_that_fails_is_told_by_its_place_and_error_class(stages, changes, says, tmp_path):
    source = write(tmp_path / "stays.csv", [*stays(20), f"77,p77,40,F,{SECRET},i10,false,true"])
    task, store = task_file(tmp_path, source, **changes), tmp_path / "store"
    for stage in stages:
        command = [sys.executable, "-m", "medspark.cli", stage, task, "--store", store, "--json"]
        environment = {**os.environ, "MEDSPARK_MASTER": "local[2,2]"}
        found = subprocess.run(map(str, command), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (found.returncode, says in found.stderr) == (3, True), found.stderr
    assert says in json.loads(found.stdout)["error"]
    left = [path for path in store.rglob("*") if path.is_file() and path.suffix in (".json", ".log")]
    assert len(left) >= 2
    said = [found.stdout, found.stderr, *(path.read_text() for path in left)]
    assert [text for text in said if SECRET in text or re.search(r"\b4711\b", text)] == []


def test_all_that_a_run_leaves_is_for_its_owner_only_whatever_the_umask(tmp_path):
    task, store = (
        task_file(tmp_path, write(tmp_path / "stays.csv", [*stays(20), "77,p77,240,F,i10,i10,x,true"])),
        tmp_path / "store",
    )
    command = [sys.executable, "-m", "medspark.cli", "clean", task, "--store", store]
    environment = {**os.environ, "MEDSPARK_MASTER": "local[2]"}
    found = subprocess.run(map(str, command), cwd=ROOT, env=environment, capture_output=True, text=True, umask=0)
    assert found.returncode == 0, found.stderr
    made = {str(path.relative_to(store)): path.stat().st_mode & 0o777 for path in [store, *store.rglob("*")]}
    kinds = {name.rpartition(".")[2] for name in made if "." in name}
    assert {"parquet", "json", "log"} <= kinds
    open_to_others = {name: oct(mode) for name, mode in made.items() if mode & 0o077}
    assert open_to_others == {}
