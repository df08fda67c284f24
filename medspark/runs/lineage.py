"""Events of OpenLineage: a job ran, from which data sets to which. No Spark here.

https://openlineage.io/docs/spec/object-model
"""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from medspark.runs.receipt import now

SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS: Final = "https://openlineage.io/spec/facets"
SECONDS: Final = 5.0
"""That an endpoint has to answer."""
EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]


def run_event(
    kind: EventType,
    run_id: str,
    job: str,
    inputs: Sequence[str],
    outputs: Mapping[str, int | None],
    nominal: str,
    error: str | None = None,
) -> dict[str, Any]:
    """An event of a run.

    Args:
        kind: what happened.
        run_id: the receipt's.
        job: its name.
        inputs: addresses of what is read.
        outputs: addresses of what is written, with their rows as far as they are known.
        nominal: the time that the run is of, with a zone.
        error: what ended it, in words without a patient's value.
    """
    facets = {"nominalTime": _facet("1-0-1/NominalTimeRunFacet", nominalStartTime=nominal)}
    if error is not None:
        words = {"message": error, "programmingLanguage": "Python"}
        facets["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", **words)
    return {
        "eventType": kind,
        "eventTime": now(),
        "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"medspark:{run_id}")), "facets": facets},
        "job": {"namespace": "medspark", "name": job},
        "inputs": [dataset(address) for address in inputs],
        "outputs": [_output(address, rows) for address, rows in outputs.items()],
        "producer": _producer(),
        "schemaURL": SPEC,
    }


def dataset(address: str) -> dict[str, Any]:
    """A data set's name as the standard has it: where it lives, and what it is called there.

    >>> dataset("hdfs://namenode:8020/hospital/tonight")
    {'namespace': 'hdfs://namenode:8020', 'name': '/hospital/tonight'}
    >>> dataset("/srv/tonight"), dataset("jdbc:postgresql://db:5432/results scores")["name"]
    ({'namespace': 'file', 'name': '/srv/tonight'}, 'results.scores')
    """
    if address.startswith("jdbc:"):
        url, _, table = address.removeprefix("jdbc:").partition(" ")
        parts = urlsplit(url)
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": f"{parts.path.strip('/')}.{table}"}
    parts = urlsplit(address)
    if parts.netloc:
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path}
    return {"namespace": "file", "name": address.removeprefix("file:")}


def emit(event: Mapping[str, Any], place: str) -> None:
    """Bring an event to an endpoint of OpenLineage, or to the end of a file as a line of JSON.

    Raises:
        OSError: it cannot be reached or written, or refuses the event.
    """
    text = json.dumps(event)
    if place.startswith(("http://", "https://")):
        request = Request(place, text.encode(), {"Content-Type": "application/json"})  # noqa: S310 (looked at above)
        with urlopen(request, timeout=SECONDS):  # noqa: S310
            return
    append_line(Path(place), text)


def append_line(place: Path, text: str) -> None:
    """Add a line to a file, in one write, for its owner only where it is made.

    Raises:
        OSError: it cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, f"{text}\n".encode())
    finally:
        os.close(file)


def _output(address: str, rows: int | None) -> dict[str, Any]:
    counted = {"outputFacets": {"outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=rows)}}
    return {**dataset(address), **(counted if rows is not None else {})}


def _facet(schema: str, **fields: Any) -> dict[str, Any]:
    name = schema.partition("/")[2]
    return {"_producer": _producer(), "_schemaURL": f"{_FACETS}/{schema}.json#/$defs/{name}", **fields}


def _producer() -> str:
    return f"urn:medspark:{version('medspark')}"
