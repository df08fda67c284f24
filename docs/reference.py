"""The reference of the documentation site, made from the models, commands and tables themselves.

mkdocs calls `on_files`; nothing here is written to a file that could fall behind. A key, command or error that says
nothing of itself stops the build by its name.
"""

import re
import types
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from medspark import errors, schemas
from medspark.cli.main import app
from medspark.draft.task_file import flow
from medspark.task.event_task import EventTask
from medspark.task.load import check_task
from medspark.task.mapping import Mapping
from medspark.task.table_task import TableTask
from medspark.task.yaml_text import read_yaml

ROOT = Path(__file__).parents[1]
LONGEST_EXAMPLE = 90

EXAMPLES = {
    ("Card", "background"): "Prognosis; no such model is in use here",
    ("Card", "dates"): "1999 to 2008",
    ("Card", "outcome_reason"): "It is what the ward plans for",
    ("Card", "limits"): ["Children are not in the data"],
    ("Card", "interpretation"): "As good as earlier models",
    ("Card", "updating"): "Each year",
    ("StopAt", "psi"): 0.25,
    ("StopAt", "codes"): 0.3,
    ("StopAt", "joint"): 0.9,
    ("ColumnBase", "missing"): ["NA", "-9"],
    ("IntervalColumn", "range"): [0, 120],
    ("Lookup", "entries"): {"1": "surgery"},
    ("Features", "numeric"): ["age", {"column": "creatinine", "scaling": "robust"}],
    ("History", "last"): ["creatinine"],
    ("Mapping", "missing"): ["NULL"],
    ("ValueRule", "unit"): "mg/dL",
    ("ValueRule", "range"): [0, 40],
    ("SequenceGroup", "of"): ["CONDITION/"],
    ("SequenceGroup", "last"): 64,
    ("GridGroup", "of"): ["MEASUREMENT/"],
    ("GridGroup", "look_back_hours"): 48,
    ("GridGroup", "every_hours"): 1,
    ("Training", "batch_size"): 256,
    ("Training", "epochs"): 100,
    ("Training", "pretrain"): {"epochs": 3},
    ("ImageNetwork", "filters"): [16, 32, 64],
    ("ImageNetwork", "weights"): "other.keras",
    ("Network", "hidden"): [128, 64],
    ("Network", "student"): "small",
    ("Split", "folds"): 5,
    ("Gates", "calibration_slope"): [0.8, 1.2],
    ("Gates", "calibration_intercept"): [-0.1, 0.1],
    ("Scoring", "unusual_share"): 0.005,
    ("Scoring", "coverage"): 0.95,
    ("Monitoring", "newest_within_hours"): 24,
    ("Card", "publications"): "There are none",
    ("Units", "when_missing"): "mg/dL",
    ("TextColumn", "matches"): "[A-Z]{2}[0-9]{6}",
    ("TextColumn", "fasta"): "isolates.fasta.gz",
    ("TextColumn", "id"): "isolate",
    ("DateColumn", "pivot_year"): 1930,
    ("ImageColumn", "folder"): "${IMAGES}",
    ("Duplicates", "by"): "updated_at",
    ("Limits", "set_aside_at_most"): 0.05,
    ("Limits", "missing_at_most"): {"creatinine": 0.4},
    ("Outcome", "classes"): {"early": "readmitted = '<30'", "late": "readmitted = '>30'"},
    ("Outcome", "several"): {"fell": "fell", "bled": "bled"},
    ("Outcome", "horizons_days"): [30, 90, 365],
    ("Outcome", "risk_of"): "early",
    ("Outcome", "event"): "died",
    ("Outcome", "days"): "days_followed",
    ("EventOutcome", "classes"): {"died": "death", "back": "admission"},
    ("EventOutcome", "several"): {"bled": "gi_bleed", "stroke": "stroke"},
    ("EventOutcome", "horizons_days"): [30, 90, 365],
    ("EventOutcome", "risk_of"): "30d",
    ("EventOutcome", "otherwise"): "neither",
    ("History", "codes"): {"earlier_diagnoses": {"from": ["diagnosis"], "at_least": 20}},
    ("History", "records"): "store/readmission",
    ("EarlierCodes", "columns"): ["diagnosis"],
    ("Features", "genes"): {"promoter": {"from": "promoter", "length": 600}},
    ("Features", "images"): {"chest": {"from": ["xray"]}},
    ("GeneFeature", "length"): 600,
    ("GeneFeature", "column"): "promoter",
    ("CodesGroup", "look_back_hours"): 48,
    ("SequenceGroup", "look_back_days"): 365,
    ("SequenceGroup", "look_back_hours"): 48,
    ("ValuesGroup", "look_back_hours"): 48,
    ("EventSource", "database"): {"url": "jdbc:postgresql://localhost:5432/hospital", "credentials": "cdm.conf"},
    ("Connection", "url"): "jdbc:postgresql://localhost:5432/hospital",
    ("Connection", "schema_"): "cdm",
    ("Connection", "user_variable"): "CDM_USER",
    ("Connection", "password_variable"): "CDM_PASSWORD",
    ("Connection", "credentials"): "cdm.conf",
    ("Population", "age_at_most"): 89,
    ("Population", "washout_days"): 90,
    ("Population", "snapshot"): {"at": ["2026-01-01T00:00:00"]},
    ("Snapshot", "at"): ["2026-01-01T00:00:00"],
    ("Concept", "prefixes"): ["LAB/"],
    ("Required", "name"): "seen before",
    ("Required", "had"): "admission",
    ("Required", "within_days"): 365,
    ("Required", "because"): "others have no history here",
    ("Excluded", "within_days"): 365,
    ("Population", "require"): [{"name": "seen before", "had": "admission", "because": "others have no history"}],
    ("EventRule", "available"): "reported_at",
    ("ValueRule", "when_missing"): "mg/dL",
    ("ValueRule", "to_unit"): {"umol/L": 0.01131},
    ("MappedTable", "delimiter"): ";",
    ("MappedTable", "lookups"): {"wards": {"entries": {"1": "surgery"}}},
    ("DateRange", "low"): "1900-01-01",
    ("DateRange", "high"): "2099-12-31",
    ("Range", "low"): 0,
    ("Range", "high"): 120,
}
"""Of keys that no shipped task or mapping has; the tests build each of them."""


# ---------------------------------------------------------------- keys


def models_within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_within(inner)


def sections(model: type[BaseModel], place: str, told: dict[type[BaseModel], str]) -> dict[type[BaseModel], str]:
    """Each section's model below one, with the place of its first use."""
    told.setdefault(model, place)
    for name, field in model.model_fields.items():
        key = field.alias or name
        for inner in models_within(field.annotation):
            if inner not in told:
                part = f"{key}.NAME" if get_origin(field.annotation) is dict else key
                sections(inner, f"{place}.{part}" if place else part, told)
    return told


def meaning(model: type[BaseModel], name: str) -> str:
    """What a key says: its own words, those of the section that it is, or those of the key that it takes over."""
    field = model.model_fields[name]
    if field.description:
        return " ".join(field.description.split())
    for base in model.__mro__[1:]:
        inherited = getattr(base, "model_fields", {}).get(name)
        if inherited is not None and inherited.description:
            return " ".join(inherited.description.split())
    inner = next(models_within(field.annotation), None)
    return SECTIONS.get((model.__name__, name)) or (" ".join(_summary(inner).split()) if inner is not None else "")


SECTIONS = {
    **{
        (kind, name): text
        for kind in ("TableTask", "EventTask")
        for name, text in {
            "network": "The network.",
            "training": "How it learns.",
            "report": "What the report compares.",
            "privacy": "What may leave the hospital with a bundle.",
        }.items()
    },
    ("TableTask", "exclude"): "Rows that are no cases, each with its reason.",
    ("TableTask", "columns"): "Every column of the source, in its order, with its type and rules.",
    ("TableTask", "features"): "What the network sees of a row.",
    ("Mapping", "concepts"): "Two tables of the source that relate concepts, with OMOP's columns.",
}


def _summary(model: type[BaseModel]) -> str:
    return (model.__dict__.get("__doc__") or "").strip().split("\n\n")[0]


def type_words(annotation: Any, here: Collection[type[BaseModel]] = ()) -> str:
    """A type in the words of YAML; sections that the page does not have are those of mappings.

    >>> type_words(dict[str, tuple[int, ...]] | None)
    'keys with: list of whole number'
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(inner[0], here)
    if origin is Literal:
        return " or ".join(f"`{flow(value)}`" for value in inner)
    if origin in (Union, types.UnionType):
        parts = [type_words(one, here) for one in inner if one is not type(None)]
        return " or ".join(dict.fromkeys(parts))
    if origin is tuple:
        words = dict.fromkeys(type_words(one, here) for one in inner if one is not Ellipsis)
        return f"list of {' or '.join(words)}"
    if origin is dict:
        return f"keys with: {type_words(inner[1], here)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        page = "" if annotation in here else "mappings.md"
        return f"[section]({page}#{_anchor(annotation)})"
    known = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
    return known.get(annotation, getattr(annotation, "__name__", str(annotation)))


def limits_of(field: FieldInfo) -> str:
    signs = {"ge": "from {}", "gt": "above {}", "le": "up to {}", "lt": "below {}"}
    found = [
        words.format(f"{getattr(rule, name):g}")
        for rule in field.metadata
        for name, words in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return f" {' '.join(found)}" if found else ""


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value in ((), {}):
        return "none"
    return f"`{flow(value)}`"


@cache
def shipped_examples() -> dict[tuple[str, str], str]:
    """Of each key the shortest value that a shipped task or mapping gives it, as written."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted((ROOT / "conf" / "tasks").glob("*.yaml")):
        raw = read_yaml(path)
        if raw["source"]["kind"] == "events":
            raw["mapping"] = read_yaml(ROOT / "conf" / "sources" / f"{raw['source']['mapping']}.yaml")
        task, _ = check_task(raw)
        _collect(task, found)
    for path in sorted((ROOT / "conf" / "sources").glob("*.yaml")):
        _collect(Mapping.model_validate(read_yaml(path)), found)
    return found


def _collect(value: Any, found: dict[tuple[str, str], str]) -> None:
    if isinstance(value, BaseModel):
        dumped = value.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for name, field in type(value).model_fields.items():
            key = field.alias or name
            if name in value.model_fields_set and dumped.get(key) is not None:
                text = flow(dumped[key])
                shorter = len(text) < len(found.get((type(value).__name__, name), "x" * LONGEST_EXAMPLE))
                if shorter and text not in ("{}", "[]"):
                    found[type(value).__name__, name] = text
            _collect(getattr(value, name), found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, found)


def example_of(model: type[BaseModel], name: str) -> str:
    """A key with a value that it may have, as YAML; empty for a section that is shown in full by its own keys."""
    field = model.model_fields[name]
    key = field.alias or name
    for base in model.__mro__:
        if (base.__name__, name) in EXAMPLES:
            return f"{key}: {flow(EXAMPLES[base.__name__, name])}"
        if (base.__name__, name) in shipped_examples():
            return f"{key}: {shipped_examples()[base.__name__, name]}"
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in (None, (), {}):
        return "" if is_section(field) else _by_type(key, field)
    return f"{key}: {flow(value)}"


def is_section(field: FieldInfo) -> bool:
    """Whether a key's value has keys of its own, which tell what it may be."""
    return next(models_within(field.annotation), None) is not None


def _by_type(key: str, field: FieldInfo) -> str:
    """An example of a type that needs no other; empty where there is no telling."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is Literal:
            return f"{key}: {flow(get_args(kind)[0])}"
        if kind is bool:
            return f"{key}: true"
    return ""


def _anchor(model: type[BaseModel]) -> str:
    return model.__name__.lower()


def _heading(model: type[BaseModel], place: str) -> str:
    """Where a section stands; of columns also of which types."""
    kind = model.model_fields.get("type")
    kinds = get_args(kind.annotation) if kind is not None and place.endswith("columns.NAME") else ()
    return (f"`{place}`" if place else "The file itself") + (f", {' or '.join(kinds)}" if kinds else "")


def keys_page(title: str, root: type[BaseModel], intro: str, known: dict[type[BaseModel], str]) -> str:
    """A page with a table for each section below a model that no page before has."""
    lines = [f"# {title}", "", intro, ""]
    for model, place in known.items():
        lines += [f"## {_heading(model, place)} {{ #{_anchor(model)} }}", "", _summary(model), ""]
        lines += ["| Key | Type | Default | Meaning | Example |", "|---|---|---|---|---|"]
        for name, field in model.model_fields.items():
            shown = example_of(model, name)
            cells = (
                f"`{field.alias or name}`",
                type_words(field.annotation, known) + limits_of(field),
                default_of(field),
                meaning(model, name),
                f"`{shown}`" if shown else "see its section",
            )
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        lines.append("")
    return "\n".join(lines)


def task_page() -> str:
    told = sections(TableTask, "", {})
    return keys_page("Task files of a table", TableTask, "Every key of a task whose source is a table.", told)


def events_page() -> str:
    own = {model: place for model, place in sections(EventTask, "", {}).items() if not place.startswith("mapping")}
    return keys_page("Task files of events", EventTask, "Every key of a task whose source is a warehouse.", own)


def mapping_page() -> str:
    told = sections(Mapping, "", {})
    return keys_page("Mappings", Mapping, "Every key of a mapping, `conf/sources/NAME.yaml`.", told)


# ---------------------------------------------------------------- commands, tables, errors


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
            lines.append(f"| {names} | {shown} | {_cell(_help(one))} |")
        lines.append("")
    return "\n".join(lines)


def _help(thing: Any) -> str:
    return " ".join((getattr(thing, "help", "") or "").split())


def _cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


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
    "reference/commands.md": commands_page,
    "reference/tables.md": tables_page,
    "reference/errors.md": errors_page,
}


# ---------------------------------------------------------------- what says nothing of itself


def unsaid_keys(*roots: type[BaseModel]) -> Iterator[str]:
    """Each key below some models that has no meaning or no example, with what to do; one sentence each."""
    for model in {model: None for root in roots for model in sections(root, "", {})}:
        for name, field in model.model_fields.items():
            if not meaning(model, name):
                yield f"{model.__name__}.{name}: expected a docstring below it that says what the key means"
            if not example_of(model, name) and not is_section(field):
                yield f"{model.__name__}.{name}: expected an example, in a shipped task or in EXAMPLES"


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

    found = [*unsaid_keys(TableTask, EventTask, Mapping), *unsaid_commands(get_command(app)), *unsaid_errors(errors)]
    if found:
        raise PluginError("the reference cannot be made\n" + "\n".join(f"  - {one}" for one in found))
    for place, page in PAGES.items():
        files.append(File.generated(config, place, content=page()))
    return files


def with_key(model: type[BaseModel], name: str, text: str) -> Any:
    """The value that an example gives a key."""
    return yaml.safe_load(text)[model.model_fields[name].alias or name]
