"""The tasks and mappings that medspark brings along, so that it needs no folder but its own. No Spark here."""

from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parents[1] / "conf"
"""In the repository a link to conf/, in a wheel a folder of its own."""


def or_shipped(path: Path) -> Path:
    """A file of conf/, or where there is none that of the same name that medspark brings along.

    >>> or_shipped(Path("conf/tasks/splice.yaml")).name
    'splice.yaml'
    """
    if path.exists() or path.parts[:1] != ("conf",):
        return path
    beside = SHIPPED.joinpath(*path.parts[1:])
    return beside if beside.exists() else path
