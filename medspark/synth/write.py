"""Writes the synthetic hospital with Spark: each task makes its own blocks anew, so no row is shuffled."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import TaskError
from medspark.synth import dirt, flat, hospital, omop
from medspark.tables import delete, write_text

PLANTED: Final = "planted.json"
BLOCKS_PER_PARTITION: Final = 100
"""At most: some 200,000 rows of the flat extract, 40 MB."""

Batches = Iterator[pa.RecordBatch]
Lines = Callable[[int], list[bytes]]
"""The CSV records of a block, given its number."""


def write_hospital(
    spark: SparkSession, out: str, patients: int, seed: int, partitions: int | None = None
) -> dict[str, Any]:
    """Write a hospital below `out`, over one that is there, and return what `planted.json` holds.

    Files: `omop/TABLE.csv/`, `flat/admissions/`, `flat/tonight/` (CSV, a header in each part file),
    `flat/truth/` (Parquet) and, last of all, `planted.json`. The rows are the same for any `partitions`.

    Raises:
        TaskError: no patients, or a seed below 0.
    """
    if patients < 1 or seed < 0:
        problem = f"expected at least 1 patient and a seed of at least 0, received {patients} and {seed}"
        raise TaskError("synth", [problem])
    delete(spark, f"{out}/{PLANTED}")  # while files are replaced, no summary speaks for them
    blocks = _blocks(spark, patients, partitions)
    for part in flat.PARTS:
        _write_lines(blocks, f"{out}/flat/{part}", flat.columns(part), _flat_lines(seed, patients, part))
    for name in omop.TABLES:
        _write_lines(blocks, f"{out}/omop/{name}.csv", omop.COLUMNS[name], _omop_lines(seed, patients, name))
    one = spark.range(1, numPartitions=1)
    _write_lines(one, f"{out}/omop/concept.csv", omop.COLUMNS["concept"], _concept_lines)
    _truth(blocks, seed, patients).write.mode("overwrite").parquet(f"{out}/flat/truth")
    planted = _planted(blocks, seed, patients)
    write_text(spark, f"{out}/{PLANTED}", json.dumps(planted, indent=2) + "\n")
    return planted


def _blocks(spark: SparkSession, patients: int, partitions: int | None) -> DataFrame:
    blocks = hospital.blocks(patients)
    wanted = partitions or max(spark.sparkContext.defaultParallelism, -(-blocks // BLOCKS_PER_PARTITION))
    return spark.range(blocks, numPartitions=min(blocks, wanted))


# ---------------------------------------------------------------- CSV


def _flat_lines(seed: int, patients: int, part: str) -> Lines:
    return lambda block: flat.lines(seed, block, patients, part)


def _omop_lines(seed: int, patients: int, name: str) -> Lines:
    return lambda block: flat.csv_lines(omop.table(name, hospital.block(seed, block, patients)))


def _concept_lines(_: int) -> list[bytes]:
    return flat.csv_lines(omop.concepts())


def _write_lines(blocks: DataFrame, path: str, header: list[str], lines: Lines) -> None:
    """One CSV file a partition. Lines are bytes on their way, as some are no valid text on purpose."""

    def make(batches: Batches) -> Batches:
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


def _planted(blocks: DataFrame, seed: int, patients: int) -> dict[str, Any]:
    """What was written, counted by the generation itself and added up over the blocks."""

    def make(batches: Batches) -> Batches:
        for block in _numbers(batches):
            for part in flat.PARTS:
                counts = flat.counts(seed, block, patients, part)
                yield _batch(part=[part] * len(counts), name=list(counts), rows=list(counts.values()))

    counted = blocks.mapInArrow(make, "part string, name string, rows bigint")
    summed = counted.groupBy("part", "name").agg(F.sum("rows").alias("rows")).collect()
    counts = {(row["part"], row["name"]): int(row["rows"]) for row in summed}
    return {
        "seed": seed,
        "patients": patients,
        "admissions": sum(counts[part, "stays"] for part in flat.PARTS),
        "flat": {part: _part(part, counts) for part in flat.PARTS},
    }


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
