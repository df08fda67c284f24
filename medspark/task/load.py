"""Reads a task file and reports every problem in it at once: first what each section allows, then one rule a function.

No Spark here: `medspark check` answers in a second.
"""

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medspark.errors import TaskError, did_you_mean
from medspark.task.checks.events import EVENT_RULES
from medspark.task.checks.table import SHARED_RULES, TABLE_RULES
from medspark.task.event_task import EventTask
from medspark.task.raw_table import Column, ColumnBase
from medspark.task.table_task import TableTask, Task
from medspark.task.yaml_text import read_yaml


def load_task(path: str | Path) -> Task:
    """The task in a YAML file, checked.

    Raises:
        TaskError: with every problem found, each saying what was expected and received, and a hint.
    """
    path = Path(path)
    raw = read_yaml(path)
    if _is_events(raw) and "mapping" not in raw:
        raw["mapping"] = read_yaml(mapping_file(path, raw["source"].get("mapping")))
    task, problems = check_task(raw)
    if problems or task is None:
        raise TaskError(str(path), problems)
    return task


def _is_events(raw: dict[str, Any]) -> bool:
    return isinstance(raw.get("source"), dict) and raw["source"].get("kind") == "events"


def mapping_file(task_file: Path, name: Any) -> Path:
    """Where a task's mapping is: the path that it names, or NAME.yaml of conf/sources.

    Raises:
        TaskError: it is nowhere.
    """
    if isinstance(name, str) and name.endswith((".yaml", ".yml")):
        places = [Path(name), task_file.parent / name]
    else:
        places = [folder / f"{name}.yaml" for folder in (task_file.parent.parent / "sources", Path("conf/sources"))]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        known = [place.stem for place in places[-1].parent.glob("*.yaml")]
        looked = " or ".join(str(place) for place in places)
        raise TaskError(
            str(task_file), [f"source.mapping: expected a mapping at {looked}.{did_you_mean(str(name), known)}"]
        )
    return found


def check_task(raw: dict[str, Any]) -> tuple[Task | None, list[str]]:
    """The task and every problem in `raw`; the task is None where too little was right to build one."""
    model: type[Task] = EventTask if _is_events(raw) else TableTask
    task, problems = _build(model, raw)
    if isinstance(task, EventTask):
        problems += [problem for rule in (*SHARED_RULES, *EVENT_RULES) for problem in rule(task)]
    elif task is not None:
        unread = [repr(name) for name in set(raw["columns"]) - set(task.columns)]  # reported already
        found = [problem for rule in (*SHARED_RULES, *TABLE_RULES) for problem in rule(task)]
        problems += [text for text in found if not any(name in text for name in unread)]
    return task, problems


def _build(model: type[Task], raw: dict[str, Any]) -> tuple[Task | None, list[str]]:
    """Validate; then leave out what was wrong and go on, so that the rules across sections run as well."""
    problems: list[str] = []
    told: set[tuple[int | str, ...]] = set()
    for _ in range(5):
        try:
            return model.model_validate(raw), problems
        except ValidationError as error:
            # What is missing because it was left out has been told already
            details = [detail for detail in error.errors() if detail["type"] != "missing" or detail["loc"] not in told]
            told |= {detail["loc"] for detail in details}
            if not details:
                break
            problems += [text for text in (_sentence(model, detail) for detail in details) if text not in problems]
            raw = _without(raw, [detail["loc"] for detail in details if detail["type"] != "missing"])
            absent = [detail["loc"] for detail in details if detail["type"] == "missing"]
            if absent and not all(loc in (("task",), ("title",)) for loc in absent):
                break
            raw = {**raw, **{str(loc[0]): "absent" for loc in absent}}
    return None, problems


def _without(value: Any, locations: list[tuple[int | str, ...]]) -> Any:
    """A copy of nested `value` without the items at the given places."""
    if not isinstance(value, dict | list):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {}
    for key, item in items:
        below = [loc[1:] for loc in locations if loc and str(loc[0]) == str(key)]
        if () in below:
            continue
        kept[key] = _without(item, [loc[1:] if _is_tag(item, loc) else loc for loc in below])
    return kept if isinstance(value, dict) else list(kept.values())


def _is_tag(item: Any, location: tuple[int | str, ...]) -> bool:
    """Whether a location's next part is the type that pydantic chose, which the file nests nothing under."""
    return isinstance(item, dict) and bool(location) and item.get("type") == location[0]


def _sentence(model: type[Task], detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    received = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            known = _keys_at(model, detail["loc"][:-1])
            return f"{where}: unknown key. Allowed: {', '.join(known)}.{did_you_mean(key, known)}"
        case "missing":
            return f"{where}: expected a value, received none"
        case "union_tag_not_found" | "union_tag_invalid":
            kinds = sorted(_column_types())
            given = received.get("type") if isinstance(received, dict) else received
            return (
                f"{where}: expected a type of {', '.join(kinds)}, received {given!r}.{did_you_mean(str(given), kinds)}"
            )
        case "literal_error":
            expected = detail.get("ctx", {})["expected"]
            allowed = [word.strip("'") for word in str(expected).replace(" or ", ", ").split(", ")]
            return f"{where}: expected {expected}, received {received!r}.{did_you_mean(str(received), allowed)}"
        case "value_error":
            return f"{where or 'task'}: {detail['ctx']['error']!s}"
        case _:
            return f"{where}: {detail['msg'].replace('Input should be', 'expected')}, received {received!r}"


def _column_types() -> dict[str, type[BaseModel]]:
    union = get_args(get_args(Column)[0])
    return {kind: model for model in union for kind in get_args(model.model_fields["type"].annotation)}


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model allows at a place in the task."""
    for part in location:
        if str(part) in _column_types() and _is_column(model):  # a table may be named date, a group code
            model = _column_types()[str(part)]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            names = {field.alias or name: field for name, field in model.model_fields.items()}
            model = _model_within(names[str(part)].annotation) if str(part) in names else model
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_column(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, ColumnBase)


def _model_within(annotation: Any) -> Any:
    """The section's model inside an annotation such as `tuple[Check, ...]` or `dict[str, Lookup]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_within(inner) for inner in get_args(annotation)]
    return next((model for model in found if model is not None), None)
