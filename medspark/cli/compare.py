"""The command that puts bundles side by side."""

from typing import Annotated

import typer

from medspark.cli.options import Json
from medspark.cli.run_command import run_command


def compare(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A task's store: its test patients are compared on.")],
    bundles: Annotated[
        list[str],
        typer.Argument(metavar="BUNDLE...", help="Two or more: their folders, or ids in the store's bundles."),
    ],
    json_: Json = False,
) -> None:
    """Bundles on the same test patients: what each gives, with intervals, and what it costs."""
    with run_command("compare", store, json_, bundles=bundles) as run:
        from medspark.bundles.champion import place_of
        from medspark.stages.compare import BESIDE, compare_stage
        from medspark.stages.open_bundle import open_bundle

        compare_stage(run, [open_bundle(run, str(place_of(run.store, one))) for one in bundles])
        run.say(f"page: {run.receipt.outputs[BESIDE]}")
