"""Commands that look at a store and change nothing, without Spark."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medspark.cli.options import STORE
from medspark.cli.run_command import exit_code_of, terminal

if TYPE_CHECKING:
    from medspark.runs.history import BundleSeen, RunSeen, StoreSeen, TableSeen

WIDE = 200
"""Characters of a line where nobody's terminal is as wide as it is."""
LINES = 5
"""Runs of each store that `show` shows."""
_TEXTS = ("title", "error", "problem")

AnyStore = Annotated[str, typer.Argument(metavar="[STORE]", help="A store, or the folder of several tasks' stores.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON, for programs.")]


def runs(
    store: AnyStore = STORE,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    json_: AsJson = False,
) -> None:
    """The runs of a store by their receipts: what each did, how long it took, how it ended."""
    from medspark.runs.history import seen

    with exit_code_of(terminal()):
        found = [(one.store, run) for one in seen(store) for run in one.runs]
        found = sorted(found, key=lambda pair: (pair[1].started_at, pair[1].run_id), reverse=True)[:last]
        if json_:
            print(json.dumps([{"store": place, **asdict(run)} for place, run in found], indent=1))
            return
        by_store: dict[str, list[RunSeen]] = {}
        for place, run in found:
            by_store.setdefault(place, []).append(run)
        for place, some in by_store.items():
            _print(place, _run_rows(some))


def show(store: AnyStore = STORE, json_: AsJson = False) -> None:
    """A store at a glance: its tables, its bundles with every file verified, its newest runs."""
    from medspark.runs.history import seen

    with exit_code_of(terminal()):
        found = seen(store)
        if json_:
            print(json.dumps([asdict(one) for one in found], indent=1))
            return
        for one in found:
            _show(one)


def _show(store: "StoreSeen") -> None:
    from medspark.evaluate.report.format import NAMES

    print(f"\n{store.store}")
    if store.tables:
        _print("tables", [_table_row(table) for table in store.tables])
    if store.bundles:
        names = {bundle.metric: NAMES.get(bundle.metric, bundle.metric) for bundle in store.bundles}
        _print("bundles", [_bundle_row(bundle, names[bundle.metric]) for bundle in store.bundles])
    if store.runs:
        _print("runs", _run_rows(store.runs[:LINES]))
        if len(store.runs) > LINES:
            print(f"{len(store.runs) - LINES:,} more: medspark runs {store.store}")


def _print(title: str, rows: list[dict[str, Any]]) -> None:
    """A table of rows that have the same columns; numbers to the right, and no column that is empty in all rows."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    for name in names:
        numeric = any(isinstance(row[name], int | float) for row in rows)
        whole = name not in _TEXTS
        least = max(len(name), *(len(_text(row[name])) for row in rows)) if whole else None
        shown.add_column(name, justify="right" if numeric else "left", min_width=least, no_wrap=whole)
    for row in rows:
        shown.add_row(*(Text(_text(row[name])) for name in names))
    least = Console(width=10 * WIDE).measure(shown).minimum  # so that a narrow terminal cuts no id
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.width = max(console.width, least)
    console.print(shown)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _run_rows(some: "list[RunSeen]") -> list[dict[str, Any]]:
    from medspark.evaluate.report.format import moment

    return [
        {
            "run": run.run_id,
            "command": run.command,
            "of": run.of,
            "begun": moment(run.started_at),
            "seconds": run.seconds,
            "status": run.status if run.exit_code in (0, None) else f"{run.status}, exit code {run.exit_code}",
            "rows in": run.rows_in,
            "set aside": run.set_aside,
            "cases": run.cases,
            "scored": run.scored,
            "verdict": run.verdict,
            "error": (run.error or "").partition("\n")[0],
        }
        for run in some
    ]


def _table_row(table: "TableSeen") -> dict[str, Any]:
    return {
        "table": table.table,
        "rows": table.rows if table.rows is not None else "cannot be read",
        "files": table.files,
        "MB": f"{table.size / 1e6:,.1f}",
        "version": table.version,
        "kept": table.versions,
        "made by": table.made_by,
    }


def _bundle_row(bundle: "BundleSeen", metric: str) -> dict[str, Any]:
    from medspark.evaluate.report.format import moment, plainly

    return {
        "bundle": bundle.bundle_id,
        "made": moment(bundle.created_at),
        "title": bundle.title,
        "test cases": bundle.cases,
        "metric": metric,
        "network": plainly(bundle.value) if bundle.value is not None else "",
        "logistic regression": plainly(bundle.logistic_regression) if bundle.logistic_regression is not None else "",
        "problem": bundle.problem,
    }
