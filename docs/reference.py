"""The reference of the documentation site, made from the models, commands, tables and errors themselves.

mkdocs calls `on_config` and `on_files`; nothing here is written to a file that could fall behind. A key, command or
error that says nothing of itself stops the build by its name.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference_keys import ROOTS, cell, deployment_page, events_page, mapping_page, task_page, unsaid_keys
from typer.main import get_command

from medspark import errors, schemas
from medspark.cli.main import app

ROOT = Path(__file__).parents[1]


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its name, those of groups after their group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def commands_page() -> str:
    lines = ["# Commands", ""]
    for name, command in commands(get_command(app)):
        asked = [one for one in command.params if one.param_type_name == "argument"]
        lines += [f"## `medspark {' '.join([name, *(str(one.metavar or one.name).upper() for one in asked)])}`", ""]
        lines += [_help(command), ""]
        options = [one for one in command.params if one.name != "help"]
        if options:
            lines += ["| Option | Default | Does |", "|---|---|---|"]
        for one in options:
            default = one.default if isinstance(one.default, str | int | float | Path) else None
            shown = "" if default is None or default is False else f"`{default}`"
            names = ", ".join(f"`{opt}`" for opt in one.opts) if one not in asked else f"`{one.name}`"
            lines.append(f"| {names} | {shown} | {cell(_help(one))} |")
        lines.append("")
    return "\n".join(lines)


def _help(thing: Any) -> str:
    return " ".join((getattr(thing, "help", "") or "").split())


def tables_page() -> str:
    lines = ["# Tables", "", "The columns of every table of a store, with Spark's types.", ""]
    lines += ["A type `key` is that of the task's own key: bigint or string.", ""]
    for name in dir(schemas):
        if name.endswith("_TYPES"):
            title = name.removesuffix("_TYPES").replace("_", " ").lower()
            lines += [f"## {title}", "", "| Column | Type |", "|---|---|"]
            lines += [f"| `{column}` | `{dtype}` |" for column, dtype in getattr(schemas, name).items()] + [""]
    return "\n".join(lines)


MENDED_BY = {
    "MedsparkError": "The log whose place the message names.",
    "SparkError": "The log whose place the message names: Spark failed, and nobody's mistake is known.",
    "TaskError": "The task file or the arguments: each problem has its place, what was expected and received.",
    "InputError": "The source, or the task's columns: the message names files and columns, never a value.",
    "AccountingError": "Nothing by hand: rows went in that did not come out. Please report it.",
    "AwayError": "Run again: a database could not be reached, or ended the session.",
    "BundleError": "A copy of the bundle that is whole, or one that this version trained.",
    "GateError": "The model, the data, or the gate: the report says how far it was missed.",
    "BusyError": "Waiting for the other run, which the message names.",
    "RejectedError": "The rejected rows, each with its reason in `rejected`.",
    "StoreError": "Space on the disk, or rights on the store's folder.",
}


def errors_page() -> str:
    lines = ["# Errors", "", "| Exit code | Error | Means | Mended by |", "|---|---|---|---|"]
    for name, mended in MENDED_BY.items():
        kind = getattr(errors, name)
        says = " ".join(str(kind.__doc__).split(";")[0].split()).rstrip(".")
        lines.append(f"| {kind.exit_code} | `{name}` | {says} | {mended} |")
    return "\n".join([*lines, "", "0 is done; 130 and 143 are Ctrl-C and SIGTERM.", ""])


PAGES = {
    "reference/table-tasks.md": task_page,
    "reference/event-tasks.md": events_page,
    "reference/mappings.md": mapping_page,
    "reference/deployments.md": deployment_page,
    "reference/commands.md": commands_page,
    "reference/tables.md": tables_page,
    "reference/errors.md": errors_page,
}


# ---------------------------------------------------------------- what says nothing of itself


def unsaid_commands(group: Any) -> Iterator[str]:
    for name, command in commands(group):
        if not _help(command):
            yield f"medspark {name}: expected a docstring that says what the command does"
        for one in command.params:
            if not _help(one) and one.param_type_name == "option":
                yield f"medspark {name} {one.opts[0]}: expected a help that says what the option does"


def unsaid_errors(module: Any) -> Iterator[str]:
    for name, kind in vars(module).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and name not in MENDED_BY:
            yield f"{name}: expected how it is mended, in MENDED_BY"


def on_config(config: Any) -> Any:
    """Put guides that the navigation does not name at its guides' end, so that a page written is a page shown."""
    named = set(re.findall(r"[\w./-]+\.md", repr(config.nav)))
    (guides,) = (part["Guides"] for part in config.nav if "Guides" in part)
    guides += sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name not in named)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages to those of the site.

    Raises:
        PluginError: with every key, command, option and error that says nothing of itself.
    """
    from mkdocs.exceptions import PluginError
    from mkdocs.structure.files import File

    found = [*unsaid_keys(*ROOTS), *unsaid_commands(get_command(app)), *unsaid_errors(errors)]
    if found:
        raise PluginError("the reference cannot be made\n" + "\n".join(f"  - {one}" for one in found))
    for place, page in PAGES.items():
        files.append(File.generated(config, place, content=page()))
    return files
