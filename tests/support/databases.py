"""Databases for the tests: a process whose session has the packages, for a process chooses those once.

Its clock is New York's, so that nothing hangs on the JVM's zone.
"""

import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from medspark.sources.databases.open import open_source
from medspark.sources.databases.packages import DELTA, POSTGRESQL
from medspark.sources.databases.source import OpenSource
from medspark.task.connection import Connection
from medspark.task.event_source import EventSource
from support.postgres import PASSWORD, USER

Away = Callable[..., Any]


@contextmanager
def process_with_packages(home: Path) -> Iterator[Away]:
    """Call functions of test modules in a process of its own; its session logs and keeps its tables in `home`."""
    (home / "events").mkdir()
    (home / "spark-defaults.conf").write_text(
        f"spark.eventLog.enabled true\nspark.eventLog.dir file:{home}/events\nspark.eventLog.compress false\n"
        f"spark.sql.warehouse.dir {home}/warehouse\nspark.databricks.delta.snapshotPartitions 2\n"
    )
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (str(home),)) as pool:
        yield lambda function, *arguments: pool.submit(_call, function, *arguments).result()


def _begin(home: str) -> None:
    from medspark.runs.console import send_chatter_to

    os.chdir(home)
    os.environ |= {"TZ": "America/New_York", "SPARK_CONF_DIR": home, "PG_USER": USER, "PG_PASSWORD": PASSWORD}
    os.environ.setdefault("MEDSPARK_DRIVER_MEMORY", "2g")
    os.environ |= {"MEDSPARK_MASTER": "local[2]", "MEDSPARK_SQL_SHUFFLE_PARTITIONS": "2"}
    send_chatter_to(Path(home) / "log")


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except BaseException:  # Spark's errors and pytest's do not survive the way back
        raise RuntimeError(traceback.format_exc()) from None


def session() -> SparkSession:
    from medspark.spark.session import start_session

    return start_session("medspark tests with packages", (POSTGRESQL, DELTA))


def database_at(url: str, **settings: Any) -> EventSource:
    database = {"url": url, "partitions": 4, "fetch": 2, **settings}
    return EventSource(kind="events", mapping="omop", format="jdbc", database=Connection(**database))


def tables_at(kind: str, path: object) -> EventSource:
    return EventSource(kind="events", mapping="omop", format=kind, path=str(path))


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[OpenSource]:
    """The tables of a PostgreSQL server, inside the process with packages."""
    source = database_at(url, **{"user_variable": "PG_USER", "password_variable": "PG_PASSWORD", **settings})
    with open_source(session(), source) as tables:
        yield tables


def values(frame: DataFrame) -> list[tuple[Any, ...]]:
    """The rows with every value as Spark writes it, in UTC."""
    from pyspark.sql import functions as F

    return [
        tuple(row)
        for row in frame.select(*(F.col(f"`{n.replace('`', '``')}`").cast("string") for n in frame.columns)).collect()
    ]
