"""The Maven packages that a source needs, and whether a session has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from medspark.errors import InputError
from medspark.task.event_source import EventSource

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POSTGRESQL: Final = "org.postgresql:postgresql:42.7.14"

DELTA: Final = "io.delta:delta-spark_4.2_2.13:4.4.0"
"""Maven coordinates; Delta's are for one minor version of Spark, 4.2, and its Scala, 2.13."""


def packages_for(source: EventSource) -> tuple[str, ...]:
    """What start_session must add for a source; of another database than PostgreSQL the user brings the driver."""
    if source.format == "delta":
        return (DELTA,)
    return (POSTGRESQL,) if source.database is not None and is_postgresql(source.database.url) else ()


def is_postgresql(url: str) -> bool:
    return url.startswith("jdbc:postgresql:")


def has_class(spark: SparkSession, name: str) -> bool:
    """Whether the session's packages hold a class of this name."""
    from py4j.protocol import Py4JJavaError

    try:
        jvm_of(spark).java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Py4JJavaError:
        return False
    return True


def absent_package(what: str, packages: str) -> InputError:
    return InputError(
        f"this Spark session lacks {what}. With spark-submit, add: --packages {packages}. "
        "In Python, start it with start_session(name, packages_for(source))."
    )


def jvm_of(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm
