"""Scores in a real PostgreSQL: one transaction, exact values, found again, never doubled; other databases as text."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.databases import process_with_packages, session
from support.postgres import binaries, started

from medspark.deploy.deployment import DatabaseSink
from medspark.errors import AccountingError, InputError, TaskError
from medspark.sinks import jdbc
from medspark.sinks.layouts import OMOP_PREDICTION_TYPES
from medspark.sinks.open import open_jdbc
from medspark.sinks.publication import Publication, published_rows, sums_of
from medspark.sinks.sql import NIGHTS, add_column, bring_in, create, dialect_of, note_night, remove_replaced

TYPES = "run_id string, bundle_id string, case_id bigint, subject_id string, probability double, scored_at timestamp"
AT = datetime(2026, 3, 29, 2, 30, 0, 123456, UTC)  # not as the clock of the process shows it
ROWS = [("v1", "b1", 9007199254740993, "00123", 0.1, AT), ("v1", "b1", -(2**63), "Zoë 'q'", 1e-300, None)]
FIRST, SECOND = (datetime(2026, 11, day, 6, tzinfo=UTC) for day in (27, 28))


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    with process_with_packages(tmp_path_factory.mktemp("session")) as call:
        yield call


@pytest.fixture(scope="module")
def server():
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server: install it, as with apt-get install postgresql")
    with started(folder) as server:
        yield server


def night(rows=ROWS, name="n1", as_of=FIRST, run="r1", types=TYPES):
    frame = published_rows(session().createDataFrame(rows, types), None, name, "stays", as_of)
    return Publication(name, "stays", as_of, "v1", "b1", run, "back", frame, sums_of(frame))


def sink(url, table, rows="every_night", layout="scores"):
    database = {"url": url, "user_variable": "PG_USER", "password_variable": "PG_PASSWORD"}
    settings = DatabaseSink(kind="jdbc", database=database, table=table, rows=rows, layout=layout)
    return open_jdbc(session(), settings, url)


def tables_of(server):
    return server.run("SELECT string_agg(tablename, ' ' ORDER BY 1) FROM pg_tables WHERE schemaname = 'public'")


def published_twice_and_beside(server):
    out, first = sink(server.url, "scores"), night()
    held = [out.holds(first)]
    out.put(first)
    held.append(out.holds(first))
    out.put(first)
    out.put(night(name="n2", as_of=SECOND))
    seen = server.run("SELECT case_id, subject_id, probability, scored_at AT TIME ZONE 'UTC' FROM scores ORDER BY 1, 4")
    corrected = night(ROWS[:1], "n3", SECOND)
    out.put(corrected)
    held += [out.holds(corrected), out.holds(night(name="n2", as_of=SECOND)), out.holds(first)]
    counts = server.run("SELECT night, count(*) FROM scores GROUP BY 1 ORDER BY 1")
    return held, seen, counts, server.run("SELECT night, rows FROM scores_nights ORDER BY 1"), tables_of(server)


@pytest.mark.integration
def test_a_night_is_there_once_and_beside_others_with_every_value(away, server):
    held, seen, counts, noted, tables = away(published_twice_and_beside, server)
    assert held == [False, True, True, False, True]
    small, large = "-9223372036854775808|Zoë 'q'|1e-300|", "9007199254740993|00123|0.1|2026-03-29 02:30:00.123456"
    assert seen.splitlines() == [small, small, large, large]
    assert counts.splitlines() == noted.splitlines() == ["n1|2", "n3|1"]
    assert tables == "scores scores_nights"


def with_newest_only(server):
    out = sink(server.url, "newest", "newest")
    out.put(night(as_of=SECOND, name="n2"))
    first, added = ROWS[0], ("v1", "b1", 7, "p7", 0.7, AT)
    out.put(night([(*first[:4], 0.9, AT), added], "n1", FIRST))  # a back-fill: older
    return server.run("SELECT case_id, probability, night FROM newest ORDER BY 1")


@pytest.mark.integration
def test_where_the_newest_is_kept_a_back_fill_replaces_no_newer_row(away, server):
    rows = away(with_newest_only, server)
    assert rows.splitlines() == ["-9223372036854775808|1e-300|n2", "7|0.7|n1", "9007199254740993|0.1|n2"]


def laid_out_as_omop(server):
    types = f"{TYPES.replace('subject_id string', 'subject_id bigint')}, prediction_time timestamp, risk_band string"
    rows = [(*row[:3], person, *row[4:], None, "high") for person, row in enumerate(ROWS, start=2**62)]
    out = sink(server.url, "omop", layout="omop")
    first, corrected = night(rows, types=types), night(rows[:1], "n2", types=types)
    out.put(first)
    held = [out.holds(first)]
    out.put(corrected)
    held += [out.holds(corrected), out.holds(first)]
    return held, server.run('SELECT person_id, prediction_date, "value", model_id, case_id FROM omop')


@pytest.mark.integration
def test_a_table_of_an_omop_results_schema_has_a_row_a_prediction(away, server):
    held, rows = away(laid_out_as_omop, server)
    assert held == [True, True, False]
    assert rows == f"{2**62}|2026-11-27|0.1|b1|9007199254740993"


def refused_and_dead(server):
    out = sink(server.url, "fragile")
    out.put(night())
    server.run("CREATE TABLE fragile_staging_x (a int)")  # of somebody else
    server.run("ALTER TABLE fragile_nights ADD CONSTRAINT small CHECK (rows < 2) NOT VALID")
    said = []
    try:
        out.put(night(ROWS * 2, "n2", FIRST))
    except InputError as error:
        said.append(str(error))
    after_refusal = server.run("SELECT night, count(*) FROM fragile GROUP BY 1")
    honest, jdbc._append = jdbc._append, lambda database, rows, table: honest(database, rows.limit(1), table)
    try:
        out.put(night(name="n3"))
    except AccountingError as error:
        said.append(str(error))
    jdbc._append = honest
    return said, after_refusal, server.run("SELECT night, count(*) FROM fragile GROUP BY 1"), tables_of(server)


@pytest.mark.integration
def test_a_refused_transaction_and_a_short_staging_leave_what_was_there(away, server):
    (refused, short), after, then, tables = away(refused_and_dead, server)
    assert "could not publish" in refused
    assert "Zoë" not in refused
    assert "2 rows were to be published, 1 rows arrived" in short
    assert after == then == "n1|2"
    assert "fragile_staging_x" in tables  # another's table is left alone
    assert tables.count("fragile_staging") == 1


def beside_tables_of_others(server):
    server.run("CREATE TABLE theirs (night text, score float8)")
    server.run("CREATE TABLE half_nights (ward text)")
    server.run("INSERT INTO theirs VALUES ('today', 0.5)")
    said = []
    for table in ("theirs", "half"):
        try:
            sink(server.url, table).put(night())
        except InputError as error:
            said.append(str(error))
    named = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns"
    columns = f"{named} WHERE table_name = '{{}}'"
    return said, server.run("SELECT * FROM theirs"), [server.run(columns.format(t)) for t in ("theirs", "half_nights")]


@pytest.mark.integration
def test_a_table_that_is_not_medsparks_is_refused_and_stays_as_it_is(away, server):
    said, rows, columns = away(beside_tables_of_others, server)
    for table, words in zip(("theirs", "half_nights"), said, strict=True):
        assert f"expected the table '{table}' to be medspark's own" in words
        assert "nothing of it was changed" in words
    assert (rows, columns) == ("today|0.5", ["night score", "ward"])


def changed_by_hand_and_widened(server):
    out, first = sink(server.url, "widened"), night()
    out.put(first)
    server.run("UPDATE widened SET probability = 0.5 WHERE case_id > 0")
    held = [out.holds(first)]
    server.run("DROP TABLE widened")
    held.append(out.holds(first))
    out.put(first)
    held.append(out.holds(first))
    wider = [(*row, True) for row in ROWS]
    out.put(night(wider, "n2", SECOND, types=f"{TYPES}, unusual boolean"))
    return held, server.run("SELECT night, unusual FROM widened ORDER BY 1, 2")


@pytest.mark.integration
def test_rows_changed_by_hand_or_dropped_are_no_longer_held_and_a_new_column_is_added(away, server):
    held, rows = away(changed_by_hand_and_widened, server)
    assert held == [False, False, True]
    assert rows.splitlines() == ["n1|", "n1|", "n2|t", "n2|t"]


def commit_unheard(server):
    """The connection is cut at the commit: nobody hears whether it happened."""
    out, said = sink(server.url, "unheard"), []
    execute = jdbc._execute

    def cut(database, sql, values):
        execute(database, sql, values)
        if "INSERT INTO" in sql and "_nights" in sql:
            mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'medspark'"
            server.run(mine)

    jdbc._execute = cut
    try:
        out.put(night())
    except InputError as error:
        said.append(str(error))
    finally:
        jdbc._execute = execute
    between = server.run("SELECT count(*) FROM unheard"), out.holds(night())
    out.put(replace(night(), run_id="r2"))
    return said, between, server.run("SELECT count(*) FROM unheard"), tables_of(server)


@pytest.mark.integration
def test_a_connection_cut_before_the_commit_leaves_nothing_and_the_next_run_completes(away, server):
    (said,), between, after, tables = away(commit_unheard, server)
    assert "could not publish" in said
    assert (between, after) == (("0", False), "2")
    assert "unheard_staging" not in tables


def dead_after_the_commit(server):
    out, one, show = sink(server.url, "dead"), night(), jdbc.JdbcSink._show

    def show_and_die(*arguments):
        show(*arguments)
        raise KeyboardInterrupt

    jdbc.JdbcSink._show = show_and_die
    try:
        out.put(one)
    except KeyboardInterrupt:
        pass
    finally:
        jdbc.JdbcSink._show = show
    return out.holds(one), server.run("SELECT night, count(*) FROM dead GROUP BY 1")


@pytest.mark.integration
def test_a_run_that_died_after_the_commit_finds_its_night_there(away, server):
    assert away(dead_after_the_commit, server) == (True, "n1|2")


def test_sql_server_and_oracle_are_written_to_in_their_own_words():
    columns = {"night": "string", "case_id": "bigint", "probability": "double", "unusual": "boolean", "note": "string"}
    server, oracle = (dialect_of(url) for url in ("jdbc:sqlserver://h", "jdbc:oracle:thin:@//h:1521/d"))
    assert create(server, '"s"', columns) == (
        'CREATE TABLE "s" ("night" nvarchar(400), "case_id" bigint, "probability" float(53), "unusual" bit, '
        '"note" nvarchar(max))'
    )
    assert create(oracle, '"s"', columns) == (
        'CREATE TABLE "s" ("night" varchar2(400 char), "case_id" number(19), "probability" binary_double, '
        '"unusual" number(1), "note" clob)'
    )
    assert add_column(server, '"s"', "unusual", "boolean") == 'ALTER TABLE "s" ADD "unusual" bit'
    assert note_night(oracle, '"n"').endswith(f"VALUES ({'?, ' * (len(NIGHTS) - 1)}systimestamp)")
    assert remove_replaced('"s"', '"t"', False) == 'DELETE FROM "s" WHERE "deployment" = ? AND "as_of_time" = ?'
    assert bring_in('"s"', '"t"', ["a"], False) == 'INSERT INTO "s" ("a") SELECT "a" FROM "t"'


def test_every_column_of_omops_layout_has_a_type_in_every_database():
    for url in ("jdbc:postgresql://h/d", "jdbc:sqlserver://h", "jdbc:oracle:thin:@//h:1521/d"):
        made = create(dialect_of(url), '"s"', OMOP_PREDICTION_TYPES)
        assert '"prediction_date" date' in made
        assert made.count('"') == 2 * (len(OMOP_PREDICTION_TYPES) + 1)


def test_a_database_that_nobody_has_taught_us_is_a_sentence():
    with pytest.raises(TaskError, match=r"expected a database of jdbc:postgresql, .* received jdbc:mysql"):
        dialect_of("jdbc:mysql://host/x")
