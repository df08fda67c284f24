"""Scores in a table of Delta Lake: one commit a night, every value, found again, its own rows alone replaced."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.databases import process_with_packages, session
from support.errors import told

from medspark.errors import AccountingError, InputError
from medspark.sinks import delta
from medspark.sinks.delta import DeltaSink
from medspark.sinks.publication import Publication, Sums, published_rows, sums_of

pytestmark = pytest.mark.integration

TYPES = "run_id string, bundle_id string, case_id bigint, subject_id string, probability double, scored_at timestamp"
AT = datetime(2026, 3, 29, 2, 30, 0, 123456, UTC)  # not as the clock of the process shows it
ROWS = [("v1", "b1", 9007199254740993, "00123", 0.1, AT), ("v1", "b1", -(2**63), "Zoë 'q'", 1e-300, None)]
FIRST, SECOND = (datetime(2026, 11, day, 6, tzinfo=UTC) for day in (27, 28))


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    with process_with_packages(tmp_path_factory.mktemp("session")) as call:
        yield call


def night(rows=ROWS, name="n1", as_of=FIRST, types=TYPES, deployment="stays"):
    frame = published_rows(session().createDataFrame(rows, types), None, name, deployment, as_of)
    return Publication(name, deployment, as_of, "v1", "b1", f"r-{name}", "back", frame, sums_of(frame))


def sink(folder):
    return DeltaSink(session(), f"{folder}/scores", f"delta:{folder}/scores")


def counts(folder):
    rows = session().read.format("delta").load(f"{folder}/scores").groupBy("deployment", "night").count().collect()
    return sorted((row["deployment"], row["night"], row["count"]) for row in rows)


def story(folder):
    out, first, second = sink(folder), night(), night(name="n2", as_of=SECOND)
    held = [out.holds(first)]
    out.put(first)
    held.append(out.holds(first))
    out.put(night(name="n2", as_of=SECOND, deployment="beds"))
    out.put(second)
    corrected = night([(*ROWS[0], "late")], "n3", SECOND, f"{TYPES}, note string")
    out.put(corrected)
    held += [out.holds(corrected), out.holds(second), out.holds(first)]
    values = session().read.format("delta").load(f"{folder}/scores").where("night = 'n1'").orderBy("case_id").collect()
    return held, counts(folder), [(row["case_id"], row["subject_id"], row["probability"]) for row in values]


def test_a_night_is_one_commit_and_replaces_its_deployments_rows_of_its_time_alone(away, tmp_path):
    held, found, values = away(story, str(tmp_path))
    assert held == [False, True, True, False, True]
    assert found == [("beds", "n2", 2), ("stays", "n1", 2), ("stays", "n3", 1)]
    assert values == [(-(2**63), "Zoë 'q'", 1e-300), (9007199254740993, "00123", 0.1)]
    commits = sorted((tmp_path / "scores" / "_delta_log").glob("*.json"))
    marks = [json.loads(line)["txn"] for file in commits for line in file.read_text().splitlines() if '"txn"' in line]
    assert [mark["appId"] for mark in marks] == [
        "medspark/stays/20261127T060000Z",
        "medspark/beds/20261128T060000Z",
        "medspark/stays/20261128T060000Z",
        "medspark/stays/20261128T060000Z",
    ]
    assert marks[2]["version"] < marks[3]["version"]


def written_twice(folder):
    """A write that Spark begins again, as after an answer that was lost: by the same id and version."""
    out, one = sink(folder), night()
    honest, delta.time.time_ns = delta.time.time_ns, lambda: 1_000_000
    try:
        out._write(one, one.rows)
        out._write(one, one.rows.limit(1))
    finally:
        delta.time.time_ns = honest
    return counts(folder)


def test_a_write_that_is_there_already_is_not_done_again(away, tmp_path):
    assert away(written_twice, str(tmp_path)) == [("stays", "n1", 2)]


def damaged(folder):
    out, first = sink(folder), night()
    said, after = [], []
    honest = DeltaSink._sums
    DeltaSink._sums = lambda self, one: Sums(1, "0")  # as where a row is lost on its way
    try:
        said.append(told(AccountingError, lambda: out.put(first)))
        after.append(Path(f"{folder}/scores").exists())
        DeltaSink._sums = honest
        out.put(first)
        DeltaSink._sums = lambda self, one: Sums(1, "0")
        said.append(told(AccountingError, lambda: out.put(night(ROWS[:1], "n2"))))
    finally:
        DeltaSink._sums = honest
    return said, after, counts(folder), out.holds(first)


def test_what_arrived_otherwise_than_sent_is_taken_back(away, tmp_path):
    said, after, found, held = away(damaged, str(tmp_path))
    assert "2 rows were to be published, 1 rows arrived" in said[0]
    assert "1 rows were to be published, 1 rows of other values arrived" in said[1]
    assert (after, found, held) == ([False], [("stays", "n1", 2)], True)


def of_others(folder):
    Path(folder, "files").mkdir()
    Path(folder, "files", "notes.txt").write_text("mine")
    session().range(3).write.format("delta").save(f"{folder}/table")
    places = [DeltaSink(session(), f"{folder}/{name}", name) for name in ("files", "table")]
    return [told(InputError, lambda out=out: out.put(night())) for out in places]


def test_a_folder_and_a_table_of_others_stay_and_are_named(away, tmp_path):
    files, table = away(of_others, str(tmp_path))
    assert "files: expected an empty folder or a Delta table, received other files" in files
    assert "table: expected a table of medspark's own, received one without" in table
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["notes.txt"]
