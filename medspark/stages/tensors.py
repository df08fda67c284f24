"""Tensors between two commands: `encode` writes them for a bundle, `score --tensors` scores them.

Where nothing stands in the way, scoring workers read the tensors' row groups themselves and write the scores
themselves; Spark only says who does what. Otherwise Spark reads and writes. The scores are the same.
"""

import hashlib
from typing import Any

from pyspark import SparkContext

from medspark.bundles.bundle import STATISTICS, Bundle
from medspark.cases.eligible import Eligible
from medspark.encode.apply import encode_cases, tensors_options
from medspark.encode.statistics import from_json
from medspark.errors import AccountingError, InputError, TaskError
from medspark.runs.run import Run
from medspark.schemas import REASON, REJECTED, TENSORS
from medspark.score.by_spark import located
from medspark.score.choose import Asked, choose, counts_of, keep_only, sink_of
from medspark.score.worker.files import names_in
from medspark.score.worker.pieces import Piece, Sink, write_empty
from medspark.score.worker.predict import Served
from medspark.score.worker.row_groups import Unit, plan_units, schema_of, score_unit
from medspark.stages.score import is_scored, publish_scores, rejected_rows, score_id, serve, ship, write_scores
from medspark.store.facts import read_facts, write_facts
from medspark.store.files import delete, full_path, make_folder
from medspark.store.tables import current_version, is_parquet, publish, table_path, write_version

UNITS_OF_A_TASK = 8
"""At most: Spark takes some 10 ms to hand a Python worker its next task, and a unit takes 50 to 100 ms."""
ROUNDS = 2
"""Tasks for each core, where there are units enough: the slower one of two cores then gets fewer."""


def statistics_digest(bundle: Bundle) -> str:
    """The digest of the statistics that encode for a bundle: tensors made by others are not for it."""
    return hashlib.sha256((bundle.path / STATISTICS).read_bytes()).hexdigest()[:16]


# ---------------------------------------------------------------- encode


def is_encoded(run: Run, version: str) -> bool:
    """Whether the same rows were encoded for the same bundle before."""
    if current_version(run.context, run.store, TENSORS) != version:
        return False
    run.say(f"These rows were encoded for this bundle before; nothing changed: {run.store}/{TENSORS}/{version}")
    run.receipt.outputs[TENSORS] = table_path(run.context, run.store, TENSORS)
    return True


def write_tensors(run: Run, bundle: Bundle, found: Eligible, version: str) -> None:
    """Encode the eligible cases by the bundle's statistics and publish them, with the rest's reasons.

    Raises:
        AccountingError: tensors and rejected rows are not what came in; then nothing is published.
    """
    spark = run.spark
    statistics = from_json((bundle.path / STATISTICS).read_text(encoding="utf-8"))
    encoded = encode_cases(found.cases, statistics)
    written = write_version(encoded, run.store, TENSORS, version, **tensors_options(statistics))
    aside = write_version(rejected_rows(found, version), run.store, REJECTED, version)
    rows = spark.read.parquet(written).count()
    reasons = {row[REASON]: row["count"] for row in spark.read.parquet(aside).groupBy(REASON).count().collect()}
    expected = found.expected()
    if rows + sum(reasons.values()) != expected:
        delete(run.context, written)
        raise AccountingError(
            f"{expected} came in, but {rows} were encoded and {sum(reasons.values())} rejected. Nothing was published."
        )
    facts = {"statistics": statistics_digest(bundle), "rows": rows, "inputs": run.receipt.inputs["source"]}
    write_facts(run.context, written, {**facts, "fingerprint": version})
    publish(run.context, run.store, (REJECTED, TENSORS), version)
    run.receipt.counts["score"] |= {"encoded": rows, "rejected": reasons}
    run.receipt.outputs |= {TENSORS: written, REJECTED: aside}
    run.say(f"  encoded     {rows:>12,}")
    for reason, count in sorted(reasons.items()):
        run.say(f"  rejected    {count:>12,}  {reason}")


# ---------------------------------------------------------------- score


def score_tensors_stage(
    run: Run, bundle: Bundle, source: str, engine: str = "auto", reader: Asked = "auto", writer: Asked = "auto"
) -> str:
    """The current tensors of a store, which `encode_stage` wrote, to `scores` and `rejected`.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the store that has the tensors.
        engine: litert, tensorflow, or auto: litert where the bundle has it.
        reader: workers: each task reads row groups itself, and writes; spark: Spark reads; auto: workers where they
            can.
        writer: the same of writing.

    Returns:
        The scoring run's id, which is also the version of the two tables.

    Raises:
        InputError: there are no tensors, or they were encoded by other statistics than the bundle's.
        TaskError: workers are asked for where they cannot.
        AccountingError: rows do not add up.
    """
    if (reader, writer) == ("workers", "spark"):
        raise TaskError("--writer", ["workers who read tensors also write their scores; leave --reader out"])
    context = run.context
    with run.receipt.timed("score"), run.progress("score"):
        path = full_path(context, table_path(context, source, TENSORS))
        facts = _require_encoded_for(context, path, bundle)
        run_id = score_id(bundle.bundle_id, facts["fingerprint"], None)
        run.receipt.bundle_id = bundle.bundle_id
        run.receipt.inputs["tensors"] = {"path": path, "fingerprint": facts["fingerprint"]}
        run.receipt.counts["score"] = {"rows_in": facts["rows"]}
        if is_scored(run, run_id):
            return run_id
        served = ship(context, serve(bundle, engine))._replace(reads="tensors")
        make_folder(context, run.store)  # a machine that does not see it then writes to a disk of its own
        asked = "spark" if writer == "spark" else reader
        chosen = choose(context, "--reader", asked, [path], [full_path(context, run.store)])
        run.receipt.counts["score"]["reader"] = chosen._asdict()
        if chosen.kind == "workers":
            run.receipt.counts["score"]["writer"] = chosen._asdict()
            files = {f"{path}/{place}": place for place in names_in(path, below=True) if is_parquet(place)}
            _score_by_workers(run, bundle, files, served, run_id, facts["rows"])
        else:
            write_scores(run, bundle, run.spark.read.parquet(path), None, served, run_id, facts["rows"], writer)
    for who in ("reader", "writer"):
        found = run.receipt.counts["score"][who]
        run.say(f"  {who}      {found['kind']}: {found['because']}")
    return run_id


def _require_encoded_for(context: SparkContext, path: str, bundle: Bundle) -> dict[str, Any]:
    facts = read_facts(context, path)
    expected = statistics_digest(bundle)
    if facts.get("statistics") != expected:
        raise InputError(
            f"expected tensors encoded by this bundle's statistics ({expected}), received others "
            f"({facts.get('statistics')}). Run `medspark encode` with this bundle first."
        )
    return facts


def _score_by_workers(
    run: Run, bundle: Bundle, files: dict[str, str], served: Served, run_id: str, expected: int
) -> None:
    """Each unit is read, scored and written by a worker, which tells only what it counted."""
    sink = sink_of(run, bundle, run_id)
    units = plan_units(files, served)
    there = names_in(sink.scores)
    pieces = _run_units(run.context, units, served, sink)
    write_empty(schema_of(next(iter(files))), sink, scores=not units)
    keep_only(run.context, sink, pieces)
    before = sum(sum(piece.bands.values()) for piece in pieces if piece.name in there)
    run.receipt.counts["score"] |= {"scored_before": before, "loads": sum(piece.loads for piece in pieces)}
    publish_scores(run, served, run_id, *counts_of(pieces), expected)


def _run_units(context: SparkContext, units: list[Unit], served: Served, sink: Sink) -> list[Piece]:
    if not units:
        return []
    shared = context.broadcast((served, sink))

    def score(unit: Unit) -> Piece:
        served, sink = shared.value
        return score_unit(unit, located(served), sink)

    tasks = max(-(-len(units) // UNITS_OF_A_TASK), min(len(units), ROUNDS * context.defaultParallelism))
    return context.parallelize(units, tasks).map(score).collect()
