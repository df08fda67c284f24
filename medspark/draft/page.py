"""A profile as a page that needs nothing else."""

from typing import Final

from medspark.draft.columns import ColumnProfile
from medspark.draft.profile import Profile
from medspark.evaluate.report.format import Table, percent, table
from medspark.evaluate.report.template import style, template_of

_NONE: Final = "–"


def render_profile(profile: Profile) -> str:
    """The page's HTML. No level that fewer than 5 rows have stands in it."""
    sample = profile.sample
    facts = {
        "Rows": f"{sample.rows:,}" + ("" if sample.whole else " (a sample)"),
        "Columns": str(len(profile.columns)),
        "Case": profile.case or "none: no column tells the rows apart",
        "Patient": profile.subject or "none",
        "Time": profile.time or "none",
        "Spellings of missing": ", ".join(profile.missing) or "the empty one alone",
        "Lines that are no record": f"{sample.broken:,}",
        "Rows with the case of an earlier one": f"{profile.written_twice:,}",
    }
    if profile.outcome is not None:
        facts["Outcome"] = str(profile.outcome.spec["name"])
        facts["Share with the outcome"] = f"{percent(profile.outcome.share)} of {profile.outcome.share_of}"
    return template_of("draft", "profile.html.j2").render(
        css=style(),
        title=sample.path.rstrip("/").rsplit("/", 1)[-1],
        facts=facts,
        columns=_columns(profile),
        numbers=_numbers(profile),
        levels=_levels(profile),
        look=[(one.name, text) for one in profile.columns.values() for text in _look_at(one)],
    )


def _look_at(column: ColumnProfile) -> list[str]:
    left_out = [f"left out: {column.left_out}"] if column.left_out and column.role == "feature" else []
    return [*column.remarks, *left_out]


def _columns(profile: Profile) -> Table:
    rows = [
        (one.name, one.type, one.role, f"{len(one.counts):,}", percent(one.missing_share))
        for one in profile.columns.values()
    ]
    return table("Every column, as it seems to be", "Column|Type|Role|Different values|Missing", rows, "3 4")


def _numbers(profile: Profile) -> Table | None:
    rows = [
        (one.name, str(one.spec.get("unit", _NONE)), *one.shown_quantiles())
        for one in profile.columns.values()
        if one.quantiles
    ]
    head = "Column|Unit|1 %|25 %|Median|75 %|99 %"
    return table("Numbers, by their quantiles", head, rows, "2 3 4 5 6") if rows else None


def _levels(profile: Profile) -> Table | None:
    rows = [
        (one.name, ", ".join(f"{text} ({percent(n / one.present)})" for text, n in one.levels()))
        for one in profile.columns.values()
        if one.type in ("category", "boolean") and one.levels()
    ]
    return table("Levels, the commonest first", "Column|Levels", rows) if rows else None
