"""The whole road where a site is held out: nobody who was there is learned from, and the page counts all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.roads import new_run, score, stays, walk, write
from support.tasks import stays_at

from medspark.bundles.bundle import METRICS, REPORT, load_bundle
from medspark.errors import InputError, TaskError
from medspark.stages.evaluate import evaluate_stage
from medspark.stages.features import require_cases
from medspark.stages.freeze import freeze
from medspark.stages.update import update_stage
from medspark.store.tables import read_table

pytestmark = pytest.mark.integration


def test_a_site_that_is_held_out_is_tested_on_alone(spark, tmp_path):
    source = write(tmp_path / "stays.csv", stays(1500))
    task = stays_at(source, split={"site": {"column": "sex", "held_out": ["M"]}})
    place, run = walk(spark, tmp_path / "store", task)
    sides = {
        (row["split"], row["sex"]): row["count"]
        for row in read_table(spark, str(tmp_path / "store"), "cases").groupBy("split", "sex").count().collect()
    }
    assert {side for side, sex in sides if sex == "M"} == {"test"}
    assert {side for side, sex in sides if sex == "F"} == {"train", "valid", "unused"}
    assert {side for side, sex in sides if sex is None} == {"unused"}
    bundle = load_bundle(place)
    tested = sum(count for (side, _), count in sides.items() if side == "test")
    assert bundle.read_json(METRICS)["test"]["cases"] == tested
    splits = run.receipt.counts["train"]["splits"]
    assert splits["unused"]["cases"] == sum(count for (side, _), count in sides.items() if side == "unused")
    assert "unused" in bundle.read_text(REPORT).lower()
    assert not any("unused" in path.as_posix() for path in (tmp_path / "store" / "tensors").rglob("*"))


def test_a_file_says_who_is_learned_from_and_nothing_but_training_needs_it(spark, tmp_path):
    source, path = write(tmp_path / "stays.csv", stays(1500)), tmp_path / "subject_splits.parquet"
    sides = {"train": range(400), "tuning": range(400, 500), "held_out": range(500, 700)}
    rows = [(f"p{who}", side) for side, patients in sides.items() for who in patients]
    pq.write_table(pa.table(dict(zip(("subject_id", "split"), zip(*rows, strict=True), strict=True))), path)
    task = stays_at(source, split={"subjects": {"path": str(path)}})
    place, run = walk(spark, tmp_path / "store", task)
    found = read_table(spark, str(tmp_path / "store"), "cases").select("subject_id", "split").distinct().collect()
    expected = dict(rows) | {f"p{who}": "unused" for who in range(700, 750)}
    names = {"train": "train", "valid": "tuning", "test": "held_out", "unused": "unused"}
    assert {row["subject_id"]: names[row["split"]] for row in found} == {
        who: side for who, side in expected.items() if who in {row["subject_id"] for row in found}
    }
    assert {row["split"] for row in found} == set(names)
    bundle = load_bundle(place)
    assert "as subject_splits.parquet says (SHA-256 " in bundle.read_text(REPORT)
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(InputError, match="the store's tables were made by other rules"):
        require_cases(run, freeze(run, task))
    path.unlink()
    scores, _ = score(spark, {"folder": tmp_path, "source": source, "bundle": place}, "tonight")
    assert len(scores) > 1400
    evaluate_stage(new_run(spark, tmp_path / "elsewhere"), bundle, str(source))
    with pytest.raises(TaskError, match=r"split\.subjects: the file may have moved a patient"):
        update_stage(new_run(spark, tmp_path / "updated"), bundle, bundle.task, str(source), "weights")
