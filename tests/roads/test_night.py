"""A night end to end: scored, judged, published, noted; again, broken off, refused; and what the store can tell."""

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.deployments import deployed
from support.deployments import walk as walk_at
from support.roads import new_run, stays, write

from medspark.bundles.bundle import load_bundle
from medspark.errors import BusyError, GateError, InputError, RejectedError, TaskError
from medspark.runs.lock import holding
from medspark.sinks.files import FilesSink
from medspark.stages import due as stage
from medspark.stages.night import backfill_stage
from medspark.stages.score import score_stage
from medspark.stages.why import verify_stage, why_stage
from medspark.store.ledger import read_entries
from medspark.store.manifest import write_manifest
from medspark.store.versions import read_versions

FIRST, SECOND = (datetime(2026, 11, day, tzinfo=UTC) for day in (20, 21))


def walk(spark, deployment, as_of=FIRST, **options):
    return walk_at(spark, deployment, as_of, **options)


def outcomes(run):
    return list(run.receipt.counts["publish"]["sinks"].values())


def noted(spark, deployment):
    return [entry.facts["outcome"] for entry in read_entries(spark.sparkContext, deployment.store)]


def published(spark, folder, as_of="20261120T000000Z"):
    rows = spark.read.parquet(f"{folder}/parquet/scores/as_of={as_of}").collect()
    return {row["case_id"]: row["probability"] for row in rows}


def states(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("scores-*") if path.is_file()}


@pytest.fixture(scope="module")
def story(spark, road, tmp_path_factory):
    """A night, the same again, the same by force, the same corrected: the runs, and what was published after each."""
    folder = tmp_path_factory.mktemp("story")
    deployment = deployed(folder, road, "parquet", "csv")
    runs, tables, files = [], [], []
    for name in ("night", "again", "forced", "corrected"):
        if name == "corrected":
            write(folder / "tonight.csv", stays(40, seed=6))
        runs.append(walk(spark, deployment, force=name == "forced"))
        tables.append(published(spark, folder))
        files.append(states(folder))
    return folder, deployment, runs, tables, files


@pytest.fixture
def store(story, tmp_path):
    """A copy of its store, to be damaged."""
    return Path(shutil.copytree(story[0] / "store", tmp_path / "copy"))


def test_a_night_is_published_to_every_sink_and_noted(spark, story):
    folder, deployment, (run, *_), (table, *_), (files, *_) = story
    assert run.receipt.counts["publish"]["rows"] == run.receipt.counts["score"]["scored"] == len(table) > 30
    assert {path.suffix for path in files} == {".parquet", ".csv"}
    entry = read_entries(spark.sparkContext, deployment.store)[0].facts
    assert (entry["outcome"], entry["bundle_id"]) == ("published", load_bundle(deployment.bundle).bundle_id)
    assert (entry["deployment"], entry["as_of"]) == ("stays", "2026-11-20T00:00:00+00:00")
    assert (entry["run_id"], entry["forced"]) == (run.receipt.run_id, False)
    assert entry["sinks"] == {f"{kind}:{folder}/{kind}": "published" for kind in ("parquet", "csv")}
    assert all(entry[name] for name in ("fingerprint", "versions", "user", "host", "checksum"))


def test_the_same_night_again_changes_nothing_and_says_so(story):
    _, _, (_, again, *_), (first, same, *_), (before, after, *_) = story
    assert outcomes(again) == ["there before", "there before"]
    assert "ledger" not in again.receipt.outputs
    assert before == after
    assert first == same


def test_force_publishes_again_and_a_correction_takes_the_place_of_both(spark, story):
    _, deployment, (*_, forced, corrected), (first, _, same, other), (_, before, after, _) = story
    assert outcomes(forced) == outcomes(corrected) == ["published", "published"]
    assert all(before[path] < after[path] for path in before)
    assert first == same != other
    entries = [entry.facts for entry in read_entries(spark.sparkContext, deployment.store)]
    assert [entry["forced"] for entry in entries] == [False, True, False]
    assert len({entry["version"] for entry in entries}) == 2


def test_why_has_each_score_that_a_case_ever_got(spark, story):
    _, deployment, runs, (first, _, _, other), _ = story
    case = next(case for case in other if case in first and first[case] != other[case])
    told = why_stage(new_run(spark, deployment.store), str(case))
    assert [one["probability"] for one in told] == [first[case], first[case], other[case]]
    assert [one["run_id"] for one in told] == [runs[at].receipt.run_id for at in (0, 2, 3)]
    assert [one["made_by_run"] for one in told] == [runs[at].receipt.run_id for at in (0, 0, 3)]
    with pytest.raises(InputError, match="expected a case that was published"):
        why_stage(new_run(spark, deployment.store), "no such case")


def test_why_names_what_is_damaged_of_a_night_in_place_of_its_score(spark, story, store):
    _, _, _, (first, _, _, other), _ = story
    case = next(case for case in other if case in first)
    version, *_ = [entry.facts["version"] for entry in read_entries(spark.sparkContext, str(store))]
    (part,) = (store / "scores" / version).glob("*.parquet")
    with_zeros(part)
    run = new_run(spark, store)
    damage = f"scores/{version}: {part.name} was changed"
    assert [one.get("damaged") or one["probability"] for one in why_stage(run, str(case))] == [
        [damage],
        [damage],
        other[case],
    ]
    assert run.receipt.damaged == {version: [damage]}
    with pytest.raises(InputError, match=f"nothing can be told:\\n  - {damage}"):
        why_stage(new_run(spark, store), "no such case")


def test_every_published_score_is_kept_though_plain_scores_follow(spark, story, store, tmp_path):
    _, deployment, *_ = story
    versions = [entry.facts["version"] for entry in read_entries(spark.sparkContext, str(store))]
    for seed in (11, 12):
        source = write(tmp_path / f"{seed}.csv", stays(20, seed))
        score_stage(new_run(spark, store), load_bundle(deployment.bundle), str(source))
    kept = [version.version for version in read_versions(spark.sparkContext, str(store))["scores"].versions]
    assert kept[:2] == sorted(set(versions), key=versions.index)
    assert len(kept) == 4  # both of the nights, and the newest two
    assert verify_stage(new_run(spark, store)) == 3


def test_a_store_is_of_one_deployment(spark, story):
    with pytest.raises(TaskError, match="expected a store of other alone, received one of stays"):
        walk(spark, story[1].model_copy(update={"deployment": "other"}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("altered", "entry 2 does not follow the one before"),
        ("removed", "entry 2 is missing"),
        ("the last removed", "entry 3 is missing"),
        ("reordered", "entry 1 was reordered"),
        ("the last altered", "entry 3 was altered"),
        ("scores", "scores/.*: (a file cannot be read|.* was changed)"),
        ("scores and their manifest", "scores/.*: _manifest.json is another than entry [23] has"),
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
        case "scores and their manifest":
            version = next((store / "scores").glob("*/*.parquet")).parent
            write_manifest(spark.sparkContext, str(version), "20261120T000000Z-f0f0")  # as a forger would
    with pytest.raises(InputError, match=says):
        verify_stage(new_run(spark, store))


def test_a_ledger_written_anew_is_told_by_a_digest_noted_elsewhere(spark, store):
    context, ledger = spark.sparkContext, store / "ledger"
    kept = read_entries(context, str(store))[-1].digest
    assert verify_stage(new_run(spark, store), kept) == 3
    for number in (3, 2):
        (ledger / f"0000000{number}.json").unlink()
    (left,) = read_entries(context, str(store))
    (ledger / "HEAD").write_text(json.dumps({"entries": 1, "digest": left.digest}))
    assert verify_stage(new_run(spark, store)) == 1
    with pytest.raises(InputError, match="the ledger was cut or written anew"):
        verify_stage(new_run(spark, store), kept)


def die(*_):
    raise KeyboardInterrupt


def test_a_night_that_breaks_off_anywhere_is_completed_by_the_next_run(spark, road, tmp_path, monkeypatch):
    deployment, put = deployed(tmp_path, road, "parquet", "csv"), FilesSink.put
    breaks = {
        "before the first sink": (stage, "open_sinks", die),
        "between the sinks": (FilesSink, "put", lambda sink, one: (die if sink.kind == "csv" else put)(sink, one)),
        "before the ledger": (stage, "append_entry", die),
    }
    for place, name, instead in breaks.values():
        with monkeypatch.context() as patch:
            patch.setattr(place, name, instead)
            with pytest.raises(KeyboardInterrupt):
                walk(spark, deployment)
        assert noted(spark, deployment) == []
    assert len(states(tmp_path)) == 2  # the third found the first sink's and made the second's
    run = walk(spark, deployment)
    assert outcomes(run) == ["there before", "there before"]
    assert len(published(spark, tmp_path)) == run.receipt.counts["publish"]["rows"]
    assert noted(spark, deployment) == ["published"]


def test_a_night_that_broke_off_among_the_sinks_is_completed_by_the_next_days_as_it_was_scored(
    spark, road, tmp_path, monkeypatch
):
    deployment, put = deployed(tmp_path, road, "parquet", "csv"), FilesSink.put
    with monkeypatch.context() as patch:
        patch.setattr(FilesSink, "put", lambda sink, one: (die if sink.kind == "csv" else put)(sink, one))
        with pytest.raises(KeyboardInterrupt):
            walk(spark, deployment)
    before = published(spark, tmp_path)
    write(tmp_path / "tonight.csv", stays(40, seed=6))
    run = walk(spark, deployment, as_of=SECOND)
    first, second = (entry.facts for entry in read_entries(spark.sparkContext, deployment.store))
    assert [first["as_of"][:10], second["as_of"][:10]] == ["2026-11-20", "2026-11-21"]
    assert list(first["sinks"].values()) == ["there before", "published"]
    assert (first["completed_by_run"], run.receipt.completed) == (run.receipt.run_id, [first["night"]])
    assert published(spark, tmp_path) == before
    assert sorted(path.parent.name for path in tmp_path.glob("csv/scores/*/scores-*.csv")) == [
        "as_of=20261120T000000Z",
        "as_of=20261121T000000Z",
    ]
    assert list((tmp_path / "store" / "due").iterdir()) == []


def with_zeros(part):
    """Scores whose probabilities somebody set to zero."""
    rows = pq.read_table(part)
    zeros = pa.array([0.0] * rows.num_rows, rows.schema.field("probability").type)
    at = rows.schema.get_field_index("probability")
    pq.write_table(rows.set_column(at, rows.schema.field(at), zeros), part)


def test_a_night_that_broke_off_and_whose_scores_were_damaged_is_not_completed_but_run_again(
    spark, road, tmp_path, monkeypatch
):
    deployment = deployed(tmp_path, road, "parquet")
    with monkeypatch.context() as patch:
        patch.setattr(FilesSink, "put", die)
        with pytest.raises(KeyboardInterrupt):
            walk(spark, deployment)
    (part,) = Path(deployment.store).glob("scores/*/*.parquet")
    with_zeros(part)
    write(tmp_path / "tonight.csv", stays(40, seed=6))
    assert walk(spark, deployment, as_of=SECOND).receipt.completed == []
    assert [path.name for path in tmp_path.glob("parquet/scores/*")] == ["as_of=20261121T000000Z"]
    write(tmp_path / "tonight.csv", stays(40, seed=5))
    walk(spark, deployment)
    assert min(published(spark, tmp_path).values()) > 0
    assert list((tmp_path / "store" / "due").iterdir()) == []


def test_scores_that_were_forged_with_their_manifest_are_made_again_and_not_published(spark, road, tmp_path):
    deployment = deployed(tmp_path, road, "parquet")
    walk(spark, deployment)
    before = published(spark, tmp_path)
    (part,) = Path(deployment.store).glob("scores/*/*.parquet")
    with_zeros(part)
    write_manifest(spark.sparkContext, str(part.parent), "20261120T000000Z-f0f0")
    run = walk(spark, deployment)
    assert published(spark, tmp_path) == before
    assert outcomes(run) == ["published"]  # their time of scoring is another
    assert noted(spark, deployment) == ["published", "published"]  # the second names the new manifest
    assert verify_stage(new_run(spark, deployment.store)) == 2
    walk(spark, deployment)
    assert noted(spark, deployment) == ["published", "published"]


def test_two_at_once_one_wins_and_the_other_says_who(spark, road, tmp_path):
    deployment = deployed(tmp_path, road, "parquet")
    first = new_run(spark, deployment.store)
    with holding(first), pytest.raises(BusyError, match=f"run {first.receipt.run_id}") as refused:
        walk(spark, deployment)
    assert refused.value.exit_code == 5
    assert not (tmp_path / "parquet").exists()


def test_the_gate_refuses_also_what_was_scored_without_it_and_a_reason_overrides_it(spark, road, tmp_path, monkeypatch):
    deployment = deployed(tmp_path, road, "parquet").model_copy(update={"gate": "warn"})
    score_stage(new_run(spark, deployment.store), load_bundle(deployment.bundle), deployment.source)
    monkeypatch.setattr("medspark.stages.watch.verdict_of", lambda findings: "stop")
    with pytest.raises(GateError, match="No sink was touched"):
        walk(spark, deployment)
    assert not (tmp_path / "parquet").exists()
    walk(spark, deployment, override="looked at by the ward")
    assert published(spark, tmp_path)
    refused, then = (entry.facts for entry in read_entries(spark.sparkContext, deployment.store))
    assert (refused["outcome"], refused["verdict"]) == ("refused", "stop")
    assert (then["outcome"], then["override"]) == ("published", "looked at by the ward")


def test_a_source_that_cannot_be_scored_touches_no_sink_and_the_ledger_says_why(spark, road, tmp_path):
    deployment, lines = deployed(tmp_path, road, "parquet"), stays(20, seed=8)
    write(tmp_path / "tonight.csv", [f"{line},more" for line in lines])
    with pytest.raises(RejectedError, match="20 were rejected"):
        walk(spark, deployment)
    write(tmp_path / "tonight.csv", lines, "stay,patient,aged,sex,diag_1,diag_2,died,back")
    with pytest.raises(InputError, match="aged"):
        walk(spark, deployment)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(write(tmp_path / "tonight.csv", lines).read_bytes())[:-40])
    with pytest.raises(InputError):
        walk(spark, deployment.model_copy(update={"source": str(cut)}))
    assert not (tmp_path / "parquet").exists()
    reasons = [entry.facts["because"][0] for entry in read_entries(spark.sparkContext, deployment.store)]
    assert noted(spark, deployment) == ["refused"] * 3
    assert "20 were rejected" in reasons[0]
    assert "aged" in reasons[1]
    assert "cut.csv.gz" in reasons[2]


def test_a_back_fill_runs_each_night_once_and_goes_on_where_it_broke_off(spark, road, tmp_path, monkeypatch):
    deployment, put = deployed(tmp_path, road, "parquet", "csv"), FilesSink.put
    bundle = load_bundle(deployment.bundle)

    def die_in_the_second(sink, night):
        (die if (night.as_of, sink.kind) == (SECOND, "csv") else put)(sink, night)

    with monkeypatch.context() as patch:
        patch.setattr(FilesSink, "put", die_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            backfill_stage(new_run(spark, deployment.store), deployment, bundle, [FIRST, SECOND])
    backfill_stage(new_run(spark, deployment.store), deployment, bundle, [FIRST, SECOND])
    first, second = (entry.facts for entry in read_entries(spark.sparkContext, deployment.store))
    assert [first["as_of"][:10], second["as_of"][:10]] == ["2026-11-20", "2026-11-21"]
    assert list(second["sinks"].values()) == ["there before", "published"]
    assert published(spark, tmp_path) == published(spark, tmp_path, "20261121T000000Z")
