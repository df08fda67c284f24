"""The outcome that was asked for: a column, or a condition on one; and which rows have it."""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.draft.columns import ColumnProfile
from medspark.draft.words import names_duration, names_outcome, slug
from medspark.errors import TaskError, did_you_mean

MOST_CLASSES: Final = 10
_CONDITION: Final = re.compile(r"\s*`?([\w .()/-]+?)`?\s*(<=|>=|!=|==?|<|>)\s*('?)(.*?)\3\s*")

Labels = npt.NDArray[np.float64]
"""1 and 0, NaN where the outcome is not known."""


@dataclass(frozen=True)
class DraftedOutcome:
    """What the task file says of the outcome, the columns that it reads, and each target's labels."""

    spec: dict[str, Any]
    columns: tuple[str, ...]
    labels: tuple[Labels, ...]
    remarks: tuple[str, ...] = ()
    share_of: str = "the rows where it is known"

    @property
    def share(self) -> float | None:
        """How often the one outcome comes; None of classes."""
        known = self.labels[0][np.isfinite(self.labels[0])]
        return float(known.mean()) if len(self.labels) == 1 and len(known) else None


def candidates(columns: dict[str, ColumnProfile]) -> list[str]:
    """Columns that could be an outcome, the likeliest first."""
    few = [one for one in columns.values() if one.role == "feature" and 2 <= len(one.counts) <= MOST_CLASSES]
    named = [one.name for one in few if names_outcome(one.name)]
    return named + [one.name for one in few if one.type == "boolean" and one.name not in named]


def draft_outcome(asked: str, days: str | None, columns: dict[str, ColumnProfile]) -> DraftedOutcome:
    """The outcome section for a column, or for a condition such as `readmitted = '<30'`.

    Raises:
        TaskError: there is no such column, or it has one value or too many.
    """
    if days is not None:
        return _with_horizons(_known(asked, "--outcome", columns), _known(days, "--days", columns))
    if asked not in columns and (match := _CONDITION.fullmatch(asked)):
        return _of_condition(asked, match, columns)
    column = _known(asked, "--outcome", columns)
    levels = [text for text, _ in column.counts.most_common()]
    if column.type == "boolean":
        yes = column.spec.get("true_values", ["true"])[0]
        return DraftedOutcome(_named(column.name, when=_quoted(column.name)), (column.name,), (_equal(column, yes),))
    if not 2 <= len(levels) <= MOST_CLASSES:
        raise TaskError(
            "--outcome",
            [
                f'expected a column of 2 to {MOST_CLASSES} values, or a condition such as "{asked} > 7", '
                f"received {asked!r} with {len(levels):,}"
            ],
        )
    return _of_levels(column, sorted(levels))


def _of_levels(column: ColumnProfile, levels: list[str]) -> DraftedOutcome:
    name, is_number = _quoted(column.name), column.type in ("integer", "long", "double")
    literal = {text: text if is_number else "'" + text.replace("'", "''") + "'" for text in levels}
    if len(levels) == 2:
        yes = min(levels, key=lambda text: (column.counts[text], text))
        remark = f"of {literal[levels[0]]} and {literal[levels[1]]} the rarer one is taken for the outcome"
        spec = _named(column.name, when=f"{name} = {literal[yes]}")
        return DraftedOutcome(spec, (column.name,), (_equal(column, yes),), (remark,))
    names = {text: slug(text if not text[:1].isdigit() else f"level {text}") for text in levels}
    if len(set(names.values())) < len(names):
        names = {text: f"level_{at}" for at, text in enumerate(levels, 1)}
    classes = {names[text]: f"{name} = {literal[text]}" for text in levels}
    remark = f"{len(levels)} classes; the first is what `probability` is of, or the one that risk_of names"
    labels = tuple(_equal(column, text) for text in levels)
    return DraftedOutcome(_named(column.name, classes=classes), (column.name,), labels, (remark,))


def _with_horizons(event: ColumnProfile, days: ColumnProfile) -> DraftedOutcome:
    if event.type != "boolean":
        raise TaskError("--days", [f"expected --outcome with yes and no beside it, received {event.name!r}"])
    happened = _equal(event, event.spec.get("true_values", ["true"])[0])
    lengths = days.numbers()
    known = lengths[(happened == 1) & np.isfinite(lengths)]
    if not len(known):
        raise TaskError("--days", [f"expected numbers of days where the outcome came, received none in {days.name!r}"])
    ends = sorted({_neat(float(np.quantile(known, share))) for share in (0.25, 0.5, 0.75)})
    spec = _named(event.name, event=_quoted(event.name), days=days.name, horizons_days=ends)
    remark = "the horizons are where a quarter, half and three quarters of the outcomes had come"
    by_then = np.where(
        lengths <= ends[-1], np.where(happened == 1, 1.0, np.nan), np.where(lengths > ends[-1], 0, np.nan)
    )
    followed = f"those followed for {ends[-1]} days, the longest horizon,"
    return DraftedOutcome(spec, (event.name, days.name), (by_then,), (remark,), followed)


def _neat(days: float) -> float | int:
    return max(1, int(float(f"{days:.2g}")))


def _of_condition(asked: str, match: re.Match[str], columns: dict[str, ColumnProfile]) -> DraftedOutcome:
    column, sign, text = _known(match[1].strip(), "--outcome", columns), match[2], match[4].strip()
    if sign in ("=", "==", "!="):
        labels = _equal(column, text) if sign != "!=" else 1 - _equal(column, text)
        if text not in column.counts:
            hint = did_you_mean(text, [level for level, _ in column.levels()])
            raise TaskError("--outcome", [f"expected a value of {column.name!r}, received {text!r}.{hint}"])
    else:
        if column.type not in ("integer", "long", "double"):
            raise TaskError("--outcome", [f"expected a number to compare, received {column.name!r} of {column.type}"])
        limit, numbers = _number(text), column.numbers()
        truth = {"<": numbers < limit, "<=": numbers <= limit, ">": numbers > limit, ">=": numbers >= limit}[sign]
        labels = np.where(np.isfinite(numbers), truth, np.nan)
    name, is_number = _quoted(column.name), column.type in ("integer", "long", "double")
    literal = text if is_number else "'" + text.replace("'", "''") + "'"
    when = f"{name} {'=' if sign == '==' else sign} {literal}"
    if column.type == "boolean":
        is_yes = text == column.spec.get("true_values", ["true"])[0]
        when = name if is_yes == (sign != "!=") else f"not {name}"
    return DraftedOutcome({"name": asked.replace("'", ""), "when": when}, (column.name,), (labels,))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TaskError("--outcome", [f"expected a number to compare with, received {text!r}"]) from None


def _named(name: str, **ways: Any) -> dict[str, Any]:
    return {"name": name.replace("_", " ").strip() or "outcome", **ways}


def _known(name: str, where: str, columns: dict[str, ColumnProfile]) -> ColumnProfile:
    if name not in columns:
        raise TaskError(where, [f"expected a column, received {name!r}.{did_you_mean(name, columns)}"])
    return columns[name]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"


def _equal(column: ColumnProfile, level: str) -> Labels:
    return np.array([np.nan if not text else float(text == level) for text in column.present_values()])


def duration_beside(columns: dict[str, ColumnProfile]) -> str | None:
    """A column of numbers whose name says that it is the time to an outcome."""
    numbers = ("integer", "long", "double")
    return next((name for name, one in columns.items() if one.type in numbers and names_duration(name)), None)
