"""What the tests of scoring share."""

import pytest
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.score.worker import row_groups
from medspark.stages.encode import encode_stage


@pytest.fixture(scope="session")
def encoded(spark, road):
    """The store that `medspark encode` wrote of the stays, and its run."""
    store = road["folder"] / "encoded"
    run = new_run(spark, store)
    encode_stage(run, load_bundle(road["bundle"]), str(road["source"]))
    return store, run


@pytest.fixture
def units(monkeypatch):
    """Units of a few hundred rows, where each would hold the whole of the stays."""
    monkeypatch.setattr(row_groups, "UNIT_BYTES", 4096)
