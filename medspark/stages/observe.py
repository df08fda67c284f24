"""What a night tells those who watch it: a log of its steps, metrics, events of lineage, as its deployment asks.

None of it has a patient in it: times, names of stages, counts. Where one of them cannot be written, that is said, and
the night goes on.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medspark.deploy.deployment import Deployment, place_of
from medspark.errors import MedsparkError
from medspark.runs.lineage import EventType, append_line, emit, run_event
from medspark.runs.metrics import Gauge, exposition
from medspark.runs.receipt import Receipt, new_run_id, now
from medspark.runs.run import Run
from medspark.store.here import replace_here
from medspark.store.ledger import newest_published


@contextmanager
def observed(run: Run, deployment: Deployment, as_of: datetime, inputs: Sequence[str]) -> Iterator[None]:
    """In the block, tell of each step; at its end how it ended.

    Args:
        run: the night's.
        deployment: says who is told.
        as_of: the night's time.
        inputs: addresses of the source and the bundle, as far as they are known at the time.
    """
    asked, begun = (deployment.log, deployment.metrics, deployment.lineage), datetime.now(UTC)
    if not any(asked):
        yield
        return

    def step(name: str) -> None:
        told = {"seconds": run.receipt.seconds[name], "counts": run.receipt.counts.get(name)}
        _log(run, deployment, as_of, step=name, **told)

    _log(run, deployment, as_of, step="begun")
    _lineage(run, deployment, as_of, inputs, "START")
    run.receipt.listeners.append(step)
    ended: BaseException | None = None
    try:
        yield
    except BaseException as error:
        ended = error
        raise
    finally:
        run.receipt.listeners.remove(step)
        code, error_class = (0, None) if ended is None else (getattr(ended, "exit_code", 1), type(ended).__name__)
        _log(run, deployment, as_of, step="ended", exit_code=code, error=error_class)
        kind: EventType = "COMPLETE" if ended is None else "FAIL" if isinstance(ended, Exception) else "ABORT"
        _lineage(run, deployment, as_of, inputs, kind, ended)
        _metrics(run, deployment, as_of, code, (datetime.now(UTC) - begun).total_seconds())


def tell_unbegun(deployment: Deployment, as_of: datetime, code: int) -> None:
    """Bring the exit code of a command that ended before it had a run, as where its store cannot be written, into the
    metrics, in place of those of the night before; where even they cannot be written, there is nobody to tell."""
    if deployment.metrics is not None:
        with suppress(OSError):
            gauges = gauges_of(Receipt("night", new_run_id(), {}), deployment.deployment, as_of, code, 0.0, None)
            _write(deployment.metrics, exposition(gauges))


def tell_update(run: Run, deployment: Deployment) -> None:
    """Add what became of the champion's update to the metrics that the night left, which waited for none."""
    if deployment.metrics is None:
        return
    became = run.receipt.counts["update"]["outcome"]
    labels = {"deployment": deployment.deployment, "outcome": became}
    gauge = Gauge("medspark_night_update", "What became of the champion's update.", [(labels, 1.0)])
    with _told(run, "metrics"):
        _write(deployment.metrics, Path(deployment.metrics).read_text(encoding="utf-8") + exposition([gauge]))


def _log(run: Run, deployment: Deployment, as_of: datetime, **told: Any) -> None:
    if deployment.log is None:
        return
    line = {"at": now(), "deployment": deployment.deployment, "run_id": run.receipt.run_id, "as_of": as_of.isoformat()}
    place, text = Path(deployment.log), json.dumps({**line, **told}, default=str)
    with _told(run, "log"):
        append_line(place, text)


def _lineage(
    run: Run,
    deployment: Deployment,
    as_of: datetime,
    inputs: Sequence[str],
    kind: EventType,
    ended: BaseException | None = None,
) -> None:
    if deployment.lineage is None:
        return
    with _told(run, "lineage"):
        published = run.receipt.counts.get("publish", {})
        rows = published.get("rows") if kind == "COMPLETE" else None
        outputs = {address_of(place_of(sink)): rows for sink in deployment.sinks}
        words = None if ended is None else str(ended) if isinstance(ended, MedsparkError) else type(ended).__name__
        nominal = as_of.astimezone(UTC).isoformat()
        event = run_event(kind, run.receipt.run_id, deployment.deployment, inputs, outputs, nominal, words)
        emit(event, deployment.lineage)


def address_of(place: str) -> str:
    """A sink's place as an address.

    >>> address_of("parquet:/srv/published"), address_of("jdbc:postgresql://db/results scores")
    ('/srv/published', 'jdbc:postgresql://db/results scores')
    """
    return place if place.startswith("jdbc:") else place.partition(":")[2]


def _metrics(run: Run, deployment: Deployment, as_of: datetime, code: int, seconds: float) -> None:
    if deployment.metrics is None:
        return
    told: float | None = None
    with suppress(Exception):  # Java may be dead, and all else is known without it
        last = next(newest_published(run.context, run.store), None)
        told = None if last is None else datetime.fromisoformat(last.facts["at"]).timestamp()
    with _told(run, "metrics"):
        gauges = gauges_of(run.receipt, deployment.deployment, as_of, code, seconds, told)
        _write(deployment.metrics, exposition(gauges))


def _write(place: str, text: str) -> None:
    replace_here(Path(place), text)
    Path(place).chmod(0o644)  # of no patient, and read by another account


def gauges_of(
    receipt: Receipt, deployment: str, as_of: datetime, code: int, seconds: float, last_published: float | None
) -> Iterator[Gauge]:
    """A night's metrics, each with the deployment's name.

    Args:
        receipt: of the run, which ended.
        deployment: its name.
        as_of: its time.
        code: the exit code.
        seconds: it took.
        last_published: when a night was published last, in seconds since 1970; None where none was.
    """
    mine = {"deployment": deployment}
    score, publish = receipt.counts.get("score", {}), receipt.counts.get("publish", {})

    def gauge(name: str, told: str, value: float | None) -> Gauge:
        return Gauge(f"medspark_night_{name}", told, [] if value is None else [(mine, value)])

    def by(name: str, told: str, label: str, values: dict[str, float]) -> Gauge:
        return Gauge(f"medspark_night_{name}", told, [({**mine, label: key}, value) for key, value in values.items()])

    yield gauge("success", "Whether the last run ended with exit code 0.", float(code == 0))
    yield gauge("exit_code", "The exit code of the last run.", code)
    yield gauge("as_of_timestamp_seconds", "The time that the last run was of.", as_of.timestamp())
    yield gauge("finished_timestamp_seconds", "When the last run ended.", datetime.now(UTC).timestamp())
    yield gauge("duration_seconds", "How long the last run took.", seconds)
    yield gauge("published_timestamp_seconds", "When a night was published last.", last_published)
    yield gauge("rows_in", "Rows that the last run read.", score.get("rows_in"))
    yield gauge("scored", "Cases that it scored.", score.get("scored"))
    rejected = score.get("rejected")
    yield gauge("rejected", "Rows without a score.", None if rejected is None else sum(rejected.values()))
    yield gauge("published_rows", "Rows of the night in each sink.", publish.get("rows"))
    yield by("band_cases", "Cases by risk band.", "band", score.get("bands") or {})
    yield by("stage_seconds", "Seconds of each stage.", "stage", receipt.seconds)
    verdicts = ("ok", "warn", "stop") if receipt.verdict is not None else ()
    verdict = {name: float(name == receipt.verdict) for name in verdicts}
    yield by("verdict", "The verdict of monitoring, where one was asked for.", "verdict", verdict)


@contextmanager
def _told(run: Run, what: str) -> Iterator[None]:
    """Say that something could not be told; an address in it may have been the user's secret, so its class alone."""
    try:
        yield
    except Exception as error:
        run.say(f"  warning     the {what} could not be written ({type(error).__name__})")
        run.receipt.counts.setdefault("untold", {})[what] = type(error).__name__
