"""What the tests of databases share: a process whose session has the packages, and a PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import Away, process_with_packages
from support.postgres import Server, binaries, started

TABLES = """
CREATE TABLE person (person_id bigint, mrn text);
INSERT INTO person SELECT n, 'm' || n FROM generate_series(1, 100) n;
INSERT INTO person VALUES (NULL, 'nobody');
CREATE TABLE nobody (person_id bigint);
CREATE TABLE visit (person_id integer, reason text);
INSERT INTO visit SELECT n % 10, 'r' FROM generate_series(1, 50) n;
CREATE MATERIALIZED VIEW told AS SELECT person_id FROM visit;
CREATE DOMAIN dose AS numeric;
CREATE TYPE sex AS ENUM ('f', 'm');
CREATE TABLE kinds (
  id smallint, n numeric, d numeric(10,2), wide numeric(50,3), dose dose, r double precision, ok boolean, sex sex,
  local timestamp, zoned timestamptz, day date, c char(5), v varchar(9), u uuid, j json, "Odd `name; x" text, t time);
INSERT INTO kinds VALUES (
  1, 0.1234567890123456789012345, 1.50, 12345678901234567890123456789012345678901234567.125, 0.1000, 0.1, true, 'f',
  '2021-03-14 02:30:00.123456', '2021-03-14 02:30:00.123456+00', '1850-01-01', 'ab', 'cd',
  '00000000-0000-0000-0000-000000000001', '{"a": 1}', 'x', '12:30');
CREATE TABLE endless (id int, ends timestamp, day date, at timestamptz, d numeric(5,1));
INSERT INTO endless VALUES
  (1, 'infinity', '2020-01-01', '-infinity', 1), (2, '-infinity', '2020-01-01', '2020-01-01', 'NaN'),
  (3, '9999-12-31 23:59:59', '9999-12-31', '2020-01-01', 1), (4, NULL, NULL, NULL, NULL);
CREATE SCHEMA other;
CREATE TABLE other."DEATH" ("PERSON_ID" int);
INSERT INTO other."DEATH" VALUES (7);
CREATE TABLE other."a'b; DROP TABLE person" (x int);
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the process with packages works and logs."""
    return tmp_path_factory.mktemp("session")


@pytest.fixture(scope="module")
def away(home: Path) -> Iterator[Away]:
    """Call a function of a test module in the process whose session has the packages."""
    with process_with_packages(home) as call:
        yield call


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server with the tables above."""
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server: install it, as with apt-get install postgresql")
    with started(folder) as server:
        server.run(TABLES)
        yield server
