"""Row groups that workers read and score themselves: units, and what they load."""

import subprocess
import sys

import pyarrow.parquet as pq
from support.tensors import WAYS, rewritten, score_tensors

from medspark.bundles.bundle import load_bundle
from medspark.score.worker.row_groups import plan_units
from medspark.stages.score import serve
from medspark.store.tables import read_table


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
