"""The facts beside each table of a store: what the next stage must know, and a digest of the rules that made it, so
that records cleaned by one task file are never taken for those of another.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from pyspark import SparkContext

from medspark.errors import AccountingError, InputError
from medspark.store.files import exists, read_text, write_text
from medspark.store.manifest import FACTS, count_rows, read_manifest
from medspark.store.worker.buckets import SortedRun
from medspark.store.worker.checksums import FileSums
from medspark.task.connection import IN_DATABASES
from medspark.task.event_task import EventTask
from medspark.task.raw_table import TYPED
from medspark.task.tasks import Task

# ---------------------------------------------------------------- counts


@dataclass(frozen=True)
class TableCounts:
    """What became of the rows of a table: rows_in = records + the quarantined + duplicates, or the run fails."""

    rows_in: int
    blank_lines: int
    records: int
    quarantined: dict[str, int]
    """Rows set aside, by the first rule that each breaks."""
    duplicates: int
    set_missing: dict[str, int]
    """Values set missing, by rule."""
    repaired: int
    normalised: dict[str, int] = field(default_factory=dict)
    """Texts of rows kept that lost invisible letters, by rule."""
    missing: dict[str, int] = field(default_factory=dict)
    """Records without a value, by column, where there are some; set missing or not."""


@dataclass(frozen=True)
class MappedCounts:
    """What became of one table of a warehouse: rows_in = with_events + non-events + quarantined + duplicates."""

    rows_in: int
    blank_lines: int
    with_events: int
    events: int
    non_events: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    set_missing: dict[str, int]
    repaired: int
    columns: list[str] = field(default_factory=list, compare=False)
    """Of the mapping's, those that the source has."""
    normalised: dict[str, int] = field(default_factory=dict)
    """Texts of rows kept that lost invisible letters, by rule."""
    missing: dict[str, int] = field(default_factory=dict, compare=False)
    """Rows with events that have no value of a column, where there are some; set missing or not."""
    patients: int = field(default=0, compare=False)
    """About how many have events of it, at least: of a source that was read in parts, in the largest of them. 0 where a
    part was counted before patients were; then nothing is known of what is missing either."""


@dataclass(frozen=True)
class EventCounts:
    """What became of the rows of a warehouse, of all tables together and of each; records are events."""

    rows_in: int
    blank_lines: int
    with_events: int
    non_events: int
    records: int
    quarantined: dict[str, int]
    duplicates: int
    set_missing: dict[str, int]
    tables: dict[str, MappedCounts]
    normalised: dict[str, int] = field(default_factory=dict)
    """Texts of rows kept that lost invisible letters, by rule."""

    @property
    def tables_with_events(self) -> list[str]:
        return [name for name, table in self.tables.items() if table.with_events]


def rows_quarantined(counts: TableCounts | MappedCounts | EventCounts) -> int:
    """How many rows the quarantine has: those set aside, and the copies of others."""
    return sum(counts.quarantined.values()) + counts.duplicates


@dataclass(frozen=True)
class Attrition:
    """One criterion: how many cases it took out, of those that the ones before it left, and how many remain."""

    criterion: str
    because: str
    removed: int
    remaining: int


@dataclass(frozen=True)
class SplitCounts:
    """The cases of one split."""

    cases: int
    subjects: int
    positives: int
    unknown: int
    """Cases whose outcome is not known."""
    targets: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where there are several, of each by its name the cases known to be without it and with it."""


# ---------------------------------------------------------------- facts


@dataclass(frozen=True)
class SourceRead:
    """Where a source lies and what was read of it."""

    path: str | None
    files: int
    fingerprint: str
    read_by: Literal["workers", "spark"] = "spark"
    """Who read and judged it: the same comes of both."""
    because: str = ""


@dataclass(frozen=True)
class RecordsRead:
    """Where the records lie that were read as the past of others, and of what they are."""

    path: str
    fingerprint: str
    """Of their source and their version: a version never changes, and its rows may have been repaired."""


@dataclass(frozen=True)
class TensorsRead:
    """Where tensors lie that were scored, and of what they are made."""

    path: str
    fingerprint: str


@dataclass(frozen=True)
class Buckets:
    """How records of events are kept: in files by patient, as `medspark.store.worker.buckets` says."""

    runs: list[SortedRun]
    """With the events of each bucket; a patient's is the CRC-32 of the id as text modulo the number of them."""
    has_writings: bool = False
    """Whether rows may be written again: the records of a source with `increment`."""
    by: Literal["crc32"] = "crc32"


@dataclass(frozen=True)
class TakenFile:
    """A file of a source with `increment` as it was read."""

    size: int
    """Bytes."""
    changed: int
    """Milliseconds since 1970."""
    sha256: str


@dataclass(frozen=True)
class ReadTo:
    """How far a source with `increment` by column or changes was read; each by table."""

    marks: dict[str, int] = field(default_factory=dict)
    """The newest time of writing, none of them yet to come, in microseconds since 1970, or the newest commit."""
    ids: dict[str, str] = field(default_factory=dict)
    """Of one by changes, the id that the table got when it was made."""
    again: dict[str, MappedCounts] = field(default_factory=dict)
    """Of one by column, what of the counts is of the rows that the next append reads again."""


@dataclass(frozen=True)
class RecordsFacts:
    """Beside `records`."""

    rules: str
    """By `clean_rules`."""
    fingerprint: str
    """Of the source."""
    counts: TableCounts | EventCounts
    buckets: Buckets | None = field(default=None, kw_only=True)
    """None of a table's records, and of events that workers could not write."""
    taken: dict[str, TakenFile] = field(default_factory=dict, kw_only=True)
    """The files that a source with `increment` by files had, by their paths below it."""
    read_to: ReadTo = field(default_factory=ReadTo, kw_only=True)


def records_fingerprint(facts: RecordsFacts, path: str) -> str:
    """Of the records in the version at a path: of their source and of that version, as of one source there may be other
    records, of which rows were repaired."""
    return f"{facts.fingerprint} {path.rsplit('/', 1)[-1]}"


@dataclass(frozen=True)
class CasesFacts(RecordsFacts):
    """Beside `cases`."""

    case_rules: str
    """By `case_rules`."""
    attrition: list[Attrition]
    splits: dict[str, SplitCounts]
    with_earlier_rows: int | None = None
    """Cases with an earlier row of their subject; None where the task has no `history`."""
    labels: str | None = None
    """The digest of the labels that they are of; None where the population is of events."""


@dataclass(frozen=True)
class TensorsFacts:
    """Beside `tensors` that `medspark encode` wrote."""

    statistics: str
    """The digest of the statistics that encoded them."""
    rows: int
    fingerprint: str
    """Of what they are made of: the source, the bundle and the time."""
    inputs: SourceRead | None = None
    files: dict[str, FileSums] = field(default_factory=dict)
    """Of each file by its path below the table; none where no worker could read what Spark wrote."""


Facts = TypeVar("Facts", RecordsFacts, CasesFacts, TensorsFacts)


def read_facts(context: SparkContext, path: str, kind: type[Facts]) -> Facts:
    """The facts beside a table's version.

    Raises:
        InputError: there are none, as beside the tensors of training; they are not those that were published; or they
            are not of this kind, as another version of medspark may have written them.
    """
    if not exists(context, f"{path}/{FACTS}"):
        raise InputError(
            f"{path}: expected a table with its facts ({kind.__name__}) beside it, received one without. "
            "Run the stage that writes it again; `medspark score --tensors` takes what `medspark encode` wrote."
        )
    text, manifest = _text_of(context, path), read_manifest(context, path)
    if manifest is not None and manifest.facts not in (None, hashlib.sha256(text.encode()).hexdigest()):
        raise _others(path, "the facts that were published")
    try:
        found = TypeAdapter(kind).validate_json(text)
        unknown = set(json.loads(text)) - {known.name for known in fields(kind)}
    except ValidationError as error:
        where = ", ".join(dict.fromkeys(str(problem["loc"][0]) for problem in error.errors() if problem["loc"]))
        raise _others(path, kind.__name__, where) from None
    if unknown:
        raise _others(path, kind.__name__, ", ".join(sorted(unknown)))
    return found


def _text_of(context: SparkContext, path: str) -> str:
    try:
        return read_text(context, f"{path}/{FACTS}")
    except UnicodeDecodeError:
        raise _others(path, "text") from None


def _others(path: str, expected: str, where: str = "") -> InputError:
    told = f" ({where})" if where else ""
    return InputError(
        f"{path}/{FACTS}: expected {expected}, received others{told}. Run the stage that writes it again."
    )


def write_facts(context: SparkContext, path: str, facts: RecordsFacts | TensorsFacts) -> None:
    write_text(context, f"{path}/{FACTS}", json.dumps(asdict(facts), indent=1))


# ---------------------------------------------------------------- rules


def clean_rules(task: Task) -> str:
    """A digest of what decides a task's records."""
    if isinstance(task, EventTask):
        return _digest(task, ("source", "mapping"))
    return _digest(task, ("source", "columns", "derived", "lookups", "checks"))


def case_rules(task: Task) -> str:
    """A digest of what decides, beyond the records, a task's cases."""
    if isinstance(task, EventTask):
        return _digest(task, ("concepts", "population", "outcome", "time", "features", "split", "report"))
    return _digest(task, ("exclude", "outcome", "features", "split", "report"))


def _digest(task: Task, sections: Iterable[str]) -> str:
    """Where data lies is no rule, nor is how events or typed rows are stored there, or how often folds are drawn."""
    data = task.model_dump(mode="json", include=set(sections))
    for key in ("path", "database", *(("format",) if isinstance(task, EventTask) else ("table",))):
        data.get("source", {}).pop(key, None)
    if data.get("source", {}).get("format") in (*TYPED, *IN_DATABASES):  # rows of any of these are judged alike
        data["source"]["format"] = TYPED[0]
    for key in ("vanished", "late_hours"):
        (data.get("source", {}).get("increment") or {}).pop(key, None)
    (data.get("features", {}).get("history") or {}).pop("records", None)
    data.get("split", {}).pop("repeats", None)
    for key in ("path", "sha256"):  # as new rows of a source are no rule; a table says which labels it is of
        (data.get("population", {}).get("labels") or {}).pop(key, None)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def labels_of(task: Task) -> str | None:
    """The digest of the labels that a frozen task's population is of; None where it is of events."""
    labels = task.population.labels if isinstance(task, EventTask) else None
    return None if labels is None else labels.sha256


def require_rules(found: str, expected: str, stage: str) -> None:
    """Refuse a table that another task file made.

    Raises:
        InputError: naming the stage to run again.
    """
    if found != expected:
        where = ", with all files that they were made of" if stage == "clean" else ""
        raise InputError(
            "the store's tables were made by other rules than this task file's. "
            f"Run `medspark {stage}` again first{where}."
        )


def require_rows(context: SparkContext, path: str, expected: int) -> None:
    """Refuse a table that was written short.

    Raises:
        AccountingError: it has more or fewer rows.
    """
    found = count_rows(context, path)
    if found != expected:
        raise AccountingError(f"{path}: {expected} rows were to be written, {found} are there")
