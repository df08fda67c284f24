"""How the report writes numbers and tables: one function per kind of number, "–" where there is none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from medspark.privacy.small_cells import HIDDEN, SMALL

NONE: Final = "–"
SPACE: Final = "\u00a0"
NAMES: Final = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "auroc_macro": "AUROC, mean of the classes",
    "auroc_micro": "AUROC, all pairs of case and class",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "scaled_brier": "Scaled Brier score",
    "observed_expected": "Observed over expected",
    "e_average": "Calibration error: mean (ICI)",
    "e50": "Calibration error: median",
    "e90": "Calibration error: E90",
    "e_max": "Calibration error: largest",
    "sharpness": "Spread of the risks (SD)",
}
Cell = str | Markup


@dataclass(frozen=True)
class Table:
    """A table of the page; the first cell of a row is its header, `numeric` the columns set to the right."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()


def table(caption: str, head: str, rows: Sequence[Sequence[Cell]], numeric: str = "") -> Table:
    """A Table with its column names and its numeric columns written as text: "Band|Cases", "1"."""
    return Table(caption, tuple(head.split("|")), rows, frozenset(int(index) for index in numeric.split()))


def count(value: int | str | None) -> str:
    """1234 as "1,234"; 1 to 10 as "<11"; text, such as "<11" itself, with its thousands set apart."""
    if value is None:
        return NONE
    if isinstance(value, int):
        return HIDDEN if 0 < value < SMALL else f"{value:,}"
    return f"~{int(value[1:]):,}" if value.startswith("~") else value


def percent(value: float | None, digits: int = 1) -> str:
    """0.1139 as "11.4 %"."""
    return NONE if value is None else f"{100 * value:.{digits}f}{SPACE}%"


def number(value: float | None, digits: int = 3) -> str:
    """-0.0312 as "−0.031", with a true minus sign."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", "−")


def interval(metric: dict[str, float | None] | None) -> str:
    """The 95 % interval of a metric as "0.655 to 0.681"."""
    if metric is None or metric["low"] is None:
        return NONE
    return f"{number(metric['low'])} to {number(metric['high'])}"


def plainly(metric: dict[str, float | None]) -> str:
    """A metric and its interval for a terminal, whatever of them is not known.

    >>> plainly({"value": 0.8, "low": 0.75, "high": 0.85}), plainly({"value": -0.1, "low": None, "high": None})
    ('0.8000 (0.7500 to 0.8500)', '-0.1000 (interval not known)')
    >>> plainly({"value": None, "low": None, "high": None})
    'not known'
    """
    value, low, high = metric["value"], metric["low"], metric["high"]
    if value is None:
        return "not known"
    return f"{value:.4f} ({'interval not known' if low is None or high is None else f'{low:.4f} to {high:.4f}'})"


def with_interval(metric: dict[str, float | None] | None) -> Cell:
    """A metric over its interval, small."""
    if metric is None or metric["value"] is None:
        return NONE
    return Markup("{}<small>{}</small>").format(number(metric["value"]), interval(metric))


def shares_with_interval(metric: dict[str, float | None] | None) -> Cell:
    """A share over its interval, small, both in percent."""
    if metric is None or metric["value"] is None:
        return NONE
    ends = f"{percent(metric['low'])} to {percent(metric['high'])}" if metric["low"] is not None else NONE
    return Markup("{}<small>{}</small>").format(percent(metric["value"]), ends)


def moment(text: str) -> str:
    """A receipt's time as a reader's: "2026-11-26T20:18:51+00:00" as "2026-11-26 20:18 UTC"; other text as it is."""
    day, _, clock = text.partition("T")
    return f"{day} {clock[:5]} UTC" if clock.endswith("+00:00") else text


def performance_lines(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A table for a terminal: of each model, or each set of cases, its metrics by name, `rows`, side by side."""
    yield f"  {title:<22}{'AUROC':>22}{'AUPRC':>8}{'Brier':>8}{'slope':>8}{'level':>8}"
    for name, found in rows.items():
        auroc = f"{number(found['auroc']['value'])} ({interval(found['auroc'])})"
        others = (found[key]["value"] for key in ("auprc", "brier", "calibration_slope", "calibration_intercept"))
        yield f"  {name:<22}{auroc:>22}" + "".join(f"{number(value):>8}" for value in others)


def words(name: str) -> str:
    """A name of the code as a reader's: "gradient_boosting" as "Gradient boosting"."""
    text = name.replace("_", " ").strip()
    return NAMES.get(name, text[:1].upper() + text[1:])
