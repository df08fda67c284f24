"""Rules across the sections of a table task: one function each."""

from collections import Counter
from collections.abc import Callable, Iterator

from sqlglot.errors import SqlglotError

from medspark.schemas import CASE_COLUMNS
from medspark.task.addresses import is_whole
from medspark.task.checks.columns import (
    column_type,
    columns_are_sound,
    derived_problems,
    duplicates_are_sound,
    known_columns,
    may_be,
    one_of,
    prefixed,
    source_types,
    unknown_column,
    value_types,
    zone_exists,
)
from medspark.task.checks.dialects import dialect_problems
from medspark.task.checks.shared import changed
from medspark.task.columns import CategoryColumn, ImageColumn, UnreadColumn
from medspark.task.conditions import condition_problems
from medspark.task.connection import IN_DATABASES, WITHOUT_FOLDER
from medspark.task.expressions import columns_of
from medspark.task.features import LEVEL_TYPES
from medspark.task.history import History
from medspark.task.table_task import TableTask

KEY_TYPES = frozenset({"long", "integer", "string"})

TIME_TYPES = frozenset({"date", "timestamp"})

DAYS_TYPES = frozenset({"long", "integer", "double", "decimal"})


def keys_are_columns(task: TableTask) -> Iterator[str]:
    source = task.source
    for key, name in (("case", source.case), ("subject", source.subject)):
        if name not in task.columns:
            yield unknown_column(f"source.{key}", name, task)
        elif not may_be(task, name, KEY_TYPES):
            received = f"{name!r} of {column_type(task, name)}"
            yield f"source.{key}: expected a column of {one_of(KEY_TYPES)}, received {received}"
    if source.time is not None and source.time not in task.columns:
        yield unknown_column("source.time", source.time, task)
    elif source.time is not None and not may_be(task, source.time, TIME_TYPES):
        received = f"{source.time!r} of {column_type(task, source.time)}"
        yield f"source.time: expected a {one_of(TIME_TYPES)}, received {received}"


def nothing_lies_beside_a_database(task: TableTask) -> Iterator[str]:
    form = task.source.format
    if form not in WITHOUT_FOLDER:
        return
    beside = f"no folder lies beside a table of format {form}"
    for name, column in task.columns.items():
        if isinstance(column, ImageColumn) and column.folder is None:
            yield f"columns.{name}.folder: expected what paths begin at, since {beside}"
    for name, sequence in task.beside.items():
        if not is_whole(str(sequence.fasta)):
            yield f"columns.{name}.fasta: expected a whole path, since {beside}"


def a_temporal_split_has_times(task: TableTask) -> Iterator[str]:
    if task.split.temporal is not None and task.source.time is None:
        yield "split.temporal: expected source.time, by which cases are earlier and later, received none"


def table_zone_exists(task: TableTask) -> Iterator[str]:
    return zone_exists("source.timezone", task.source.timezone)


def duplicates_read_columns(task: TableTask) -> Iterator[str]:
    if task.source.duplicates is not None:
        yield from duplicates_are_sound("source.duplicates", task.source.duplicates, task)


def expressions_are_sound(task: TableTask) -> Iterator[str]:
    own, known = source_types(task), value_types(task)
    for name, derived in task.derived.items():
        yield from prefixed(f"derived.{name}", derived_problems(derived, own))
        if name in task.columns:
            yield f"derived.{name}: a column has this name already"
    for check in task.checks:
        yield from prefixed(f"checks.{check.name}", condition_problems(check.expect, own))
    for exclusion in task.exclude:
        yield from prefixed(f"exclude.{exclusion.name}", condition_problems(exclusion.when, known))
    for place, condition in task.outcome.conditions().items():
        where = "outcome" if place == "when" else f"outcome.{place}"
        yield from prefixed(where, condition_problems(condition, known))


def limits_are_of_columns(task: TableTask) -> Iterator[str]:
    for name in task.limits.missing_at_most if task.limits is not None else ():
        if name not in task.columns:
            yield unknown_column("limits.missing_at_most", name, task)


def days_are_numbers(task: TableTask) -> Iterator[str]:
    name = task.outcome.days
    if name is not None and name not in known_columns(task):
        yield unknown_column("outcome.days", name, task)
    elif name is not None and not may_be(task, name, DAYS_TYPES):
        yield f"outcome.days: expected a column of {one_of(DAYS_TYPES)}, received {name!r} of {column_type(task, name)}"


def features_read_columns(task: TableTask) -> Iterator[str]:
    asked = [*task.features.asks(), *task.features.asks_of_the_past()]
    if not asked:
        yield "features: expected at least one feature, received none"
    known = set(known_columns(task))
    for section, name, allowed in asked:
        if name not in known:
            yield unknown_column(f"features.{section}", name, task)
        elif not may_be(task, name, allowed):
            received = f"{name!r} of {column_type(task, name)}"
            yield f"features.{section}: expected a column of {one_of(allowed)}, received {received}"
    named = Counter((section, name) for section, name, _ in asked)
    yield from (f"features.{section}: {name!r} is named twice" for (section, name), times in named.items() if times > 1)


def sequences_have_ids(task: TableTask) -> Iterator[str]:
    for name, column in task.beside.items():
        if column.id not in task.columns or column.id in task.beside:
            yield unknown_column(f"columns.{name}.id", str(column.id), task)
        elif not may_be(task, column.id, LEVEL_TYPES):
            received = f"{column.id!r} of {column_type(task, column.id)}"
            yield f"columns.{name}.id: expected a column of {one_of(LEVEL_TYPES)}, received {received}"
        if name in (task.source.case, task.source.subject, task.source.time):
            yield f"columns.{name}.fasta: it is looked up by the source's keys, so it cannot be one"


def images_are_alike(task: TableTask) -> Iterator[str]:
    """What one network reads has one size; and a column of images is read by one, or decoded for nobody."""
    for name, feature in task.features.images.items():
        columns = [task.columns.get(column) for column in feature.columns]
        shapes = {column.shape for column in columns if isinstance(column, ImageColumn)}
        if len(shapes) > 1:
            received = " and ".join(f"{h} x {w} x {c}" for h, w, c in sorted(shapes))
            yield f"features.images.{name}: expected columns of one size and as many channels, received {received}"
        if len(feature.columns) == 1 and "several" in changed(feature):
            yield f"features.images.{name}.several: there is one column, so at most one image a case"
    read = task.features.columns()
    for name, column in task.columns.items():
        if isinstance(column, ImageColumn) and name not in read:
            yield f"columns.{name}: no feature reads these images; as a string their paths are kept unread"
    settings = changed(task.network.images)
    if settings and not task.features.images:
        yield "network.images: no feature has images"
    if {"weights", "filters"} <= settings:
        yield "network.images.filters: a network that `weights` names has filters of its own"


def features_do_not_leak(task: TableTask) -> Iterator[str]:
    leaky = set(outcome_columns(task))
    derived = {name: set(columns_or_none(d.expression)) for name, d in task.derived.items()}
    for name in task.features.columns():
        if name in leaky or derived.get(name, set()) & leaky:
            yield f"features: {name!r} is read by the outcome too: it would leak the label"
        if name in (task.source.case, task.source.subject):
            yield f"features: {name!r} identifies a case or a patient, so it cannot be a feature"


def history_is_sound(task: TableTask) -> Iterator[str]:
    history, source = task.features.history, task.source
    if history is None:
        return
    if not history.features():
        yield "features.history: expected last, count, gap or codes, received none"
    if source.case == source.subject:
        yield f"features.history: {source.case!r} is case and subject, so no row has an earlier one"
    leaky = set(outcome_columns(task)) - {source.case, source.time}
    for section, name, _ in task.features.asks_of_the_past():
        if not leaky.isdisjoint(_with_sources(task, name)):
            yield (
                f"features.{section}: {name!r} is read by the outcome: that of an earlier row need not be known by "
                "the time of this one"
            )
        if name == source.subject or (name == source.case and section != "history.order_by"):
            yield f"features.{section}: {name!r} identifies a case or a patient, so it cannot be a feature"
    yield from _names_of_the_past(task, history)


def _names_of_the_past(task: TableTask, history: History) -> Iterator[str]:
    """Which columns of cases that earlier rows fill have a name that is taken, in whatever case: Spark sees none."""
    taken = {name.lower() for name in (*known_columns(task), *CASE_COLUMNS, *task.features.codes)}
    for name in history.columns():
        if name.lower() in taken:
            yield f"features.history: cases get a column {name!r}, and there is one already; expected another name"
        taken.add(name.lower())


def _with_sources(task: TableTask, name: str) -> set[str]:
    return {name, *columns_or_none(task.derived[name].expression)} if name in task.derived else {name}


def outcome_columns(task: TableTask) -> list[str]:
    """The source columns that the outcome reads, through derived columns as well."""
    names: list[str] = []
    read = [name for condition in task.outcome.conditions().values() for name in columns_or_none(condition)]
    for name in [*read, *([task.outcome.days] if task.outcome.days is not None else [])]:
        names += [*columns_or_none(task.derived[name].expression), name] if name in task.derived else [name]
    return list(dict.fromkeys(names))


def subgroups_read_columns(task: TableTask) -> Iterator[str]:
    for name in task.report.subgroups:
        if name not in known_columns(task):
            yield unknown_column("report.subgroups", name, task)
        elif not may_be(task, name, LEVEL_TYPES):
            yield f"report.subgroups: expected a column with levels, received {name!r} of {column_type(task, name)}"


def names_are_free(task: TableTask) -> Iterator[str]:
    keys = {task.source.case, task.source.subject, task.source.time}
    kept = {*CASE_COLUMNS, *task.outcome.targets.labels}
    for name in dict.fromkeys([*task.features.columns(), *task.report.subgroups]):
        if name in kept and name not in keys:
            yield f"columns.{name}: this name is kept for the table of cases; rename the column in the source"


def exclusions_have_names(task: TableTask) -> Iterator[str]:
    for kind, names in (
        ("exclude", [e.name for e in task.exclude]),
        ("checks", [c.name for c in task.checks]),
    ):
        for name in {name for name in names if names.count(name) > 1}:
            yield f"{kind}: two entries are named {name!r}; counts need one name each"


def settings_do_something(task: TableTask) -> Iterator[str]:
    for name, column in task.columns.items():
        given = changed(column) & {"precision", "scale"}
        if given and column.type != "decimal":
            yield f"columns.{name}: only a decimal has {one_of(given)}"
    csv_only = {"delimiter", "header", "quoted_newlines"} & changed(task.source)
    if csv_only and task.source.format != "csv":
        yield f"source: only csv has {one_of(csv_only)}, received format {task.source.format!r}"
    yield from _dialect_agrees(task)
    if "encoding" in changed(task.source) and task.source.format in ("parquet", "orc", *IN_DATABASES):
        yield f"source: {task.source.format} has no encoding"
    read = {column.lookup for column in task.columns.values() if isinstance(column, CategoryColumn | UnreadColumn)}
    for name in task.lookups:
        if name not in read:
            yield f"lookups.{name}: no column reads it"


def _dialect_agrees(task: TableTask) -> Iterator[str]:
    source, dialect, columns = task.source, task.source.dialect, task.raw_table().names
    if dialect is None:
        return
    found = dialect_problems(dialect, source.format, source.delimiter, source.quoted_newlines, task.columns)
    yield from (f"source.{problem}" if not problem.startswith("columns.") else problem for problem in found)
    if dialect.header_lines > 1 and not source.header:
        yield "source.dialect.header_lines: expected 1 of files without a header"
    if dialect.delimiter is not None and "delimiter" in changed(source):
        yield "source: expected one delimiter, received one of the source and one of its dialect"
    if dialect.widths is not None and not source.header and len(dialect.widths) != len(columns):
        yield f"source.dialect.widths: expected one for each of {len(columns)} columns, received {len(dialect.widths)}"


TABLE_RULES: tuple[Callable[[TableTask], Iterator[str]], ...] = (
    keys_are_columns,
    nothing_lies_beside_a_database,
    a_temporal_split_has_times,
    table_zone_exists,
    duplicates_read_columns,
    columns_are_sound,
    expressions_are_sound,
    limits_are_of_columns,
    days_are_numbers,
    features_read_columns,
    sequences_have_ids,
    images_are_alike,
    features_do_not_leak,
    history_is_sound,
    subgroups_read_columns,
    names_are_free,
    exclusions_have_names,
    settings_do_something,
)


def columns_or_none(expression: str) -> list[str]:
    """The columns of an expression; none where it cannot be read, which `expressions_are_sound` reports."""
    try:
        return columns_of(expression)
    except SqlglotError:
        return []
