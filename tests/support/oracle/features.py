"""The oracle's features of the table `cases`, a column at a time."""

HOUR, DAY = 3_600_000_000, 86_400_000_000
NUMBER = "isfinite(number)"
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
