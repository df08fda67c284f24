"""What a version was when it was published: `_manifest.json` in it has the rows, the size and the digest of each file.

Files of this machine are read by this process, several at a time; those of other file systems by Spark, where they lie.
"""

import hashlib
import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pydantic import TypeAdapter, ValidationError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.store.files import exists, list_files, list_sizes, read_text, sha256_of, whole_path_here, write_text
from medspark.store.tables import is_parquet, read_parquet, table_path
from medspark.store.versions import read_versions

MANIFEST: Final = "_manifest.json"
FACTS: Final = "_facts.json"
"""What the next stage must know, by `medspark.store.facts`."""
_READERS: Final = 4
_TOLD: Final = 5
"""Files that an error names."""
T = TypeVar("T")


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file of a version."""

    rows: int
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A version's files by their paths below it, and the run that published it."""

    run_id: str
    rows: int
    files: dict[str, WrittenFile]
    facts: str | None = None
    """The SHA-256 of the facts beside them; None where there are none, or where it was written before it said so."""


def write_manifest(context: SparkContext, path: str, run_id: str) -> None:
    """Note what lies in a version that is about to be published.

    Raises:
        OSError, PySparkException: a file cannot be read back.
    """
    files = _files_at(context, path)
    facts = _digest(context, f"{path}/{FACTS}")
    manifest = Manifest(run_id, sum(file.rows for file in files.values()), files, facts)
    write_text(context, f"{path}/{MANIFEST}", json.dumps(asdict(manifest), indent=1))


def _digest(context: SparkContext, place: str) -> str | None:
    return sha256_of(context, place) if exists(context, place) else None


def read_manifest(context: SparkContext, path: str) -> Manifest | None:
    """What a version was when it was published; None where nothing sound says so."""
    return read_noted(context, path, Manifest)


def read_noted(context: SparkContext, path: str, kind: type[T]) -> T | None:
    """What a folder's manifest says, as a dataclass of its kind; None where nothing sound does."""
    place = f"{path}/{MANIFEST}"
    if not exists(context, place):
        return None
    try:
        return TypeAdapter(kind).validate_json(read_text(context, place))
    except (ValidationError, UnicodeDecodeError):
        return None


def manifest_digest(context: SparkContext, path: str) -> str | None:
    """The SHA-256 of a version's manifest, which has those of all its files; None where it has none."""
    return _digest(context, f"{path}/{MANIFEST}")


def differences(context: SparkContext, path: str) -> list[str]:
    """What of a version is not as it was published, a few words each; none where all of it is."""
    manifest = read_manifest(context, path)
    if manifest is None:
        return [f"{MANIFEST} is not there or damaged"]
    try:
        found = _files_at(context, path)
    except (OSError, ValueError, PySparkException, Py4JJavaError):  # Arrow's errors are the first two
        return ["a file cannot be read"]
    problems = _gone_or_added(manifest, found)
    problems += [f"{FACTS} was changed"] if manifest.facts not in (None, _digest(context, f"{path}/{FACTS}")) else []
    return problems + [
        f"{name} was changed" for name, file in manifest.files.items() if name in found and found[name] != file
    ]


def _gone_or_added(manifest: Manifest, found: Collection[str]) -> list[str]:
    gone = [f"{name} is gone" for name in manifest.files if name not in found]
    return gone + [f"{name} was added" for name in found if name not in manifest.files]


def require_whole(context: SparkContext, path: str) -> None:
    """Refuse a version of which a file is gone, was added, or is shorter or longer than when it was published.

    Costs one listing of the version's folder, whatever is in the files: none is read. What has another content and
    the same size is left to those who read it: the pages of every file carry checksums, which Spark and the workers
    compare.

    Raises:
        InputError: naming the files, or saying that nothing says what was published.
    """
    manifest = read_manifest(context, path)
    if manifest is None:
        problems = [f"{MANIFEST} is not there or damaged"]
    else:
        found = _sizes_at(context, path)
        problems = _gone_or_added(manifest, found)
        problems += [
            f"{name} has {found[name]} bytes of {file.size}"
            for name, file in manifest.files.items()
            if found.get(name, file.size) != file.size
        ]
    if problems:
        more = f" and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise InputError(
            f"{path}: expected the table as it was published, received another: {', '.join(problems[:_TOLD])}{more}. "
            "Run the stage that writes it again."
        )


def whole_path(context: SparkContext, store: str, table: str) -> str:
    """The path of a table's current version, of which nothing is missing.

    A store from before there was a CURRENT of all its tables has no manifests: its versions are taken as they are.

    Raises:
        InputError: the store has no such table, or by `require_whole`.
    """
    path = table_path(context, store, table)
    if table in read_versions(context, store):
        require_whole(context, path)
    return path


def read_whole(spark: SparkSession, store: str, table: str) -> DataFrame:
    """The current version of a table, of which nothing is missing.

    Raises:
        InputError: as `whole_path`.
    """
    return read_parquet(spark, whole_path(spark.sparkContext, store, table))


def _sizes_at(context: SparkContext, path: str) -> dict[str, int]:
    here = whole_path_here(context, path)
    sizes = list_sizes(context, path) if here is None else {name: (here / name).stat().st_size for name in _names(here)}
    return {below: size for below, size in sizes.items() if is_parquet(below)}


def _files_at(context: SparkContext, path: str) -> dict[str, WrittenFile]:
    here = whole_path_here(context, path)
    if here is None:
        files = {file: below for file, below in list_files(context, path).items() if is_parquet(below)}
        found = _files_elsewhere(list(files)) if files else []
        return dict(zip(files.values(), found, strict=True))
    named = [below for below in _names(here) if is_parquet(below)]
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(named, pool.map(lambda below: _file_here(here / below), named), strict=True))


def count_rows(context: SparkContext, path: str) -> int:
    """How many rows the files of a table have by their footers, which of many columns Spark takes seconds to plan."""
    here = whole_path_here(context, path)
    if here is None:
        return read_parquet(SparkSession.builder.getOrCreate(), path).count()
    return sum(pq.read_metadata(here / name).num_rows for name in _names(here) if is_parquet(name))


def _names(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _file_here(path: Path) -> WrittenFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WrittenFile(pq.read_metadata(path).num_rows, path.stat().st_size, digest)


def _files_elsewhere(files: list[str]) -> list[WrittenFile]:
    spark = SparkSession.builder.getOrCreate()
    content = spark.read.format("binaryFile").option("__globPaths__", "false").load(files)
    place = F.col("_metadata.file_path")
    digests = {
        row["file"]: (row["length"], row["digest"])
        for row in content.select(place.alias("file"), "length", F.sha2("content", 256).alias("digest")).collect()
    }
    counted = read_parquet(spark, *files).groupBy(place.alias("file")).count().collect()
    rows = {row["file"]: row["count"] for row in counted}
    return [WrittenFile(rows.get(file, 0), *digests[file]) for file in files]
