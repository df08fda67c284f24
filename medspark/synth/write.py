"""Writes the synthetic hospital with Spark: each task makes its own blocks anew, so no row is shuffled."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import InputError, TaskError, did_you_mean
from medspark.store.files import exists, list_files, read_text, write_text
from medspark.synth import DEFAULT_PARTS, dirt, fhir, flat, hospital, meds, omop

PLANTED: Final = "planted.json"
_OWN_FILE: Final = re.compile(r"\w+(\.csv|\.ndjson)?/(\.?part-[^/]*|\.?_SUCCESS(\.crc)?|_temporary/.*)")
"""What Spark writes, by its path below a part's folder."""
BLOCKS_PER_PARTITION: Final = 100
"""At most: some 200,000 rows of the flat extract, 40 MB."""
MEDS_BLOCKS_PER_PARTITION: Final = 20
"""At most: some 2 million events, 7 MB."""

Batches = Iterator[pa.RecordBatch]
Lines = Callable[[int], list[bytes]]
"""The CSV records or JSON objects of a block, given its number."""


def write_hospital(
    spark: SparkSession,
    out: str,
    patients: int,
    seed: int,
    partitions: int | None = None,
    parts: Sequence[str] = DEFAULT_PARTS,
) -> dict[str, Any]:
    """Write parts of a hospital below `out`, over those that are there, and return what `planted.json` holds.

    Files: part `flat`: `flat/admissions/`, `flat/tonight/` (CSV, a header in each part file) and `flat/truth/`
    (Parquet); part `omop`: `omop/TABLE.csv/`; part `meds`: `meds/data/` (Parquet); part `fhir`:
    `fhir/RESOURCE.ndjson/`; last of all `planted.json`, of the parts written now. The rows are the same for any
    `partitions` and whatever the other parts.

    Only what `planted.json` says to be a hospital's is replaced: it names, before the first file is written and as
    `parts` afterwards, each part that ever was written there.

    Raises:
        TaskError: no patients, a seed below 0, or an unknown part.
        InputError: a part's folder has files that are no hospital's of medspark; nothing is touched.
    """
    _check(patients, seed, parts)
    context = spark.sparkContext
    own = _own_parts(context, out)
    _require_own(context, out, [part for part in PARTS if part in parts], own)
    mine = [part for part in PARTS if part in parts or part in own]
    write_text(context, f"{out}/{PLANTED}", json.dumps({"parts": mine}) + "\n")  # and no summary of what is replaced
    for part, write in PARTS.items():
        if part in parts:
            write(spark, out, patients, seed, partitions)
    planted = {**_planted(spark, out, patients, seed, partitions, parts), "parts": mine}
    write_text(context, f"{out}/{PLANTED}", json.dumps(planted, indent=2) + "\n")
    return planted


def _own_parts(context: SparkContext, out: str) -> set[str]:
    """The parts that a folder's summary says to be a hospital's; all where it was written before it named them."""
    place = f"{out}/{PLANTED}"
    try:
        found = json.loads(read_text(context, place)) if exists(context, place) else {}
    except ValueError:
        return set()
    if not isinstance(found, dict):
        return set()
    named = found.get("parts", list(PARTS) if {"seed", "patients"} <= set(found) else [])
    return {part for part in PARTS if isinstance(named, list) and part in named}


def _require_own(context: SparkContext, out: str, parts: Sequence[str], own: set[str]) -> None:
    """Refuse folders of files that this package did not write: Spark would delete them."""
    for part in parts:
        files = list_files(context, f"{out}/{part}").values()
        foreign = [name for name in files if part not in own or not _OWN_FILE.fullmatch(name)]
        if foreign:
            raise InputError(
                f"{out}/{part}: expected an empty folder, or a synthetic hospital's by {out}/{PLANTED}, received "
                f"one with other files, among them {foreign[0]}. Name another folder, or move them away."
            )


def _check(patients: int, seed: int, parts: Sequence[str]) -> None:
    problems = []
    if patients < 1 or seed < 0:
        problems.append(f"expected at least 1 patient and a seed of at least 0, received {patients} and {seed}")
    known = ", ".join(PARTS)
    unknown = sorted(set(parts) - set(PARTS))
    problems += [f"expected parts of {known}, received {part!r}.{did_you_mean(part, PARTS)}" for part in unknown]
    if not parts:
        problems.append(f"expected one or more parts of {known}, received none")
    if problems:
        raise TaskError("synth", problems)


def _write_flat(spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None) -> None:
    blocks = _blocks(spark, patients, partitions)
    for part in flat.PARTS:
        _write_lines(blocks, f"{out}/flat/{part}", _flat_lines(seed, patients, part), flat.columns(part))
    _truth(blocks, seed, patients).write.mode("overwrite").parquet(f"{out}/flat/truth")


def _write_omop(spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None) -> None:
    blocks = _blocks(spark, patients, partitions)
    for name in omop.TABLES:
        _write_lines(blocks, f"{out}/omop/{name}.csv", _omop_lines(seed, patients, name), omop.COLUMNS[name])
    one = spark.range(1, numPartitions=1)
    _write_lines(one, f"{out}/omop/concept.csv", _concept_lines, omop.COLUMNS["concept"])


def _write_meds(spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None) -> None:
    def make(batches: Batches) -> Batches:
        for block in _numbers(batches):
            yield meds.events(seed, block, patients)

    blocks = _blocks(spark, patients, partitions, MEDS_BLOCKS_PER_PARTITION)
    events = blocks.mapInArrow(make, meds.SPARK_SCHEMA)
    events.write.mode("overwrite").option("compression", "zstd").parquet(_meds_data(out))


def _write_fhir(spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None) -> None:
    blocks = _blocks(spark, patients, partitions)
    for name in fhir.RESOURCES:
        _write_lines(blocks, f"{out}/fhir/{name}.ndjson", _fhir_lines(seed, patients, name))


def _meds_data(out: str) -> str:
    return f"{out}/meds/{meds.DATA}"


PARTS: Final[dict[str, Callable[[SparkSession, str, int, int, int | None], None]]] = {
    "flat": _write_flat,
    "omop": _write_omop,
    "meds": _write_meds,
    "fhir": _write_fhir,
}
"""Each part of a hospital with what writes it: (session, out, patients, seed, partitions)."""


def _blocks(spark: SparkSession, patients: int, partitions: int | None, most: int = BLOCKS_PER_PARTITION) -> DataFrame:
    """The numbers of the blocks, at most so many of them in a partition unless told how many partitions."""
    blocks = hospital.blocks(patients)
    wanted = partitions or max(spark.sparkContext.defaultParallelism, -(-blocks // most))
    return spark.range(blocks, numPartitions=min(blocks, wanted))


# ---------------------------------------------------------------- lines


def _flat_lines(seed: int, patients: int, part: str) -> Lines:
    return lambda block: flat.lines(seed, block, patients, part)


def _omop_lines(seed: int, patients: int, name: str) -> Lines:
    return lambda block: flat.csv_lines(omop.table(name, hospital.block(seed, block, patients)))


def _fhir_lines(seed: int, patients: int, name: str) -> Lines:
    return lambda block: fhir.lines(name, hospital.block(seed, block, patients))


def _concept_lines(_: int) -> list[bytes]:
    return flat.csv_lines(omop.concepts())


def _write_lines(blocks: DataFrame, path: str, lines: Lines, header: list[str] | None = None) -> None:
    """One file a partition, of CSV where there is a header. Lines are bytes on their way, as some are no valid text on
    purpose."""

    def make(batches: Batches) -> Batches:
        if header is not None:
            yield _batch(line=pa.array([",".join(header).encode()], pa.binary()))
        for block in _numbers(batches):
            yield _batch(line=pa.array(lines(block), pa.binary()))

    made = blocks.mapInArrow(make, "line binary")
    made.select(F.col("line").cast("string")).write.mode("overwrite").text(path)


# ---------------------------------------------------------------- truth and counts


def _truth(blocks: DataFrame, seed: int, patients: int) -> DataFrame:
    names = ["admission_id", "true_probability", "readmitted", "tonight"]

    def make(batches: Batches) -> Batches:
        for block in _numbers(batches):
            stays = hospital.block(seed, block, patients)["admissions"]
            yield pa.RecordBatch.from_pandas(stays[names], preserve_index=False)

    schema = "admission_id bigint, true_probability double, readmitted boolean, tonight boolean"
    return blocks.mapInArrow(make, schema)


def _planted(
    spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None, parts: Sequence[str]
) -> dict[str, Any]:
    """What was written: stays and dirt counted by the generation itself, events in the files."""
    counts = _counts(_blocks(spark, patients, partitions), seed, patients, with_dirt="flat" in parts)
    stays = sum(rows for (_, name), rows in counts.items() if name == "stays")
    planted: dict[str, Any] = {"seed": seed, "patients": patients, "admissions": stays}
    if "flat" in parts:
        planted["flat"] = {part: _part(part, counts) for part in flat.PARTS}
    if "meds" in parts:
        planted["meds"] = {"events": spark.read.parquet(_meds_data(out)).count()}
    return planted


def _counts(blocks: DataFrame, seed: int, patients: int, with_dirt: bool) -> dict[tuple[str, str], int]:
    """The stays, and with dirt the rows of each kind, by part of the flat extract; else the stays of no part."""

    def make(batches: Batches) -> Batches:
        for block in _numbers(batches):
            if with_dirt:
                counted = {part: flat.counts(seed, block, patients, part) for part in flat.PARTS}
            else:
                counted = {"": {"stays": len(hospital.block(seed, block, patients)["admissions"])}}
            for part, counts in counted.items():
                yield _batch(part=[part] * len(counts), name=list(counts), rows=list(counts.values()))

    rows = blocks.mapInArrow(make, "part string, name string, rows bigint")
    summed = rows.groupBy("part", "name").agg(F.sum("rows").alias("rows")).collect()
    return {(row["part"], row["name"]): int(row["rows"]) for row in summed}


def _part(part: str, counts: dict[tuple[str, str], int]) -> dict[str, Any]:
    twice = sum(counts[part, kind.name] for kind in dirt.KINDS if kind.rule == "duplicate")
    return {
        "stays": counts[part, "stays"],
        "rows": counts[part, "stays"] + twice,
        "planted": {kind.name: {"rule": kind.rule, "rows": counts[part, kind.name]} for kind in dirt.KINDS},
    }


def _numbers(batches: Batches) -> Iterator[int]:
    for batch in batches:
        numbers: list[Any] = batch.column(0).to_pylist()
        yield from numbers


def _batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)
