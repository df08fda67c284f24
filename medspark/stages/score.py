"""The score stage: a source, or tensors, and a bundle to `scores` and `rejected`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial

from pyspark import SparkContext, StorageLevel
from pyspark.sql import DataFrame

from medspark.bundles.bundle import Bundle
from medspark.errors import InputError, TaskError
from medspark.runs.chosen import Asked, Chosen
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, published_before
from medspark.schemas import REASON, REJECTED, SCORES, TENSORS
from medspark.score.by_spark import count_by
from medspark.score.by_workers import read_and_write_by_workers
from medspark.score.checksums import parquet_files, require_all, require_as_written
from medspark.score.choose_way import choose
from medspark.score.explain import explain_units
from medspark.score.explain_options import Ask, explaining
from medspark.score.publish import Scoring, publish_scores, rejected_rows, require_enough, tables_of
from medspark.score.serve import score_id, serve, statistics_digest
from medspark.score.ship import ship
from medspark.score.worker.explanations.explain import Explaining
from medspark.score.worker.row_groups import plan_units
from medspark.score.write import choose_writer, write_scores
from medspark.stages.eligible import begin, eligible
from medspark.stages.watch import Gate, with_watch
from medspark.store.facts import TensorsFacts, TensorsRead, read_facts
from medspark.store.files import full_path, make_folder
from medspark.store.tables import read_parquet, table_path
from medspark.store.worker.checksums import FileSums
from medspark.task.table_task import TableTask


@alone
def score_stage(
    run: Run,
    bundle: Bundle,
    source: str | None,
    as_of: str | None = None,
    engine: str = "auto",
    writer: Asked = "auto",
    history: str | None = None,
    ask: Ask | None = None,
    gate: Gate | None = None,
    reader: Asked = "auto",
) -> str:
    """A source and a bundle to `scores` and `rejected`: one score for each eligible case, or a reason.

    The rules and features are the bundle's. The version is made of what decides the scores, so that the same run
    again finds them there and changes nothing.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the path that takes the place of the task's; none to read where training read.
        as_of: a timestamp; what happens later is not known yet.
        engine: litert, tensorflow, or auto: litert where the bundle has it.
        writer: workers: each task writes its scores itself; spark: Spark does; auto: workers where they can.
        history: a store whose `records` are part of the cases' past, of a task that has `history`; None leaves the one
            that the task names.
        ask: which scores are explained, in the table `explanations`.
        gate: the verdict that the night must have to be published.
        reader: workers: each reads spans of a raw table's files itself; spark: Spark reads; auto: workers where they
            can.

    Returns:
        The version of the tables, which is the `run_id` of their rows.

    Raises:
        TaskError: workers are asked for where they cannot.
        InputError: the source breaks its contract.
        AccountingError: rows or cases do not add up.
        GateError: the night's verdict is worse than the gate lets through; nothing is published.
    """
    asked = None if ask is None else explaining(bundle, ask)  # first of all: a bundle may have no explanations
    who = choose_writer(run, writer)
    where_they_lie = who.kind == "workers" and ask is None  # Spark reads what is explained
    with eligible(run, bundle.task, source, as_of, history, reader, where_they_lie) as found:
        version = _with_explanations(run, begin(run, bundle, found, as_of), ask)
        tables = tables_of(ask)
        if published_before(run, tables, version, bundle.bundle_id):
            _tell_scored_before(run, bundle, version, tables)
        else:
            with run.receipt.timed("score"), run.progress("score"):
                _note(run, "reader", Chosen(found.read.read_by, found.read.because))
                served = ship(run.context, serve(bundle, engine))
                scoring = _asked(Scoring(run, bundle, served, version, found.expected(), found.quarantined), ask, asked)
                scoring = with_watch(scoring, gate)
                twice = ask is not None and isinstance(bundle.task, TableTask)  # candidates of events are kept anyway
                making_all = making(run, tables, version, bundle.bundle_id, resumes=True)
                with making_all, _kept(found.read_cases, twice) as cases:
                    write_scores(scoring, cases, partial(rejected_rows, found, version), who, found.to_score)
    return version


@alone
def score_tensors_stage(
    run: Run,
    bundle: Bundle,
    source: str,
    engine: str = "auto",
    reader: Asked = "auto",
    writer: Asked = "auto",
    ask: Ask | None = None,
    gate: Gate | None = None,
) -> str:
    """The current tensors of a store, which `encode_stage` wrote, to `scores` and `rejected`.

    Where nothing stands in the way, workers read the tensors' row groups themselves and write the scores themselves;
    Spark only says who does what. Otherwise Spark reads and writes. The scores are the same.

    Args:
        run: its store is where the scores go.
        bundle: verified.
        source: the store that has the tensors.
        engine: litert, tensorflow, or auto: litert where the bundle has it.
        reader: workers: each task reads row groups itself, and writes; spark: Spark reads; auto: workers where they
            can.
        writer: the same of writing.
        ask: which scores are explained, in the table `explanations`.
        gate: the verdict that the night must have to be published.

    Returns:
        The version of the tables, which is the `run_id` of their rows.

    Raises:
        InputError: there are no tensors, or they were encoded by other statistics than the bundle's.
        TaskError: workers are asked for where they cannot.
        AccountingError: rows do not add up.
        GateError: the night's verdict is worse than the gate lets through; nothing is published.
    """
    if (reader, writer) == ("workers", "spark"):
        raise TaskError("--writer", ["workers who read tensors also write their scores; leave --reader out"])
    asked = None if ask is None else explaining(bundle, ask)
    with run.receipt.timed("score"), run.progress("score"):
        path = full_path(run.context, table_path(run.context, source, TENSORS))
        facts = _require_encoded_for(run.context, path, bundle)
        run.receipt.bundle_id = bundle.bundle_id
        version = _with_explanations(run, score_id(bundle.bundle_id, facts.fingerprint, None), ask)
        run.receipt.inputs["tensors"] = TensorsRead(path, facts.fingerprint)
        run.receipt.counts["score"] = {"rows_in": facts.rows}
        if published_before(run, tables_of(ask), version, bundle.bundle_id):
            _tell_scored_before(run, bundle, version, tables_of(ask))
            return version
        served = ship(run.context, serve(bundle, engine))._replace(reads="tensors")
        make_folder(run.context, run.store)  # a machine that does not see it then writes to a disk of its own
        scoring = _asked(Scoring(run, bundle, served, version, facts.rows, 0), ask, asked)
        with making(run, scoring.tables, version, bundle.bundle_id, resumes=True):
            scoring = with_watch(scoring, gate)
            _score_tensors(scoring, path, facts.files, reader, writer)
    for who in ("reader", "writer"):
        found = run.receipt.counts["score"][who]
        run.say(f"  {who}      {found['kind']}: {found['because']}")
    return version


def _score_tensors(scoring: Scoring, path: str, sums: dict[str, FileSums], reader: Asked, writer: Asked) -> None:
    run = scoring.run
    asked = "spark" if writer == "spark" else reader
    chosen = choose(run.context, "--reader", asked, [path], [full_path(run.context, run.store)])
    _note(run, "reader", chosen)
    if chosen.kind == "workers":
        _note(run, "writer", chosen)
        files = parquet_files(path)
        require_all(files, sums, path)
        units, first = plan_units(files, scoring.served, sums), next(iter(files))
        written = read_and_write_by_workers(scoring, units, first)
        publish_scores(scoring, written, partial(explain_units, units=units, file=first))
    else:
        require_as_written(run.context, path, sums)
        write_scores(scoring, partial(read_parquet, run.spark, path), None, choose_writer(run, writer))


def _require_encoded_for(context: SparkContext, path: str, bundle: Bundle) -> TensorsFacts:
    facts = read_facts(context, path, TensorsFacts)
    expected = statistics_digest(bundle)
    if facts.statistics != expected:
        raise InputError(
            f"expected tensors encoded by this bundle's statistics ({expected}), received others "
            f"({facts.statistics}). Run `medspark encode` with this bundle first."
        )
    return facts


def _note(run: Run, who: str, chosen: Chosen) -> None:
    run.receipt.counts["score"][who] = chosen._asdict()


def _with_explanations(run: Run, version: str, ask: Ask | None) -> str:
    """The version of the run's tables, noted in the receipt: what is asked of explanations is part of it."""
    run.receipt.version = version if ask is None else ask.version(version)
    return run.receipt.version


def _asked(scoring: Scoring, ask: Ask | None, asked: Explaining | None) -> Scoring:
    """The run with what explains it, shipped."""
    if asked is None:
        return scoring
    return replace(scoring, ask=ask, explaining=ship(scoring.run.context, asked))


@contextmanager
def _kept(read: Callable[[], DataFrame], twice: bool) -> Iterator[Callable[[], DataFrame]]:
    """Cases, kept where they are read twice: once to be scored, once to be explained."""
    with ExitStack() as stack:

        @cache
        def cases() -> DataFrame:
            found = read()
            if twice and not found.is_cached:
                stack.callback(found.persist(StorageLevel.MEMORY_AND_DISK).unpersist)
            return found

        yield cases


def _tell_scored_before(run: Run, bundle: Bundle, version: str, tables: tuple[str, ...]) -> None:
    place = f"{run.store}/{SCORES}/{version}"
    run.say(f"These rows were scored by this bundle before; nothing changed: {place}")
    run.receipt.outputs |= {name: f"{run.store}/{name}/{version}" for name in tables}
    reasons = count_by(run.spark, f"{run.store}/{REJECTED}/{version}", REASON)
    require_enough(bundle, read_parquet(run.spark, place).count(), reasons)
