"""Events of OpenLineage: by its published schema, to a file and to an endpoint."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from jsonschema import Draft202012Validator

from medspark.runs.lineage import dataset, emit, run_event

TEXT, URI = {"type": "string", "minLength": 1}, {"type": "string", "format": "uri"}
FACETS = {"additionalProperties": {"type": "object", "required": ["_producer", "_schemaURL"]}}
DATASET = {"type": "object", "required": ["namespace", "name"], "properties": {"namespace": TEXT, "name": TEXT}}
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": URI,
        "schemaURL": URI,
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS},
        },
        "job": {"type": "object", "required": ["namespace", "name"], "properties": {"facets": FACETS}},
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {
            "type": "array",
            "items": {**DATASET, "properties": {**DATASET["properties"], "outputFacets": FACETS}},
        },
    },
}
"""The part of OpenLineage's schema 2-0-2 that medspark uses."""


def event(kind="COMPLETE", error=None):
    outputs = {"/srv/published": 40, "jdbc:postgresql://db:5432/results own.scores": None}
    at = "2026-11-27T05:00:00+00:00"
    return run_event(kind, "20261127T060000Z-77b0", "stays", ["hdfs://n:8020/in", "/b"], outputs, at, error)


@pytest.mark.parametrize(("kind", "error"), [("START", None), ("COMPLETE", None), ("FAIL", "the source has no file")])
def test_an_event_is_valid_and_names_what_was_read_and_written(kind, error):
    found = event(kind, error)
    checked = Draft202012Validator(RUN_EVENT, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [problem.message for problem in checked.iter_errors(found)] == []
    assert found["inputs"][0] == {"namespace": "hdfs://n:8020", "name": "/in"}
    files, table = found["outputs"]
    assert files["outputFacets"]["outputStatistics"]["rowCount"] == 40
    assert table == {"namespace": "postgres://db:5432", "name": "results.own.scores"}
    assert found["run"]["facets"].get("errorMessage", {}).get("message") == error
    assert found["run"]["runId"] == event()["run"]["runId"]  # of one run, all its events


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("jdbc:postgresql://db/results scores", "postgres://db:5432", "results.public.scores"),
        ("jdbc:postgresql://[::1]:6432/results own.scores", "postgres://[::1]:6432", "results.own.scores"),
        ("jdbc:sqlserver://db;databaseName=results scores", "mssql://db:1433", "results.dbo.scores"),
        ("jdbc:sqlserver://db\\main:1444;database=results own.scores", "mssql://db:1444", "results.own.scores"),
        ("jdbc:oracle:thin:@//db:1522/results own.scores", "oracle://db:1522", "results.own.scores"),
        ("jdbc:oracle:thin:@db:1521:results scores", "oracle://db:1521", "results.scores"),
        ("jdbc:mysql://db:3306/results scores", "mysql://db:3306", "results.scores"),
        ("hdfs://n:8020/hospital/in", "hdfs://n:8020", "/hospital/in"),
        ("s3a://bucket/hospital/in", "s3://bucket", "hospital/in"),
        ("file:/srv/in", "file", "/srv/in"),
    ],
)
def test_a_data_set_has_the_name_that_the_standard_gives_it(address, namespace, name):
    assert dataset(address) == {"namespace": namespace, "name": name}


def test_events_are_lines_of_a_file(tmp_path):
    for kind in ("START", "COMPLETE"):
        emit(event(kind), str(tmp_path / "lineage" / "events.jsonl"))
    file = tmp_path / "lineage" / "events.jsonl"
    assert [json.loads(line)["eventType"] for line in file.read_text().splitlines()] == ["START", "COMPLETE"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_endpoint_gets_each_event_and_a_refusal_is_an_error():
    got = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201 if self.path == "/api/v1/lineage" else 400)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        emit(event(), f"{place}/api/v1/lineage")
        with pytest.raises(OSError, match="400"):
            emit(event(), f"{place}/elsewhere")
        server.shutdown()
    assert got[0] == {**event(), "eventTime": got[0]["eventTime"]}
