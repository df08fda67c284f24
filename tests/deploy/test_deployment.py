"""A deployment file: what it says, what it refuses, and of what time a night is."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from support.places import ROOT

from medspark.deploy.deployment import Clock, DatabaseSink, Deployment, place_of
from medspark.deploy.load import load_deployment
from medspark.errors import TaskError

FILE = {"kind": "parquet", "path": "/out"}
SOUND = {"deployment": "stays", "bundle": "/bundles/b", "store": "/store", "sinks": [FILE]}


def written(folder, **changes):
    path = folder / "stays.yaml"
    path.write_text(yaml.safe_dump({**SOUND, **changes}))
    return path


def problems(folder, **changes):
    with pytest.raises(TaskError) as refused:
        load_deployment(written(folder, **changes))
    return refused.value.problems


def test_the_one_that_is_kept_is_fine(monkeypatch):
    for name in ("SYNTH", "BUNDLE", "NIGHTS"):
        monkeypatch.setenv(f"MEDSPARK_{name}", "/x")
    found = load_deployment(ROOT / "conf/deployments/readmission-synthetic.yaml")
    assert [sink.path for sink in found.sinks] == ["/x/published", "/x/csv"]
    assert found.explain is not None
    assert (found.explain.top, found.explain.above, found.keep_days) == (5, "raised", 730)


def test_the_one_that_the_page_shows_is_fine(tmp_path, monkeypatch):
    for name in ("BUNDLES", "HOSPITAL"):
        monkeypatch.setenv(name, "/x")
    path = tmp_path / "shown.yaml"
    path.write_text((ROOT / "docs/nights.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    found = load_deployment(path)
    files = ["parquet", "csv", "ndjson", "fhir", "csv", "parquet"]
    assert [sink.kind for sink in found.sinks] == [*files, "delta", "jdbc"]
    assert [sink.layout for sink in found.sinks[4:6]] == ["omop", "meds"]
    assert found.door is not None
    assert (found.door.fresh.hours, found.door.volume.otherwise, found.door.empty) == (26, "warn", "stop")


def test_its_schema_is_kept_beside_the_tasks():
    kept = json.loads((ROOT / "conf/deployment.schema.json").read_text())
    assert kept == Deployment.model_json_schema(by_alias=True), (
        "run: medspark schema --of deployment > conf/deployment.schema.json"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"sinks": [{"kind": "ndjson", "path": "/srv/x"}, {"kind": "fhir", "path": "/srv/./x/"}]},
            "sinks and store: expected each place once, received twice /srv/x",
        ),
        (
            {"sinks": {"kind": "jdbc", "table": "t", "database": {"url": "u", "password": "hunter2"}}},
            "sinks: expected a list, received 'dict'",
        ),
        ({"sink": []}, "sink: unknown key. Allowed: deployment, bundle, expect, champion, store"),
        ({"sinks": []}, "sinks: expected at least one, received []"),
        (
            {"sinks": [{"kind": "parqet", "path": "/x"}]},
            "sinks.0: expected a kind of parquet, csv, ndjson, fhir",
        ),
        (
            {"sinks": [{"kind": "csv", "path": "/x", "layout": "meds"}]},
            "sinks.0: expected layout meds of kind parquet, received csv",
        ),
        (
            {"sinks": [{"kind": "fhir", "path": "/x", "layout": "omop"}]},
            "sinks.0: expected layout omop of kind parquet or csv or ndjson, received fhir",
        ),
        (
            {"sinks": [{**FILE, "positive_from": 0.2}]},
            "expected positive_from of layout meds only, received it of scores",
        ),
        ({"sinks": [FILE, {"kind": "delta", "path": "/out/"}]}, "expected each place once, received twice /out"),
        ({"sinks": [FILE, {**FILE, "path": "/out/"}]}, "expected each place once, received twice /out"),
        ({"as_of": {"timezone": "Mars/Base"}}, "expected a time zone such as Europe/Berlin, received 'Mars/Base'"),
        ({"as_of": {"at": "24:00"}}, "as_of.at: "),
        ({"bundle": None}, "expected bundle or champion, received none"),
        ({"champion": "/store"}, "expected bundle or champion, received both"),
        ({"expect": "../b"}, "expect: expected text like ^[0-9a-f]{16}$"),
        (
            {"bundle": None, "champion": "/store", "expect": "0123456789abcdef"},
            "expected `expect` beside `bundle` only: a champion has its digest in its history",
        ),
        ({"update": {"source": "/known"}}, "expected `update` beside `champion` only: it promotes what it makes"),
        ({"keep_days": 0}, "keep_days: expected greater than or equal to 1, received 0"),
        ({"explain": {"top": 5, "above": "high", "share": 0.1}}, "explain: expected above or share, received both"),
        ({"gate": "stop"}, "gate: expected 'ok' or 'warn', received 'stop'"),
        (
            {"sinks": [{"kind": "jdbc", "table": "s", "database": {"url": "jdbc:postgresql://h/d?password=hush"}}]},
            "expected neither user nor password in it, received the parameter password",
        ),
        (
            {"sinks": [{"kind": "jdbc", "table": "s; DROP TABLE x", "database": {"url": "jdbc:postgresql://h/d"}}]},
            "sinks.0.table: expected text like ^[a-z]",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path, changes, says):
    found = problems(tmp_path, **changes)
    assert len(found) == 1
    assert says in found[0]
    assert "hush" not in found[0]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("jdbc:postgresql://h:5432/d?ssl=true&sslrootcert=/etc/ca.pem", "jdbc:postgresql://h:5432/d own.scores"),
        ("jdbc:sqlserver://h;encrypt=true;databaseName=d", "jdbc:sqlserver://h;databaseName=d own.scores"),
        ("jdbc:sqlserver://h;databaseName=other", "jdbc:sqlserver://h;databaseName=other own.scores"),
    ],
)
def test_the_place_of_a_sink_has_no_parameter_but_those_that_say_which_database_it_is(url, place):
    database = {"url": url, "schema": "own"}
    sink = DatabaseSink.model_validate({"kind": "jdbc", "table": "scores", "database": database})
    assert place_of(sink) == place


@pytest.mark.parametrize(
    ("at", "zone", "now", "night"),
    [
        ("00:00", "UTC", "2026-11-27T00:00:00", "2026-11-27T00:00:00"),
        ("06:00", "UTC", "2026-11-27T05:59:59", "2026-11-26T06:00:00"),
        ("06:00", "Europe/Amsterdam", "2026-11-27T05:00:00", "2026-11-27T05:00:00"),
        ("23:00", "Asia/Tokyo", "2026-11-27T14:00:00", "2026-11-27T14:00:00"),
        ("01:00", "Asia/Tokyo", "2026-11-26T16:30:00", "2026-11-26T16:00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-29T01:30:00"),  # skipped that night
        ("02:30", "Europe/Berlin", "2026-10-25T00:45:00", "2026-10-25T00:30:00"),  # shown twice: the first is meant
        ("02:30", "Europe/Berlin", "2026-10-25T01:45:00", "2026-10-25T00:30:00"),
    ],
)
def test_a_night_is_of_the_last_time_that_the_clock_showed(at, zone, now, night):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert Clock(at=at, timezone=zone).last(moment) == datetime.fromisoformat(night).replace(tzinfo=UTC)


def test_every_day_of_a_year_has_one_night_of_its_own():
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"):
        clock = Clock(at="02:30", timezone=zone)
        hours = [datetime(2026, month, 1, hour, tzinfo=UTC) for month in range(1, 13) for hour in range(24)]
        nights = {clock.last(hour) for hour in hours}
        assert all(clock.last(night) == night for night in nights)
