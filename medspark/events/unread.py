"""What lies in a warehouse's folder and no table of the mapping reads: files by name, and columns by table."""

from fnmatch import fnmatchcase

from medspark.errors import did_you_mean
from medspark.events.warehouse import Warehouse
from medspark.store.files import list_paths


def unread_files(warehouse: Warehouse) -> list[str]:
    """Names directly below the source's path that no table of the mapping has, with what they may be meant for."""
    if warehouse.database is not None:
        return []
    mapping, source = warehouse.mapping, warehouse.source
    tables = {name.lower() for name in mapping.tables if mapping.tables[name].files is None}
    if mapping.concepts is not None:
        tables |= {mapping.concepts.ancestors.lower(), mapping.concepts.relationships.lower()}
    patterns = [str(table.files).split("/")[0] for table in mapping.tables.values() if table.files is not None]
    patterns += [mapping.code_metadata.split("/")[0]] if mapping.code_metadata is not None else []
    names = [path.rsplit("/", 1)[-1] for path in list_paths(warehouse.spark.sparkContext, str(source.path))]
    return [
        f"{name}{did_you_mean(name.split('.')[0].lower(), tables)}"
        for name in names
        if not name.startswith((".", "_"))
        and name.split(".")[0].lower() not in tables
        and not any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
