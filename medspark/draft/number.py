"""A copy of a table whose rows have no key, with one."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv

from medspark.draft.sample import read_sample
from medspark.errors import InputError

ROW_ID: Final = "row_id"


def write_numbered(data: str, out: Path) -> int:
    """Write all rows as CSV with their place from 1 in `row_id`, as the first column; the number of rows.

    Raises:
        InputError: the table is too large to be looked at as a whole, or the copy is there already or no .csv.
    """
    if out.suffix != ".csv" or out.exists():
        raise InputError(f"{out}: expected the name of a .csv file that is not there yet")
    sample = read_sample(data)
    if not sample.whole or sample.broken:
        raise InputError(
            f"{data}: expected a table that can be numbered as a whole, received one that is too large or has broken "
            "lines. A key from its origin tells rows apart for good; a number would change with the file."
        )
    if ROW_ID in sample.columns:
        raise InputError(f"{data}: it has a column {ROW_ID!r} already")
    texts = {name: pa.array([text or None for text in values], pa.string()) for name, values in sample.columns.items()}
    table = pa.table({ROW_ID: pa.array(range(1, sample.rows + 1), pa.int64()), **texts})
    pyarrow.csv.write_csv(table, out)
    return sample.rows
