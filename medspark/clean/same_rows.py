"""Which rows repeat another one, of those that workers judged and put down, and of those that Spark had to read.

Workers compare, a bucket of the keys' hashes each; the driver has no row.
"""

from dataclasses import dataclass

from pyspark import SparkContext

from medspark.clean.tasks import each
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.same_rows import (
    BYTES_OF_A_BUCKET,
    ROWS_OF_A_BUCKET,
    TEXT,
    Part,
    Question,
    Repeated,
    count_several,
    find_copies,
)
from medspark.clean.worker.staged import COPIES, gather_places
from medspark.task.raw_table import RawTable


def compared(table: RawTable, plan: TablePlan) -> dict[str, str]:
    """The columns that say which rows are the same and which of them counts, with where workers put them."""
    duplicates = table.source.duplicates
    by = (duplicates.by,) if duplicates is not None and duplicates.by is not None else ()
    asked = {name for key in plan.keys for name in key} | set(by)
    return {column.name: f"c{at}" for at, column in enumerate(plan.columns) if column.name in asked}


@dataclass(frozen=True)
class SameRows:
    """Rows by the parts in which they were put down."""

    context: SparkContext
    table: RawTable
    plan: TablePlan
    parts: list[Part]
    """Those that have rows which no rule of theirs sets aside."""
    rows: int
    """How many those are."""
    size: int
    """The bytes of the source."""
    folder: str

    def find_copies(self) -> Repeated:
        """Put down the places of rows that repeat another one that counts; what checks set aside competes not."""
        duplicates = self.table.source.duplicates
        if duplicates is None or not self.parts:
            return Repeated(0, 0)
        places = compared(self.table, self.plan)
        whole_row = duplicates.same == "whole_row"
        same = (TEXT,) if whole_row else tuple(places[name] for name in duplicates.same)
        direction = "descending" if duplicates.keep == "latest" else "ascending"
        by = () if duplicates.by is None else ((places[duplicates.by], direction),)
        question = Question(len(self.plan.keys) if whole_row else 0, same, by)
        buckets, parts, plan, folder = self._buckets(whole_row), self.parts, self.plan, self.folder

        def work(bucket: int) -> Repeated:
            return find_copies(bucket, buckets, question, parts, plan, folder)

        found = each(self.context, list(range(buckets)), work)
        gather_places(folder, COPIES)
        return Repeated(sum(item.copies for item in found), sum(item.alone for item in found))

    def repeated_cases(self) -> int:
        """How many cases more than one row is of, but for copies and rows that checks set aside."""
        case = self.table.source.case
        if not self.parts:
            return 0
        question = Question(self.plan.keys.index((case,)), (compared(self.table, self.plan)[case],), ())
        buckets, parts, plan, folder = self._buckets(), self.parts, self.plan, self.folder

        def work(bucket: int) -> int:
            return count_several(bucket, buckets, question, parts, plan, folder)

        return sum(each(self.context, list(range(buckets)), work))

    def _buckets(self, with_text: bool = False) -> int:
        by_text = -(-self.size // BYTES_OF_A_BUCKET) if with_text else 0
        return max(-(-self.rows // ROWS_OF_A_BUCKET), by_text, self.context.defaultParallelism)
