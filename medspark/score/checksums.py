"""Checksums of a table's files, whole, taken and compared by workers where they reach the files."""

from pyspark import SparkContext

from medspark.errors import AccountingError, InputError
from medspark.score.choose_way import choose
from medspark.score.worker.files import names_in
from medspark.store.tables import is_parquet
from medspark.store.worker.checksums import FileSums, require_pages, require_sound, sums_of
from medspark.store.worker.places import open_place


def parquet_files(path: str) -> dict[str, str]:
    """The address of each Parquet file of a table that workers reach, with its path below the table."""
    return {f"{path}/{place}": place for place in names_in(path, below=True) if is_parquet(place)}


def sums_of_files(context: SparkContext, path: str) -> dict[str, FileSums]:
    """The checksums of each file of a table that was just written; none where workers cannot reach them."""
    if choose(context, "", "auto", [path], []).kind != "workers":
        return {}
    files = parquet_files(path)
    return dict(context.parallelize([*files.items()], max(1, len(files))).map(_sums_of_file).collect()) if files else {}


def _sums_of_file(file: tuple[str, str]) -> tuple[str, FileSums]:
    address, place = file
    system, path = open_place(address)
    with system.open_input_file(path) as source:
        require_pages(source)
        return place, sums_of(source)


def require_all(files: dict[str, str], sums: dict[str, FileSums], path: str) -> None:
    """Refuse a table that has other files than were written.

    Raises:
        AccountingError: some are gone, or some were added.
    """
    gone, added = set(sums) - set(files.values()), set(files.values()) - set(sums)
    if sums and (gone or added):
        raise AccountingError(
            f"{path}: expected the {len(sums)} files that were written, received a table with {len(gone)} of them gone "
            f"and {len(added)} added. Run the stage that writes it again."
        )


def require_as_written(context: SparkContext, path: str, sums: dict[str, FileSums]) -> None:
    """Compare each file of a table before Spark reads it, where workers reach them.

    Raises:
        AccountingError: files are gone, or were added.
        InputError: one is not as it was written.
    """
    if not sums or choose(context, "", "auto", [path], []).kind != "workers":
        return
    files = parquet_files(path)
    require_all(files, sums, path)
    units = [(file, sums[place]) for file, place in files.items()]
    for message in context.parallelize(units, max(1, len(units))).map(_problem).collect():
        if message is not None:
            raise InputError(message)


def _problem(unit: tuple[str, FileSums]) -> str | None:
    address, sums = unit
    system, path = open_place(address)
    try:
        with system.open_input_file(path) as source:
            require_sound(source, sums, address)
    except (InputError, OSError, ValueError) as error:
        return str(error)
    return None
