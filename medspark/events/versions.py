"""Which resource a FHIR line is a version of, and when it was updated, where a view makes no row of it."""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import SET_ASIDE
from medspark.schemas import TEXT, quoted
from medspark.sources.record_rules import NO_ROW, UNREADABLE_RESOURCE
from medspark.task.mapping import MappedTable
from medspark.task.view import Select

_PLACES: Final = {"getResourceKey()": "$.id", "id": "$.id", "meta.lastUpdated": "$.meta.lastUpdated"}
"""Where a line has what the paths of its version lead to."""


def with_versions(judged: DataFrame, spec: MappedTable) -> DataFrame:
    """Lines of the view's resource without rows get the id and the time by which the table tells duplicates: they make
    older versions old as any other."""
    if spec.view is None or spec.duplicates is None or spec.duplicates.same == "whole_row":
        return judged
    paths = {name: path for select in spec.view.select for name, path in _own_columns(select)}
    told_by = [*spec.duplicates.same, *filter(None, [spec.duplicates.by])]
    places = {name: _PLACES[paths[name]] for name in told_by if paths.get(name) in _PLACES}
    types = dict(judged.dtypes)
    return judged.withColumns({name: _told(name, place, types[name]) for name, place in places.items()})


def _own_columns(select: Select) -> list[tuple[str, str]]:
    """A select's columns that are the resource's own, not an element's of it."""
    is_of_element = select.for_each is not None or select.for_each_or_null is not None or select.repeat
    if is_of_element:
        return []
    beside = [found for part in select.select for found in _own_columns(part)]
    return [(column.name, column.path) for column in select.column] + beside


def _told(name: str, place: str, dtype: str) -> Column:
    without_rows = F.col(SET_ASIDE).isin(NO_ROW, UNREADABLE_RESOURCE)
    return F.when(without_rows, F.get_json_object(TEXT, place).try_cast(dtype)).otherwise(F.col(quoted(name)))
