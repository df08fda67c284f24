"""What a night hands to its sinks, and what a sink is.

A sink holds of each deployment and as-of time one publication or none, whole. `put` brings a publication in, in place
of the one that is there of the same deployment and as-of time; whoever reads meanwhile sees the old or the new. Its
rows are read back and compared by number and checksum before anybody is shown them.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medspark.errors import AccountingError
from medspark.schemas import (
    AS_OF_TIME,
    CASE_ID,
    CONTRIBUTION,
    DEPLOYMENT,
    DIRECTION,
    EXPLANATIONS,
    FEATURE,
    ITEM,
    NIGHT,
    PUBLISHED_TYPES,
    RANK,
    RISK_POINTS,
    VALUE,
    quoted,
)

SHOWN: Final = (RANK, FEATURE, ITEM, VALUE, DIRECTION, CONTRIBUTION, RISK_POINTS)
"""Of each explanation; a picture of saliency stays in the store."""


class Sums(NamedTuple):
    """Rows, and a checksum that does not depend on their order: what tells that all of them arrived as they were."""

    rows: int
    checksum: str
    """The sum of the rows' xxHash64, a decimal number: of every column as text, times in microseconds."""


@dataclass(frozen=True)
class Publication:
    """One night's scores on their way out."""

    night: str
    """By `night_id`."""
    deployment: str
    as_of: datetime
    """With a zone."""
    version: str
    """Of the store's `scores`."""
    bundle_id: str
    run_id: str
    """Of the run that publishes, which is also the attempt's name."""
    outcome: str
    """What the probability is of, in words."""
    rows: DataFrame
    sums: Sums


class Sink(Protocol):
    """A place that scores are published to."""

    @property
    def place(self) -> str:
        """For messages and the ledger, without user and password."""

    def holds(self, night: Publication) -> bool:
        """Whether just this night is there, whole."""

    def put(self, night: Publication) -> None:
        """Bring it in, in place of what is there of the same deployment and as-of time.

        Raises:
            AccountingError: what arrived is not what was sent; what was there before is untouched.
        """


def night_id(deployment: str, version: str, as_of: datetime) -> str:
    """A night's name: of the deployment, the as-of time, and the version of the scores, in which the bundle and the
    source's fingerprint are.

    >>> at = datetime(2026, 11, 27, tzinfo=UTC)
    >>> night_id("a", "v1", at) == night_id("b", "v1", at)
    False
    """
    return hashlib.sha256(f"{deployment}\n{version}\n{as_of.astimezone(UTC).isoformat()}".encode()).hexdigest()[:16]


def published_rows(
    scores: DataFrame, explanations: DataFrame | None, night: str, deployment: str, as_of: datetime
) -> DataFrame:
    """The rows as sinks get them: a column for the night, then those of `scores`, then the explanations as a list.

    Args:
        scores: of one version.
        explanations: of the same; None where none are asked for.
        night: its name.
        deployment: its name.
        as_of: its time.
    """
    moment = F.timestamp_micros(F.lit(int(as_of.timestamp()) * 1_000_000))
    named = scores.withColumns({NIGHT: F.lit(night), DEPLOYMENT: F.lit(deployment), AS_OF_TIME: moment})
    first = [name for name in PUBLISHED_TYPES if name in named.columns]
    named = named.select(*first, *(F.col(quoted(name)) for name in scores.columns if name not in first))
    if explanations is None:
        return named
    listed = F.array_sort(F.collect_list(F.struct(*SHOWN))).alias(EXPLANATIONS)
    return named.join(explanations.groupBy(CASE_ID).agg(listed), CASE_ID, "left").select(*named.columns, EXPLANATIONS)


def with_lists_as_text(rows: DataFrame) -> DataFrame:
    """The rows with lists as JSON, for places that have no lists."""
    return rows.select(
        *(
            F.to_json(quoted(name)).alias(name) if kind.startswith("array") else F.col(quoted(name))
            for name, kind in rows.dtypes
        )
    )


def sums_of(rows: DataFrame) -> Sums:
    """What the rows add up to, the same wherever they lie."""
    texts = [_as_text(name, kind) for name, kind in sorted(rows.dtypes)]
    parts = [F.coalesce(text, F.lit("\0")) for text in texts]
    total = F.sum(F.xxhash64(*parts).cast("decimal(38,0)"))
    found = rows.agg(F.count("*").alias("rows"), total.alias("checksum")).collect()[0]
    return Sums(found["rows"], str(found["checksum"] if found["checksum"] is not None else 0))


def _as_text(name: str, kind: str) -> Column:
    column = F.col(quoted(name))
    if kind.startswith("array"):
        return F.to_json(column)
    if kind == "timestamp":
        return F.unix_micros(column).cast("string")
    return column.cast("string")


def require_arrived(place: str, sent: Sums, arrived: Sums) -> None:
    """Refuse what is not what was sent.

    Raises:
        AccountingError: naming both.
    """
    if arrived != sent:
        what = f"{arrived.rows} rows" if arrived.rows != sent.rows else f"{arrived.rows} rows of other values"
        raise AccountingError(
            f"{place}: {sent.rows} rows were to be published, {what} arrived. What was there before is still there."
        )
