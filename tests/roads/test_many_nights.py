"""Many nights of a store, each with all that a night writes but Spark's rows: what stays, and what a night asks.

MEDSPARK_NIGHTS says how many, 120 unless it does.
"""

import os
import statistics
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from support.nightly import new_run

from medspark.deploy.deployment import Deployment
from medspark.monitor.night import Night as Kept
from medspark.runs.run import open_receipt, save_receipt
from medspark.schemas import REJECTED, SCORES
from medspark.sinks.publication import Sums
from medspark.stages import due, night, retention
from medspark.stages.kept_nights import Watched, newest_nights, nights_before, write_night, write_sample
from medspark.store import tables
from medspark.store.files import write_text
from medspark.task.monitoring import Monitoring

pytestmark = pytest.mark.slow

NIGHTS, KEEP_DAYS = int(os.environ.get("MEDSPARK_NIGHTS", "120")), 30
BEGIN = datetime(2026, 1, 1, 6, tzinfo=UTC)
LOOKED_AT = [BEGIN + timedelta(days=number) for number in (*range(60, 90), *range(NIGHTS - 30, NIGHTS))]
"""Nights that a gate judges: it costs most of all."""


class Clock(datetime):
    """What `datetime` is in the modules that ask for the day."""

    at = BEGIN

    @classmethod
    def now(cls, tz=None):
        return cls.at


def scored(run, bundle, source, cut, **_):
    """As `score_stage` leaves a store: versions, a kept night, a sample; and what a gate reads of the nights before."""
    version = f"{Clock.at:%Y%m%d}"
    tables.begin(run.context, run.store, (REJECTED, SCORES), version, bundle.bundle_id)
    for table in (REJECTED, SCORES):
        write_text(run.context, f"{run.store}/{table}/{version}/part-0.parquet", "rows" * 100)
        write_text(run.context, f"{run.store}/{table}/{version}/_manifest.json", "{}")
    kept = Kept(version=version, run_id=run.receipt.run_id, bundle_id=bundle.bundle_id, at="", rows_in=1, scored=1)
    if Clock.at in LOOKED_AT:
        nights_before(newest_nights(run.context, run.store), kept)
    tables.publish(run.context, run.store, (REJECTED, SCORES), version, bundle.bundle_id)
    watched = Watched(bundle_id=bundle.bundle_id, title="stays", settings=Monitoring(), reference=None)
    write_night(run, kept.model_copy(update={"published": True}), watched)
    write_sample(run, kept, np.zeros((1, 1), np.float32))
    return version


def bundle_of(number):
    """Two times in all these nights the bundle is replaced."""
    return (number > 0.67 * NIGHTS) + (number > 0.84 * NIGHTS)


@pytest.fixture
def questions(context, monkeypatch):
    """How often Java was asked something, which is what a night's bookkeeping costs: a list of one number."""
    client, asked = context._gateway._gateway_client, [0]
    send = client.send_command

    def counted(*arguments, **options):
        asked[0] += 1
        return send(*arguments, **options)

    monkeypatch.setattr(client, "send_command", counted)
    return asked


def test_many_nights_take_the_room_of_the_days_that_are_kept_and_none_asks_more_than_another(
    spark, tmp_path, monkeypatch, questions
):
    sums = Sums(1, "1")
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(night, "score_stage", scored)
    monkeypatch.setattr(due, "_publication", lambda *_: SimpleNamespace(sums=sums, night="n"))
    monkeypatch.setattr(due, "_put", lambda *_: {"csv:/out": "published"})
    for module in (night, retention, tables):
        monkeypatch.setattr(module, "datetime", Clock)
    sinks = [{"kind": "csv", "path": "/out"}]
    deployed = Deployment(deployment="stays", bundle="/b", store=str(tmp_path), keep_days=KEEP_DAYS, sinks=sinks)
    asked, held = [], []
    for number in range(NIGHTS):
        Clock.at = BEGIN + timedelta(days=number)
        task = SimpleNamespace(source=SimpleNamespace(time=None, path="/in"), outcome=SimpleNamespace(name="back"))
        bundle = SimpleNamespace(bundle_id=f"bundle-{bundle_of(number)}", task=task, path="/b")
        run, before = new_run(spark, str(tmp_path)), questions[0]
        run.receipt.run_id = f"{Clock.at:%Y%m%dT%H%M%SZ}-{number:04x}"
        open_receipt(run)
        night.night_stage(run, night.Night(deployed, bundle, Clock.at))
        save_receipt(run)
        asked.append(questions[0] - before)
        if number in (99, NIGHTS - 1):
            held.append(sum(1 for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "ledger"))
    print(f"questions of a night: {statistics.median(asked[60:90])}, after {NIGHTS}: {statistics.median(asked[-30:])}")
    print(f"files: {held[0]} after 100, {held[-1]} after {NIGHTS}")
    assert statistics.median(asked[-30:]) <= 1.05 * statistics.median(asked[60:90])
    assert held[-1] == held[0] + bundle_of(NIGHTS - 1) - bundle_of(99)  # a file of each, by which its nights are judged
    days = [path.name for path in sorted((tmp_path / "scores").iterdir()) if path.is_dir()]
    assert days == [f"{BEGIN + timedelta(days=number):%Y%m%d}" for number in range(NIGHTS - KEEP_DAYS - 1, NIGHTS)]
