"""What a warehouse has and no table of the mapping reads: files or tables by name, and columns by table."""

from fnmatch import fnmatchcase

from medspark.errors import did_you_mean
from medspark.events.warehouse import Warehouse, names_of_table
from medspark.sources.databases.source import OpenSource, match_name
from medspark.store.files import list_paths
from medspark.task.mapping import Mapping


def unread_names(warehouse: Warehouse) -> dict[str, list[str]]:
    """The names that no table of the mapping has, with what they may be meant for: of a database its `tables`, else the
    `files` directly below the source's path."""
    if warehouse.database is not None:
        return {"tables": _unread_tables(warehouse.database, warehouse.mapping)}
    return {"files": _unread_files(warehouse)}


def _unread_tables(database: OpenSource, mapping: Mapping) -> list[str]:
    known = [*mapping.tables, *_of_concepts(mapping)]
    read = {match_name(name, database.tables) for name in known}
    return [f"{name}{did_you_mean(name.casefold(), known)}" for name in database.tables if name not in read]


def _unread_files(warehouse: Warehouse) -> list[str]:
    mapping, source = warehouse.mapping, warehouse.source
    tables = [name for name, table in mapping.tables.items() if table.files is None] + _of_concepts(mapping)
    known = {way.lower() for table in tables for way in names_of_table(source, table)}
    patterns = [str(table.files).split("/")[0] for table in mapping.tables.values() if table.files is not None]
    patterns += [mapping.code_metadata.split("/")[0]] if mapping.code_metadata is not None else []
    patterns += [mapping.deleted] if mapping.deleted is not None else []
    names = [path.rsplit("/", 1)[-1] for path in list_paths(warehouse.spark.sparkContext, str(source.path))]
    return [
        f"{name}{did_you_mean(name.lower(), sorted(known))}"
        for name in names
        if not name.startswith((".", "_"))
        and name.lower() not in known
        and not any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _of_concepts(mapping: Mapping) -> list[str]:
    return [mapping.concepts.ancestors, mapping.concepts.relationships] if mapping.concepts is not None else []
