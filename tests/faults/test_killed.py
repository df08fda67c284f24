"""kill -9 of whole nights at random moments, while readers poll every sink: each look shows one night, whole.

MEDSPARK_KILLS says how often, 3 unless it does; `make faults KILLS=100` asks for more.
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


def look_at_files(folder, kind):
    """What DuckDB reads in a folder; None where nothing was published yet."""
    try:
        return duckdb.connect().sql(f"{LOOK} read_{kind}('{folder}/{kind}/scores/*/*.{kind}')").fetchall()[0]
    except duckdb.IOException as error:
        if "No files found" not in str(error):
            raise
        return None


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

    def run(self):
        newest = None
        while not self.ended.wait(0.02):
            try:
                found = self.look(*self.where)
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
        command = [sys.executable, str(ROOT / "tests/support/nightly.py"), str(folder), str(bundle), url]
        own = {"PYTHONPATH": f"{ROOT}:{ROOT}/tests", "MEDSPARK_MASTER": "local[1]", "MEDSPARK_DRIVER_MEMORY": "1g"}
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
        readers = [Reader(look_at_files, tmp_path, kind) for kind in ("parquet", "csv")]
        readers += [Reader(look_at_table, server)] if server is not None else []
        with reading(readers):
            done = killed(tmp_path, road["bundle"], server.url if server is not None else "")
    for reader, name in zip(readers, ("parquet by DuckDB", "CSV by DuckDB", "PostgreSQL by psql"), strict=False):
        print(f"{KILLS} kills, {len(done)} nights done; {name}: {reader.looks.total()} looks, of them", end=" ")
        print(f"{len(reader.wrong)} wrong; nights seen: {len(reader.looks)}")
        assert reader.wrong == []
        assert any(first == done[-1]["done"] * 1000 for _, _, first, _ in reader.looks)
    assert done[-1]["entries"] >= len({step["done"] for step in done})  # a night done again adds none


def killed(folder, bundle, url):
    """Nights in one process after the other, each of which is killed; the first and the last are let do one."""
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
