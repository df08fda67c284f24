"""The oracle's candidates: who is one, which criterion excludes it, its label."""

from medspark.task.population import to_micros
from support.oracle.events import AN_ID, DAY


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
    before = "<" if after == ">=" else "<="
    gap = f"""EXISTS (FROM events e WHERE e.subject = aged.subject
        AND code IN (SELECT code FROM sets WHERE name = '{outcome.event}')
        AND time > t - {DAY} AND time {before} {low} AND NOT (time {until} t AND known {until} t))"""
    if outcome.gap == "outcome":
        label = f"({label}) OR {gap}"
    if outcome.gap == "exclude":
        excluded["outcome before the time at risk"] = gap
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
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject AND code = '{mapping.birth}') AS born,
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject AND code = '{mapping.death}') AS death,
            (SELECT min(time) FROM events e WHERE e.subject = timed.subject
               AND code IN (SELECT code FROM sets WHERE name = '{outcome.event}')
               AND time {after} {low} AND time <= {high}) AS outcome
          FROM timed LEFT JOIN observed o USING (subject, t)
          LEFT JOIN followed f ON f.subject = timed.subject {around}),
        aged AS (SELECT *, (t - birth) / {DAY} / 365.25 AS age FROM found),
        judged AS (SELECT *, CASE {cases} END AS excluded_by, {label} AS label FROM aged)
        SELECT row_number() OVER (ORDER BY subject, t) AS number, subject, index_time, t,
          CASE WHEN born > t THEN 'nan' ELSE age END AS age, excluded_by,
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
