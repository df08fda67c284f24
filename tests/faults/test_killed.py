"""kill -9 at random moments, while a reader polls: it sees the old night or the new one, and the next run completes.

MEDSPARK_KILLS says how often, 3 unless it does; `make faults` asks for more.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pytest
from support.places import ROOT
from support.publishing import RISK, ROWS, night, sinks

KILLS = int(os.environ.get("MEDSPARK_KILLS", "3"))
WHOLE = {(name, ROWS[name], RISK[name]) for name in ROWS}


def polled(folder, seen, ended):
    """Read both tables again and again, as somebody's dashboard does; keep what each look gave."""
    while not ended.is_set():
        for kind, read in (("parquet", "read_parquet"), ("csv", "read_csv")):
            query = (
                f"SELECT night, count(*), avg(probability) FROM {read}('{folder}/{kind}/scores/*/*.{kind}') GROUP BY 1"
            )
            try:
                seen.append(duckdb.connect().sql(query).fetchall())
            except duckdb.IOException:  # nothing has been published yet
                time.sleep(0.05)


def killed(folder, seconds):
    """A process that publishes, killed with all that it started after some seconds; how often it published."""
    command = [sys.executable, str(ROOT / "tests/support/publishing.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "MEDSPARK_MASTER": "local[1]"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGKILL)
        return child.stdout.read().count("published")


@pytest.mark.integration
def test_kill_9_at_random_moments_leaves_each_night_whole(spark, tmp_path):
    moments, seen, ended = random.Random(17), [], threading.Event()
    reader = threading.Thread(target=polled, args=(tmp_path, seen, ended))
    reader.start()
    published = 0
    try:
        for kill in range(KILLS):
            published += killed(tmp_path, moments.uniform(1, 12))
            name = ("first", "second")[kill % 2]
            for out in sinks(spark, tmp_path):
                out.put(night(spark, name))
                assert out.holds(night(spark, name))
    finally:
        ended.set()
        reader.join()
    looks = [tuple(map(tuple, look)) for look in seen]
    print(f"{KILLS} kills, {published} publications before them, {len(looks)} looks, {len(set(looks))} different")
    assert len(looks) > 10
    assert set(looks) <= {(one,) for one in WHOLE}
