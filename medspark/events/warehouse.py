"""A source of events while it is open, and where it has the tables of a mapping."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, Literal, NamedTuple

from pyspark.sql import SparkSession

from medspark.errors import InputError
from medspark.schemas import ROW_OF_LINE, SOURCE_FILE
from medspark.sources.databases.open import open_source
from medspark.sources.databases.source import OpenSource
from medspark.sources.dead_links import require_no_dangling
from medspark.sources.files import source_files
from medspark.store.files import list_paths, match_files
from medspark.task.columns import NumberColumn
from medspark.task.connection import IN_DATABASES
from medspark.task.event_source import EventSource
from medspark.task.mapping import MappedTable, Mapping
from medspark.task.raw_table import RawTable, TableSource

_FILE_FORMATS: Final[dict[str, Literal["csv", "orc", "ndjson"]]] = {"csv": "csv", "orc": "orc", "fhir": "ndjson"}
"""How files are written, of a source's format; those of all others have types of their own."""
_TEXT: Final = ("csv", "fhir")


class Warehouse(NamedTuple):
    """A source of events while it is open, and the mapping that says what its tables mean."""

    spark: SparkSession
    source: EventSource
    mapping: Mapping
    database: OpenSource | None
    """None where the tables are files."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.database.place if self.database is not None else str(self.source.path)


@contextmanager
def open_warehouse(spark: SparkSession, source: EventSource, mapping: Mapping) -> Iterator[Warehouse]:
    """A source of events; of one in a database, the connection ends with the block.

    Raises:
        TaskError: the connection's settings or credentials are wrong.
        InputError: the source cannot be reached.
    """
    with open_source(spark, source) if source.format in IN_DATABASES else nullcontext() as database:
        yield Warehouse(spark, source, mapping, database)


def raw_table(warehouse: Warehouse, name: str, spec: MappedTable) -> RawTable:
    """A table of the mapping as cleaning reads it."""
    source, mapping = warehouse.source, warehouse.mapping
    return RawTable(
        name=name,
        source=TableSource(
            kind="table",
            path=f"{source.path}/{spec.files or name}",
            format=_FILE_FORMATS.get(source.format, "parquet"),
            case=spec.subject,
            subject=spec.subject,
            timezone=mapping.timezone,
            missing=mapping.missing,
            encoding=mapping.encoding,
            delimiter=spec.delimiter or mapping.delimiter,
            point_zero=mapping.point_zero,
            quoted_newlines=mapping.quoted_newlines,
            dialect=spec.dialect or mapping.dialect,
            duplicates=spec.duplicates,
        ),
        columns=spec.columns if spec.view is None else {**spec.columns, ROW_OF_LINE: NumberColumn(type="integer")},
        derived=spec.derived,
        lookups=spec.lookups,
        checks=spec.checks,
        is_open=True,
        optional=frozenset(spec.absent),
        view=spec.view,
        reads_file=SOURCE_FILE in spec.model_dump_json(),
    )


def names_of_table(source: EventSource, name: str) -> list[str]:
    """What the files of a table that has no pattern may be called, in whatever case: a folder NAME, or NAME.EXT.

    >>> names_of_table(EventSource(kind="events", mapping="omop", format="csv", path="p"), "Person")
    ['Person', 'Person.csv', 'Person.csv.gz', 'Person.csv.bz2', 'Person.csv.zst']
    """
    end = ".ndjson" if source.format == "fhir" else f".{source.format}"
    ends = [end, *(f"{end}{packed}" for packed in (".gz", ".bz2", ".zst"))] if source.format in _TEXT else [end]
    return [name, *(f"{name}{end}" for end in ends)]


def table_files(warehouse: Warehouse, name: str, spec: MappedTable) -> list[str]:
    """The files of a table: those its pattern names, else NAME.EXT, compressed or not, or a folder NAME.

    Raises:
        InputError: there are none, of a table that is not optional, or two of those ways have some.
    """
    spark, source = warehouse.spark, warehouse.source
    ways = [spec.files] if spec.files else names_of_table(source, name)
    if spec.files is None:  # whatever their case, as some systems export them
        there = [path.rsplit("/", 1)[-1] for path in list_paths(spark.sparkContext, str(source.path))]
        lower = {way.lower() for way in ways}
        ways = [name for name in there if name.lower() in lower] or ways  # none there where the path is a pattern
    for way in ways:
        require_no_dangling(spark.sparkContext, way, source.path)
    found = [way for way in ways if match_files(spark.sparkContext, way, source.path)]
    if len(found) > 1:
        where = " and ".join(f"{source.path}/{way}" for way in found)
        raise InputError(f"table {name!r}: expected it once, received {where}")
    if not found and not spec.optional:
        raise InputError(f"table {name!r}: expected files at {source.path}/{' or '.join(ways)}, received none")
    return source_files(spark, found[0], source.path) if found else []
