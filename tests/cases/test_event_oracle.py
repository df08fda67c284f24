"""Cases beside an oracle: plain SQL of DuckDB over the raw tables, written from what the declarations say."""

import math

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from support import events
from support.events import asthma_task, events_table, made_candidates, rows_of
from support.places import ROOT

from medspark.cases.criteria import criteria
from medspark.cases.events import build_candidates
from medspark.cases.worker.candidates import Plan
from medspark.events.concepts import freeze_concepts
from medspark.events.read import read_events
from medspark.synth.write import write_hospital
from medspark.task.load import check_task
from medspark.task.population import to_micros
from medspark.task.yaml_text import read_yaml

TASKS = ROOT / "conf" / "tasks"
HOUR, DAY = 3_600_000_000, 86_400_000_000
NUMBER = "isfinite(number)"

# ---------------------------------------------------------------- the oracle: raw tables to events

DATED = {
    "visit_occurrence": [("VISIT", "visit_concept_id", "visit_start"), ("VISIT_END", "visit_concept_id", "visit_end")],
    "condition_occurrence": [("CONDITION", "condition_concept_id", "condition_start")],
    "drug_exposure": [("DRUG", "drug_concept_id", "drug_exposure_start")],
    "procedure_occurrence": [("PROCEDURE", "procedure_concept_id", "procedure")],
    "measurement": [("MEASUREMENT", "measurement_concept_id", "measurement")],
    "observation": [("OBSERVATION", "observation_concept_id", "observation")],
    "device_exposure": [("DEVICE", "device_concept_id", "device_exposure_start")],
}
NUMBERS = {"drug_exposure": "try_cast(quantity AS DOUBLE)", "measurement": "try_cast(value_as_number AS DOUBLE)"}
AN_ID = "CAST(CAST({} AS DECIMAL(38, 1)) AS BIGINT)"


def read_omop(files):
    """A connection with `events` and `periods`, from the files of `files` (name of a table to a pattern)."""
    db = duckdb.connect()
    db.execute("SET threads = 1")
    for name, path in files.items():
        db.execute(f"CREATE VIEW raw_{name} AS SELECT * FROM read_csv('{path}', header = true, all_varchar = true)")
    parts = [f"SELECT person_id, 'MEDS_BIRTH' AS code, born AS time, NULL::DOUBLE AS number FROM ({BIRTHS})"]
    for name, kinds in DATED.items():
        if name not in files:
            continue
        for kind, concept, when in kinds:
            source = concept.replace("concept_id", "source_value")
            parts.append(f"""
                SELECT person_id,
                  coalesce('{kind}/' || nullif({AN_ID.format(concept)}, 0), '{kind}/source/' || {source}, '{kind}/0'),
                  coalesce(CAST({when}_datetime AS TIMESTAMP), CAST({when}_date AS TIMESTAMP)),
                  {NUMBERS.get(name, "NULL")}
                FROM raw_{name}""")
    parts.append("""
        SELECT person_id, 'MEDS_DEATH', coalesce(CAST(death_datetime AS TIMESTAMP), CAST(death_date AS TIMESTAMP)), NULL
        FROM raw_death""")
    parts += [
        f"""SELECT person_id, 'OBSERVATION_PERIOD_{end.upper()}',
            CAST(observation_period_{end}_date AS TIMESTAMP), NULL FROM raw_observation_period"""
        for end in ("start", "end")
    ]
    if "drug_era" in files:
        parts.append(f"""SELECT person_id, 'DRUG_ERA/' || {AN_ID.format("drug_concept_id")},
            CAST(drug_era_start_date AS TIMESTAMP), NULL FROM raw_drug_era""")
    for column, kind in (("gender", "GENDER"), ("race", "RACE")):
        number = f"nullif({AN_ID.format(f'{column}_concept_id')}, 0)"
        parts.append(f"SELECT person_id, '{kind}/' || {number}, NULL, NULL FROM raw_person WHERE {number} IS NOT NULL")
    # Midnight is a date without a time: known only when its day has ended
    db.execute(f"""
        CREATE TABLE events AS
        SELECT {AN_ID.format("person_id")} AS subject, code, epoch_us(time) AS time, number, epoch_us(
            CASE WHEN time = date_trunc('day', time) THEN time + INTERVAL 1 DAY ELSE time END) AS known
        FROM ({" UNION ALL ".join(parts)})""")
    db.execute(f"""
        CREATE TABLE periods AS
        SELECT {AN_ID.format("person_id")} AS subject,
          epoch_us(CAST(observation_period_start_date AS TIMESTAMP)) AS start, start + {DAY} AS known,
          epoch_us(CAST(observation_period_end_date AS TIMESTAMP)) AS stop, stop + {DAY} AS last_day
        FROM raw_observation_period""")
    return db


BIRTHS = """
    SELECT person_id, coalesce(CAST(birth_datetime AS TIMESTAMP), make_timestamp(
        CAST(CAST(year_of_birth AS DOUBLE) AS BIGINT), CAST(CAST(month_of_birth AS DOUBLE) AS BIGINT),
        CAST(CAST(day_of_birth AS DOUBLE) AS BIGINT), 0, 0, 0)) AS born
    FROM raw_person"""


# ---------------------------------------------------------------- the oracle: events to candidates


def oracle(db, task):
    """Make the tables `sets`, `candidates` and `cases` for a task."""
    write_sets(db, task)
    population, outcome, mapping = task.population, task.outcome, task.mapping
    until = "<=" if task.time.at_prediction_time == "included" else "<"
    observation = (mapping.observation.start, mapping.observation.end) if mapping.observation else ()
    life = ", ".join(f"'{code}'" for code in (mapping.birth, mapping.death, *observation))
    db.execute(f"""CREATE OR REPLACE TEMP VIEW care AS FROM events WHERE time IS NOT NULL AND code NOT IN ({life})""")
    if population.snapshot is not None:
        times = ", ".join(f"({to_micros(text)})" for text in population.snapshot.at)
        index = f"SELECT DISTINCT subject, t AS index_time FROM care JOIN (VALUES {times}) moments(t) ON known <= t"
    else:
        names = ", ".join(f"'{name}'" for name in population.index.event)
        first = "GROUP BY subject" if population.index.take == "first" else "GROUP BY subject, time"
        db.execute(f"""CREATE OR REPLACE TEMP TABLE index_events AS SELECT subject, time, known FROM events
                       WHERE time IS NOT NULL AND code IN (SELECT code FROM sets WHERE name IN ({names}))""")
        index = f"SELECT subject, min(time) AS index_time FROM index_events {first}"
    db.execute(f"""CREATE OR REPLACE TEMP TABLE timed AS
        SELECT *, index_time + {micros(population.predict_after_hours / 24)} AS t FROM ({index})""")
    # `observed`: from when on, by what was known at t; `followed`: how far, by all that is known now
    if mapping.observation is None:
        observed = "SELECT timed.subject, t, min(time) AS start FROM timed JOIN care USING (subject) WHERE known <= t"
        db.execute(f"CREATE OR REPLACE TEMP TABLE observed AS {observed} GROUP BY timed.subject, t")
        db.execute("""CREATE OR REPLACE TEMP TABLE followed AS
            SELECT subject, min(time) AS start, max(time) AS stop, max(time) AS last_day FROM care GROUP BY subject""")
    else:
        known = "(SELECT DISTINCT periods.*, t FROM timed JOIN periods USING (subject) WHERE known <= t)"
        db.execute(f"""CREATE OR REPLACE TEMP TABLE observed AS
            SELECT subject, t, start FROM ({joined(known, "subject, t")}) WHERE start <= t AND t <= last_day""")
        db.execute(f"CREATE OR REPLACE TEMP TABLE followed AS {joined('periods', 'subject')}")
    around = "" if mapping.observation is None else "AND f.start <= timed.t AND timed.t <= f.last_day"
    excluded = criteria_of(task, until)
    low = f"(t + {micros(outcome.from_days)})"
    high = f"(t + {micros(outcome.to_days)})" if outcome.to_days is not None else str(2**63 - 1)
    after = ">=" if outcome.from_days > 0 or until == "<" else ">"
    died = f"coalesce(death <= {high} AND (outcome IS NULL OR death < outcome - {DAY}), false)"
    label = f"outcome IS NOT NULL AND NOT {died}"
    if outcome.death == "outcome":
        label = f"({label}) OR {died}"
    if outcome.death == "leave_out":
        excluded["died before the outcome"] = died
    if outcome.to_days is not None and outcome.follow_up != "keep_all":
        kept = f"{died} OR coalesce(stop >= {high} OR last_day > {high}, false)"
        kept += f" OR ({label})" if outcome.follow_up == "keep_outcomes" else ""
        excluded["no full follow-up"] = f"NOT ({kept})"
    cases = " ".join(f"WHEN {test} THEN '{name}'" for name, test in excluded.items())
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE candidates AS
        WITH found AS (SELECT timed.*, o.start, f.stop, f.last_day,
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject AND code = '{mapping.birth}'
               AND known <= t) AS birth,
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject AND code = '{mapping.death}') AS death,
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject
               AND code IN (SELECT code FROM sets WHERE name = '{outcome.event}')
               AND time {after} {low} AND time <= {high}) AS outcome
          FROM timed LEFT JOIN observed o USING (subject, t)
          LEFT JOIN followed f ON f.subject = timed.subject {around}),
        aged AS (SELECT *, (t - birth) / {DAY} / 365.25 AS age FROM found),
        judged AS (SELECT *, CASE {cases} END AS excluded_by, {label} AS label FROM aged)
        SELECT row_number() OVER (ORDER BY subject, t) AS number, subject, index_time, t, age, excluded_by,
          CASE WHEN excluded_by IS NULL THEN label END AS label FROM judged""")
    db.execute("CREATE OR REPLACE TEMP TABLE cases AS SELECT * FROM candidates WHERE excluded_by IS NULL")
    columns = "subject, index_time, t, age, excluded_by, label"
    return db.execute(f"SELECT {columns} FROM candidates ORDER BY number").fetchall()


def joined(periods, owner):
    """SQL for the periods of each `owner`, those that overlap, touch or lie on consecutive days as one."""
    return f"""
        SELECT {owner}, min(start) AS start, max(stop) AS stop, max(last_day) AS last_day FROM (
          SELECT *, sum(CASE WHEN start <= reached THEN 0 ELSE 1 END) OVER by_start AS island FROM (
            SELECT *, max(last_day) OVER (PARTITION BY {owner} ORDER BY start, stop
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached FROM {periods})
          WINDOW by_start AS (PARTITION BY {owner} ORDER BY start, stop ROWS UNBOUNDED PRECEDING))
        GROUP BY {owner}, island"""


def micros(days):
    return round(days * DAY)


def write_sets(db, task):
    """`sets`: the codes of every concept and first part of codes that the task names."""
    db.execute("CREATE OR REPLACE TEMP TABLE sets (name VARCHAR, code VARCHAR, as_one BOOLEAN)")
    population = task.population
    parts = {*task.features.reads(), task.outcome.event, *(population.index.event if population.index else ())}
    parts |= {rule.had for rule in (*population.require, *population.exclude)}
    insert = "INSERT INTO sets SELECT DISTINCT ?, code, ? FROM events WHERE "
    for name in parts - set(task.concepts):
        db.execute(insert + "starts_with(code, ?)", [name, False, name])
    for name, concept in task.concepts.items():
        for code in concept.codes:
            db.execute(insert + "code = ?", [name, concept.as_one, code])
            if concept.descendants:
                kind, number = code.rsplit("/", 1)
                below = f"""code IN (SELECT '{kind}/' || {AN_ID.format("descendant_concept_id")}
                    FROM raw_concept_ancestor WHERE {AN_ID.format("ancestor_concept_id")} = {number})"""
                db.execute(insert + below, [name, concept.as_one])
        for prefix in concept.prefixes:
            db.execute(insert + "starts_with(code, ?)", [name, concept.as_one, prefix])


def criteria_of(task, until):
    """SQL by criterion for whom it excludes, in the order of the criteria; those of the outcome come after these."""
    population = task.population
    found = {}
    if population.washout_days is not None:
        found["another index event before"] = f"""EXISTS (FROM index_events x WHERE x.subject = aged.subject
            AND x.time < index_time AND x.time >= index_time - {micros(population.washout_days)}
            AND x.known {until} t)"""
    found["died before"] = f"""EXISTS (FROM events e WHERE e.subject = aged.subject
        AND code = '{task.mapping.death}' AND e.time {until} t AND e.known {until} t)"""
    if task.mapping.observation is not None or population.history_days is not None:
        found["not observed"] = "start IS NULL"
    if population.history_days is not None:
        found["history"] = f"start > t - {micros(population.history_days)}"
    ages = [("<", population.age_at_least), (">", population.age_at_most)]
    if any(bound is not None for _, bound in ages):
        outside = [f"age {sign} {bound}" for sign, bound in ages if bound is not None]
        found["age"] = f"age IS NULL OR {' OR '.join(outside)}"
    for rule in population.require:
        found[rule.name] = f"NOT {had(rule, until, '')}"
    for rule in population.exclude:
        found[rule.name] = had(rule, until, "AND e.time > index_time" if rule.after_index else "")
    return found


def had(rule, until, more):
    within = f"AND e.time >= t - {micros(rule.within_days)}" if rule.within_days is not None else ""
    return f"""EXISTS (FROM events e WHERE e.subject = aged.subject AND e.time {until} t AND e.known {until} t
        {within} {more} AND e.code IN (SELECT code FROM sets WHERE name = '{rule.had}'))"""


# ---------------------------------------------------------------- the oracle: features

TAKES = {
    "count": "count(*)",
    "present": "1",
    "time_since": f"(any_value(t) - max(time)) / {HOUR}",
    "time_since_first": f"(any_value(t) - min(time)) / {HOUR}",
    "last": f"last(number ORDER BY time, number) FILTER ({NUMBER})",
    "first": f"first(number ORDER BY time, number) FILTER ({NUMBER})",
    "mean": f"avg(number) FILTER ({NUMBER})",
    "min": f"min(number) FILTER ({NUMBER})",
    "max": f"max(number) FILTER ({NUMBER})",
    "sd": f"stddev_pop(number) FILTER ({NUMBER})",
    "slope": f"""CASE WHEN count(DISTINCT time) FILTER ({NUMBER}) > 1
        THEN regr_slope(number, (time - t) / {DAY}) FILTER ({NUMBER}) END""",
    "change": f"""list(number ORDER BY time DESC, number DESC) FILTER ({NUMBER})[1]
        - list(number ORDER BY time DESC, number DESC) FILTER ({NUMBER})[2]""",
}


def column_of(db, task, column):
    """A column of the cases: each case's number to what medspark should have for it."""
    group, until = column.group, "<=" if task.time.at_prediction_time == "included" else "<"
    of = ", ".join(f"('{name}', {at})" for at, name in enumerate(group.of))
    within = f"AND e.time >= t - {round(column.hours * HOUR)}" if column.hours is not None else ""
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE seen AS
        WITH named AS (  -- a code of several of them goes to the first that is one code
          SELECT code, arg_min(
            CASE WHEN as_one THEN sets.name ELSE code END, place - CASE WHEN as_one THEN 99 ELSE 0 END) AS name
          FROM sets JOIN (VALUES {of}) o(name, place) ON o.name = sets.name GROUP BY code)
        SELECT c.number AS nr, c.t, e.time, named.name, e.code, e.number
        FROM cases c JOIN events e ON e.subject = c.subject AND e.time {until} t AND e.known {until} t {within}
        JOIN named ON named.code = e.code""")
    if column.kind == "codes":
        return dict(db.execute("SELECT nr, list_sort(list(DISTINCT name)) FROM seen GROUP BY nr").fetchall())
    if column.kind == "sequence":
        return by_case(
            db.execute(f"""
                SELECT nr, name, (t - time) / {HOUR}, CASE WHEN {NUMBER} THEN number END FROM (
                  SELECT *, row_number() OVER (PARTITION BY nr ORDER BY time DESC, code DESC, number DESC NULLS FIRST) n
                  FROM seen) WHERE n <= {group.last} ORDER BY nr, n DESC"""),
            lambda items: [{"code": name, "hours_before": back, "number": number} for name, back, number in items],
        )
    if column.kind == "values":
        takes = ", ".join(TAKES[take] for take in group.take)
        return by_case(
            db.execute(f"SELECT nr, name, {takes} FROM seen GROUP BY nr, name"),
            lambda items: {name: dict(zip(group.take, numbers, strict=True)) for name, *numbers in items},
        )
    back = f"least((t - time) // {round(group.every_hours * HOUR)}, {group.steps - 1})"
    found = db.execute(f"""SELECT nr, name, {back} AS back, {TAKES[group.take]}
                           FROM seen WHERE {NUMBER} GROUP BY nr, name, back""")
    return by_case(found, lambda cells: grids(cells, group.steps))


def grids(cells, steps):
    found = {}
    for name, back, number in cells:
        found.setdefault(name, [None] * steps)[steps - 1 - back] = number
    return found


def by_case(result, shape):
    rows = {}
    for at, *rest in result.fetchall():
        rows.setdefault(at, []).append(rest)
    return {at: shape(items) for at, items in rows.items()}


def sex_of(db, until):
    """The last known code of a patient's sex at the prediction time, else the one without a time."""
    db.execute("CREATE OR REPLACE TEMP VIEW sexes AS FROM events WHERE starts_with(code, 'GENDER/')")
    rows = db.execute(f"""
        SELECT c.number, coalesce(
          (SELECT last(code ORDER BY time, code) FROM sexes WHERE subject = c.subject
             AND time {until} t AND known {until} t),
          (SELECT min(code) FROM sexes WHERE subject = c.subject AND time IS NULL))
        FROM cases c""")
    return {at: code and code.removeprefix("GENDER/") for at, code in rows.fetchall()}


# ---------------------------------------------------------------- comparing

EMPTY = {"codes": [], "sequence": [], "values": {}, "grid": {}}


def assert_same(db, task, found):
    """medspark's candidates are the oracle's, with every column of every case."""
    expected = oracle(db, task)
    found = sorted(found, key=lambda row: (row["subject_id"], row["prediction_time"]))
    keys = ("subject_id", "index_time", "prediction_time", "age", "_excluded", "boolean_value")
    assert_close([tuple(row[key] for key in keys) for row in found], expected)
    numbers = [number for number, row in enumerate(found, 1) if row["_excluded"] is None]
    for column in task.features.columns():
        wanted = column_of(db, task, column)
        for number in numbers:
            assert_close(found[number - 1][column.name], wanted.get(number, EMPTY[column.kind]), column.name)
    if "sex" in task.features.demographics:
        wanted = sex_of(db, "<=" if task.time.at_prediction_time == "included" else "<")
        assert {number: found[number - 1]["sex"] for number in numbers} == wanted
    return counts_of(task, [row[4] for row in expected]), sum(row[5] or 0 for row in expected)


def counts_of(task, excluded_by):
    names = [criterion.name for criterion in criteria(task, scoring=False)]
    assert {*excluded_by} <= {*names, None}
    return {name: excluded_by.count(name) for name in (*names, None)}


def assert_close(found, expected, where=""):
    """Equal, floats to nine digits."""
    if isinstance(expected, float) and found is not None:
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9), (where, found, expected)
    elif isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where} {key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), (where, found, expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, where)
    else:
        assert found == expected, (where, found, expected)


# ---------------------------------------------------------------- made-up histories


def read_rows(rows, periods):
    """A connection with `events` and `periods` of rows as `events_table` takes them."""
    db = duckdb.connect()
    db.execute("SET threads = 1")
    made = events_table(rows, pa.int64())
    db.register("rows", made)
    db.execute("""
        CREATE TABLE events AS SELECT subject_id AS subject, code, epoch_us(time) AS time, numeric_value AS number,
          epoch_us(greatest(time, available_time)) AS known FROM rows""")
    db.execute("CREATE TABLE periods (subject BIGINT, start BIGINT, known BIGINT, stop BIGINT, last_day BIGINT)")
    for subject, start, known, stop in periods:
        times = map(events.micros, (start, known, stop, stop + 1))
        db.execute("INSERT INTO periods VALUES (?, ?, ?, ?, ?)", [subject, *times])
    return db


@settings(max_examples=60, deadline=None)
@given(made=events.random_events(), task=events.random_tasks())
def test_any_task_on_any_history_makes_the_oracles_cases(made, task):
    rows, periods = made
    with read_rows(rows, periods) as db:
        assert_same(db, task, made_candidates(events_table(rows, pa.int64()), task))


# ---------------------------------------------------------------- whole warehouses


PATIENTS = 400
"""Of the synthetic hospital: enough for each criterion to take somebody out."""


@pytest.fixture(scope="session")
def gibleed(spark, data, tmp_path_factory):
    """omop_gibleed as records and as the oracle reads it."""
    folder = data / "omop_gibleed" / "csv"
    return warehouse(spark, folder, tmp_path_factory, lambda name: folder / f"{name}.csv")


@pytest.fixture(scope="session")
def hospital(spark, tmp_path_factory):
    """A synthetic hospital as records and as the oracle reads it."""
    out = tmp_path_factory.mktemp("oracle-hospital")
    write_hospital(spark, str(out), PATIENTS, 11, partitions=2)
    return warehouse(spark, out / "omop", tmp_path_factory, lambda name: out / "omop" / f"{name}.csv" / "part-*")


def warehouse(spark, folder, tmp_path_factory, pattern):
    source = {"kind": "events", "mapping": "omop", "format": "csv", "path": str(folder)}
    records = str(tmp_path_factory.mktemp("records") / "records")
    task = asthma_task(source=source, mapping=OMOP)
    with read_events(spark, task.source, task.mapping) as found:
        found.records.write.parquet(records)
        count = sum(table.events for table in found.counts.values())
    tables = ("person", "observation_period", "death", "drug_era", "concept_ancestor", *DATED)
    files = {name: pattern(name) for name in tables if (folder / f"{name}.csv").exists()}
    return {"source": source, "records": spark.read.parquet(records), "count": count, "db": read_omop(files)}


def compare(spark, warehouse, raw):
    """What each criterion took out (None: the cases) and how many cases have the outcome, once both sides agree."""
    raw = {"task": "oracle", "title": "Beside an oracle", **raw, "source": warehouse["source"], "mapping": OMOP}
    task, problems = check_task(raw)
    assert problems == []
    frozen = freeze_concepts(spark, task, task.mapping)
    candidates = build_candidates(warehouse["records"], Plan(frozen), warehouse["count"])
    steps = candidates._jdf.queryExecution().executedPlan().toString()
    assert steps.count("Exchange ") == 1, "the events are shuffled once, whatever the task"
    return assert_same(warehouse["db"], task, rows_of(candidates.toArrow()))


OMOP = read_yaml(TASKS.parent / "sources" / "omop.yaml")
ALL_TAKES = ["count", "present", "time_since", "time_since_first", "last", "first", "mean", "min", "max", "sd", "slope"]
FEATURES = {
    "demographics": ["age", "sex"],
    "codes": {"bag": {"of": ["ill", "DRUG/"], "look_back_days": [30, 365]}},
    "values": {"numbers": {"of": ["DRUG/", "MEASUREMENT/"], "look_back_days": 365, "take": [*ALL_TAKES, "change"]}},
    "sequences": {"past": {"of": ["CONDITION/", "VISIT/"], "look_back_days": 365, "last": 8}},
    "grids": {"months": {"of": ["drug"], "look_back_hours": 2880, "every_hours": 720, "take": "count"}},
}
CONCEPTS = {
    "gibleed": {
        "index": {"codes": ["CONDITION/40481087"]},  # viral sinusitis
        "ill": {"codes": ["CONDITION/4112343", "CONDITION/260139"], "as_one": True},  # pharyngitis, bronchitis
        "drug": {"codes": ["DRUG/1127433", "DRUG/1713671"]},
    },
    "hospital": {
        "index": {"prefixes": ["VISIT/", "VISIT_END/"]},  # who dies in the hospital dies as the visit ends
        "ill": {"codes": [f"CONDITION/200000{kind}" for kind in (1000, 1001, 1025, 1026)], "as_one": True},
        "drug": {"codes": ["DRUG/2000002010", "DRUG/2000002011"]},
    },
}
SNAPSHOTS = {
    "gibleed": ["1990-01-01T00:00:00", "2000-06-01T12:00:00"],
    "hospital": ["2023-07-01T00:00:00", "2024-03-10T12:00:00"],
}
EVERY = {
    "population": {
        "index": {"event": "index", "take": "every"},
        "predict_after_hours": 36,
        "washout_days": 60,
        "age_at_least": 5,
        "age_at_most": 90,
        "exclude": [
            {"name": "recent drug", "had": "drug", "within_days": 14, "because": "of the test"},
            {"name": "ill since", "had": "ill", "after_index": True, "because": "of the test"},
        ],
    },
    "outcome": {"name": "ill", "event": "ill", "to_days": 90, "follow_up": "require_full", "death": "outcome"},
    "time": {"at_prediction_time": "excluded"},
    "features": FEATURES,
}
ALL_KEPT = {
    "population": {"index": {"event": "index", "take": "every"}, "history_days": 7},
    "outcome": {"name": "ill", "event": "ill", "to_days": 365, "follow_up": "keep_all", "death": "leave_out"},
    "features": {**FEATURES, "sequences": {}},
}
EVERY_IN_HOSPITAL = {**EVERY, "population": {**EVERY["population"], "washout_days": 4}}  # many a stay is longer
SNAPSHOT = {
    "population": {
        "history_days": 30,
        "require": [{"name": "had a drug", "had": "drug", "within_days": 730, "because": "of the test"}],
    },
    "outcome": {"name": "ill", "event": "ill", "from_days": 1, "to_days": 180},
    "features": FEATURES,
}


@pytest.mark.data
@pytest.mark.integration
def test_the_shipped_task_of_bleeds_on_omop_gibleed(spark, gibleed, data, monkeypatch):
    monkeypatch.setenv("MEDSPARK_DATA", str(data))
    raw = read_yaml(TASKS / "gi-bleed.yaml")
    removed, positives = compare(spark, gibleed, {**raw, "report": {}})
    assert removed[None] > 2000
    assert positives > 400


@pytest.mark.data
@pytest.mark.integration
@pytest.mark.parametrize("raw", [EVERY, ALL_KEPT], ids=["every", "all kept"])
def test_every_index_on_omop_gibleed(spark, gibleed, raw):
    removed, positives = compare(spark, gibleed, {**raw, "concepts": used(CONCEPTS["gibleed"], raw)})
    assert min(removed[None], positives) > 300


@pytest.mark.data
@pytest.mark.integration
def test_a_snapshot_of_omop_gibleed(spark, gibleed):
    assert assert_snapshot(spark, gibleed, "gibleed")["not observed"] > 0


def test_a_snapshot_of_the_synthetic_hospital(spark, hospital):
    removed = assert_snapshot(spark, hospital, "hospital")
    assert min(removed["died before"], removed["history"]) > 0


def assert_snapshot(spark, warehouse, name):
    population = {**SNAPSHOT["population"], "snapshot": {"at": SNAPSHOTS[name]}}
    raw = {**SNAPSHOT, "population": population}
    removed, positives = compare(spark, warehouse, {**raw, "concepts": used(CONCEPTS[name], raw)})
    assert min(removed["had a drug"], removed[None], positives) > 0
    return removed


@pytest.mark.parametrize("raw", [EVERY_IN_HOSPITAL, ALL_KEPT], ids=["every", "all kept"])
@pytest.mark.parametrize("death", ["no_outcome", "outcome", "leave_out"])
def test_every_index_in_the_synthetic_hospital(spark, hospital, raw, death):
    raw = {**raw, "outcome": {**raw["outcome"], "death": death}}
    removed, positives = compare(spark, hospital, {**raw, "concepts": used(CONCEPTS["hospital"], raw)})
    assert 0 not in (*removed.values(), positives), removed


def used(concepts, raw):
    """The concepts that a task reads; one that nothing reads is a mistake."""
    return {name: concept for name, concept in concepts.items() if f"'{name}'" in repr(raw)}
