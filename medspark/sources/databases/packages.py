"""The Maven packages that a source needs, and whether a session has them. Importing it needs no Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from medspark.errors import InputError
from medspark.task.event_source import EventSource
from medspark.task.raw_table import TableSource
from medspark.task.tasks import Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POSTGRESQL: Final = "org.postgresql:postgresql:42.7.14"

DELTA: Final = "io.delta:delta-spark_4.2_2.13:4.4.0"
"""Maven coordinates; Delta's are for one minor version of Spark, 4.2, and its Scala, 2.13."""

DRIVERS: Final = {"jdbc:postgresql:": POSTGRESQL}
"""The package of a database's driver by how its URLs begin; of any other database the user brings the driver."""


def packages_for(source: EventSource | TableSource) -> tuple[str, ...]:
    """What start_session must add for a source."""
    if source.format == "delta":
        return (DELTA,)
    driver = driver_package(source.database.url) if source.database is not None else None
    return () if driver is None else (driver,)


def packages_of(task: Task) -> tuple[str, ...]:
    """The Maven coordinates that a session needs to read a task's source."""
    return packages_for(task.source)


def driver_package(url: str) -> str | None:
    """The package with the driver of a database, where medspark knows it.

    >>> driver_package("jdbc:postgresql://host/hospital")
    'org.postgresql:postgresql:42.7.14'
    >>> driver_package("jdbc:sqlserver://host") is None
    True
    """
    return next((package for start, package in DRIVERS.items() if url.startswith(start)), None)


def absent_package(what: str, packages: str) -> InputError:
    return InputError(
        f"this Spark session lacks {what}. With spark-submit, add: --packages {packages}. "
        "In Python, start it with start_session(name, packages_for(source))."
    )


def has_class(spark: SparkSession, name: str) -> bool:
    """Whether the session's packages hold a class of this name."""
    from py4j.protocol import Py4JJavaError

    try:
        jvm_of(spark).java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Py4JJavaError:
        return False
    return True


def jvm_of(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm
