"""Reads a task file and reports every problem in it at once: first what each section allows, then one rule a function.

No Spark here: `medspark check` answers in a second.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medspark.errors import TaskError, did_you_mean
from medspark.task.checks.events import EVENT_RULES
from medspark.task.checks.shared import SHARED_RULES
from medspark.task.checks.table import TABLE_RULES
from medspark.task.columns import READS_AS_IT_STANDS, Column, UnreadColumn
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping
from medspark.task.problems import sentence
from medspark.task.shipped import SHIPPED, or_shipped
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task
from medspark.task.yaml_text import fill_variables, read_yaml


def load_task(path: str | Path) -> Task:
    """The task in a YAML file of the user, checked; its ${VAR} are those of the environment.

    A file of conf/ is, where there is none, that which medspark brings along.

    Raises:
        TaskError: with every problem found, each saying what was expected and received, and a hint.
    """
    path = or_shipped(Path(path))
    raw = fill_variables(path, read_yaml(path))
    if _is_events(raw) and "mapping" not in raw:
        mapping = mapping_file(path, raw["source"].get("mapping"))
        raw["mapping"] = fill_variables(mapping, read_yaml(mapping))
    return _sound(path, *check_task(raw))


def load_frozen_task(path: Path) -> Task:
    """The task of a bundle, checked. Whoever wrote it has no say in what of the environment it reads.

    One from before a year as it stands was refused reads on as it did when it was trained.

    Raises:
        TaskError: as `load_task`.
    """
    raw = read_yaml(path)
    if _is_events(raw) and not isinstance(raw.get("mapping"), dict):
        raise TaskError(str(path), ["source.mapping: expected the mapping in the bundle's task itself, received none"])
    # A bundle of before this key was one asked for: its names are in its statistics already
    raw.setdefault("privacy", {"names_of_few": True})
    task, problems = check_task(raw)
    return _with_its_database(_sound(path, task, [one for one in problems if READS_AS_IT_STANDS not in one]))


def _with_its_database(task: Task) -> Task:
    """A bundle's task, whose database, where it has one, is marked as the bundle's choice."""
    if task.source.database is None:
        return task
    source = task.source.model_copy(update={"database": task.source.database.as_of_bundle()})
    return task.model_copy(update={"source": source})


def _sound(path: Path, task: Task | None, problems: list[str]) -> Task:
    if problems or task is None:
        raise TaskError(str(path), problems)
    return task


def _is_events(raw: dict[str, Any]) -> bool:
    return isinstance(raw.get("source"), dict) and raw["source"].get("kind") == "events"


def mapping_file(task_file: Path, name: Any) -> Path:
    """Where a task's mapping is: the path that it names, or NAME.yaml of a folder sources beside the task or beside its
    folder, of conf/sources, or of those that medspark brings along.

    Raises:
        TaskError: it is nowhere.
    """
    if isinstance(name, str) and name.endswith((".yaml", ".yml")):
        places = [Path(name), task_file.parent / name]
    else:
        folders = (task_file.parent.parent / "sources", task_file.parent / "sources", Path("conf/sources"))
        places = [folder / f"{name}.yaml" for folder in (*folders, SHIPPED / "sources")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        known = [place.stem for place in places[-1].parent.glob("*.yaml")]
        looked = " or ".join(str(place) for place in places if SHIPPED not in place.parents)
        raise TaskError(
            str(task_file), [f"source.mapping: expected a mapping at {looked}.{did_you_mean(str(name), known)}"]
        )
    return found


def check_task(raw: dict[str, Any]) -> tuple[Task | None, list[str]]:
    """The task and every problem in `raw`; the task is None where too little was right to build one."""
    model: type[Task] = EventTask if _is_events(raw) else TableTask
    task, problems = _build(model, raw)
    if isinstance(task, EventTask):
        mapping = _with_unread_columns(task.mapping, raw["mapping"]["tables"])
        events = task.model_copy(update={"mapping": mapping})
        problems += [problem for rule in (*SHARED_RULES, *EVENT_RULES) for problem in rule(events)]
    elif task is not None:
        table = task.model_copy(update={"columns": _and_unread(task.columns, raw["columns"])})
        problems += [problem for rule in (*SHARED_RULES, *TABLE_RULES) for problem in rule(table)]
    return task, problems


def _with_unread_columns(mapping: Mapping, raw: dict[str, Any]) -> Mapping:
    """A mapping whose tables hold a stand-in for each column that could not be read."""
    given = {str(name): table for name, table in raw.items()}
    tables = {
        name: table.model_copy(update={"columns": _and_unread(table.columns, given.get(name, {}).get("columns"))})
        for name, table in mapping.tables.items()
    }
    return mapping.model_copy(update={"tables": tables})


def _and_unread(columns: dict[str, Column], raw: Any) -> dict[str, Column | UnreadColumn]:
    """Columns in the file's order, a stand-in among them for each that could not be read.

    For the rules alone: that a column could not be read has been told, and what is wrong beside it is told as well.
    """
    given = raw if isinstance(raw, dict) else {}
    stand_ins = {str(name): UnreadColumn(lookup=_lookup_of(column)) for name, column in given.items()}
    return {**stand_ins, **columns}


def _lookup_of(column: Any) -> str | None:
    name = column.get("lookup") if isinstance(column, dict) else None
    return name if isinstance(name, str) else None


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
            problems += [text for text in (sentence(model, detail) for detail in details) if text not in problems]
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
