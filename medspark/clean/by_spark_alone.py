"""The lines of a table that workers leave to Spark: read and judged as where Spark reads all."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.judge import KEPT, QUARANTINED, SET_ASIDE, STATUS, judge
from medspark.clean.put_down import PutDown
from medspark.clean.quarantine import quarantine_rows
from medspark.clean.same_rows import compared
from medspark.clean.tally import ROWS, TALLIED, lacking
from medspark.clean.tasks import each
from medspark.clean.worker.same_rows import Part, put_alone
from medspark.clean.worker.staged import AT, COMPARED, COPIES_ALONE, DOUBT
from medspark.schemas import RECORD_RULE, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.parse import parse_csv
from medspark.sources.record_rules import DUPLICATE
from medspark.spark.wide import way_of

_ROWS_OF_A_FILE: Final = 100_000
_BYTES_OF_A_FILE: Final = 64 * 2**20
"""Which a worker holds as a whole."""


@dataclass(frozen=True)
class BySparkAlone:
    """Judged rows with their places in AT, kept until they are freed."""

    put: PutDown
    judged: DataFrame
    held: ExitStack

    @classmethod
    def of(cls, put: PutDown) -> Self:
        """The rows of the lines that were put down as DOUBT."""
        size = sum(path.stat().st_size for path in Path(put.folder, DOUBT).iterdir())
        with ExitStack() as held:
            way = held.enter_context(way_of(put.spark, len(put.plan.columns), size))
            lines = way.spread(put.read(DOUBT, {"text": "binary", "rule": "string"})).select(
                F.col("file").alias(SOURCE_FILE),
                F.col("at").alias(SOURCE_LINE),  # the place stands for the line until all is judged
                F.col("text").cast("string").alias(TEXT),
                F.col("digest").alias(ROW_DIGEST),
                F.lit(False).alias(REPAIRED),
                F.col("rule").alias(RECORD_RULE),
            )
            parsed = parse_csv(lines, list(put.plan.names), put.table.source.delimiter)
            judged = judge(parsed, put.plan.judged, put.table)
            placed = judged.withColumn(AT, F.col(SOURCE_LINE)).withColumn(SOURCE_LINE, put.line(AT))
            return cls(put, way.keep(placed), held.pop_all())

    def put_compared(self, first: int, lines: int) -> list[Part]:
        """Put down what says which of them are the same, but for those set aside, as parts from a number on.

        Args:
            first: the first part's number.
            lines: how many of them there are.
        """
        plan, folder, places = self.put.plan, self.put.folder, compared(self.put.table, self.put.plan)
        rows = self.judged.where(F.col(SET_ASIDE) == "").select(
            F.col(AT).alias("at"),
            F.col(SOURCE_FILE).alias("file"),
            F.col(SOURCE_LINE).alias("line"),
            F.col(ROW_DIGEST).alias("digest"),
            *([F.col(TEXT).cast("binary").alias("text")] if plan.whole_row else []),
            *(F.col(quoted(name)).alias(place) for name, place in places.items()),
        )
        most = rows_of_a_file(lines, sum(path.stat().st_size for path in Path(folder, DOUBT).iterdir()))
        rows.write.option("maxRecordsPerFile", most).parquet(f"file:{folder}/{COMPARED}")

        def work(item: tuple[int, str]) -> bool:
            return put_alone(*item, plan, places, folder)

        files = [*enumerate(sorted(map(str, Path(folder, COMPARED).glob("*.parquet"))), first)]
        some = each(self.put.spark.sparkContext, files, work)
        return [Part(number, None, 0) for (number, _), any_row in zip(files, some, strict=True) if any_row]

    def with_status(self, copies: bool) -> DataFrame:
        """The rows with what becomes of them, some of which may be copies that were put down as such."""
        status = F.when(F.col(SET_ASIDE) != "", QUARANTINED).otherwise(KEPT)
        if not copies:
            return self.judged.withColumn(STATUS, status)
        schema = f"{AT} bigint"
        places = self.put.spark.read.schema(schema).parquet(f"file:{self.put.folder}/{COPIES_ALONE}")
        found = self.judged.join(places.withColumn("_medspark_copy", F.lit(True)), AT, "left")
        return found.withColumn(STATUS, F.when(F.col("_medspark_copy"), DUPLICATE).otherwise(status)).drop(
            "_medspark_copy"
        )

    def tallied(self, copies: bool) -> tuple[list[Any], Counter[str]]:
        """Groups of them as `tally` adds them up; how many records lack a value, by column."""
        found = self.with_status(copies)
        groups = found.groupBy(*TALLIED).agg(F.count("*").alias(ROWS)).collect()
        return list(groups), Counter(lacking(found.where(F.col(STATUS) == KEPT), self.put.plan.judged))

    def records(self, copies: bool, columns: list[str]) -> DataFrame:
        return self.with_status(copies).where(F.col(STATUS) == KEPT).select(*map(quoted, columns))

    def quarantine(self, copies: bool) -> DataFrame:
        return quarantine_rows(self.with_status(copies), self.put.table)

    def free(self) -> None:
        self.held.close()


def rows_of_a_file(rows: int, size: int) -> int:
    """How many rows a file gets that a worker holds as a whole, of so many with so many bytes.

    >>> rows_of_a_file(10**6, 10**8), rows_of_a_file(10**6, 10**10), rows_of_a_file(1, 10**8)
    (100000, 6710, 1)
    """
    return max(1, min(_ROWS_OF_A_FILE, _BYTES_OF_A_FILE * rows // max(size, 1)))
