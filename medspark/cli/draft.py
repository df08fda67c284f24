"""Commands on a table that has no task yet, without Spark."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medspark.cli.run_command import exit_code_of, terminal
from medspark.errors import InputError, TaskError

if TYPE_CHECKING:
    from medspark.draft.profile import Profile

Data = Annotated[str, typer.Argument(metavar="DATA", help="A file, folder or pattern: CSV, Parquet or JSON.")]
OutcomeOf = Annotated[
    str | None, typer.Option("--outcome", help="A column, or a condition on one, such as \"readmitted = '<30'\".")
]
Days = Annotated[str | None, typer.Option("--days", help="The column with the days to the outcome, or of follow-up.")]


def init(
    data: Data,
    outcome: OutcomeOf = None,
    days: Days = None,
    out: Annotated[Path | None, typer.Option(help="The task file to write; NAME.yaml without it.")] = None,
    number: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="For a table whose rows have no key: write a copy with a row_id first."),
    ] = None,
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="DATA is the folder of OMOP's or MEDS's tables.")
    ] = False,
) -> None:
    """Draft a task file from a table or a warehouse: types, units, missing values, keys, leaks; every guess marked."""
    if warehouse:
        _init_warehouse(Path(data), out, [outcome, days, number])
        return
    from medspark.draft.task_file import task_name, write_task
    from medspark.task.load import check_task
    from medspark.task.yaml_text import read_yaml

    with exit_code_of(terminal()):
        if number is not None:
            from medspark.draft.number import write_numbered

            print(f"{write_numbered(data, number):,} rows with a row_id: {number}")
            data = str(number)
        profile = _profile(data, outcome, days, ask=sys.stdin.isatty())
        _require_case(profile, data)
        path = out or Path(f"{task_name(data)}.yaml")
        _write_draft(path, write_task(profile))
        _, problems = check_task(read_yaml(path))
        _say(profile, path)
        if problems:
            raise TaskError(str(path), problems)
        print(f"Read it once, then: medspark run {path}")


def _init_warehouse(folder: Path, out: Path | None, of_tables: list[object]) -> None:
    from medspark.draft.task_file import task_name
    from medspark.draft.warehouse import look_at_warehouse, write_warehouse_task
    from medspark.task.load import load_task

    with exit_code_of(terminal()):
        if any(given is not None for given in of_tables):
            raise TaskError("--warehouse", ["--outcome, --days and --number are of a table; leave them out"])
        found = look_at_warehouse(folder)
        path = out or Path(f"{task_name(str(folder.absolute()))}.yaml")
        _write_draft(path, write_warehouse_task(found, folder))
        print(f"{found.title}, {found.format}: {path}")
        load_task(path)
        print(f"Read it once, then: medspark run {path}")


def _write_draft(path: Path, text: str) -> None:
    if path.exists():
        raise TaskError(str(path), ["it is there already, and a draft overwrites nothing; name another by --out"])
    path.write_text(text, encoding="utf-8")


def profile(
    data: Data,
    outcome: OutcomeOf = None,
    days: Days = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("profile.html"),
) -> None:
    """A page about a table that needs nothing else: each column, the keys, what repeats, what tells the outcome."""
    from medspark.draft.page import render_profile

    with exit_code_of(terminal()):
        found = _profile(data, outcome, days)
        out.write_text(render_profile(found), encoding="utf-8")
        print(f"{found.sample.rows:,} rows, {len(found.columns)} columns: {out}")


def _profile(data: str, outcome: str | None, days: str | None, ask: bool = False) -> "Profile":
    from medspark.draft.outcome import candidates
    from medspark.draft.profile import make_profile
    from medspark.draft.sample import read_sample

    sample = read_sample(data)
    if outcome is None and ask:
        likely = candidates(make_profile(sample).columns)
        print(f"columns: {', '.join(sample.columns)}")
        try:
            outcome = typer.prompt("What is predicted", default=likely[0] if likely else None)
        except typer.Abort:
            raise KeyboardInterrupt from None
    return make_profile(sample, outcome, days)


def _require_case(found: "Profile", data: str) -> None:
    if found.case is None:
        raise InputError(
            f"{data}: expected a column that tells the rows apart, as a score has to be of somebody; received none. "
            "Where there is none, --number FILE.csv writes a copy with a row_id and drafts a task for it."
        )


def _say(found: "Profile", path: Path) -> None:
    from medspark.draft.outcome import candidates, duration_beside

    sample = found.sample
    print(f"{sample.rows:,} rows{'' if sample.whole else ' (a sample)'}, {len(found.columns)} columns: {path}")
    for column in found.columns.values():
        for remark in column.remarks:
            print(f"  {column.name}: {remark}")
        if column.left_out is not None and column.role == "feature":
            print(f"  {column.name}: left out: {column.left_out}")
    duration = duration_beside(found.columns)
    if found.outcome is None:
        print(f"  outcome: fill it in, or name it by --outcome: {', '.join(candidates(found.columns)) or 'a column'}")
    elif duration is not None and duration not in found.outcome.columns:
        print(f"  {duration}: if it is the time to the outcome or of follow-up, --days {duration} makes horizons of it")
