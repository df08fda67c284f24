"""A deployment file: which bundle scores which source each night, where the scores go, and what must hold. No Spark.

`medspark.deploy.load` reads it; `conf/deployment.schema.json` is its JSON Schema.
"""

from datetime import UTC, date, datetime, time, timedelta
from os.path import normpath
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from medspark.task.base import Closed, Name, Place
from medspark.task.connection import Connection
from medspark.task.jdbc_urls import shown_url, url_problems


class Clock(Closed):
    """The time that a night is of, where `--as-of` says none: the last one at which a clock showed `at`."""

    at: str = Field(default="00:00", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
    """Hours and minutes, as the clock shows them."""
    timezone: str = "UTC"
    """Where the clock hangs."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"expected a time zone such as Europe/Berlin, received {name!r}") from None
        return name

    def last(self, now: datetime) -> datetime:
        """The newest such time that is not after `now`, in UTC.

        A time that the clock skips in spring is read by the offset before the change, so that each day has one; of
        one that it shows twice in autumn, the first is meant.

        >>> clock = Clock(at="02:30", timezone="Europe/Berlin")
        >>> [str(clock.last(datetime(2026, 3, day, 12, tzinfo=UTC))) for day in (28, 29, 30)]
        ['2026-03-28 01:30:00+00:00', '2026-03-29 01:30:00+00:00', '2026-03-30 00:30:00+00:00']
        """
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        times = (self.on(today + timedelta(days=days)) for days in (1, 0, -1))
        return next(moment for moment in times if moment <= now)

    def on(self, day: date) -> datetime:
        """The time of a day of that zone, in UTC."""
        at = time.fromisoformat(self.at)
        return datetime.combine(day, at, ZoneInfo(self.timezone)).astimezone(UTC)

    def between(self, first: date, last: date) -> list[datetime]:
        """The times of all days from the first to the last, both included.

        >>> [str(time) for time in Clock(at="06:00").between(date(2026, 2, 28), date(2026, 3, 1))]
        ['2026-02-28 06:00:00+00:00', '2026-03-01 06:00:00+00:00']
        """
        return [self.on(first + timedelta(days=days)) for days in range((last - first).days + 1)]


class Explained(Closed):
    """Which scores are published with what raises and lowers them, as `medspark score --explain` has it."""

    top: int = Field(ge=1, le=1000)
    """How many features are named of each score."""
    above: str | None = None
    """The band from which on scores are explained."""
    share: float | None = Field(default=None, gt=0, le=1)
    """In its place the share of the highest scores that is explained."""

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if self.above is not None and self.share is not None:
            raise ValueError("expected above or share, received both")
        return self


Layout = Literal["scores", "omop", "meds"]
"""The columns of what is published: medspark's own, a row of an OMOP results schema, a prediction of MEDS."""


class FileSink(Closed):
    """A folder with one file for each as-of time."""

    kind: Literal["parquet", "csv", "ndjson", "fhir"]
    """What is written: Parquet, CSV, lines of JSON, or FHIR's RiskAssessment as lines of JSON."""
    path: Place
    """The folder."""
    layout: Layout = "scores"
    """scores: medspark's columns; omop: those of an OMOP results schema, as Parquet, CSV or NDJSON; meds: those of the
    predictions of MEDS, as Parquet."""
    positive_from: float | None = Field(default=None, gt=0, lt=1)
    """Of meds the probability from which a prediction is positive; 0.5 where nothing says so."""

    @model_validator(mode="after")
    def _carried(self) -> Self:
        kinds = {"omop": ("parquet", "csv", "ndjson"), "meds": ("parquet",)}.get(self.layout)
        if kinds is not None and self.kind not in kinds:
            raise ValueError(f"expected layout {self.layout} of kind {' or '.join(kinds)}, received {self.kind}")
        if self.positive_from is not None and self.layout != "meds":
            raise ValueError(f"expected positive_from of layout meds only, received it of {self.layout}")
        return self


class DeltaTable(Closed):
    """A table of Delta Lake, by its folder."""

    kind: Literal["delta"]
    """A table of Delta Lake; the package is fetched, or is the session's."""
    path: Place
    """The table's folder."""


class DatabaseSink(Closed):
    """A table of a database, and beside it TABLE_nights, which says what was published into it."""

    kind: Literal["jdbc"]
    """A table of a database, reached by JDBC."""
    database: Connection
    table: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=30)
    """Its name; made where it is not there."""
    rows: Literal["every_night", "newest"] = "every_night"
    """every_night: the rows of each as-of time stay beside one another; newest: a case has one row, its newest."""
    layout: Literal["scores", "omop"] = "scores"
    """scores: medspark's columns; omop: those of an OMOP results schema."""

    @field_validator("database")
    @classmethod
    def _reached(cls, database: Connection) -> Connection:
        problems = list(url_problems(database.url))
        if problems:
            raise ValueError("; ".join(problems))
        return database


Otherwise = Literal["stop", "warn"]
"""What happens where something does not hold: exit code 3 before anything is read, or a sentence in the receipt."""


class ExpectedFiles(Closed):
    """Files that the source must have, by their names, of which patterns such as stays-*.csv may be parts."""

    names: tuple[str, ...] = Field(min_length=1)
    """Names, or patterns, of which each must have a file."""
    otherwise: Otherwise = "stop"
    """What happens where one is not there."""


class Fresh(Closed):
    """How old the newest file of the source may be at the run."""

    hours: float = Field(gt=0)
    """At most, by the file's own time."""
    otherwise: Otherwise = "stop"
    """What happens where it is older."""


class Volume(Closed):
    """How many times the bytes of the last nights' median the source may have; asked from three nights on."""

    times: tuple[float, float] = (0.5, 2.0)
    """The fewest and the most times."""
    nights: int = Field(default=14, ge=3)
    """Published nights that the median is of."""
    otherwise: Otherwise = "stop"
    """What happens where there are more or fewer."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 <= self.times[0] < self.times[1]:
            raise ValueError(f"expected [low, high] such as [0.5, 2.0], received {list(self.times)}")
        return self


class Door(Closed):
    """What the source's files must be before they are read. That none vanishes or grows meanwhile is always asked."""

    files: ExpectedFiles | None = None
    fresh: Fresh | None = None
    volume: Volume | None = None
    empty: Otherwise = "stop"
    """What happens where a file has no byte."""
    hidden: Otherwise = "warn"
    """The same of files whose names begin with _ or a point, which nobody reads."""


class EachNight(Closed):
    """How the champion learns from outcomes that came since, after each night, by a bounded step.

    The night is published before, whatever comes of it; `medspark rollback` takes an update back, and ends them until
    somebody promotes a bundle.
    """

    source: Place
    """Cases whose outcomes are known by now, read as the champion's task says."""
    history: Place | None = None
    """A store whose records are part of their past."""
    how: Literal["weights", "head"] = "weights"
    """Whether all weights learn, or those of the layers next to the logits."""


AnySink = FileSink | DeltaTable | DatabaseSink
Sink = Annotated[AnySink, Field(discriminator="kind")]


class Deployment(Closed):
    """Everything about one nightly job."""

    deployment: Name
    """Its name, which stands in every row that it publishes."""
    bundle: Place | None = None
    """A bundle's folder."""
    expect: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    """The id that the bundle must have: another is refused, unread."""
    champion: Place | None = None
    """In its place a store, whose champion scores: what `medspark promote` and `medspark rollback` say."""
    store: Place
    """Where scores, receipts, the lock and the ledger lie; of this deployment alone."""
    source: Place | None = None
    """In place of the task's own."""
    history: Place | None = None
    """A store whose records are earlier rows too; of events, one whose records are scored once it has taken what is new
    of the source."""
    as_of: Clock = Clock()
    door: Door | None = None
    """What the source's files must be; a database has none."""
    gate: Literal["ok", "warn"] | None = None
    """The worst verdict of monitoring that is published."""
    explain: Explained | None = None
    sinks: tuple[Sink, ...] = Field(min_length=1)
    update: EachNight | None = None
    """Where the champion is to learn each night; without it nothing changes the champion."""
    keep_days: int = Field(default=730, ge=1, le=36_500)
    """How long the store keeps every score that it published, and receipts, logs and counts of runs."""
    log: Place | None = None
    """A file of this machine that gets a JSON line for each step of each night, with its run, seconds and counts."""
    metrics: Place | None = None
    """A file of this machine with the last night's metrics as Prometheus' node exporter reads them: NAME.prom in its
    folder."""
    lineage: Place | None = None
    """A file of this machine that gets OpenLineage's events as lines of JSON, or the http(s) address of an endpoint."""

    @model_validator(mode="after")
    def _one_bundle(self) -> Self:
        if (self.bundle is None) == (self.champion is None):
            raise ValueError(f"expected bundle or champion, received {'none' if self.bundle is None else 'both'}")
        if self.expect is not None and self.bundle is None:
            raise ValueError("expected `expect` beside `bundle` only: a champion has its digest in its history")
        if self.update is not None and self.champion is None:
            raise ValueError("expected `update` beside `champion` only: it promotes what it makes")
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        places = [place for sink in self.sinks for place in _taken(sink)] + [normpath(self.store)]
        twice = sorted({place for place in places if places.count(place) > 1})
        if twice:
            raise ValueError(f"sinks and store: expected each place once, received twice {', '.join(twice)}")
        return self


def _taken(sink: AnySink) -> tuple[str, ...]:
    """The places that nothing else may have: two kinds of file in a folder would share its manifest."""
    if not isinstance(sink, DatabaseSink):
        return (normpath(sink.path),)
    return place_of(sink), f"{place_of(sink)}_nights"


def place_of(sink: AnySink) -> str:
    """Where a sink is, for messages and the ledger: without what of an address may be a secret."""
    if not isinstance(sink, DatabaseSink):
        return f"{sink.kind}:{sink.path.rstrip('/')}"
    schema = f"{sink.database.schema_}." if sink.database.schema_ is not None else ""
    return f"{shown_url(sink.database.url)} {schema}{sink.table}"
