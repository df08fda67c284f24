"""Nights that break off anywhere, are run again and filled in end with the tables of nights that nothing befell.

MEDSPARK_NIGHTS says how many nights, 2 unless it does, and MEDSPARK_SEED which.
"""

import os
import random
from collections import Counter
from contextlib import contextmanager

import duckdb
import pytest
from support.roads import new_run
from support.ward import moment_of, night_files, ward_at, with_other_bands, write_file

from medspark.bundles.bundle import load_bundle
from medspark.bundles.champion import champion_of, promote, rollback
from medspark.deploy.deployment import Deployment
from medspark.errors import AccountingError, BusyError, InputError
from medspark.runs.lock import holding
from medspark.sinks import files
from medspark.sinks.files import FilesSink
from medspark.sinks.publication import Sums
from medspark.stages.append import compact_stage
from medspark.stages.clean import clean_stage
from medspark.stages.night import Night, backfill_stage, night_stage
from medspark.stages.tidy import tidy_stage
from medspark.stages.why import verify_stage

pytestmark = pytest.mark.integration

NIGHTS = int(os.environ.get("MEDSPARK_NIGHTS", "2"))
SEED = int(os.environ.get("MEDSPARK_SEED", "17"))
SAID = "as_of_time, case_id, subject_id, prediction_time, probability, risk_band, bundle_id"
"""What a score says, whichever run made it."""
READERS = {
    "parquet": "read_parquet('{}/scores/*/*.parquet')",
    "csv": "read_csv('{}/scores/*/*.csv', all_varchar = true)",
    "ndjson": "read_json('{}/scores/*/*.ndjson')",
}


class Died(BaseException):
    """As where the process ends: nothing catches it."""


def script(draw):
    """What happens, in its order: files come, nights are run, days are filled in again, a bundle is promoted and taken
    back."""
    for night in range(NIGHTS):
        yield "files", night
        if night == NIGHTS // 3:
            yield "promote", night
        if night == 2 * NIGHTS // 3:
            yield "rollback", night
        yield "night", night
        if night and draw.random() < 0.2:
            yield "backfill", night
    yield "backfill", NIGHTS - 1


def filled_in(night):
    """The nights that a back-fill at some night runs again."""
    return range(max(0, night - 2), night + 1)


class Ward:
    """A source that grows, its bundles, a deployment that takes its increments, and one that reads it whole."""

    def __init__(self, spark, folder, road):
        self.spark, self.folder, self.source, self.asked = spark, folder, folder / "source", 1
        self.task = ward_at(self.source, road["task"], road["source"] / "metadata")
        self.bundles = folder / "bundles"
        self.bundles.mkdir()
        self.other = with_other_bands(self.bundles, road["bundle"])
        promote(self.bundles, road["bundle"])
        own = {"deployment": "ward", "champion": str(self.bundles), "source": str(self.source)}
        sinks = [{"kind": kind, "path": f"{folder}/{kind}"} for kind in READERS]
        self.growing = Deployment(**own, store=f"{folder}/store", history=f"{folder}/records", sinks=sinks)
        sound = [{"kind": "parquet", "path": f"{folder}/sound"}]
        self.whole = Deployment(**own, store=f"{folder}/sound-store", sinks=sound)

    def bundle(self):
        found = load_bundle(champion_of(self.bundles))
        return found._replace(task=self.task.model_copy(update={"risk_bands": found.task.risk_bands}))

    def walk(self, deployment, night, **more):
        run = new_run(self.spark, deployment.store)
        night_stage(run, Night(deployment, self.bundle(), moment_of(night), **more))
        return run

    def backfill(self, night):
        moments = [moment_of(one) for one in filled_in(night)]
        backfill_stage(new_run(self.spark, self.growing.store), self.growing, self.bundle(), moments)

    def seen(self, name, kind="parquet", columns=SAID):
        """What a reader of a sink sees."""
        if not list((self.folder / name).glob("scores/*/scores*")):
            return []
        place = READERS[kind].format(self.folder / name)
        return duckdb.sql(f"SELECT {columns} FROM {place} ORDER BY as_of_time, case_id").fetchall()


# ---------------------------------------------------------------- faults: each makes a night fail, and is mended then


@contextmanager
def death(ward, draw):
    """The process ends at some question to Java, and asks nothing more."""
    client, left = ward.spark.sparkContext._gateway._gateway_client, [draw.randint(1, ward.asked)]
    send = client.send_command

    def dying(command, *arguments, **options):
        left[0] -= not command.startswith("m\n")  # Python frees what it has of Java's
        if left[0] < 0:
            raise Died
        return send(command, *arguments, **options)

    client.send_command = dying
    try:
        yield
        raise Died  # it lived to the night's end
    finally:
        del client.send_command
        ward.spark.catalog.clearCache()  # which a process takes with it


@contextmanager
def replaced(place, name, instead):
    honest = getattr(place, name)
    setattr(place, name, instead)
    try:
        yield
    finally:
        setattr(place, name, honest)


@contextmanager
def full_disk(ward, draw):
    kind, put = draw.choice(list(READERS)), FilesSink.put

    def failing(sink, night):
        if sink.kind == kind:
            raise OSError(28, "No space left on device")
        put(sink, night)

    with replaced(FilesSink, "put", failing):
        yield


@contextmanager
def lost_rows(ward, draw):
    """A sink's file has other rows than were sent."""
    with replaced(files, "_read_back", lambda *_: Sums(1, "0")):
        yield


@contextmanager
def half_a_file(ward, draw):
    path = max((ward.source / "data").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    try:
        yield
    finally:
        path.write_bytes(content)


@contextmanager
def vanished_file(ward, draw):
    path, aside = ward.source / "data" / "000.parquet", ward.folder / "aside"
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def at_work(ward, draw):
    with holding(new_run(ward.spark, ward.growing.store)):
        yield


FAULTS = {
    death: Died,
    full_disk: OSError,
    lost_rows: AccountingError,
    half_a_file: InputError,
    vanished_file: InputError,
    at_work: BusyError,
}
WEIGHTS = (5, 1, 1, 1, 1, 1)


def endure(ward, draw, work):
    """Some work, before which it fails some times; readers see one night of each time, whatever befalls it."""
    for fault in draw.choices(list(FAULTS), WEIGHTS, k=draw.choice((0, 1, 1, 2))):
        with pytest.raises(FAULTS[fault]), fault(ward, draw):
            work()
        for kind in READERS:
            found = ward.seen(kind, kind, "as_of_time, night, case_id")
            assert len({row[0] for row in found}) == len({row[:2] for row in found})
            assert len(set(found)) == len(found)
        yield fault


def walk_growing(ward, draw, night):
    """A night that may break off, and may be left to the next one where that completes it."""
    befell = list(endure(ward, draw, lambda: ward.walk(ward.growing, night)))
    is_due = (ward.folder / "store" / "due" / f"{moment_of(night):%Y%m%dT%H%M%SZ}.json").exists()
    if is_due and draw.random() < 0.5:
        return [*befell, "left to the next"]
    ward.walk(ward.growing, night)
    again = draw.random()
    if again < 0.2:
        run = ward.walk(ward.growing, night)
        assert set(run.receipt.counts["publish"]["sinks"].values()) == {"there before"}
        befell.append("run again")
    elif again < 0.4:
        part = next((ward.folder / "csv").glob(f"scores/as_of={moment_of(night):%Y%m%dT%H%M%SZ}/scores*.csv"))
        part.write_bytes(part.read_bytes()[:-9])
        run = ward.walk(ward.growing, night)
        assert sorted(run.receipt.counts["publish"]["sinks"].values()) == ["published", "there before", "there before"]
        befell.append("published file cut short")
    elif again < 0.5:
        ward.walk(ward.growing, night, force=True)
        befell.append("forced")
    elif again < 0.65:
        compact_stage(new_run(ward.spark, ward.growing.history), ward.task)
        befell.append("compacted")
    return befell


def last_runs(steps):
    """By the place of a step the nights that run there for the last time."""
    last = {}
    for at, (what, night) in enumerate(steps):
        for one in {"night": [night], "backfill": filled_in(night)}.get(what, ()):
            last[one] = at
    return {at: [one for one in last if last[one] == at] for at in last.values()}


def test_nights_that_anything_befalls_end_with_the_tables_of_nights_that_nothing_befell(spark, relapse_road, tmp_path):
    draw, ward = random.Random(SEED), Ward(spark, tmp_path, relapse_road)
    come, steps = night_files(SEED, NIGHTS), list(script(draw))
    last, befell = last_runs(steps), Counter()
    for at, (what, night) in enumerate(steps):
        if what == "files":
            for name, rows in come[night].items():
                write_file(ward.source / "data" / f"{name}.parquet", rows)
            if night == 0:
                clean_stage(new_run(spark, ward.growing.history), ward.task)
                ward.asked = questions(ward)
        elif what == "promote":
            promote(ward.bundles, ward.other)
        elif what == "rollback":
            rollback(ward.bundles)
        elif what == "night":
            befell.update(map(str_of, walk_growing(ward, draw, night)))
        else:
            befell.update(map(str_of, endure(ward, draw, lambda night=night: ward.backfill(night))))
            ward.backfill(night)
        for one in last.get(at, ()):
            ward.walk(ward.whole, one)
    print(f"{NIGHTS} nights, of which befell: {dict(befell)}")
    expected = ward.seen("sound")
    assert len({row[0] for row in expected}) == NIGHTS
    assert ward.seen("parquet") == expected
    texts = [(row[1], str(row[2]), row[4]) for row in expected]
    for kind in ("csv", "ndjson"):
        found = ward.seen(kind, kind, "case_id, subject_id, CAST(probability AS DOUBLE)")
        assert found == texts
    verify_stage(new_run(spark, ward.growing.store))
    assert list((tmp_path / "store" / "due").iterdir()) == []
    left = tidy_stage(new_run(spark, ward.growing.store), remove=False)
    assert {found.kind for found in left} <= {"version"}


def str_of(what):
    return what if isinstance(what, str) else what.__name__.replace("_", " ")


def questions(ward):
    """How many a night asks Java, by its first one."""
    client, asked = ward.spark.sparkContext._gateway._gateway_client, [0]
    send = client.send_command

    def counted(command, *arguments, **options):
        asked[0] += not command.startswith("m\n")
        return send(command, *arguments, **options)

    with replaced(client, "send_command", counted):
        ward.walk(ward.growing, 0)
    return asked[0]
