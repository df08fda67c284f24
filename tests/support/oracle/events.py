"""The oracle's `events` and `periods`: of the raw tables of OMOP, or of rows that a test makes up."""

import duckdb
import pyarrow as pa

from support.events import events_table, micros

DAY = 86_400_000_000
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
        times = map(micros, (start, known, stop, stop + 1))
        db.execute("INSERT INTO periods VALUES (?, ?, ?, ?, ?)", [subject, *times])
    return db
