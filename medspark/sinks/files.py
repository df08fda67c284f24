"""Scores as files that anything reads: a folder with one file for each as-of time, which is old or new, in one step.

    PATH/scores/as_of=20261127T060000Z/scores-3f8a….parquet    read by its folder: Spark, DuckDB, pandas
    PATH/scores/as_of=20261127T060000Z/_manifest.json          the night, its rows, the file's name and digest
    PATH/.medspark-staging-DIGEST/                             this deployment's, outside of the table

A file is named by its content, and changes places with the one before by its folder. For a reader that opens a file
twice, as DuckDB does, would take the end of one and the rows of the other, were both of one name. Where folders cannot
change places, as on HDFS, a new file takes the old one's name.

CSV, NDJSON and FHIR lie the same way, as scores-….csv and scores-….ndjson. In CSV a text that a spreadsheet would take
for a formula begins with an apostrophe; in NDJSON ids are text, since readers in JavaScript round whole numbers past
2^53.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from pyspark import SparkContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.deploy.deployment import Layout
from medspark.errors import InputError
from medspark.schemas import CASE_ID, SUBJECT_ID, quoted
from medspark.sinks.fhir import as_risk_assessments
from medspark.sinks.layouts import PERSON_ID, laid_out
from medspark.sinks.publication import Publication, Sums, require_arrived, sums_of, with_lists_as_text
from medspark.store.files import delete, exists, list_files, list_paths, move_file, sha256_of, write_text
from medspark.store.folders import put_folder
from medspark.store.manifest import MANIFEST, read_noted
from medspark.store.tables import read_parquet

FORMULA: Final = r"^[=+\-@\t\r]"
TIME: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"
Kind = Literal["parquet", "csv", "ndjson", "fhir"]
ENDS: Final = {"fhir": "ndjson"}
"""How the names of a kind's files end, where not as the kind is called."""
_WHOLE: Final = "whole"
"""The folder of a staging one with all that is published."""


@dataclass(frozen=True)
class Manifest:
    """Beside a file: whose it is and what it was when it was published."""

    night: str
    deployment: str
    as_of: str
    version: str
    bundle_id: str
    run_id: str
    rows: int
    checksum: str
    sha256: str
    """Of the file's bytes."""
    file: str = ""
    """Its name; of nights of before, the kind's own."""


@dataclass(frozen=True)
class FilesSink:
    """A folder of such files."""

    context: SparkContext
    kind: Kind
    path: str
    place: str
    layout: Layout = "scores"
    positive_from: float | None = None
    """Of predictions of MEDS."""

    def holds(self, night: Publication) -> bool:
        """Whether the manifest is this night's and the file is as it says, to the byte."""
        found = read_noted(self.context, self._folder(night.as_of), Manifest)
        if found is None or found.night != night.night:
            return False
        file = self._file(night.as_of, found)
        if found.checksum != laid_out(night, self.layout, self.place, self.positive_from).sums.checksum:
            return False
        return exists(self.context, file) and sha256_of(self.context, file) == found.sha256

    def put(self, night: Publication) -> None:
        """Write aside, read back, and put the folder in place of the old one.

        Raises:
            InputError: the file that is there is another deployment's, or nothing sound says whose it is; or patients
                have other ids than the layout has.
        """
        night, staging = laid_out(night, self.layout, self.place, self.positive_from), self.staging(night.deployment)
        self._settle(staging)
        self._require_own(night)
        delete(self.context, staging)  # of attempts that died: the store's lock says that none lives
        aside = f"{staging}/{night.night}.{night.run_id}"
        end, sent = _write(night, self.kind, aside)
        require_arrived(self.place, sent, _read_back(night.rows, self.kind, aside))
        (part,) = [file for file, below in list_files(self.context, aside).items() if _is_part(below, end)]
        digest = sha256_of(self.context, part)
        noted = Manifest(
            night.night,
            night.deployment,
            night.as_of.isoformat(),
            night.version,
            night.bundle_id,
            night.run_id,
            *night.sums,
            digest,
            f"scores-{digest[:16]}.{self._end}",
        )
        whole = f"{staging}/{_WHOLE}"
        move_file(self.context, part, f"{whole}/{noted.file}")
        for place in (staging, whole):  # where a folder moves file by file, whose those are that have
            write_text(self.context, f"{place}/{MANIFEST}", json.dumps(asdict(noted), indent=1))
        if not put_folder(self.context, whole, self._folder(night.as_of)):
            self._put_file(f"{whole}/{noted.file}", noted, staging)
        delete(self.context, staging)

    def _put_file(self, file: str, noted: Manifest, staging: str) -> None:
        """Rename a file over the old one, and say so in the manifest, which another run does where this one dies."""
        as_of = datetime.fromisoformat(noted.as_of)
        before = read_noted(self.context, self._folder(as_of), Manifest)
        noted = replace(noted, file=self._file(as_of, before).rsplit("/", 1)[-1])
        note = json.dumps(asdict(noted), indent=1)
        write_text(self.context, f"{staging}/{MANIFEST}", note)  # whose the file is, should the next step be the last
        move_file(self.context, file, self._file(as_of, noted))
        write_text(self.context, f"{self._folder(as_of)}/{MANIFEST}", note)

    def staging(self, deployment: str) -> str:
        """Where one deployment's files are written aside: nobody else has a folder of that name."""
        return f"{self.path}/.medspark-staging-{hashlib.sha256(deployment.encode()).hexdigest()[:16]}"

    def clear(self, deployment: str) -> None:
        """Remove what attempts left that died, as the next night would."""
        self._settle(self.staging(deployment))
        delete(self.context, self.staging(deployment))

    def _settle(self, staging: str) -> None:
        """Say whose the file is that an attempt, of whichever night, moved and died before it said so; half a file
        goes, where none was before."""
        begun = read_noted(self.context, staging, Manifest)
        if begun is None:
            return
        as_of = datetime.fromisoformat(begun.as_of)
        folder, file = self._folder(as_of), self._file(as_of, begun)
        if not exists(self.context, file):
            return
        if sha256_of(self.context, file) == begun.sha256:
            write_text(self.context, f"{folder}/{MANIFEST}", json.dumps(asdict(begun), indent=1))
        elif read_noted(self.context, folder, Manifest) is None and _names(self.context, folder) <= {begun.file}:
            delete(self.context, folder)

    def _require_own(self, night: Publication) -> None:
        """Refuse to replace what this deployment did not write."""
        folder, mine = self._folder(night.as_of), night.deployment
        there = read_noted(self.context, folder, Manifest)
        if there is not None and there.deployment != mine:
            raise InputError(
                f"{self.place}: expected a folder of deployment {mine} alone, received one of {there.deployment}"
            )
        if there is None and _names(self.context, folder):
            raise InputError(
                f"{folder}: expected an empty folder, or one with a sound {MANIFEST} of deployment {mine}, received "
                "one with other files. If they are of this deployment, delete the folder; else move it away."
            )

    def _folder(self, as_of: datetime) -> str:
        return f"{self.path}/scores/as_of={stamp(as_of)}"

    def _file(self, as_of: datetime, noted: Manifest | None) -> str:
        """The file of a night, by its manifest."""
        name = noted.file if noted is not None and noted.file else f"scores.{self._end}"
        return f"{self._folder(as_of)}/{name}"

    @property
    def _end(self) -> str:
        return ENDS.get(self.kind, self.kind)


def sink_at(context: SparkContext, place: str) -> FilesSink | None:
    """The sink that a ledger names by its place; None of one that is no folder."""
    kind, _, path = place.partition(":")
    return FilesSink(context, kind, path, place) if kind in get_args(Kind) else None  # type: ignore[arg-type]


def stamp(as_of: datetime) -> str:
    """A time as a folder's name has it, in UTC; no letter of it means anything to a file system.

    >>> stamp(datetime(2026, 11, 27, 6, tzinfo=UTC))
    '20261127T060000Z'
    """
    return f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _names(context: SparkContext, folder: str) -> set[str]:
    """What lies in a folder, but for what file systems and Spark leave beside files."""
    names = {path.rsplit("/", 1)[-1] for path in list_paths(context, folder)}
    return {name for name in names if name != "_SUCCESS" and not name.startswith(".")}


def _is_part(below: str, end: str) -> bool:
    return below.startswith("part-") and below.endswith(end)


def _write(night: Publication, kind: Kind, folder: str) -> tuple[str, Sums]:
    """Write one file; how its name ends, and what its rows add up to as this kind of file has them."""
    rows = night.rows
    if kind == "fhir":
        resources = as_risk_assessments(rows, night.outcome)
        resources.coalesce(1).write.text(folder)
        return ".txt", sums_of(resources)
    if kind == "parquet":
        rows.coalesce(1).write.option("compression", "zstd").parquet(folder)
        return ".parquet", sums_of(rows)
    if kind == "csv":
        texts = _as_csv(rows)
        texts.coalesce(1).write.options(**_CSV, emptyValue='""').csv(folder)
        return ".csv", sums_of(_empty_is_none(texts))
    texts = _as_json(rows)
    texts.coalesce(1).write.option("ignoreNullFields", "false").json(folder)
    return ".json", sums_of(texts)


_CSV: Final[dict[str, str]] = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
}


def _read_back(rows: DataFrame, kind: Kind, folder: str) -> Sums:
    spark = rows.sparkSession
    if kind == "fhir":
        return sums_of(spark.read.option("__globPaths__", "false").text(folder))
    if kind == "parquet":
        return sums_of(read_parquet(spark, folder))
    if kind == "csv":
        reader = spark.read.schema(_as_csv(rows).schema).option("multiLine", "true").options(**_CSV)
        return sums_of(_empty_is_none(reader.option("__globPaths__", "false").csv(folder)))
    reader = spark.read.schema(_as_json(rows).schema).option("__globPaths__", "false")
    return sums_of(reader.json(folder))


def _as_csv(rows: DataFrame) -> DataFrame:
    """Every column as the text that a spreadsheet shows and does not run."""
    flat = with_lists_as_text(rows)
    return flat.select(*(_text(name, kind) for name, kind in flat.dtypes))


def _empty_is_none(texts: DataFrame) -> DataFrame:
    """For the sums alone: the file tells `""` from nothing, Spark's reader of several lines does not."""
    return texts.select(*(F.nullif(quoted(name), F.lit("")).alias(name) for name in texts.columns))


def _text(name: str, kind: str) -> Column:
    column = F.col(quoted(name))
    if kind == "string":
        harmless = F.when(column.rlike(FORMULA), F.concat(F.lit("'"), column)).otherwise(column)
        return harmless.alias(name)
    return (F.date_format(column, TIME) if kind == "timestamp" else column.cast("string")).alias(name)


def _as_json(rows: DataFrame) -> DataFrame:
    return rows.select(
        *(
            F.col(quoted(name)).cast("string").alias(name)
            if name in (CASE_ID, SUBJECT_ID, PERSON_ID)
            else F.date_format(quoted(name), TIME).alias(name)
            if kind == "timestamp"
            else F.col(quoted(name))
            for name, kind in rows.dtypes
        )
    )
