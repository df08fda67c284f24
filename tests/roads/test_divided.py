"""The whole road where a site is held out: nobody who was there is learned from, and the page counts all."""

import pytest
from support.roads import stays, walk, write
from support.tasks import stays_at

from medspark.bundles.bundle import METRICS, REPORT, load_bundle
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
