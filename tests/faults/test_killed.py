"""kill -9 of whole nights at random moments, while readers poll every sink: each look shows one night, whole.

MEDSPARK_KILLS says how often, 3 unless it does, of Parquet, CSV and PostgreSQL; `make faults KILLS=100` asks for more.
From ten on the other sinks are there too.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, nullcontext

import duckdb
import pytest
from support.nightly import rows_of
from support.places import ROOT
from support.postgres import PASSWORD, USER, binaries, started

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("MEDSPARK_KILLS", "3"))
LONGEST = 1.5
"""The longest life of a process, in times of what the first one took for its first night."""
LOOK = "SELECT count(*), count(DISTINCT night), min(case_id), max(case_id) FROM "
KINDS = ("parquet", "csv", "ndjson", "fhir", "delta") if KILLS >= 10 else ("parquet", "csv")
TABLES = {
    "parquet": "read_parquet('{}/scores/*/*.parquet')",
    "csv": "read_csv('{}/scores/*/*.csv')",
    "ndjson": "(SELECT night, CAST(case_id AS BIGINT) AS case_id FROM read_json('{}/scores/*/*.ndjson'))",
    # A resource has no night; its patient is called by the case
    "fhir": "(SELECT 1 AS night, CAST(substr(subject.identifier.value, 2) AS BIGINT) AS case_id "
    "FROM read_json('{}/scores/*/*.ndjson'))",
}


class AgainError(Exception):
    """A night took another one's place while it was read: whoever looks again sees it."""


def look_at_files(folder, kind):
    """What DuckDB reads in a folder; None where nothing was published yet."""
    try:
        return duckdb.connect().sql(LOOK + TABLES[kind].format(folder / kind)).fetchall()[0]
    except duckdb.IOException as error:
        if "No such file" in str(error):  # it opens a file twice
            raise AgainError from error
        if "No files found" not in str(error):
            raise
        return None


def look_at_delta(folder):
    """What DuckDB reads in the files of a Delta table that its log has; None where nothing was published yet."""
    files = set()
    for commit in sorted((folder / "delta" / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        files -= {one["remove"]["path"] for one in actions if "remove" in one}
        files |= {one["add"]["path"] for one in actions if "add" in one}
    if not files:
        return None
    return duckdb.connect().sql(f"{LOOK} read_parquet({[f'{folder}/delta/{name}' for name in files]})").fetchall()[0]


def look_at_table(server):
    """What psql reads in the table; None where nothing was published yet."""
    if not server.run("SELECT to_regclass('scores')"):
        return None
    found = tuple(int(part or 0) for part in server.run(LOOK + "scores").split("|"))
    return found if found[0] else None


class Reader(threading.Thread):
    """Somebody's dashboard: looks again and again, and keeps what each look gave, and what was wrong with it."""

    def __init__(self, look, *where):
        super().__init__()
        self.look, self.where, self.looks, self.wrong, self.ended = look, where, Counter(), [], threading.Event()
        self.again = 0

    def run(self):
        newest = None
        while not self.ended.wait(0.02):
            try:
                found = self.look(*self.where)
            except AgainError:
                self.again += 1
                continue
            except Exception as error:  # a thread's own is lost
                self.wrong.append(repr(error))
                continue
            if found is None:
                self.wrong += ["what was published is gone"] if newest is not None else []
                continue
            rows, nights, first, last = found
            self.looks[found] += 1
            if (rows, nights, last) != (rows_of(first // 1000), 1, first + rows - 1):
                self.wrong.append(f"not one night, whole: {found}")
            if newest is not None and first < newest:
                self.wrong.append(f"an older night after {newest}: {found}")
            newest = first


@contextmanager
def reading(readers):
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        for reader in readers:
            reader.ended.set()
            reader.join()


class Child:
    """A process that runs nights; it waits for its word, so that the next one starts while this one is at work."""

    def __init__(self, folder, bundle, url):
        script = str(ROOT / "tests/support/nightly.py")
        command = [sys.executable, script, str(folder), str(bundle), ",".join(KINDS), url]
        own = {"PYTHONPATH": f"{ROOT}:{ROOT}/tests", "MEDSPARK_MASTER": "local[1]", "MEDSPARK_DRIVER_MEMORY": "1g"}
        own["SPARK_CONF_DIR"] = str(folder / "conf")
        environment = {**os.environ, **own, "PG_USER": USER, "PG_PASSWORD": PASSWORD}
        self.said = (folder / f"said-{time.monotonic_ns()}").open("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.said}
        self.process = subprocess.Popen(command, **pipes, text=True, env=environment, start_new_session=True)

    def go(self, generation):
        assert self.process.stdout.readline() == "ready\n", self.told()
        print(generation, file=self.process.stdin, flush=True)

    def kill(self):
        """End it and all that it started, at once; what it had said since its word, a line a step."""
        assert self.process.poll() is None, self.told()
        os.killpg(self.process.pid, signal.SIGKILL)
        return [json.loads(line) for line in self.process.stdout.read().splitlines() if line.endswith("}")]

    def finish(self):
        """Let it do one night; what it said."""
        steps = [json.loads(self.process.stdout.readline() or pytest.fail(self.told())) for _ in ("begun", "done")]
        return steps + self.kill()

    def end(self):
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.said.close()

    def told(self):
        self.said.seek(0)
        return self.said.read()[-3000:]


def test_kill_9_at_random_moments_shows_no_reader_anything_but_a_whole_night(road, tmp_path):
    bin_folder = binaries()
    with started(bin_folder) if bin_folder is not None else nullcontext() as server:
        readers = {kind: Reader(look_at_files, tmp_path, kind) for kind in KINDS if kind != "delta"}
        readers |= {"delta": Reader(look_at_delta, tmp_path)} if "delta" in KINDS else {}
        readers |= {"PostgreSQL": Reader(look_at_table, server)} if server is not None else {}
        with reading(readers.values()):
            done = killed(tmp_path, road["bundle"], server.url if server is not None else "")
    for name, reader in readers.items():
        print(f"{KILLS} kills, {len(done)} nights done; {name}: {reader.looks.total()} looks, of them", end=" ")
        print(f"{len(reader.wrong)} wrong; {reader.again} to be repeated; nights seen: {len(reader.looks)}")
        assert reader.wrong == []
        assert any(first == done[-1]["done"] * 1000 for _, _, first, _ in reader.looks)
    assert done[-1]["entries"] >= len({step["done"] for step in done})  # a night done again adds none


def killed(folder, bundle, url):
    """Nights in one process after the other, each of which is killed; the first and the last are let do one."""
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text("spark.databricks.delta.snapshotPartitions 1\n")
    moments, generation, done, children = random.Random(17), 0, [], [Child(folder, bundle, url)]
    try:
        for at in range(KILLS + 2):
            child = children[-1]
            child.go(generation)
            began = time.monotonic()
            if at <= KILLS:
                children.append(Child(folder, bundle, url))
            if at in (0, KILLS + 1):
                steps, took = child.finish(), time.monotonic() - began
            else:
                time.sleep(moments.uniform(0, LONGEST * took))
                steps = child.kill()
            done += [step for step in steps if "done" in step]
            generation = max((step["begun"] for step in steps if "begun" in step), default=generation)
    finally:
        for child in children:
            child.end()
    return done
