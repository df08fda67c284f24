"""A champion that learns each night: from what is known by then, once a night, and never at the night's cost."""

from datetime import UTC, datetime, timedelta

import pytest
from support.bundles import fill
from support.events import asthma_task
from support.roads import new_run

from medspark.bundles.bundle import load_bundle, save_bundle
from medspark.bundles.champion import champion_of, history, promote
from medspark.deploy.deployment import Deployment
from medspark.errors import GateError, TaskError
from medspark.stages import each_night as module
from medspark.stages.each_night import each_night_stage, learn_tonight
from medspark.stages.night import Night

NIGHT = datetime(2026, 11, 2, 6, tzinfo=UTC)


def made(store, title):
    """A bundle of its own in the store."""
    (store / "bundles").mkdir(exist_ok=True)
    return save_bundle(store / "bundles", lambda folder: fill(folder, title=title))


@pytest.fixture
def store(tmp_path):
    """With a champion."""
    promote(tmp_path, made(tmp_path, "a"))
    return tmp_path


@pytest.fixture
def updates(store, monkeypatch):
    """The times as of which `update_stage` was asked to learn; each gives a bundle of its own."""
    asked = []

    def update(run, bundle, task, source, how, past, promoted, until):
        asked.append(until)
        return made(store, f"update {len(asked)}")

    monkeypatch.setattr(module, "update_stage", update)
    return asked


def test_what_is_learned_is_what_was_known_by_the_night_or_by_now(spark, store, updates):
    each_night_stage(new_run(spark, store), "known.csv", night=NIGHT)
    each_night_stage(new_run(spark, store), "known.csv")
    assert updates[0] == NIGHT
    assert timedelta() <= datetime.now(UTC) - updates[1] < timedelta(minutes=5)


def test_an_outcome_whose_time_at_risk_has_no_end_is_never_known_by_a_night(spark, store, updates):
    task = asthma_task(outcome={"name": "asthma", "event": "asthma"})
    with pytest.raises(TaskError, match=r"outcome.to_days: expected the last day at risk"):
        each_night_stage(new_run(spark, store), None, task, night=NIGHT)
    assert updates == []


def test_a_night_learns_once_and_none_after_a_later_one_did(spark, store, updates):
    each_night_stage(new_run(spark, store), "known.csv", night=NIGHT)
    later = each_night_stage(new_run(spark, store), "known.csv", night=NIGHT + timedelta(days=1))
    for night in (NIGHT - timedelta(days=1), NIGHT, NIGHT + timedelta(days=1)):
        assert each_night_stage(new_run(spark, store), "known.csv", night=night) == champion_of(store) == later
    assert len(updates) == 2
    each_night_stage(new_run(spark, store), "known.csv")  # by hand
    each_night_stage(new_run(spark, store), "known.csv", night=NIGHT + timedelta(days=1))
    assert [line.action for line in history(store)] == ["promote", "update", "update", "update"]


@pytest.mark.parametrize(
    ("error", "outcome", "because"),
    [
        (OSError("a disk's words"), "failed", "OSError"),
        (GateError("it is worse"), "refused", "it is worse"),
        (None, "promoted", None),
    ],
)
def test_a_published_night_stands_whatever_comes_of_its_update(
    spark, store, updates, tmp_path, monkeypatch, error, outcome, because
):
    def fail(*_):
        raise error

    if error is not None:
        monkeypatch.setattr(module, "update_stage", fail)
    metrics = tmp_path / "night.prom"
    metrics.write_text("medspark_night_success 1.0\n")
    places = {"store": str(tmp_path / "nightly"), "champion": str(store), "metrics": str(metrics)}
    given = {
        "deployment": "stays",
        "update": {"source": "known.csv"},
        "sinks": [{"kind": "csv", "path": "out"}],
        **places,
    }
    run = new_run(spark, tmp_path / "nightly")
    learn_tonight(run, Night(Deployment.model_validate(given), load_bundle(champion_of(store)), NIGHT))
    told = run.receipt.counts["update"]
    assert (told["outcome"], told.get("because")) == (outcome, because)
    first, *_, last = metrics.read_text().splitlines()
    assert first == "medspark_night_success 1.0"
    assert last == f'medspark_night_update{{deployment="stays",outcome="{outcome}"}} 1.0'
