"""A process that runs one night after the other until it is killed.

All are of one as-of time: each has a source of its own, and takes the place of the one before in every sink. The
source of a generation says by its case ids which it is, and by its generation how many rows there are: so whoever
reads a sink can tell whether a look shows one generation, whole.
"""

import itertools
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from support.tasks import STAYS

AS_OF = datetime(2026, 11, 27, 6, tzinfo=UTC)


def rows_of(generation):
    return 20 + generation % 7


def text_of(generation):
    """A generation's stays: each of them gets a score."""
    ids = range(generation * 1000, generation * 1000 + rows_of(generation))
    lines = [f"{case},p{case},{30 + case % 50}.0,F,I50,I10,false," for case in ids]
    return "\n".join([",".join(STAYS["columns"]), *lines]) + "\n"


def new_run(spark, store):
    """As `support.roads.new_run`, which brings all that training needs."""
    from rich.console import Console

    from medspark.runs.receipt import Receipt, new_run_id
    from medspark.runs.run import Run

    quiet = Console(quiet=True)
    return Run(spark.sparkContext, store, quiet, Receipt("night", new_run_id(), {}), quiet)


def deployment(folder, bundle, kinds, url):
    from medspark.deploy.deployment import Deployment

    sinks = [{"kind": kind, "path": f"{folder}/{kind}"} for kind in kinds]
    database = {"url": url, "user_variable": "PG_USER", "password_variable": "PG_PASSWORD"}
    sinks += [{"kind": "jdbc", "table": "scores", "database": database}] if url else []
    given = {"bundle": bundle, "store": f"{folder}/store", "source": f"{folder}/tonight.csv", "sinks": sinks}
    return Deployment(deployment="stays", **given)


def main(folder, bundle, kinds, url):
    """Get ready, wait for the word, then go on from the generation that it names."""
    from medspark.bundles.bundle import load_bundle
    from medspark.sources.databases.packages import DELTA, POSTGRESQL
    from medspark.spark.session import start_session
    from medspark.stages.night import Night, night_stage
    from medspark.stages.why import verify_stage

    packages = [package for package, asked in ((POSTGRESQL, url), (DELTA, "delta" in kinds)) if asked]
    spark = start_session("nights", packages)
    deployed, opened = deployment(folder, bundle, kinds.split(","), url), load_bundle(bundle)
    print("ready", flush=True)
    for generation in itertools.count(int(sys.stdin.readline())):
        (Path(folder) / "tonight.csv").write_text(text_of(generation))
        print(json.dumps({"begun": generation}), flush=True)
        run = new_run(spark, deployed.store)
        night_stage(run, Night(deployed, opened, AS_OF))
        entries = verify_stage(new_run(spark, deployed.store))
        publish = run.receipt.counts["publish"]
        print(json.dumps({"done": generation, "entries": entries, "rows": publish["rows"]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
