"""Deployments of the made-up stays, and nights of them."""

from medspark.bundles.bundle import load_bundle
from medspark.deploy.deployment import Deployment
from medspark.stages.night import Night, night_stage
from support.roads import new_run, stays, write


def deployed(folder, road, *kinds):
    """A deployment that publishes a folder's stays of tonight."""
    write(folder / "tonight.csv", stays(40, seed=5))
    sinks = [{"kind": kind, "path": str(folder / kind)} for kind in kinds]
    given = {"deployment": "stays", "bundle": str(road["bundle"]), "store": str(folder / "store")}
    return Deployment(**given, source=str(folder / "tonight.csv"), sinks=sinks)


def walk(spark, deployment, as_of, **options):
    """The run of a night."""
    run = new_run(spark, deployment.store)
    night_stage(run, Night(deployment, load_bundle(deployment.bundle), as_of, **options))
    return run
