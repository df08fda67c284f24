"""What a source as a whole may lack: shares of rows set aside and of missing values."""

from medspark.errors import InputError
from medspark.sources.record_rules import OTHER_HEADER
from medspark.store.facts import TableCounts
from medspark.task.raw_table import Limits


def require_within(limits: Limits | None, counts: TableCounts) -> None:
    """Refuse a source of which a larger share is set aside or missing than the task allows.

    Raises:
        InputError: naming each limit with the share that was found.
    """
    if limits is None:
        return
    problems = []
    aside, most = sum(counts.quarantined.values()), limits.set_aside_at_most
    if most is not None and aside > most * counts.rows_in:
        problems.append(f"set aside: {_share(aside, counts.rows_in)} of the rows, of which {most:.1%} may be")
    for name, most in limits.missing_at_most.items():
        missing = counts.missing.get(name, 0)
        if missing > most * counts.records:
            found = _share(missing, counts.records)
            problems.append(f"{name}: missing in {found} of the records, of which {most:.1%} may lack it")
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise InputError(f"the source lacks more than the task's `limits` allow\n{lines}")


def empty_columns(counts: TableCounts) -> list[str]:
    """The columns that no record has a value of."""
    return [name for name, rows in counts.missing.items() if counts.records and rows == counts.records]


def require_no_other_header(quarantined: dict[str, int], source: str) -> None:
    """Refuse a source in which a header of another order stands among the rows: nobody knows what is below it.

    Raises:
        InputError: saying how many there are.
    """
    if found := quarantined.get(OTHER_HEADER):
        raise InputError(
            f"{source}: expected a header in the first line of each file, received {found} more, with other columns or "
            "another order, among the rows: which value below is which column's cannot be known. Were files with "
            "different columns put into one? Keep them apart."
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
