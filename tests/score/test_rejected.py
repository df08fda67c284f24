"""Rows that no network can answer are rejected with a reason, and move no other score."""

import pytest
from support.roads import new_run, scores_of, stays, walk, write
from support.tasks import STAYS, stays_at
from support.tensors import REASONS, WAYS, rewritten, score_tensors, spoil

from medspark.bundles.bundle import load_bundle
from medspark.stages.score import score_stage
from medspark.store.tables import read_table


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
    task = stays_at(
        write(tmp_path / "stays.csv", stays(600)),
        columns={**STAYS["columns"], "age": {"type": "double"}},
        features={"numeric": [{"column": "age", "scaling": "standard"}]},  # the smooth one draws in any number
    )
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
