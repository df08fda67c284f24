"""What pydantic found wrong in a task file, as sentences."""

from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from medspark.errors import did_you_mean
from medspark.task.base import NAME
from medspark.task.columns import Column, ColumnBase
from medspark.task.tasks import Task

_IN_WORDS: Final = {
    "string_type": "text",
    "string_too_short": "some text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "dict_type": "keys with values",
    "model_type": "a section with keys of its own",
    "model_attributes_type": "a section with keys of its own",
    "tuple_type": "a list",
    "list_type": "a list",
}
"""What pydantic says in Python's words."""
_A_NAME: Final = "a name such as readmission-2026: small letters, digits, - and _, a letter first"


def sentence(model: type[Task], detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    received = detail["input"]
    if "database" in detail["loc"] and not isinstance(received, int | float | bool | None):
        received = type(received).__name__  # a password may stand where it should not
    # Within a section may stand a password
    shown = shortened(repr(type(received).__name__ if _has_sections(received) else received))
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
            hint = did_you_mean(str(given), kinds)
            return f"{where}: expected a type of {', '.join(kinds)}, received {shortened(repr(given))}.{hint}"
        case "literal_error":
            expected = detail.get("ctx", {})["expected"]
            allowed = [word.strip("'") for word in str(expected).replace(" or ", ", ").split(", ")]
            return f"{where}: expected {expected}, received {shown}.{did_you_mean(str(received), allowed)}"
        case "value_error":
            return f"{where or 'task'}: {detail['ctx']['error']!s}"
        case "string_pattern_mismatch":
            pattern = detail.get("ctx", {})["pattern"]
            return f"{where}: expected {_A_NAME if pattern == NAME else f'text like {pattern}'}, received {shown}"
        case "too_short":
            least = detail.get("ctx", {})["min_length"]
            return f"{where}: expected at least {'one' if least == 1 else least}, received {shown}"
        case kind if kind in _IN_WORDS:
            return f"{where}: expected {_IN_WORDS[kind]}, received {shown}"
        case _:
            return f"{where}: {detail['msg'].replace('Input should be', 'expected')}, received {shown}"


def _has_sections(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(map(_has_sections, value)))


def shortened(text: str) -> str:
    """As much of what a task file has as belongs in a message.

    >>> shortened("x" * 1000) == "x" * 197 + "..."
    True
    """
    return text if len(text) <= 200 else f"{text[:197]}..."


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
