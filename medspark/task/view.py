"""A view definition of SQL on FHIR v2: which rows a FHIR resource becomes. No Spark here.

https://sql-on-fhir.org/ir-shared/StructureDefinition-ViewDefinition.html
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from medspark.errors import did_you_mean
from medspark.task.base import Closed, unsaid
from medspark.task.fhirpath import path_problems

FOR_PEOPLE: Final = frozenset({
    "resourceType", "id", "meta", "url", "identifier", "name", "title", "status", "experimental", "date", "publisher",
    "contact", "description", "useContext", "copyright", "fhirVersion", "profile", "tag", "type",
})  # fmt: skip
"""What the standard lets a definition say that changes no row: it may be there, and is passed over."""

ROW_INDEX: Final = "rowIndex"
"""The constant that is the place of a row among those of its `forEach` or `repeat`, from 0."""
_GIVEN: Final = frozenset({ROW_INDEX, "resource", "context", "ucum"})
"""Constants that every path may name."""


def _without_words(kept: frozenset[str]) -> BeforeValidator:
    def passed_over(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: part for key, part in value.items() if key in kept or key not in FOR_PEOPLE}

    return BeforeValidator(passed_over)


class Constant(Closed):
    """A value that paths name as `%NAME`."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """What paths call it."""
    value: bool | int | float | str
    """The value; the standard's `valueString`, `valueInteger` and so on are read as well."""

    @model_validator(mode="before")
    @classmethod
    def _of_any_type(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        typed = [key for key in given if key.startswith("value") and key != "value"]
        if len(typed) != 1:
            return given
        return {"value": given[typed[0]], **{key: part for key, part in given.items() if key != typed[0]}}


class ViewColumn(Closed):
    """A column of the rows."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Its name."""
    path: str
    """FHIRPath from the resource, or from the element that `forEach` is at."""
    collection: bool = False
    """Whether the path may give several values, which are then a JSON array; else they are an error."""


class Where(Closed):
    """A condition on resources."""

    path: str
    """FHIRPath that is true or false; nothing is false."""


class Select(Closed):
    """Columns side by side, and the elements that a row is made for each of."""

    column: tuple[Annotated[ViewColumn, _without_words(frozenset({"name"}))], ...] = ()
    """The columns."""
    select: tuple["Select", ...] = ()
    """More columns beside them: each of these rows with each of those."""
    for_each: str | None = Field(default=None, alias="forEach")
    """FHIRPath to elements, a row each; where there is none there is no row."""
    for_each_or_null: str | None = Field(default=None, alias="forEachOrNull")
    """The same, but where there is none there is a row without values."""
    repeat: tuple[str, ...] = Field(default=(), exclude_if=unsaid)
    """FHIRPaths that are followed again and again from what they lead to, a row for each element."""
    union_all: tuple["Select", ...] = Field(default=(), alias="unionAll")
    """Rows under one another, of the same columns in the same order."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in their order."""
        beside = [name for part in self.select for name in part.names]
        under = self.union_all[0].names if self.union_all else ()
        return (*(column.name for column in self.column), *beside, *under)

    @property
    def paths(self) -> Iterator[str]:
        """Every path in it."""
        own = (self.for_each, self.for_each_or_null, *self.repeat, *(column.path for column in self.column))
        yield from (path for path in own if path is not None)
        for part in (*self.select, *self.union_all):
            yield from part.paths

    @model_validator(mode="after")
    def _one_kind_of_row(self) -> Self:
        given = [self.for_each is not None, self.for_each_or_null is not None, bool(self.repeat)]
        if sum(given) > 1:
            raise ValueError("expected one of forEach, forEachOrNull and repeat, received several")
        for part in self.union_all[1:]:
            if part.names != self.union_all[0].names:
                expected, received = ", ".join(self.union_all[0].names), ", ".join(part.names)
                raise ValueError(f"expected unionAll of the same columns, {expected}, received {received}")
        if not self.names:
            raise ValueError("expected at least one column, received none")
        return self


class View(Closed):
    """Which rows each resource of a type becomes: a ViewDefinition of SQL on FHIR v2."""

    resource: str = Field(pattern=r"^[A-Z][A-Za-z]+$")
    """The type of the resources."""
    constant: tuple[Constant, ...] = ()
    """Values that paths name as `%NAME`."""
    select: tuple[Select, ...] = Field(min_length=1)
    """The rows' columns."""
    where: tuple[Annotated[Where, _without_words(frozenset())], ...] = ()
    """Conditions that a resource has to meet, all of them; one that does not makes no row."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in their order."""
        return tuple(name for part in self.select for name in part.names)


AnyView = Annotated[View, _without_words(frozenset())]


def view_problems(view: View) -> Iterator[str]:
    """What no row could be made by: paths that cannot be read, constants that nobody gives, columns that are twice."""
    known = {*_GIVEN, *(constant.name for constant in view.constant)}
    paths = [*(path for part in view.select for path in part.paths), *(where.path for where in view.where)]
    for path in dict.fromkeys(paths):
        yield from path_problems(path, known)
    twice = sorted({name for name in view.names if view.names.count(name) > 1})
    yield from (f"column {name!r} is there {view.names.count(name)} times" for name in twice)


def unlike_columns(view: View, columns: tuple[str, ...]) -> Iterator[str]:
    """How a view's columns and those that a table declares differ."""
    for name in view.names:
        if name not in columns:
            yield f"view: column {name!r} is not in `columns`.{did_you_mean(name, columns)}"
    for name in columns:
        if name not in view.names:
            yield f"columns.{name}: the view makes no such column.{did_you_mean(name, view.names)}"
