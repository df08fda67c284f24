"""A table with several rows a patient, its task with `history`, and what earlier rows say by plain Python."""

from datetime import UTC, date, datetime, timedelta

from support.tasks import STAYS, stays_task

HISTORY = {
    "order_by": "stay",
    "last": ["age", "sex", "back_then"],
    "count": True,
    "gap": True,
    "codes": {"past": {"from": ["diag_1", "diag_2"], "at_least": 1}},
}
PAST = ["earlier_rows", "since_last_row", "last_age", "last_sex", "last_back_then", "past"]


def past_task(order="long", **changes):
    """Stays of which the past is read, in the order of their ids, or of a column `at` of another type."""
    columns = {**STAYS["columns"], "back_then": {"type": "boolean"}}
    history = {**HISTORY, **changes.pop("history", {})}
    if order != "long":
        columns["at"] = {"type": order}
        history["order_by"] = "at"
    features = {**STAYS["features"], "history": history}
    return stays_task(**{"columns": columns, "features": features, **changes})


def past_of(rows, case, order):
    """What a case's earlier rows say, from all rows as dictionaries.

    Args:
        rows: in any order.
        case: one of them.
        order: the name of the column they are ordered by.
    """
    if case[order] is None:
        return dict.fromkeys(PAST)
    same = [row for row in rows if row["patient"] == case["patient"] and row[order] is not None]
    before = sorted((row for row in same if row[order] < case[order]), key=lambda row: (row[order], row["stay"]))
    codes = {row[name] for row in before for name in ("diag_1", "diag_2")} - {None}
    return {
        "earlier_rows": len(before),
        "since_last_row": distance(before[-1][order], case[order]) if before else None,
        **{f"last_{name}": last_known(before, name) for name in ("age", "sex", "back_then")},
        "past": sorted(codes),
    }


def last_known(rows, name):
    return next((row[name] for row in reversed(rows) if row[name] is not None), None)


def distance(one, other):
    """Days between dates and times, else the difference."""
    if isinstance(one, datetime):
        return (other - one) // timedelta(microseconds=1) / 86_400_000_000
    return float((other - one).days if isinstance(one, date) else other - one)


def at(text):
    """A time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
