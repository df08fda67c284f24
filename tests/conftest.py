"""The one Spark session of the tests: medspark's own, on two cores."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pyspark import SparkContext
from pyspark.sql import SparkSession

from medspark.spark.session import start_session

os.environ.setdefault("MEDSPARK_MASTER", "local[2]")
os.environ.setdefault("MEDSPARK_SQL_SHUFFLE_PARTITIONS", "2")
os.environ.setdefault("MEDSPARK_DRIVER_MEMORY", "2g")
QUICK = "-XX:TieredStopAtLevel=1"
"""Java's second compiler is a third of the time of a session that lives for seconds."""
INTERPRETED = "-Dspark.sql.codegen.wholeStage=false -Dspark.sql.codegen.factoryMode=NO_CODEGEN"
"""Compiling plans for a few rows is a fifth; the integration tests compile them, as a hospital's runs do."""

LONGEST = (
    "clusters", "real_events", "diabetes130", "resumed", "event_sources", "large_network", "small_cases", "workers",
)  # fmt: skip
"""Files of few tests that take minutes: begun first, else one process would run the last while the other waits."""

# How long an example takes says how busy the machine is; a change is judged by the same examples as the one before it.
# `pytest --hypothesis-profile search` looks for others.
settings.register_profile("medspark", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=1_000)
settings.load_profile("medspark")


def pytest_configure(config: pytest.Config) -> None:
    whole = "not integration" not in config.getoption("markexpr", "")
    os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK if whole else f"{QUICK} {INTERPRETED}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("medspark tests")
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def context(spark: SparkSession) -> SparkContext:
    return spark.sparkContext


@pytest.fixture(scope="session")
def road(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Made-up stays cleaned, learned and scored: `source`, `lines`, `folder`, `bundle`, `run`."""
    from support.roads import walked

    return walked(spark, tmp_path_factory.mktemp("road"))


@pytest.fixture(scope="session")
def relapse_road(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Made-up events cleaned and learned: `source`, `task`, `folder`, `store`, `bundle`, `run`."""
    from support.relapse import walked

    return walked(spark, tmp_path_factory.mktemp("relapse"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, or a skip that says how to name it."""
    folder = Path(os.environ.get("MEDSPARK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}: set MEDSPARK_DATA to their folder")
    return folder
