"""FHIR resources to events by a view: every line is rows, passed over, or in quarantine with its text."""

import gzip
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.mapped import Read

from medspark.errors import InputError
from medspark.events.deletions import BUNDLES
from medspark.events.read import read_events
from medspark.schemas import LINE, RAW
from medspark.sources.repairs import read_repairs
from medspark.sources.worker.views import compile_view, view_rows
from medspark.store.facts import MappedCounts
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping

LABS = {
    "files": "Observation*",
    "subject": "patient",
    "view": {
        "resource": "Observation",
        "where": [{"path": "status != 'draft'"}],
        "select": [
            {
                "column": [
                    {"name": "id", "path": "getResourceKey()"},
                    {"name": "patient", "path": "subject.getReferenceKey(Patient)"},
                    {"name": "status", "path": "status"},
                ],
                "select": [{"column": [{"name": "told", "path": "meta.lastUpdated"}]}],
            },
            {
                "forEach": "component",
                "column": [
                    {"name": "code", "path": "code.text"},
                    {"name": "value", "path": "value.ofType(Quantity).value"},
                ],
            },
        ],
    },
    "columns": {
        "id": "string",
        "patient": "long",
        "status": "string",
        "told": "timestamp",
        "code": "string",
        "value": "double",
    },
    "duplicates": {"same": ["id"], "keep": "latest", "by": "told"},
    "skip": [{"name": "wrong", "when": "status = 'entered-in-error'", "because": "it never was"}],
    "events": [{"code": "LAB/{code}", "number": "value"}],
}


def lab(place: int, *values: float | str, patient: object = 7, day: int = 1, **more: object) -> str:
    """A line: an observation with a component for each value, named a, b, and so on."""
    parts = [{"code": {"text": "abc"[at]}, "valueQuantity": {"value": value}} for at, value in enumerate(values)]
    return json.dumps(
        {
            "resourceType": "Observation",
            "id": f"o{place}",
            "meta": {"lastUpdated": f"2026-01-0{day}T00:00:00Z"},
            "status": "final",
            "subject": {"reference": f"Patient/{patient}"},
            "component": parts,
            **more,
        }
    )


def bundle(*urls: str, at: str | None = "2026-01-03T00:00:00Z") -> str:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    more = {} if at is None else {"timestamp": at}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", **more, "entry": entries})


def test_a_bundle_of_deletions_is_one_row_however_many_it_has() -> None:
    assert BUNDLES.view is not None
    (row,) = view_rows(compile_view(BUNDLES.view), json.loads(bundle("Observation/o1", "Patient/o3")))
    assert row == {"at": "2026-01-03T00:00:00Z", "requests": 2, "urls": ["Observation/o1", "Patient/o3"]}


def test_what_an_export_takes_back_is_passed_over_unless_it_came_again_since(
    spark: SparkSession, tmp_path: Path, read: Read
) -> None:
    labs = [lab(1, 1), lab(2, 2, day=4), lab(3, 3), lab(4, 4, 5, day=9), lab(5, 6)]
    gone = [
        bundle("Observation/o1", "Observation/o2", "Patient/o3"),
        bundle("https://a.example/Observation/o4", at=None),
    ]
    files = {"Observation.ndjson": "\n".join(labs), "Bundle.000.ndjson": "\n".join(gone)}
    found = read(files, {"labs": LABS}, kind="fhir", deleted="*Bundle*")
    assert [event[3] for event in found.events] == [2.0, 3.0, 6.0]
    assert found.counts["labs"].non_events == {"deleted": 3}
    source = EventSource(kind="events", mapping="m", format="fhir", path=str(tmp_path / "source"))
    tables = {"labs": LABS}
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": tables, "deleted": "*Bundle*"})
    with read_events(spark, source, mapping) as again:
        (tmp_path / "source" / "Bundle.000.ndjson").unlink()  # it was read, and is not read again for each table
        assert again.records.count() == 3
    no_requests = bundle("Observation", "Observation?patient=http://a.example/Patient/7", "Observation/o1")
    cut_off = gzip.compress(bundle("Observation/o1").encode())[:-30]
    for more, words in (
        ({"Bundle.001.ndjson": no_requests}, "received 2 lines or requests that are none"),
        ({"Bundle.001.ndjson.gz": cut_off}, r"Bundle\*: a file cannot be read. It ends too early"),
    ):
        with pytest.raises(InputError, match=words):
            read(more, {"labs": LABS}, kind="fhir", deleted="*Bundle*")


def test_the_newest_version_of_a_resource_counts_whatever_becomes_of_it(read: Read) -> None:
    labs = [
        lab(1, 1), lab(1, "x", day=2),                          # the newer one is set aside
        lab(2, 2), lab(2, 2, day=2, status="draft"),            # no row of the view
        lab(3, 3), lab(3, 3, day=2, status=["final", "draft"]), # not to be read
        lab(4, 4, day=2), lab(4, "x"),                          # the older one is set aside
        lab(5, "x"), lab(5, 5),                                 # none is newer
        lab(6, 6, "x"),                                         # one of its rows is set aside
        lab(4, 7, day=9, resourceType="Patient"),               # another resource of this id
    ]  # fmt: skip
    found = read({"Observation.ndjson": "\n".join(labs)}, {"labs": LABS}, kind="fhir")
    assert [event[3] for event in found.events] == [4.0, 5.0, 6.0]
    assert found.counts["labs"].duplicates == 3
    assert [row[2] for row in found.aside if row[3] == "duplicate"] == [1, 3, 5]


def test_a_line_is_repaired_as_a_whole(spark: SparkSession, tmp_path: Path, read: Read) -> None:
    files = {"Observation.ndjson": "\n".join([lab(1, 1, "x"), lab(2, "y", "z")])}
    first = read(files, {"labs": LABS}, kind="fhir")
    assert [(row[2], row[3]) for row in first.aside] == [(1, "value: type"), (2, "value: type"), (2, "value: type")]
    source = EventSource(kind="events", mapping="m", format="fhir", path=str(tmp_path / "source"))
    mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": {"labs": LABS}})
    with read_events(spark, source, mapping) as found:
        wrong = [row.asDict() for row in found.quarantine.where(f"{LINE} = 2").collect()]
    assert len(wrong) == 2
    (tmp_path / "mended.ndjson").write_text("\n".join(json.dumps({**row, RAW: lab(2, 3, 4, 5)}) for row in wrong))
    repairs = read_repairs(spark, str(tmp_path / "mended.ndjson"))
    again = read({}, {"labs": LABS}, kind="fhir", repairs=repairs)
    assert [event[3] for event in again.events] == [1.0, 3.0, 4.0, 5.0]
    assert (again.counts["labs"].repaired, again.counts["labs"].rows_in) == (1, 5)


def test_every_line_is_rows_or_passed_over_or_set_aside_with_its_text(read: Read) -> None:
    lines = {
        "Observation.000.ndjson": [
            lab(1, 1.5, 2),
            lab(2, 3, "x"),
            lab(3),
            lab(4, 4, status="draft"),
            lab(5, 5, 6, status="entered-in-error"),
            "",
            "{",
        ],
        "Observation-1.ndjson": [
            '{"resourceType": "Patient", "id": "7"}',
            lab(6, 7, meta={"lastUpdated": "2026"}),
            lab(7, 8, patient="x"),
            lab(8, 9, status=["final", "draft"]),
            '{"resourceType": "Observation", "id": "o9", "id": "o10"}',
        ],
    }
    found = read({name: "\n".join(text) + "\n" for name, text in lines.items()}, {"labs": LABS}, kind="fhir")
    assert [event[:2] + event[3:4] for event in found.events] == [
        (7, "LAB/a", 1.5),
        (7, "LAB/a", 3.0),
        (7, "LAB/b", 2.0),
    ]
    one, two = lines.values()
    assert found.aside == [
        ("labs", "Observation-1.ndjson", 1, "record: resource", two[0]),
        ("labs", "Observation-1.ndjson", 2, "told: type", two[1]),
        ("labs", "Observation-1.ndjson", 3, "patient: type", two[2]),
        ("labs", "Observation-1.ndjson", 4, "record: view", two[3]),
        ("labs", "Observation-1.ndjson", 5, "record: repeated key", two[4]),
        ("labs", "Observation.000.ndjson", 2, "value: type", one[1]),
        ("labs", "Observation.000.ndjson", 7, "record: json", "{"),
    ]
    rules = dict.fromkeys(sorted({row[3] for row in found.aside}), 1)
    # 11 lines, of which three became two rows
    counts = MappedCounts(14, 1, 3, 3, {"no row of the view": 2, "wrong": 2}, rules, 0, {}, 0)
    assert found.counts["labs"] == counts
