"""A night end to end: scored, judged, published, noted; again, broken off, refused; and what the store can tell."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.roads import new_run, stays, write

from medspark.bundles.bundle import load_bundle
from medspark.deploy.deployment import Deployment
from medspark.errors import BusyError, GateError, InputError, RejectedError, TaskError
from medspark.monitor.verdict import ORDER
from medspark.runs.lock import holding
from medspark.sinks.files import FilesSink
from medspark.stages import night as stage
from medspark.stages.night import Night, backfill_stage, night_stage
from medspark.stages.score import score_stage
from medspark.stages.why import verify_stage, why_stage
from medspark.store.chain import read_entries
from medspark.store.ledger import read_ledger

FIRST, SECOND = (datetime(2026, 11, day, tzinfo=UTC) for day in (27, 28))


@pytest.fixture
def place(tmp_path, road):
    """A folder with tonight's stays, and a deployment that publishes them in two forms."""
    source = write(tmp_path / "tonight.csv", stays(60, seed=5))
    sinks = [{"kind": kind, "path": str(tmp_path / kind)} for kind in ("parquet", "csv")]
    given = {"deployment": "stays", "bundle": str(road["bundle"]), "store": str(tmp_path / "store")}
    return tmp_path, Deployment(**given, source=str(source), sinks=sinks)


@pytest.fixture(scope="module")
def three(spark, road, tmp_path_factory):
    """A store whose ledger has three entries: a night, and twice the same by force."""
    folder = tmp_path_factory.mktemp("three")
    source = write(folder / "tonight.csv", stays(60, seed=5))
    given = {"deployment": "stays", "bundle": str(road["bundle"]), "store": str(folder / "store")}
    deployment = Deployment(**given, source=str(source), sinks=[{"kind": "parquet", "path": str(folder / "out")}])
    walk(spark, deployment)
    for _ in range(2):
        walk(spark, deployment, force=True)
    return folder / "store"


@pytest.fixture
def store(three, tmp_path):
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(three, tmp_path / "copy"))


def walk(spark, deployment, as_of=FIRST, **options):
    run = new_run(spark, deployment.store)
    night_stage(run, Night(deployment, load_bundle(deployment.bundle), as_of, **options))
    return run


def published(spark, folder, as_of="20261127T000000Z"):
    rows = spark.read.parquet(f"{folder}/parquet/scores/as_of={as_of}").collect()
    return {row["case_id"]: row["probability"] for row in rows}


def test_a_night_is_published_to_every_sink_and_noted(spark, place):
    folder, deployment = place
    run = walk(spark, deployment)
    assert run.receipt.counts["publish"]["rows"] == run.receipt.counts["score"]["scored"] > 50
    assert len(published(spark, folder)) == run.receipt.counts["publish"]["rows"]
    assert (folder / "csv/scores/as_of=20261127T000000Z/scores.csv").is_file()
    (entry,) = read_entries(run.context, run.store)
    assert (entry.facts["outcome"], entry.facts["bundle_id"]) == ("published", load_bundle(deployment.bundle).bundle_id)
    assert set(entry.facts["sinks"].values()) == {"published"}


def test_the_same_night_again_changes_nothing_and_says_so(spark, place):
    folder, deployment = place
    walk(spark, deployment)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*scores.*") if path.is_file()}
    again = walk(spark, deployment)
    assert set(again.receipt.counts["publish"]["sinks"].values()) == {"there before"}
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*scores.*") if path.is_file()}
    assert len(read_entries(again.context, again.store)) == 1


def test_force_publishes_again_and_the_ledger_has_both(spark, place):
    folder, deployment = place
    walk(spark, deployment)
    forced = walk(spark, deployment, force=True)
    assert [entry.facts["forced"] for entry in read_entries(forced.context, forced.store)] == [False, True]
    assert len(published(spark, folder)) == forced.receipt.counts["publish"]["rows"]


@pytest.mark.parametrize("breaks", ["before the first sink", "between two sinks", "before the ledger"])
def test_a_night_that_broke_off_is_completed_by_the_next_run(spark, place, monkeypatch, breaks):
    folder, deployment = place

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if breaks == "before the first sink":
            patch.setattr(stage, "open_sinks", die)
        elif breaks == "between two sinks":
            put = FilesSink.put
            patch.setattr(FilesSink, "put", lambda sink, night: (die if sink.kind == "csv" else put)(sink, night))
        else:
            patch.setattr(stage, "append_entry", die)
        with pytest.raises(KeyboardInterrupt):
            walk(spark, deployment)
    run = walk(spark, deployment)
    there = set(run.receipt.counts["publish"]["sinks"].values())
    assert there == {"before the first sink": {"published"}, "between two sinks": {"there before", "published"}}.get(
        breaks, {"there before"}
    )
    assert len(published(spark, folder)) == run.receipt.counts["publish"]["rows"]
    (entry,) = read_entries(run.context, run.store)
    assert entry.facts["outcome"] == "published"


def test_a_corrected_source_of_the_same_time_takes_its_place_and_the_history_has_both(spark, place):
    folder, deployment = place
    walk(spark, deployment)
    before = published(spark, folder)
    write(folder / "tonight.csv", stays(60, seed=6))
    run = walk(spark, deployment)
    after = published(spark, folder)
    assert before != after
    case = next(str(case) for case in after if case in before)
    told = why_stage(new_run(spark, run.store), case)
    assert [one["probability"] for one in told] == [before[int(case)], after[int(case)]]


def test_a_refused_night_touches_no_sink_and_is_noted(spark, place, monkeypatch):
    folder, deployment = place
    walk(spark, deployment)
    was = published(spark, folder)
    write(folder / "tonight.csv", [line.replace("I50", "Z99") for line in stays(400, seed=7)])
    monkeypatch.setattr("medspark.stages.watch.verdict_of", lambda findings: ORDER[-1])
    with pytest.raises(GateError, match="No sink was touched"):
        walk(spark, deployment.model_copy(update={"gate": "warn"}), SECOND)
    assert published(spark, folder) == was
    assert not (folder / "parquet/scores/as_of=20261128T000000Z").exists()
    entries = read_entries(spark.sparkContext, deployment.store)
    assert [entry.facts["outcome"] for entry in entries] == ["published", "refused"]


def test_a_night_without_a_score_touches_no_sink(spark, place):
    folder, deployment = place
    write(folder / "tonight.csv", [line.replace(",F,", ",F,,").replace(",M,", ",M,,") for line in stays(20, seed=8)])
    with pytest.raises((RejectedError, InputError)):
        walk(spark, deployment)
    assert not (folder / "parquet").exists()


def test_two_at_once_one_wins_and_the_other_says_who(spark, place):
    folder, deployment = place
    first = new_run(spark, deployment.store)
    with holding(first), pytest.raises(BusyError, match=f"run {first.receipt.run_id}") as refused:
        walk(spark, deployment)
    assert refused.value.exit_code == 5
    assert not (folder / "parquet").exists()


def test_a_store_is_of_one_deployment(spark, place):
    _, deployment = place
    walk(spark, deployment)
    with pytest.raises(TaskError, match="expected a store of other alone, received one of stays"):
        walk(spark, deployment.model_copy(update={"deployment": "other"}))


def test_every_published_score_is_kept_though_a_plain_score_follows(spark, place):
    folder, deployment = place
    first = walk(spark, deployment)
    case = next(iter(published(spark, folder)))
    for seed in (11, 12, 13):
        source = write(folder / f"{seed}.csv", stays(30, seed))
        score_stage(new_run(spark, deployment.store), load_bundle(deployment.bundle), str(source))
    kept = [version.version for version in read_ledger(first.context, first.store)["scores"].versions]
    assert first.receipt.version in kept
    assert len(kept) == 3  # the kept one and the newest two
    (told,) = why_stage(new_run(spark, deployment.store), str(case))
    assert told["run_id"] == first.receipt.run_id
    assert told["versions"]["medspark"]


def test_a_case_that_nobody_published_is_a_sentence(spark, place):
    _, deployment = place
    walk(spark, deployment)
    with pytest.raises(InputError, match="expected a case that was published"):
        why_stage(new_run(spark, deployment.store), "no such case")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("altered", "entry 2 does not follow the one before|entry 1"),
        ("removed", "entry 2 is missing"),
        ("the last removed", "entry 3 is missing"),
        ("reordered", "entry 1 was reordered"),
        ("the last altered", "entry 3 was altered"),
        ("scores", "a file cannot be read"),
    ],
)
def test_what_was_altered_is_named(spark, store, damage, says):
    assert verify_stage(new_run(spark, store)) == 3
    one, two, three = (store / "ledger" / f"0000000{number}.json" for number in (1, 2, 3))
    match damage:
        case "altered" | "the last altered":
            entry = one if damage == "altered" else three
            entry.write_text(entry.read_text().replace('"user": "', '"user": "not '))
        case "removed":
            two.unlink()
        case "the last removed":
            three.unlink()
        case "reordered":
            one.rename(store / "aside")
            two.rename(one)
            (store / "aside").rename(two)
        case "scores":
            (part, *_) = (store / "scores").glob("*/*.parquet")
            part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=says):
        verify_stage(new_run(spark, store))


def test_a_ledger_written_anew_is_told_by_a_digest_noted_elsewhere(spark, store):
    context, ledger = spark.sparkContext, store / "ledger"
    noted = read_entries(context, str(store))[-1].digest
    assert verify_stage(new_run(spark, store), noted) == 3
    for number in (3, 2):
        (ledger / f"0000000{number}.json").unlink()
    (left,) = read_entries(context, str(store))
    (ledger / "HEAD").write_text(json.dumps({"entries": 1, "digest": left.digest}))
    assert verify_stage(new_run(spark, store)) == 1
    with pytest.raises(InputError, match="the ledger was cut or written anew"):
        verify_stage(new_run(spark, store), noted)


def test_a_back_fill_runs_each_night_once_and_goes_on_where_it_broke_off(spark, place, monkeypatch):
    folder, deployment = place
    bundle, put = load_bundle(deployment.bundle), FilesSink.put

    def refuse_the_second(sink, night):
        if night.as_of == SECOND and sink.kind == "csv":
            raise KeyboardInterrupt
        put(sink, night)

    def fill():
        run = new_run(spark, deployment.store)
        backfill_stage(run, deployment, bundle, [FIRST, SECOND])

    with monkeypatch.context() as patch:
        patch.setattr(FilesSink, "put", refuse_the_second)
        with pytest.raises(KeyboardInterrupt):
            fill()
    fill()
    entries = read_entries(spark.sparkContext, deployment.store)
    assert [entry.facts["as_of"][:10] for entry in entries] == ["2026-11-27", "2026-11-28"]
    assert entries[1].facts["sinks"] == {
        f"parquet:{folder}/parquet": "there before",
        f"csv:{folder}/csv": "published",
    }
    assert published(spark, folder) == published(spark, folder, "20261128T000000Z")
