"""Which rows repeat another one, of those that workers judged and put down, and of those that Spark had to read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.clean.alike import AT, Hashed, Places, repeats, several, suspects
from medspark.clean.worker.plan import TablePlan
from medspark.clean.worker.settle import texts_of
from medspark.clean.worker.staged import LINES_OF_A_SPAN, ROWS, rows_of
from medspark.clean.worker.unit import Told, hash_keys
from medspark.schemas import ROW_DIGEST, SOURCE_FILE, SOURCE_LINE, TEXT, quoted
from medspark.sources.worker.spans import Span
from medspark.task.raw_table import RawTable


def compared(table: RawTable, plan: TablePlan) -> dict[str, str]:
    """The columns that say which rows are the same and which of them counts, with where workers put them."""
    duplicates = table.source.duplicates
    by = (duplicates.by,) if duplicates is not None and duplicates.by is not None else ()
    asked = {name for key in plan.keys for name in key} | set(by)
    return {column.name: f"c{at}" for at, column in enumerate(plan.columns) if column.name in asked}


def compared_rows(rows: DataFrame, at: str, places: dict[str, str]) -> pa.Table:
    """Those columns of rows that Spark read, and their places and texts, as workers put them down."""
    found = rows.select(
        F.col(at).alias(AT),
        F.col(SOURCE_FILE).alias("file"),
        F.col(SOURCE_LINE).alias("line"),
        F.col(ROW_DIGEST).alias("digest"),
        F.col(TEXT).cast("binary").alias("text"),
        *(F.col(quoted(name)).alias(place) for name, place in places.items()),
    ).toArrow()
    return found.cast(pa.schema([(field.name, _plain(field.type)) for field in found.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    return {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)


@dataclass(frozen=True)
class SameRows:
    """Rows by their places: a span's number, and the line in it."""

    table: RawTable
    plan: TablePlan
    spans: list[Span]
    told: list[Told]
    starts: list[int]
    """The lines of its file before each span."""
    folder: str
    """Where workers put rows down."""
    by_spark: pa.Table | None
    """Of the rows that Spark read and did not set aside, what `compared_rows` gives."""

    def _hashes(self, key: int) -> Iterable[Hashed]:
        for told in self.told:
            lines = np.frombuffer(told.keys[0], np.uint32).astype(np.int64)
            yield Hashed(lines + told.number * LINES_OF_A_SPAN, np.frombuffer(told.keys[key + 1], np.uint64))
        kept = self.by_spark
        if kept is not None and kept.num_rows:
            places = compared(self.table, self.plan)
            if key < len(self.plan.keys):
                hashes = hash_keys([kept[places[name]].combine_chunks() for name in self.plan.keys[key]])
            else:
                hashes = kept["digest"].to_numpy().view(np.uint64)
            yield Hashed(kept[AT].to_numpy(), hashes)

    def copies(self, left_out: Places) -> Places:
        """The places of rows that repeat another one that counts; `left_out` compete with nobody."""
        duplicates = self.table.source.duplicates
        if duplicates is None:
            return np.zeros(0, np.int64)
        whole_row = duplicates.same == "whole_row"
        rows = self._rows_at(suspects(self._hashes(len(self.plan.keys) if whole_row else 0), left_out), whole_row)
        places = compared(self.table, self.plan)
        same = ["text"] if whole_row else [places[name] for name in duplicates.same]
        order = [("file", "ascending"), ("line", "ascending"), ("digest", "ascending")]
        if duplicates.by is not None:
            order.insert(0, (places[duplicates.by], "descending" if duplicates.keep == "latest" else "ascending"))
        return repeats(rows, same, order)

    def repeated_cases(self, gone: Places) -> int:
        """How many cases more than one row is of, but for rows that are gone."""
        case = self.table.source.case
        rows = self._rows_at(suspects(self._hashes(self.plan.keys.index((case,))), gone), False)
        return several(rows, [compared(self.table, self.plan)[case]])

    def _rows_at(self, at: Places, with_text: bool) -> pa.Table:
        """Rows by their places, with what says which are the same and which counts."""
        names = list(compared(self.table, self.plan).values())
        parts = []
        for number in np.unique(at // LINES_OF_A_SPAN):
            lines = at[at // LINES_OF_A_SPAN == number]
            if self.told[number].rows:
                found = rows_of(self.folder, ROWS, int(number), [*names, "at", "digest", "first", "size"])
                found = found.filter(pa.array(np.isin(found["at"].to_numpy(), lines)))
                parts.append(self._with_places(found, int(number), with_text))
        if self.by_spark is not None:
            kept = self.by_spark.filter(pa.array(np.isin(self.by_spark[AT].to_numpy(), at)))
            parts.append(kept if with_text else kept.drop_columns(["text"]))
        wanted = [AT, "file", "line", "digest", *names, *(["text"] if with_text else [])]
        if not parts:
            return pa.table({AT: pa.array([], pa.int64())})
        first = parts[0].select(wanted).schema
        return pa.concat_tables([part.select(wanted).cast(first) for part in parts])

    def _with_places(self, rows: pa.Table, number: int, with_text: bool) -> pa.Table:
        lines = rows["at"].to_numpy() % LINES_OF_A_SPAN
        texts = texts_of(self.spans[number], self.plan, rows) if with_text else None
        rows = rows.append_column("file", pa.array([self.spans[number].file] * len(lines), pa.string()))
        rows = rows.append_column("line", pa.array(lines + self.starts[number] + 1, pa.int64()))
        return rows if texts is None else rows.append_column("text", pa.array(texts, pa.binary()))
