"""Every key of task, mapping and deployment files with its type, default, meaning and example, from the models."""

import json
import re
import types
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from reference_examples import EXAMPLES

from medspark.deploy.deployment import Deployment
from medspark.draft.task_file import flow
from medspark.task.event_task import EventTask
from medspark.task.load import check_task
from medspark.task.mapping import Mapping
from medspark.task.table_task import TableTask
from medspark.task.yaml_text import read_yaml

ROOT = Path(__file__).parents[1]
ROOTS = (TableTask, EventTask, Mapping, Deployment)
"""What the files of conf/ are."""
LONGEST_EXAMPLE = 90


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
    ("Deployment", "as_of"): "The time that a night is of.",
    ("Deployment", "explain"): "Which scores are published with their reasons; none without it.",
    ("Deployment", "sinks"): "The places that scores are published to.",
    ("DatabaseSink", "database"): "How the database is reached.",
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
def shown_examples() -> dict[tuple[str, str], str]:
    """Of each key the shortest value that a task or mapping of conf/ gives it, else that the first guide does."""
    return examples_of_guides((ROOT / "docs").glob("*.md")) | _of_shipped()


def examples_of_guides(pages: Iterable[Path]) -> dict[tuple[str, str], str]:
    """What the YAML of pages gives keys that it may give them; other YAML is passed over."""
    found: dict[tuple[str, str], str] = {}
    for page in sorted(pages):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            try:
                raw = json.loads(json.dumps(yaml.safe_load(block), default=str))
            except yaml.YAMLError:
                continue  # such as one key in several ways, under one another
            for root in ROOTS:
                _collect_raw(root, raw, found)
    return found


def _collect_raw(model: type[BaseModel], raw: Any, found: dict[tuple[str, str], str]) -> None:
    """What raw YAML at a section's place gives its keys, and those of the sections below."""
    for name, field in model.model_fields.items():
        value = raw.get(field.alias or name) if isinstance(raw, dict) else None
        if value in (None, {}, []):
            continue
        text = flow(value)
        if len(text) < LONGEST_EXAMPLE and _may_be(field, name, value):
            found.setdefault((model.__name__, name), text)
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        for inner in models_within(field.annotation):
            for item in (value, *items):
                _collect_raw(inner, item, found)


def _may_be(field: FieldInfo, name: str, value: Any) -> bool:
    try:
        TypeAdapter(Annotated.__class_getitem__((field.annotation, name, *field.metadata))).validate_python(value)
    except ValueError:
        return False
    return True


def _of_shipped() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted((ROOT / "conf" / "tasks").glob("*.yaml")):
        raw = read_yaml(path)
        if raw["source"]["kind"] == "events":
            raw["mapping"] = read_yaml(ROOT / "conf" / "sources" / f"{raw['source']['mapping']}.yaml")
        task, _ = check_task(raw)
        _collect(task, found)
    for path in sorted((ROOT / "conf" / "sources").glob("*.yaml")):
        _collect(Mapping.model_validate(read_yaml(path)), found)
    for path in sorted((ROOT / "conf" / "deployments").glob("*.yaml")):
        _collect_raw(Deployment, read_yaml(path), found)
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
        if (base.__name__, name) in shown_examples():
            return f"{key}: {shown_examples()[base.__name__, name]}"
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
            lines.append(f"| {' | '.join(map(cell, cells))} |")
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


def deployment_page() -> str:
    told = sections(Deployment, "", {})
    return keys_page("Deployment files", Deployment, "Every key of a file of `medspark night`.", told)


def unsaid_keys(*roots: type[BaseModel]) -> Iterator[str]:
    """Each key below some models that has no meaning or no example, with what to do; one sentence each."""
    for model in {model: None for root in roots for model in sections(root, "", {})}:
        for name, field in model.model_fields.items():
            if not meaning(model, name):
                yield f"{model.__name__}.{name}: expected a docstring below it that says what the key means"
            if not example_of(model, name) and not is_section(field):
                yield f"{model.__name__}.{name}: expected an example in conf/, a guide or docs/reference_examples.py"


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def with_key(model: type[BaseModel], name: str, text: str) -> Any:
    """The value that an example gives a key."""
    return yaml.safe_load(text)[model.model_fields[name].alias or name]
