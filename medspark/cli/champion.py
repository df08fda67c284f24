"""The commands that say which bundle tonight's scoring uses."""

from typing import TYPE_CHECKING, Annotated

import typer

from medspark.cli.run_command import exit_code_of, terminal

if TYPE_CHECKING:
    from medspark.bundles.champion import Decision

Place = Annotated[str, typer.Argument(metavar="STORE", help="A store, whose champion `medspark score champion` uses.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the store's history.")]


def promote(
    store: Place,
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its folder, or its id in the store's bundles.")],
    reason: Reason = None,
) -> None:
    """Make a bundle the store's champion: tonight's scoring uses it."""
    from medspark.bundles.champion import promote as decide

    with exit_code_of(terminal()):
        _tell(decide(store, bundle, reason))


def rollback(store: Place, reason: Reason = None) -> None:
    """Make the bundle before the champion the champion again."""
    from medspark.bundles.champion import rollback as decide

    with exit_code_of(terminal()):
        _tell(decide(store, reason))


def _tell(line: "Decision") -> None:
    print(f"champion: {line.bundle_id}, by {line.action} of {line.by} at {line.at}")
