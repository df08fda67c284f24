"""Scores into a table of Delta Lake: one commit a night, in place of the deployment's rows of the same as-of time.

A commit bears an application id, made of deployment and as-of time, and a version that rises with the clock: whoever
holds the store's lock writes, and what Delta has by that id and version already, as of a write that Spark began twice,
it does not write again. A table is checked after its commit; where it has other rows than were sent, it gets back those
that it had.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from medspark.errors import AccountingError, InputError
from medspark.schemas import AS_OF_TIME, DEPLOYMENT, NIGHT, quoted
from medspark.sinks.publication import Publication, Sums, require_arrived, sums_of
from medspark.sources.databases.packages import DELTA, absent_package, has_class
from medspark.store.files import delete, exists, list_paths

_LOG: Final = "_delta_log"
_OWN: Final = frozenset({NIGHT, DEPLOYMENT, AS_OF_TIME})


@dataclass(frozen=True)
class DeltaSink:
    """A Delta table, by its folder."""

    spark: SparkSession
    path: str
    place: str

    def holds(self, night: Publication) -> bool:
        """Whether what the table has of the deployment and as-of time is this night, to every value."""
        if not exists(self.spark.sparkContext, f"{self.path}/{_LOG}"):
            return False
        self._require_own()
        return self._sums(night) == night.sums

    def put(self, night: Publication) -> None:
        """Commit, read back, and take back what is not as it was sent.

        Raises:
            InputError: the session lacks Delta Lake, or the folder has something else.
        """
        self._require_own()
        before = self._of_night(self._table(), night) if self._is_there() else None
        version = self._newest() if before is not None else None
        self._write(night, night.rows)
        try:
            require_arrived(self.place, night.sums, self._sums(night))
        except AccountingError:
            if version is None:
                delete(self.spark.sparkContext, self.path)  # made by this commit
            else:
                old = self.spark.read.format("delta").option("versionAsOf", version).load(self.path)
                self._write(night, self._of_night(old, night))
            raise

    def _write(self, night: Publication, rows: DataFrame) -> None:
        moment = f"{night.as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        own = f"{DEPLOYMENT} = '{night.deployment}' AND {AS_OF_TIME} = TIMESTAMP '{moment}'"
        options = {
            "replaceWhere": own,
            "mergeSchema": "true",
            "txnAppId": f"medspark/{night.deployment}/{night.as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            "txnVersion": str(time.time_ns() // 1000),
            "userMetadata": f"night {night.night}, run {night.run_id}",
        }
        rows.coalesce(1).write.format("delta").mode("overwrite").options(**options).save(self.path)

    def _sums(self, night: Publication) -> Sums:
        """What the table has, with the columns and types that are sent."""
        table = self._table()
        found = self._of_night(table, night)
        types = dict(night.rows.dtypes)
        if not set(types) <= set(found.columns):
            return Sums(-1, "")
        return sums_of(found.select(*(F.col(quoted(name)).cast(kind).alias(name) for name, kind in types.items())))

    def _table(self) -> DataFrame:
        return self.spark.read.format("delta").load(self.path)

    def _of_night(self, table: DataFrame, night: Publication) -> DataFrame:
        return table.where(_is(DEPLOYMENT, night.deployment) & _is(AS_OF_TIME, night.as_of))

    def _is_there(self) -> bool:
        return exists(self.spark.sparkContext, f"{self.path}/{_LOG}")

    def _newest(self) -> int:
        """The table's newest commit."""
        names = [path.rsplit("/", 1)[-1] for path in list_paths(self.spark.sparkContext, f"{self.path}/{_LOG}")]
        return max(int(name[:20]) for name in names if name[:20].isdigit() and name.endswith(".json"))

    def _require_own(self) -> None:
        """Refuse a folder that has something else than a table of medspark's columns."""
        if not has_class(self.spark, "io.delta.tables.DeltaTable"):
            raise absent_package("Delta Lake", DELTA)
        there = self._is_there()
        if not there and list_paths(self.spark.sparkContext, self.path):
            raise InputError(f"{self.place}: expected an empty folder or a Delta table, received other files")
        if there and not set(self._table().columns) >= _OWN:
            raise InputError(
                f"{self.place}: expected a table of medspark's own, received one without {', '.join(sorted(_OWN))}: "
                "nothing of it was changed. Name another folder."
            )


def _is(name: str, value: str | datetime) -> Column:
    return F.col(name) == F.lit(value)
