"""What a night tells of itself as it goes: its log, its metrics, its lineage; and that none of it stops a night."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.nightly import new_run
from support.roads import telling_run

from medspark.deploy.deployment import Deployment
from medspark.errors import BusyError, GateError, Stopped
from medspark.runs.lock import holding
from medspark.stages import due
from medspark.stages.night import Night, night_stage
from medspark.stages.observe import observed
from medspark.store.ledger import append_entry

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)
SINKS = [{"kind": "csv", "path": "/out"}]


def deployed(folder, **places):
    told = {name: str(folder / file) for name, file in places.items()}
    return Deployment(deployment="stays", bundle="/b", store=str(folder / "store"), sinks=SINKS, **told)


ALL = {"log": "log.jsonl", "metrics": "stays.prom", "lineage": "lineage.jsonl"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def watched(spark, folder, fail=None):
    run = new_run(spark, str(folder / "store"))
    with observed(run, deployed(folder, **ALL), AS_OF, ["/in", "/b"]):
        with run.receipt.timed("score"):
            counts = {"rows_in": 50, "scored": 40, "bands": {"high": 3, "low": 37}, "rejected": {"quarantined: x": 10}}
            run.receipt.counts["score"] = counts
        if fail is not None:
            raise fail
        with run.receipt.timed("publish"):
            run.receipt.counts["publish"] = {"rows": 40}
        append_entry(run.context, run.store, "2026-11-27T06:01:00+00:00", {"outcome": "published"})
    return run


def metrics(folder):
    families = text_string_to_metric_families((folder / "stays.prom").read_text())
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "deployment")): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_night_tells_each_step_what_it_came_to_and_what_it_wrote(spark, tmp_path):
    run = watched(spark, tmp_path)
    told = lines(tmp_path / "log.jsonl")
    assert [line["step"] for line in told] == ["begun", "score", "publish", "ended"]
    assert {(line["run_id"], line["deployment"], line["as_of"]) for line in told} == {
        (run.receipt.run_id, "stays", "2026-11-27T06:00:00+00:00")
    }
    assert (told[1]["counts"]["scored"], told[3]["exit_code"], told[3]["error"]) == (40, 0, None)
    found = metrics(tmp_path)
    assert found["medspark_night_success",] == 1
    assert found["medspark_night_scored",] == found["medspark_night_published_rows",] == 40
    assert found["medspark_night_rejected",] == 10
    assert found["medspark_night_band_cases", "high"] == 3
    assert found["medspark_night_as_of_timestamp_seconds",] == AS_OF.timestamp()
    assert found["medspark_night_published_timestamp_seconds",] == AS_OF.timestamp() + 60
    assert (tmp_path / "stays.prom").stat().st_mode & 0o777 == 0o644
    start, complete = lines(tmp_path / "lineage.jsonl")
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert [one["name"] for one in complete["inputs"]] == ["/in", "/b"]
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 40
    assert "listeners" not in json.loads(run.receipt.to_json())


@pytest.mark.parametrize(
    ("error", "kind", "code"), [(GateError("the verdict is stop"), "FAIL", 4), (Stopped(15), "ABORT", 143)]
)
def test_a_night_that_ends_otherwise_says_how_and_stays_what_it_was(spark, tmp_path, error, kind, code):
    with pytest.raises(type(error)):
        watched(spark, tmp_path, error)
    assert lines(tmp_path / "log.jsonl")[-1]["exit_code"] == code
    found = metrics(tmp_path)
    assert (found["medspark_night_success",], found["medspark_night_exit_code",]) == (0, code)
    assert ("medspark_night_published_timestamp_seconds",) not in found
    last = lines(tmp_path / "lineage.jsonl")[-1]
    assert last["eventType"] == kind
    assert "rowCount" not in json.dumps(last)


def test_what_cannot_be_told_is_said_and_the_night_goes_on(spark, tmp_path):
    (tmp_path / "file").write_text("")
    run, heard = telling_run(spark, tmp_path / "store")
    nowhere = dict.fromkeys(ALL, "file/x")
    with observed(run, deployed(tmp_path, **nowhere), AS_OF, []):
        pass
    assert set(run.receipt.counts["untold"]) == set(ALL)
    assert "the metrics could not be written" in heard()


def test_a_night_that_finds_its_store_in_use_is_no_success(spark, tmp_path):
    bundle = SimpleNamespace(task=SimpleNamespace(source=SimpleNamespace(path="/in")), path="/b")
    run = new_run(spark, str(tmp_path / "store"))
    with holding(new_run(spark, str(tmp_path / "store"))), pytest.raises(BusyError):
        night_stage(run, Night(deployed(tmp_path, **ALL), bundle, AS_OF))
    assert lines(tmp_path / "log.jsonl")[-1]["exit_code"] == 5
    assert (metrics(tmp_path)["medspark_night_success",], metrics(tmp_path)["medspark_night_exit_code",]) == (0, 5)


def test_the_rows_of_a_night_that_is_completed_are_not_tonights(spark, tmp_path, monkeypatch):
    left = due.Due("first", AS_OF, "v1", "b", "back", False, {}, {})
    monkeypatch.setattr(due, "_due_in", lambda _: [left])
    monkeypatch.setattr(due, "_is_as_noted", lambda *_: True)

    def publish(run, *_):
        run.receipt.counts["publish"] = {"rows": 7}
        return left.night

    monkeypatch.setattr(due, "publish_due", publish)
    run = new_run(spark, str(tmp_path / "store"))
    deployment = deployed(tmp_path, metrics="stays.prom")
    with observed(run, deployment, AS_OF, []):
        due.complete_due(run, deployment, datetime(2026, 11, 28, tzinfo=UTC))
    assert run.receipt.completed == ["first"]
    assert run.receipt.counts["completed"] == {"first": {"rows": 7}}
    assert ("medspark_night_published_rows",) not in metrics(tmp_path)


def test_an_address_that_cannot_be_read_ends_no_night(spark, tmp_path):
    run = new_run(spark, str(tmp_path / "store"))
    with observed(run, deployed(tmp_path, **ALL), AS_OF, ["hdfs://[namenode/in"]):
        pass
    assert run.receipt.counts["untold"] == {"lineage": "ValueError"}
    assert metrics(tmp_path)["medspark_night_success",] == 1
