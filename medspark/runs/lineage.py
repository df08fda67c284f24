"""Events of OpenLineage: a job ran, from which data sets to which. No Spark here.

https://openlineage.io/docs/spec/object-model
"""

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
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

    https://openlineage.io/docs/spec/naming

    >>> dataset("hdfs://namenode:8020/hospital/tonight"), dataset("s3a://bucket/tonight")["name"]
    ({'namespace': 'hdfs://namenode:8020', 'name': '/hospital/tonight'}, 'tonight')
    >>> dataset("/srv/tonight"), dataset("jdbc:postgresql://db/results scores")
    ... # doctest: +NORMALIZE_WHITESPACE
    ({'namespace': 'file', 'name': '/srv/tonight'},
     {'namespace': 'postgres://db:5432', 'name': 'results.public.scores'})
    """
    if address.startswith("jdbc:"):
        return _table(address)
    parts = urlsplit(address)
    if parts.scheme in _BUCKETS:
        return {"namespace": f"{_BUCKETS[parts.scheme]}://{parts.netloc}", "name": parts.path.strip("/") or "/"}
    if parts.netloc:
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path}
    return {"namespace": "file", "name": address.removeprefix("file:")}


_BUCKETS: Final = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs"}
"""How the standard calls a store of objects, by how Hadoop does; the names in it begin without a stroke."""


class _Database(NamedTuple):
    """How addresses of a kind of database are read."""

    scheme: str
    """As the standard calls it."""
    address: str
    """A pattern of what follows `jdbc:`, with host, and with port and database where they are said."""
    port: int
    """Where none is said."""
    schema: str | None
    """The same; None where only the database knows."""


_HOST: Final = r"(?P<host>\[[^]]*\]|[^:/;\\]+)(?:\\[^:;]+)?(?::(?P<port>\d+))?"
_DATABASES: Final = (
    _Database("postgres", rf"postgresql://{_HOST}/(?P<database>[^;]+)", 5432, "public"),
    _Database("mssql", rf"sqlserver://{_HOST}.*?;database(?:Name)?=(?P<database>[^;]+).*", 1433, "dbo"),
    _Database("oracle", rf"oracle:thin:@(?://)?{_HOST}[:/](?P<database>[^;]+)", 1521, None),
)


def _table(address: str) -> dict[str, Any]:
    """The same of `jdbc:URL TABLE`; of an address that is of none of these kinds, its own words."""
    url, _, table = address.removeprefix("jdbc:").partition(" ")
    for kind in _DATABASES:
        found = re.fullmatch(kind.address, url, re.IGNORECASE)
        if found is not None:
            named = table if "." in table or kind.schema is None else f"{kind.schema}.{table}"
            place = f"{kind.scheme}://{found['host']}:{found['port'] or kind.port}"
            return {"namespace": place, "name": f"{found['database']}.{named}"}
    parts = urlsplit(url)
    return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": f"{parts.path.strip('/')}.{table}"}


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
