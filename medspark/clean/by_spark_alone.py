"""The lines of a table that workers leave to Spark: read and judged as where Spark reads all."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.alike import Places
from medspark.clean.judge import KEPT, QUARANTINED, SET_ASIDE, STATUS, judge
from medspark.clean.put_down import PutDown
from medspark.clean.quarantine import quarantine_rows
from medspark.clean.same_rows import compared, compared_rows
from medspark.clean.tally import ROWS, TALLIED
from medspark.clean.worker.staged import AT, DOUBT
from medspark.schemas import RECORD_RULE, REPAIRED, ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.parse import parse_csv
from medspark.sources.record_rules import DUPLICATE


@dataclass(frozen=True)
class BySparkAlone:
    """Judged rows with their places in AT, kept until they are freed."""

    put: PutDown
    judged: DataFrame

    @classmethod
    def of(cls, put: PutDown) -> Self:
        """The rows of the lines that were put down as DOUBT."""
        lines = put.read(DOUBT, {"text": "binary", "rule": "string"}).select(
            F.col("file").alias(SOURCE_FILE),
            F.col("at").alias(SOURCE_LINE),  # the place stands for the line until all is judged
            F.col("text").cast("string").alias(TEXT),
            F.col("digest").alias(ROW_DIGEST),
            F.lit(False).alias(REPAIRED),
            F.col("rule").alias(RECORD_RULE),
        )
        names = list(put.plan.names)
        judged = judge(parse_csv(lines, names, put.table.source.delimiter), names, put.table)
        placed = judged.withColumn(AT, F.col(SOURCE_LINE)).withColumn(SOURCE_LINE, put.line(AT))
        return cls(put, placed.persist(StorageLevel.MEMORY_AND_DISK))

    def compared(self) -> pa.Table:
        """What `compared_rows` gives of those not set aside."""
        kept = self.judged.where(F.col(SET_ASIDE) == "")
        return compared_rows(kept, AT, compared(self.put.table, self.put.plan))

    def with_status(self, copies: Places) -> DataFrame:
        """The rows with what becomes of them, where those at the places `copies` repeat other rows."""
        status = F.when(F.col(SET_ASIDE) != "", QUARANTINED).otherwise(KEPT)
        if not len(copies):
            return self.judged.withColumn(STATUS, status)
        places = self.put.spark.createDataFrame(pa.table({AT: pa.array(copies, pa.int64())}))
        found = self.judged.join(F.broadcast(places.withColumn("_medspark_copy", F.lit(True))), AT, "left")
        return found.withColumn(STATUS, F.when(F.col("_medspark_copy"), DUPLICATE).otherwise(status)).drop(
            "_medspark_copy"
        )

    def tallied(self, copies: Places) -> tuple[list[Any], Counter[str]]:
        """Groups of them as `tally` adds them up; how many records lack a value, by column."""
        names = self.put.plan.names
        lacks = [F.count_if(F.col(quoted(name)).isNull()).alias(f"n{at}") for at, name in enumerate(names)]
        groups = self.with_status(copies).groupBy(*TALLIED).agg(F.count("*").alias(ROWS), *lacks).collect()
        missing: Counter[str] = Counter()
        for group in groups:
            if group[STATUS] == KEPT:
                missing.update({name: group[f"n{at}"] for at, name in enumerate(names)})
        return list(groups), missing

    def records(self, copies: Places, columns: list[str]) -> DataFrame:
        return self.with_status(copies).where(F.col(STATUS) == KEPT).select(*map(quoted, columns))

    def quarantine(self, copies: Places) -> DataFrame:
        return quarantine_rows(self.with_status(copies), self.put.table)

    def free(self) -> None:
        self.judged.unpersist()
