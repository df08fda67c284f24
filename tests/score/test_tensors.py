"""Tensors between two commands: encoded once, scored by workers that read them alone or by Spark, resumed, refused."""

import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.roads import new_run, score, scores_of, stays, walk, write
from support.tasks import STAYS, stays_at

from medspark.bundles.bundle import load_bundle
from medspark.cli.serve import is_left_to_workers
from medspark.errors import AccountingError, InputError, TaskError
from medspark.runs.run import save_receipt
from medspark.score.choose import choose
from medspark.score.serve import statistics_digest
from medspark.score.worker import row_groups
from medspark.score.worker.files import open_place, out_of_reach
from medspark.score.worker.row_groups import plan_units
from medspark.stages.encode import encode_stage
from medspark.stages.score import score_stage, score_tensors_stage, serve
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.tables import publish, read_table

WAYS = {
    "workers": {"reader": "workers"},
    "spark-reads": {"reader": "spark", "writer": "workers"},
    "spark": {"writer": "spark"},
}
"""Who reads the tensors, and who writes the scores."""


@pytest.fixture(scope="module")
def encoded(spark, road):
    """The store that `medspark encode` wrote of the stays, and its run."""
    store = road["folder"] / "encoded"
    run = new_run(spark, store)
    encode_stage(run, load_bundle(road["bundle"]), str(road["source"]))
    return store, run


def score_tensors(spark, road, store, name, **options):
    run = new_run(spark, road["folder"] / name)
    score_tensors_stage(run, load_bundle(road["bundle"]), str(store), **options)
    return scores_of(spark, run.store), run


def test_each_way_gives_the_scores_that_the_raw_source_gets(spark, road, encoded):
    raw, raw_run = score(spark, road, "raw-beside-tensors")
    for way, options in WAYS.items():
        found, run = score_tensors(spark, road, encoded[0], f"by-{way}", **options)
        assert found == raw  # bit for bit
        assert run.receipt.counts["score"]["bands"] == raw_run.receipt.counts["score"]["bands"]
        who = {name: run.receipt.counts["score"][name]["kind"] for name in ("reader", "writer")}
        assert who == {"reader": "spark", "writer": options.get("reader", "spark")} | options


def test_each_way_writes_the_same_columns_with_the_same_types(spark, road, encoded):
    score(spark, road, "raw-types")
    tables = {"raw": "raw-types"}
    for way, options in WAYS.items():
        score_tensors(spark, road, encoded[0], f"types-{way}", **options)
        tables[way] = f"types-{way}"
    for table in ("scores", "rejected"):
        types = [read_table(spark, str(road["folder"] / name), table).dtypes for name in tables.values()]
        assert types[0] == types[1] == types[2]


def test_encoding_counts_every_row_and_gives_the_reason_of_each_that_is_not_encoded(spark, encoded):
    store, run = encoded
    counts = run.receipt.counts["score"]
    assert counts["rows_in"] == 1501 == counts["encoded"] + sum(counts["rejected"].values())
    assert counts["rejected"]["quarantined: age: range"] == 1
    assert read_table(spark, str(store), "tensors").count() == counts["encoded"]
    assert read_table(spark, str(store), "rejected").count() == sum(counts["rejected"].values())


def test_a_local_session_lets_workers_read_and_says_why(spark, road, encoded):
    _, run = score_tensors(spark, road, encoded[0], "automatic")
    assert run.receipt.counts["score"]["reader"] == {
        "kind": "workers",
        "because": "they reach it",
    }


def test_workers_who_read_and_write_need_no_session_of_spark(spark, road, encoded, monkeypatch):
    monkeypatch.setattr("medspark.runs.run.the_session", lambda: pytest.fail("a session takes two seconds to make"))
    run = new_run(spark, road["folder"] / "no-session")
    score_tensors_stage(run, load_bundle(road["bundle"]), str(encoded[0]))
    save_receipt(run)
    assert run.receipt.counts["score"]["scored"] == encoded[1].receipt.counts["score"]["encoded"]


@pytest.mark.parametrize(
    ("tensors", "store", "reader", "writer", "left"),
    [
        ("/encoded", "/scores", "auto", "auto", True),
        ("file:/encoded", "file:/scores", "workers", "workers", True),
        (None, "/scores", "auto", "auto", False),
        ("/encoded", "/scores", "spark", "auto", False),
        ("/encoded", "/scores", "auto", "spark", False),
        ("hdfs://host/encoded", "/scores", "auto", "auto", False),
        ("/encoded", "s3a://bucket/scores", "auto", "auto", False),
    ],
)
def test_java_only_hands_out_work_where_workers_read_and_write_on_disks_of_this_machine(
    tensors, store, reader, writer, left
):
    assert is_left_to_workers(tensors, store, reader, writer) == left


def test_scoring_tensors_again_changes_nothing(spark, road, encoded):
    _, run = score_tensors(spark, road, encoded[0], "tensors-again")
    before = {path: path.stat().st_mtime_ns for path in (road["folder"] / "tensors-again").rglob("*.parquet")}
    _, again = score_tensors(spark, road, encoded[0], "tensors-again")
    assert {path: path.stat().st_mtime_ns for path in (road["folder"] / "tensors-again").rglob("*.parquet")} == before
    assert again.receipt.outputs["scores"] == run.receipt.outputs["scores"]


@pytest.mark.parametrize("way", WAYS)
def test_tensorflow_serves_tensors_too(spark, road, encoded, way):
    options = WAYS[way]
    litert, _ = score_tensors(spark, road, encoded[0], f"tensors-litert-{way}", **options, engine="litert")
    keras, run = score_tensors(spark, road, encoded[0], f"tensors-keras-{way}", **options, engine="tensorflow")
    assert max(abs(litert[case] - keras[case]) for case in litert) < 1e-6
    assert run.receipt.counts["score"]["engine"] == "tensorflow"


# ---------------------------------------------------------------- what is refused


def test_tensors_of_another_bundle_are_refused(spark, road, encoded, tmp_path):
    other = load_bundle(road["bundle"])._replace(path=tmp_path)
    for name in os.listdir(road["bundle"]):
        shutil.copy(road["bundle"] / name, tmp_path / name)
    (tmp_path / "statistics.json").write_text((road["bundle"] / "statistics.json").read_text() + " ")
    with pytest.raises(InputError, match="medspark encode"):
        score_tensors_stage(new_run(spark, tmp_path / "out"), other, str(encoded[0]))


def test_a_store_without_tensors_is_refused(spark, road, tmp_path):
    with pytest.raises(InputError, match="has no table 'tensors'"):
        score_tensors(spark, road, tmp_path, "absent")


def test_a_file_system_without_a_client_is_left_to_spark_with_a_reason(spark):
    assert out_of_reach(["nowhere://host/table"], []).startswith("there is no client for nowhere")


def test_workers_that_are_asked_for_where_they_cannot_read_are_refused(spark):
    assert choose(spark.sparkContext, "--reader", "auto", ["nowhere://host/table"], []).kind == "spark"
    with pytest.raises(TaskError, match="--reader"):
        choose(spark.sparkContext, "--reader", "workers", [], ["nowhere://host/table"])


def test_workers_who_read_cannot_leave_the_writing_to_spark(spark, road, encoded):
    with pytest.raises(TaskError, match="--writer"):
        score_tensors(spark, road, encoded[0], "contrary", reader="workers", writer="spark")


@pytest.mark.parametrize(
    ("address", "path"), [("/a/b", "/a/b"), ("file:/a/b", "/a/b"), ("file:///a/b", "/a/b"), ("file:/a b", "/a b")]
)
def test_local_addresses_are_paths_however_hadoop_writes_them(address, path):
    assert open_place(address)[1] == path


# ---------------------------------------------------------------- units of work


@pytest.fixture
def units(monkeypatch):
    """Units of a few hundred rows, where each would hold the whole of the stays."""
    monkeypatch.setattr(row_groups, "UNIT_BYTES", 4096)


def rewritten(spark, road, encoded, folder, change=lambda table: table, group=100, files=2):
    """A store with the same tensors, changed, in row groups of `group` rows and some files."""
    tables = [pq.read_table(path) for path in sorted((encoded[0] / "tensors").glob("*/*.parquet"))]
    whole = change(pa.concat_tables(tables).combine_chunks())
    place = folder / "tensors" / "made"
    place.mkdir(parents=True)
    each = -(-whole.num_rows // files)
    for at in range(files):
        pq.write_table(whole.slice(at * each, each), place / f"part-{at}.parquet", row_group_size=group)
    bundle = load_bundle(road["bundle"])
    facts = TensorsFacts(statistics_digest(bundle), whole.num_rows, str(folder))
    write_facts(spark.sparkContext, str(place), facts)
    publish(spark.sparkContext, str(folder), ["tensors"], "made")
    return whole


def test_every_row_group_is_in_one_unit_and_each_unit_has_a_name_of_its_own(spark, road, encoded, tmp_path, units):
    rewritten(spark, road, encoded, tmp_path)
    files = {str(path): path.name for path in sorted((tmp_path / "tensors" / "made").glob("*.parquet"))}
    served = serve(load_bundle(road["bundle"]), "auto")
    found = plan_units(files, served)
    covered = [(unit.place, group) for unit in found for group in range(unit.first, unit.last)]
    assert covered == [
        (name, group) for file, name in files.items() for group in range(pq.read_metadata(file).num_row_groups)
    ]
    assert sum(unit.rows for unit in found) == sum(pq.read_metadata(file).num_rows for file in files)
    assert len({unit.piece for unit in found}) == len(found) > len(files)


def test_neither_row_groups_nor_files_change_a_score(spark, road, encoded, tmp_path, units):
    expected, _ = score_tensors(spark, road, encoded[0], "whole-groups")
    for group, files in ((1, 1), (7, 3), (5000, 1)):
        folder = tmp_path / f"{group}-{files}"
        rewritten(spark, road, encoded, folder, group=group, files=files)
        found, _ = score_tensors(spark, road, folder, f"groups-{group}-{files}")
        assert found == expected


def test_a_worker_loads_a_network_once_whatever_the_number_of_units(spark, road, encoded, tmp_path, units):
    rewritten(spark, road, encoded, tmp_path)
    for engine in ("litert", "tensorflow"):
        _, run = score_tensors(spark, road, tmp_path, f"loads-{engine}", engine=engine)
        pieces = list((road["folder"] / f"loads-{engine}" / "scores").glob("*/part-*.parquet"))
        assert run.receipt.counts["score"]["loads"] <= 2 < len(pieces)


def test_a_worker_that_reads_tensors_imports_no_pandas(road, encoded, tmp_path):
    script = """
import sys
from pathlib import Path
from medspark.bundles.bundle import load_bundle
from medspark.score.worker.pieces import Sink
from medspark.score.worker.row_groups import plan_units, score_unit
from medspark.stages.score import serve

bundle, tensors, out = sys.argv[1:]
served = serve(load_bundle(bundle), "litert")._replace(reads="tensors")
units = plan_units({str(path): path.name for path in Path(tensors).glob("*/*.parquet")}, served)
for name in [name for name in sys.modules if name.partition(".")[0] == "pandas"]:
    del sys.modules[name]  # the driver may have it
pieces = [score_unit(unit, served, Sink(f"{out}/scores", f"{out}/rejected", "run", "bundle", 0)) for unit in units]
print(sum(sum(piece.bands.values()) for piece in pieces), "pandas" in sys.modules)
"""
    store, run = encoded
    command = [sys.executable, "-c", script, road["bundle"], f"{store}/tensors", tmp_path]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout == f"{run.receipt.counts['score']['encoded']} False\n", found.stderr


def test_a_table_without_rows_gives_no_score_and_no_failure(spark, road, encoded, tmp_path):
    rewritten(spark, road, encoded, tmp_path, change=lambda table: table.slice(0, 0), files=1)
    for way, options in WAYS.items():
        found, run = score_tensors(spark, road, tmp_path, f"empty-{way}", **options)
        assert found == {}
        assert read_table(spark, run.store, "rejected").count() == 0


# ---------------------------------------------------------------- bad rows


def spoil(table):
    """Each of the first rows made unscorable in a way of its own."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    columns["numeric"][0] = None
    columns["numeric"][1] = [float("nan"), *columns["numeric"][1][1:]]
    columns["numeric"][2] = [float("inf"), *columns["numeric"][2][1:]]
    columns["numeric"][3] = columns["numeric"][3][:-1]
    columns["numeric"][4] = [*columns["numeric"][4][:-1], None]
    columns["categories"][5] = [10_000] * len(columns["categories"][5])
    columns["codes_diagnoses"][6] = [-1, *columns["codes_diagnoses"][6][1:]]
    columns["codes_diagnoses"][7] = [*columns["codes_diagnoses"][7], 1, 1]
    columns["numeric"][8] = [3e38] * len(columns["numeric"][8])
    kinds = {name: table[name].type for name in columns}
    kinds |= {name: pa.list_(kind.value_type) for name, kind in kinds.items() if pa.types.is_list(kind)}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()})


REASONS = {
    "unscorable: numeric is null or not 2 numbers": 3,
    "unscorable: numeric is not finite": 2,
    "unscorable: categories has an id outside its vocabulary": 1,
    "unscorable: codes_diagnoses has an id outside its vocabulary": 1,
    "unscorable: codes_diagnoses is null or not 2 numbers": 1,
    "unscorable: the network's answer is not finite": 1,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("group", [3, 5000])
def test_a_bad_row_is_rejected_with_a_reason_and_moves_no_other_score(
    spark, road, encoded, tmp_path, units, way, group
):
    options = WAYS[way]
    whole = rewritten(spark, road, encoded, tmp_path, change=spoil, group=group)
    bad = whole["case_id"].to_pylist()[:9]
    expected, _ = score_tensors(spark, road, encoded[0], f"sound-{way}-{group}", **options)
    found, run = score_tensors(spark, road, tmp_path, f"spoilt-{way}-{group}", **options)
    assert found == {case: probability for case, probability in expected.items() if case not in bad}
    assert run.receipt.counts["score"]["rejected"] == REASONS
    rejected = read_table(spark, run.store, "rejected").collect()
    assert sorted(row["case_id"] for row in rejected) == sorted(bad)


def test_a_raw_number_past_what_the_network_can_hold_is_rejected_alone(spark, tmp_path):
    task = stays_at(write(tmp_path / "stays.csv", stays(600)), columns={**STAYS["columns"], "age": {"type": "double"}})
    bundle, _ = walk(spark, tmp_path / "store", task)
    lines = stays(40, seed=3)
    spoilt = [",".join([*line.split(",")[:2], "1e300", *line.split(",")[3:]]) for line in lines[:1]]
    found = {}
    for name, source in (("sound", lines), ("spoilt", [*spoilt, *lines[1:]])):
        run = new_run(spark, tmp_path / name)
        score_stage(run, load_bundle(bundle), str(write(tmp_path / f"{name}.csv", source)))
        found[name] = scores_of(spark, run.store)
    assert run.receipt.counts["score"]["rejected"]["unscorable: numeric is not finite"] == 1
    assert found["spoilt"] == {case: probability for case, probability in found["sound"].items() if case != 0}


# ---------------------------------------------------------------- stopped and resumed


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_stopped_goes_on_with_what_is_missing(spark, road, encoded, tmp_path, units, way):
    options = WAYS[way]
    rewritten(spark, road, encoded, tmp_path, change=spoil, files=4)
    expected, run = score_tensors(spark, road, tmp_path, f"stopped-{way}", **options)
    store = road["folder"] / f"stopped-{way}"
    (scores,) = (path for path in (store / "scores").iterdir() if path.is_dir())
    pieces = sorted(path for path in scores.glob("part-*.parquet") if pq.read_metadata(path).num_rows)
    kept = {path: path.stat().st_mtime_ns for path in pieces[::2]}
    rows_kept = sum(pq.read_metadata(path).num_rows for path in kept)
    for path in pieces[1::2]:
        path.unlink()
    (scores / "_part-half.parquet.1234").write_bytes(b"half a piece")
    (store / "scores" / "CURRENT").unlink()
    again, run = score_tensors(spark, road, tmp_path, f"stopped-{way}", **options)
    assert again == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # what was finished was not scored again
    assert run.receipt.counts["score"]["scored_before"] == rows_kept > 0
    assert run.receipt.counts["score"]["rejected"] == REASONS
    assert read_table(spark, run.store, "rejected").count() == sum(REASONS.values())


def test_what_one_way_left_is_not_counted_twice_by_another(spark, road, encoded, tmp_path, units):
    rewritten(spark, road, encoded, tmp_path, files=4)
    expected, _ = score_tensors(spark, road, tmp_path, "mixed", writer="spark")
    for way in ("workers", "spark", "spark-reads", "spark", "workers", "spark-reads"):
        (road["folder"] / "mixed" / "scores" / "CURRENT").unlink()
        found, run = score_tensors(spark, road, tmp_path, "mixed", **WAYS[way])
        assert found == expected
        assert read_table(spark, run.store, "scores").count() == len(expected)


@pytest.mark.parametrize("writer", ["workers", "spark"])
def test_a_raw_run_that_was_stopped_goes_on_with_what_is_missing(spark, road, writer):
    spark.conf.set("spark.sql.files.maxPartitionBytes", "8192")
    try:
        expected, _ = score(spark, road, f"raw-stopped-{writer}", writer=writer)
        store = road["folder"] / f"raw-stopped-{writer}"
        (scores,) = (path for path in (store / "scores").iterdir() if path.is_dir())
        pieces = sorted(path for path in scores.glob("part-*.parquet") if pq.read_metadata(path).num_rows)
        assert len(pieces) > 3
        rows_kept = sum(pq.read_metadata(path).num_rows for path in pieces[1:])
        pieces[0].unlink()
        (store / "scores" / "CURRENT").unlink()
        again, run = score(spark, road, f"raw-stopped-{writer}", writer=writer)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert again == expected
    assert run.receipt.counts["score"]["scored_before"] == rows_kept


def test_rows_that_do_not_add_up_are_not_published(spark, road, encoded, tmp_path):
    whole = rewritten(spark, road, encoded, tmp_path)
    facts = TensorsFacts(statistics_digest(load_bundle(road["bundle"])), whole.num_rows + 1, "short")
    write_facts(spark.sparkContext, str(tmp_path / "tensors" / "made"), facts)
    for way, options in WAYS.items():
        with pytest.raises(AccountingError, match="Nothing was published"):
            score_tensors(spark, road, tmp_path, f"short-{way}", **options)
        assert not (road["folder"] / f"short-{way}" / "scores" / "CURRENT").exists()
