"""A table's profile: each column as it seems to be, the keys, what repeats, and what tells the outcome."""

from collections import Counter
from dataclasses import dataclass, field

from medspark.draft.columns import ColumnProfile, guess_column
from medspark.draft.leaks import why_leak
from medspark.draft.outcome import DraftedOutcome, draft_outcome
from medspark.draft.sample import Sample
from medspark.draft.units import conversions, is_unit, value_column
from medspark.draft.words import (
    MAYBE_MISSING,
    SURELY_MISSING,
    counted,
    names_age,
    names_case,
    names_discharge,
    names_key,
    names_subject,
)
from medspark.schemas import CASE_COLUMNS

_NEARLY_UNIQUE = 0.98
_AMOUNT = 10
_NUMBERS = ("integer", "long", "double", "interval")


@dataclass
class Profile:
    sample: Sample
    columns: dict[str, ColumnProfile]
    missing: list[str] = field(default_factory=list)
    """Spellings of a missing value, in every column."""
    point_zero: bool = False
    case: str | None = None
    subject: str | None = None
    time: str | None = None
    written_twice: int = 0
    """Rows whose case stands above already."""
    outcome: DraftedOutcome | None = None
    remarks: list[str] = field(default_factory=list)


def make_profile(sample: Sample, outcome: str | None = None, days: str | None = None) -> Profile:
    """Everything that is guessed of a table.

    Raises:
        TaskError: the outcome that was asked for is none of this table.
    """
    counted = {name: Counter(values) for name, values in sample.columns.items()}
    missing = _missing_spellings(counted)
    profile = Profile(sample, {}, missing)
    profile.point_zero = any(_points(counts) for counts in counted.values()) and not sample.stored
    for name, values in sample.columns.items():
        profile.columns[name] = _profiled(name, values, counted[name], profile)
    _find_keys(profile)
    _widen_amounts(profile)
    _join_units(profile)
    _leave_out_repeats(profile)
    if outcome is not None:
        _judge_by_outcome(profile, draft_outcome(outcome, days, profile.columns))
    return profile


def _missing_spellings(counted: dict[str, Counter[str]]) -> list[str]:
    """Spellings that are sure, and those that may be a level where they stand among numbers."""
    found = {text for counts in counted.values() for text in counts if text in SURELY_MISSING}
    for counts in counted.values():
        odd = {text for text in counts if text in MAYBE_MISSING}
        others = sum(n for text, n in counts.items() if text and text not in MAYBE_MISSING | SURELY_MISSING)
        numbers = sum(
            n for text, n in counts.items() if text[:1].isdigit() or (text[:1] in "+-." and text[1:2].isdigit())
        )
        found |= odd if odd and others and numbers >= 0.95 * others else set()
    return sorted(found)


def _points(counts: Counter[str]) -> bool:
    """Whether whole numbers are written 263.0."""
    some = [text for text, _ in counts.most_common(50) if text]
    return bool(some) and all(text.endswith(".0") or text in SURELY_MISSING for text in some)


def _profiled(name: str, values: list[str], counts: Counter[str], profile: Profile) -> ColumnProfile:
    absent = {text: n for text, n in counts.items() if not text or text in profile.missing}
    there = Counter({text: n for text, n in counts.items() if text not in absent})
    column = ColumnProfile(name, values, there, len(values), missing=absent)
    guess_column(column, profile.sample.stored.get(name, "text"), profile.point_zero)
    kept = [text for text, _ in column.levels() if text in MAYBE_MISSING and column.type == "category"]
    for text in kept:
        column.remarks.append(f"{text!r} is taken for a level; if it means missing here: missing: [{text}]")
    if len(there) == 1:
        column.left_out = column.left_out or "one value in all rows"
    if name in CASE_COLUMNS or name.startswith("_"):
        column.left_out = "its name is kept for medspark's own columns; rename it to use it"
    return column


def _find_keys(profile: Profile) -> None:
    """The case is the column that nearly tells all rows apart; the subject may repeat."""
    rows = profile.sample.rows
    keys = [one for one in profile.columns.values() if _may_be_key(one)]
    unique = [one for one in keys if len(one.counts) >= _NEARLY_UNIQUE * rows and one.present >= _NEARLY_UNIQUE * rows]
    named = [one for one in unique if names_case(one.name) or names_key(one.name) or names_subject(one.name)]
    case = max(named, key=lambda one: (names_case(one.name), not names_subject(one.name)), default=None)
    case = case or next((one for one in unique if len(one.counts) == rows and one.type in ("integer", "long")), None)
    if case is not None:
        profile.case = case.name
        _as_key(case, "case")
        profile.written_twice = case.present - len(case.counts)
    subjects = [one for one in keys if one is not case and names_subject(one.name) and len(one.counts) >= 0.02 * rows]
    if subjects:
        profile.subject = subjects[0].name
        _as_key(subjects[0], "subject")
    else:
        profile.subject = profile.case
    for one in keys:
        if one.role == "feature" and len(one.counts) >= 0.5 * rows and names_key(one.name):
            one.left_out = "an id, by its name and its many values"
            _as_key(one, "id")
    times = [one for one in profile.columns.values() if one.type == "timestamp" and one.missing_share < 0.02]
    times.sort(key=lambda one: not names_discharge(one.name))
    profile.time = times[0].name if times else None
    if len(times) > 1 or (times and not names_discharge(times[0].name)):
        times[0].remarks.append("taken for the time at which a risk is asked for")


def _may_be_key(column: ColumnProfile) -> bool:
    return column.type in ("integer", "long", "string", "category") and column.present > 0


def _as_key(column: ColumnProfile, role: str) -> None:
    numeric = column.type in ("integer", "long")
    column.spec = {"type": "long" if numeric else "string"}
    column.role, column.remarks, column.quantiles = role, [], ()
    column.left_out = column.left_out or f"the {role}'s key"


def _widen_amounts(profile: Profile) -> None:
    """Whole numbers that do not begin near zero are amounts, of which a later row may have decimals."""
    for column in profile.columns.values():
        low = column.quantiles[0] if column.quantiles else 0.0
        if column.type == "integer" and abs(low) >= _AMOUNT and not names_age(column.name):
            column.spec["type"] = "double"


def _join_units(profile: Profile) -> None:
    """Columns that name the unit of another's values."""
    for name, column in list(profile.columns.items()):
        if column.type != "category" or not all(is_unit(text) for text, _ in column.counts.most_common(1)):
            continue
        of = value_column(name, profile.columns)
        if of is None or profile.columns[of].type not in _NUMBERS:
            continue
        target, known, unknown = conversions(of, column.counts)
        value = profile.columns[of]
        column.role, column.left_out, column.spec = "unit", f"the unit of {of}", {"type": "category"}
        value.spec["unit"] = target
        if len(column.counts) > 1:
            value.spec = {"type": "double", "unit": target, "units": {"column": name, "to_unit": known}}
            value.quantiles = ()
            value.remarks = [f"several units, brought to {target}: check each factor; its range is not guessed"]
        if unknown:
            value.spec["otherwise"] = "missing"
            rows = sum(column.counts[unit] for unit in unknown)
            value.remarks.append(f"{counted(rows, 'row')} with a unit without a known factor, set missing")


def _leave_out_repeats(profile: Profile) -> None:
    first: dict[int, str] = {}
    for name, column in profile.columns.items():
        other = first.setdefault(hash(tuple(column.values)), name)
        if other != name and profile.columns[other].values == column.values and column.left_out is None:
            column.left_out = f"the same as {other} in every row"


def _judge_by_outcome(profile: Profile, outcome: DraftedOutcome) -> None:
    profile.outcome = outcome
    for name in outcome.columns:
        profile.columns[name].role, profile.columns[name].left_out = "outcome", "read by the outcome"
    for column in profile.columns.values():
        if column.role == "feature" and column.left_out is None:
            column.left_out = why_leak(column, outcome)
