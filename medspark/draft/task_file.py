"""A profile as a task file: what was seen beside each column, every guess marked as one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from medspark.draft.columns import ColumnProfile
from medspark.draft.profile import Profile
from medspark.draft.words import counted, names_age, names_group, slug

_PLAIN: Final = re.compile(r"[A-Za-z/_][\w./ -]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""In some YAML or other no text."""
_WIDTH: Final = 118
_MOST_GROUPS: Final = 12
_FEW_ROWS: Final = 2000


def write_task(profile: Profile) -> str:
    """The task file's text. Without an outcome it has a place to fill in, and `medspark check` says so."""
    return "\n".join([*_head(profile), *_source(profile), *_columns(profile), *_rest(profile)]) + "\n"


def task_name(path: str) -> str:
    """A task's name by its table's.

    >>> task_name("data/My Stays (2024).csv.gz")
    'my-stays-2024'
    """
    place = Path(path)
    stem = place.name.split(".", 1)[0] if "*" not in place.name else place.parent.name
    return slug(stem).replace("_", "-")


def flow(value: Any) -> str:
    """A value as YAML on one line.

    >>> flow({"type": "double", "range": [0, None], "unit": "mg/dL", "missing": ["?", "NA", "No"]})
    '{type: double, range: [0, null], unit: mg/dL, missing: ["?", NA, "No"]}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and value == value.strip()
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def _head(profile: Profile) -> Iterator[str]:
    sample = profile.sample
    seen = "all" if sample.whole else "a sample of"
    yield f"# Drafted by `medspark init` from {seen} {sample.rows:,} rows. Types, and what follows a `guess:`, were"
    yield "# told by values and names alone: read it once. `medspark check` says whether the file is sound."
    yield f"task: {task_name(sample.path)}"
    title = profile.outcome.spec["name"] if profile.outcome is not None else task_name(sample.path)
    yield f"title: {flow(title[:1].upper() + title[1:])}"
    yield ""


def _source(profile: Profile) -> Iterator[str]:
    sample, dialect = profile.sample, profile.sample.dialect
    yield "source:"
    yield "  kind: table                            # one row per case"
    path = sample.path if "://" in sample.path else str(Path(sample.path).absolute())
    yield f"  path: {flow(path)}"
    yield f"  format: {sample.format}"
    if sample.format == "csv":
        if dialect.delimiter != ",":
            yield f"  delimiter: {json.dumps(dialect.delimiter)}"
        if not dialect.header:
            yield "  header: false                          # guess: the first line has numbers"
        if dialect.quoted_newlines:
            yield "  quoted_newlines: true"
    if dialect.encoding != "utf-8":
        yield f"  encoding: {dialect.encoding}"
    if sample.broken:
        yield f"  # {sample.broken:,} lines are no record of as many fields as the header: they will be set aside"
    if profile.missing:
        yield f"  missing: {flow(profile.missing)}"
    if profile.point_zero:
        yield "  point_zero: true                       # whole numbers are written 263.0"
    yield from _keys(profile)
    yield ""


def _keys(profile: Profile) -> Iterator[str]:
    yield f"  case: {flow(profile.case)}  # guess: nearly every row has a value of its own"
    if profile.subject == profile.case:
        yield f"  subject: {flow(profile.subject)}  # guess: no column names a patient, so each row is one"
    else:
        column = profile.columns[str(profile.subject)]
        yield f"  subject: {flow(profile.subject)}  # guess: {len(column.counts):,} patients, by its name"
    if profile.time is not None:
        yield f"  time: {flow(profile.time)}  # guess: the time at which a risk is asked for"
        yield "  timezone: UTC  # guess: of times that name no zone, such as Europe/Amsterdam"
    if profile.written_twice:
        says = f"{counted(profile.written_twice, 'row')} with the case of an earlier one"
        yield f"  duplicates: {{same: [{flow(profile.case)}], keep: first}}  # guess: {says}"


def _columns(profile: Profile) -> Iterator[str]:
    yield "columns:                                   # every column, in the file's order"
    for column in profile.columns.values():
        for remark in column.remarks:
            yield f"  # guess: {remark}"
        line = f"  {flow(column.name)}: {flow(column.spec)}"
        seen = _seen(column)
        yield f"{line}  # {seen}" if len(line) + len(seen) < _WIDTH else f"  # {seen}\n{line}"
    yield ""


def _seen(column: ColumnProfile) -> str:
    """What was seen of a column, in a few words; no value that only some rows have."""
    parts = []
    if column.quantiles:
        low, quarter, middle, three, high = column.shown_quantiles()
        parts.append(f"1 % {low}, quartiles {quarter} {middle} {three}, 99 % {high}")
    elif column.type in ("category", "boolean") and column.levels():
        parts.append(", ".join(f"{text} {n / column.present:.1%}" for text, n in column.levels()[:4]))
        more = len(column.counts) - 4
        parts += [f"{more:,} more"] if more > 0 else []
    elif column.present:
        parts.append(f"{len(column.counts):,} different")
    if column.missing_share:
        parts.append(f"missing {column.missing_share:.1%}")
    return "; ".join(" ".join(part.split()) for part in parts) or "no value"


def _rest(profile: Profile) -> Iterator[str]:
    age = _age(profile)
    if age is not None:
        yield "derived:"
        yield "  age_band:"
        yield "    type: category"
        cases = f"case when {_name(age)} < 50 then 'under 50' when {_name(age)} < 70 then '50 to 69'"
        yield f"    expression: {cases} when {_name(age)} >= 70 then '70 and over' end"
        yield ""
    outcome = profile.outcome
    yield "outcome:"
    if outcome is None:
        yield "  name: FILL IN\n  when: FILL IN                          # a condition, such as: died = 'yes'"
    else:
        for remark in outcome.remarks:
            yield f"  # guess: {remark}"
        for key, value in outcome.spec.items():
            yield f"  {key}: {flow(value)}"
        if outcome.share is not None:
            yield f"  # {outcome.share:.1%} of {outcome.share_of} had it"
    yield ""
    yield from _features(profile)
    yield from _report(profile, age)


def _features(profile: Profile) -> Iterator[str]:
    used = [one for one in profile.columns.values() if one.role == "feature" and one.left_out is None]
    numeric = [one for one in used if one.type in ("integer", "long", "double", "interval")]
    levels = [one for one in used if one.type in ("category", "boolean")]
    codes = [one for one in used if one.type == "code"]
    yield "features:"
    if numeric:
        yield "  numeric:"
        yield from (f"    - {flow(one.name)}" for one in numeric)
    if levels:
        least = ", at_least: 5" if profile.sample.rows < _FEW_ROWS else ""
        yield "  categorical:"
        yield from (
            f"    - {{column: {flow(one.name)}{least}}}" if least else f"    - {flow(one.name)}" for one in levels
        )
    if codes:
        yield "  codes:"
        yield f"    diagnoses: {{from: {flow([one.name for one in codes])}}}"
    for one in profile.columns.values():
        unread = one.left_out
        if one in used and one.type in ("date", "timestamp"):
            unread = "a date: derive the days between two dates to use it"
        if unread and one.role == "feature":
            yield f"  # left out: {flow(one.name)}  # guess: {unread}"
    yield ""


def _report(profile: Profile, age: ColumnProfile | None) -> Iterator[str]:
    yield "split: {train: 0.7, valid: 0.1, test: 0.2}   # by subject, always"
    share = profile.outcome.share if profile.outcome is not None else None
    if share and share < 0.5:
        bands = {"high": min(0.9, float(f"{2 * share:.2g}")), "raised": float(f"{share:.2g}")}
        yield f"risk_bands: {flow(bands)}         # guess: twice the outcome's share, and the share itself"
    groups = [one.name for one in profile.columns.values() if names_group(one.name) and _has_groups(one)]
    groups += ["age_band"] if age is not None else []
    if groups:
        yield f"report: {{subgroups: {flow(groups)}}}   # guess: by the columns' names"


def _has_groups(column: ColumnProfile) -> bool:
    return column.type in ("category", "boolean") and 2 <= len(column.counts) <= _MOST_GROUPS


def _age(profile: Profile) -> ColumnProfile | None:
    """The column of ages, where they are spread enough for bands."""
    if "age_band" in {name.lower() for name in profile.columns}:
        return None
    for one in profile.columns.values():
        if names_age(one.name) and one.role == "feature" and one.type in ("integer", "double", "interval"):
            spread = one.quantiles[-1] - one.quantiles[0] if one.quantiles else 100.0
            return one if spread >= 30 else None
    return None


def _name(column: ColumnProfile) -> str:
    return column.name if re.fullmatch(r"[A-Za-z_]\w*", column.name) else f"`{column.name}`"
