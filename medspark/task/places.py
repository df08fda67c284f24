"""Every expression of a task by its place in the file, so that one that fails is found. No Spark here."""

from collections.abc import Iterator

from medspark.task.event_task import EventTask
from medspark.task.expressions import spark_sql
from medspark.task.mapping import EventRule, MappedTable, Mapping
from medspark.task.raw_table import Check, Derived
from medspark.task.tasks import Task

SPARK_TYPES = {
    "double": "DOUBLE",
    "long": "BIGINT",
    "category": "STRING",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}
"""What the type of a derived column is called in Spark SQL."""

_VALUES = ("time", "date", "available", "value", "number", "text", "unit", "encounter", "when")


def derived_sql(derived: Derived) -> str:
    """A derived column as Spark gets it: its cast is part of the text, so that its failure has a place too.

    >>> derived_sql(Derived(type="long", expression="age+1"))
    'CAST(age + 1 AS BIGINT)'
    """
    return f"CAST({spark_sql(derived.expression)} AS {SPARK_TYPES[derived.type]})"


def expression_places(task: Task) -> dict[str, str]:
    """Place and Spark SQL of every expression of a task that is evaluated for each row."""
    if isinstance(task, EventTask):
        return mapping_places(task.mapping)
    found = dict(_of_rows(task.derived, task.checks))
    found |= {f"exclude.{item.name}": spark_sql(item.when) for item in task.exclude}
    return found | {f"outcome.{place}": spark_sql(text) for place, text in task.outcome.conditions().items()}


def mapping_places(mapping: Mapping) -> dict[str, str]:
    """Place and Spark SQL of every expression of a mapping."""
    tables = mapping.tables.items()
    return {f"{table}.{place}": sql for table, spec in tables for place, sql in _of_mapped_table(spec)}


def _of_rows(derived: dict[str, Derived], checks: tuple[Check, ...]) -> Iterator[tuple[str, str]]:
    yield from ((f"derived.{name}", derived_sql(item)) for name, item in derived.items())
    yield from ((f"checks.{check.name}", spark_sql(check.expect)) for check in checks)


def _of_mapped_table(spec: MappedTable) -> Iterator[tuple[str, str]]:
    yield from _of_rows(spec.derived, spec.checks)
    yield from ((f"skip.{skip.name}", spark_sql(skip.when)) for skip in spec.passed_over)
    for at, rule in enumerate(spec.events):
        yield from ((f"events.{at}.{name}", spark_sql(text)) for name, text in _values(rule))


def _values(rule: EventRule) -> Iterator[tuple[str, str]]:
    for name in _VALUES:
        text = getattr(rule, name)
        if text is not None:
            yield name, text
