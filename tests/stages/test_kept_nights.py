"""What a store's nights are held against: the nights before that were encoded alike, whichever update scored them."""

import numpy as np
import pytest
from support.roads import new_run

from medspark.monitor.gauges import Gauge
from medspark.monitor.night import Night
from medspark.monitor.plan import Plan
from medspark.monitor.reference import Reference
from medspark.stages import kept_nights as module
from medspark.stages.kept_nights import Watched, joint_of, write_night, write_sample
from medspark.task.monitoring import Monitoring


def watched(bundle_id, *edges):
    """A bundle that reads an age, encoded by these edges."""
    plan = Plan(gauges=(Gauge(name="age", reads="number", input="numeric", edges=edges),))
    reference = Reference(plan=plan, counts=({},), units=({},))
    return Watched(bundle_id=bundle_id, title="stays", settings=Monitoring(), reference=reference)


def night(bundle_id, day, **more):
    run_id = f"2026110{day}T060000Z-aaaa"
    return Night(version=run_id, run_id=run_id, bundle_id=bundle_id, at="", rows_in=1, scored=1, **more)


@pytest.mark.parametrize(
    ("before", "ages"),
    [
        ([night("updated", 1), night("champion", 2)], [1, 2]),
        ([night("retrained", 1), night("champion", 2)], [2]),  # whose ages are encoded otherwise
        ([night("gone", 1), night("champion", 2)], [2]),
        ([night("updated", 1), night("champion", 2, verdict="stop")], [1]),
    ],
)
def test_a_night_is_held_against_those_of_the_bundles_that_it_is_an_update_of(
    spark, tmp_path, monkeypatch, before, ages
):
    run, seen = new_run(spark, tmp_path), []
    bundles = {"champion": watched("champion", 0.0), "updated": watched("updated", 0.0)}
    bundles["retrained"] = watched("retrained", 0.5)
    for day, one in enumerate(before, 1):
        if one.bundle_id in bundles:
            write_night(run, one, bundles[one.bundle_id])
        write_sample(run, one, np.full((1, 1), day, np.float32))
    monkeypatch.setattr(module, "told_apart", lambda _, found: seen.extend(found[:, 0].tolist()))
    assert joint_of(run, watched("tonight", 0.0), night("tonight", 3), before, np.zeros((1, 1), np.float32)) is None
    assert seen == ages
