"""A bundle brought up to date: what changes, what stays, and which challengers are refused."""

import json
import shutil

import keras
import numpy as np
import pytest
from support.roads import new_run, stays, write
from support.tasks import stays_at

from medspark.bundles.bundle import CALIBRATION, LITERT, METRICS, MONITOR, STATISTICS, load_bundle
from medspark.bundles.champion import champion_of, history, promote, rollback
from medspark.encode.statistics import from_json
from medspark.errors import GateError, InputError, TaskError
from medspark.score.worker.engine import litert_engine
from medspark.stages.each_night import each_night_stage
from medspark.stages.update import update_stage

pytestmark = pytest.mark.integration


def later(count, seed):
    """Stays after those of the road, some of the same patients."""
    return [f"{10_000 + at},{line.split(',', 1)[1]}" for at, line in enumerate(stays(count, seed))]


def risen(lines):
    """The same where half of the women who did not come back did: what the road's network has not seen."""
    rows = [line.split(",") for line in lines]
    return [",".join([*row[:-1], "true"]) if row[3] == "F" and at % 2 else ",".join(row) for at, row in enumerate(rows)]


def poisoned(lines):
    """The same with every outcome reversed."""
    other = {"true": "false", "false": "true"}
    return [",".join([*line.split(",")[:-1], other[line.rsplit(",", 1)[1]]]) for line in lines]


@pytest.fixture(scope="module")
def store(road, tmp_path_factory):
    """A copy of the road's store, since an update publishes into it."""
    return shutil.copytree(road["folder"] / "store", tmp_path_factory.mktemp("update") / "store")


def update(spark, road, store, lines, how="weights", **changes):
    source = write(store.parent / "later.csv", lines)
    run = new_run(spark, store)
    task = stays_at(road["source"], **changes)
    return update_stage(run, load_bundle(road["bundle"]), task, str(source), how), run


@pytest.fixture(scope="module")
def updated(spark, road, store):
    return update(spark, road, store, risen(later(1500, 1)), updating={"rate": 1.0, "before": 0.2})


def test_an_update_names_its_parent_and_keeps_the_statistics_to_the_bit(road, updated):
    old, new = load_bundle(road["bundle"]), load_bundle(updated[0])
    assert new.manifest["parent"] == old.bundle_id
    assert new.read_bytes(STATISTICS) == old.read_bytes(STATISTICS)
    assert new.read_bytes(LITERT) != old.read_bytes(LITERT)


def test_an_update_carries_the_comparison_of_the_same_patients_by_subgroup(updated):
    found = json.loads((updated[0] / METRICS).read_text())["update"]
    assert found["refused"] == []
    assert [(row["column"], row["level"]) for row in found["recent"]] == [
        ("everybody", "everybody"),
        ("sex", "F"),
        ("sex", "M"),
        ("sex", "missing"),
    ]
    everybody = found["recent"][0]
    for name in ("auroc", "brier", "e_average"):
        gap = everybody["worse_by"][name]
        assert gap["low"] <= gap["value"] <= gap["high"]
    sign = everybody["champion"]["auroc"] - everybody["challenger"]["auroc"]
    assert everybody["worse_by"]["auroc"]["value"] == pytest.approx(sign)
    assert [row["column"] for row in found["before"]] == ["everybody", "sex", "sex", "sex"]


def test_the_history_begins_with_the_weights_that_came(updated):
    history = json.loads((updated[0] / METRICS).read_text())["history"]
    assert [row["epoch"] for row in history] == list(range(len(history)))
    assert history[0]["epoch"] == 0


def test_of_the_calibration_alone_no_logit_changes(spark, road, store):
    bundle, _ = update(spark, road, store, later(1500, 2), "calibration")
    old, new = load_bundle(road["bundle"]), load_bundle(bundle)
    rng = np.random.default_rng(0)
    inputs = tensors_like(old, rng)
    assert np.array_equal(litert_engine(old.path / LITERT)(inputs), litert_engine(new.path / LITERT)(inputs))
    assert new.read_bytes(CALIBRATION) != old.read_bytes(CALIBRATION)


def tensors_like(bundle, rng, count=64):
    """Made-up inputs of a bundle's network."""
    found = {}
    for one in from_json(bundle.read_text(STATISTICS)).inputs():
        if one.dtype == "int32":
            found[one.name] = rng.integers(0, 2, (count, one.width), np.int32)
        else:
            found[one.name] = rng.normal(size=(count, one.width)).astype(np.float32)
    return found


def test_an_update_of_the_head_leaves_every_other_weight(spark, road, store):
    changes = {"rate": 1.0, "before": 0.2}
    bundle, _ = update(spark, road, store, risen(later(1500, 3)), "head", updating=changes)
    old, new = (keras.saving.load_model(place / "model.keras", compile=False) for place in (road["bundle"], bundle))
    changed = [
        layer.name
        for layer, one in zip(old.layers, new.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), one.get_weights(), strict=True))
    ]
    kinds = sorted(type(old.get_layer(name)).__name__ for name in changed)
    assert kinds == ["Dense", "EinsumDense", "Embedding", "Embedding"]  # the last layer, and the three linear paths
    assert any(layer.trainable_weights and layer.name not in changed for layer in old.layers)
    assert [layer.trainable for layer in new.layers] == [layer.trainable for layer in old.layers]


def test_outcomes_turned_round_are_refused_and_no_bundle_is_kept(spark, road, store):
    before = sorted((store / "bundles").iterdir())
    for how in ("weights", "calibration"):
        with pytest.raises(GateError, match="the wrong way round"):
            update(spark, road, store, poisoned(later(1500, 4)), how)
    assert sorted((store / "bundles").iterdir()) == before


def test_without_cases_of_before_an_update_that_rehearses_is_refused(spark, road, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no cases of before.*rehearse: 0"):
        update(spark, road, tmp_path / "empty", later(300, 5))


def test_another_split_is_refused(spark, road, store):
    with pytest.raises(TaskError, match="split: expected the bundle's"):
        update(spark, road, store, later(300, 6), split={"seed": 1})


def each_night(spark, road, store, lines, **changes):
    source = write(store.parent / "tonight.csv", lines)
    return each_night_stage(new_run(spark, store), str(source), stays_at(road["source"], updating=changes))


@pytest.fixture(scope="module")
def nights(spark, road, store):
    """The champion learned from a night, found nothing new, and then met a night with every outcome reversed."""
    promote(store, road["bundle"])
    changes = {"rate": 1.0, "before": 0.2, "step": 0.03}
    learned = each_night(spark, road, store, risen(later(1500, 7)), **changes)
    again = each_night(spark, road, store, risen(later(1500, 7)), **changes)
    with pytest.raises(GateError) as refused:
        each_night(spark, road, store, poisoned(later(1500, 8)), **changes)
    return learned, again, str(refused.value)


def test_a_night_moves_risks_by_a_bounded_step_and_leaves_the_calibration(road, nights):
    old, new = load_bundle(road["bundle"]), load_bundle(nights[0])
    found = json.loads((nights[0] / METRICS).read_text())["update"]
    assert 0 < found["step"]["moved"] <= 0.03
    assert found["let_through"] == 1
    assert found["step"]["share"] < 1  # the whole of what it learned would have been too far
    assert new.manifest["parent"] == old.bundle_id
    assert new.read_bytes(CALIBRATION) == old.read_bytes(CALIBRATION)
    assert new.read_bytes(MONITOR) == old.read_bytes(MONITOR)  # so that a slow drift is one from where it began
    assert new.read_bytes(LITERT) != old.read_bytes(LITERT)


def test_what_a_night_learned_is_promoted_once_and_a_poisoned_night_is_refused(store, nights):
    learned, again, refused = nights
    assert again == learned == champion_of(store)
    assert "the wrong way round" in refused
    assert [line.action for line in history(store)] == ["promote", "update"]


def test_after_a_rollback_no_night_learns_until_somebody_promotes(spark, road, store, nights):
    rollback(store, "not what we want")
    assert champion_of(store) == road["bundle"]
    with pytest.raises(GateError, match=r"rolled back to .* To let nights update it again: medspark promote"):
        each_night(spark, road, store, risen(later(1500, 7)))
    promote(store, road["bundle"])
    assert [line.action for line in history(store)] == ["promote", "update", "rollback", "promote"]
    assert each_night_stage(new_run(spark, store), str(road["source"])) == road["bundle"]  # which learned from these
