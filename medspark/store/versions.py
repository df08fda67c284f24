"""What a store knows of its own tables: `STORE/CURRENT`, one file, so that tables which belong together move together.

    {"scores": {"current": "35536ce9b645009a", "versions": [{"version": "35536ce9b645009a", "made_by": "6d2deda6...",
     "published": true}]}, "rejected": ...}

A version is noted before its first row is written and marked when it is published. What is not in here was not made
by this store, and is never deleted.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pyspark import SparkContext

from medspark.errors import InputError
from medspark.store.files import exists, read_text, write_text

CURRENT: Final = "CURRENT"
NAME: Final = r"^\w[\w.-]{0,99}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""Of a table or a version: a folder's name, and never a path, since what has it may be deleted."""
KEPT: Final = 2
"""Versions of one maker that stay in a table: the newest, and the one before for whoever still reads it."""


@dataclass(frozen=True)
class Version:
    """One writing of a table."""

    version: Name
    made_by: str
    """The bundle's id, of scores and tensors; empty where a store has one maker."""
    published: bool = False
    kept_until: str = ""
    """A day such as 2028-11-26 through which it stays, whatever is published after it; empty where nothing says so."""


@dataclass(frozen=True)
class TableVersions:
    """A table's versions in the order of their publishing, and the one in force."""

    current: Name | None = None
    versions: list[Version] = field(default_factory=list)

    def known(self) -> set[str]:
        return {found.version for found in self.versions}

    def is_published(self, version: str) -> bool:
        return any(found.version == version and found.published for found in self.versions)

    def is_replaced(self, version: str) -> bool:
        """Whether its maker has published another since it was begun."""
        names = [found.version for found in self.versions]
        maker, later = self.versions[names.index(version)].made_by, self.versions[names.index(version) + 1 :]
        return any(found.made_by == maker and found.published for found in later)


StoreVersions = dict[Name, TableVersions]
_VERSIONS: Final[TypeAdapter[StoreVersions]] = TypeAdapter(StoreVersions)


def read_versions(context: SparkContext, store: str) -> StoreVersions:
    """What the store knows; nothing where it is new.

    Raises:
        InputError: the file is not as it was written, or a name in it is more than a folder's.
    """
    path = f"{store}/{CURRENT}"
    if not exists(context, path):
        return {}
    try:
        return _VERSIONS.validate_json(read_text(context, path))
    except (ValidationError, UnicodeDecodeError):
        raise InputError(
            f"{path}: expected the versions of the store's tables, received something else. Restore the file, or "
            "score into an empty folder."
        ) from None


def write_versions(context: SparkContext, store: str, of_store: StoreVersions) -> None:
    tables = {name: asdict(table) for name, table in sorted(of_store.items())}
    write_text(context, f"{store}/{CURRENT}", json.dumps(tables, indent=1))


def noted(of_store: StoreVersions, tables: Iterable[str], version: str, made_by: str) -> StoreVersions:
    """The versions with a version that is about to be written; one that is known stays as it is.

    >>> noted({}, ["scores"], "v1", "b")["scores"].versions
    [Version(version='v1', made_by='b', published=False, kept_until='')]
    """
    found = dict(of_store)
    for name in tables:
        table = found.get(name, TableVersions())
        if version not in table.known():
            found[name] = replace(table, versions=[*table.versions, Version(version, made_by)])
    return found


def moved(of_store: StoreVersions, tables: Iterable[str], version: str, made_by: str) -> StoreVersions:
    """The versions with a version in force in each of the tables.

    >>> moved({}, ["scores"], "v1", "b")["scores"].current
    'v1'
    """
    found = dict(of_store)
    for name in tables:
        table = found.get(name, TableVersions())
        others = [known for known in table.versions if known.version != version]
        until = max((known.kept_until for known in table.versions if known.version == version), default="")
        found[name] = TableVersions(version, [*others, Version(version, made_by, published=True, kept_until=until)])
    return found


def kept(of_store: StoreVersions, tables: Iterable[str], version: str, until: str) -> StoreVersions:
    """The versions with a version that stays through a day, or longer where that was said before.

    >>> kept({"scores": TableVersions("v1", [Version("v1", "b", True)])}, ["scores"], "v1", "2028-11-26")["scores"]
    ... # doctest: +ELLIPSIS
    TableVersions(current='v1', versions=[Version(... published=True, kept_until='2028-11-26')])
    """
    found = dict(of_store)
    for name in tables:
        versions = [
            replace(known, kept_until=max(known.kept_until, until)) if known.version == version else known
            for known in of_store[name].versions
        ]
        found[name] = replace(of_store[name], versions=versions)
    return found


def outdated(table: TableVersions, made_by: str, today: str = "") -> list[str]:
    """The versions of one maker that nobody needs: all but the newest two that it published, and those that are to stay
    through today; never the one in force.

    >>> outdated(TableVersions("v3", [Version(f"v{n}", "b", True) for n in (1, 2, 3)]), "b")
    ['v1']
    >>> first = Version("v1", "b", True, "2028-11-26")
    >>> table = TableVersions("v3", [first, Version("v2", "b", True), Version("v3", "b", True)])
    >>> [outdated(table, "b", today) for today in ("2028-11-26", "2028-11-27")]
    [[], ['v1']]
    """
    own = [known for known in table.versions if known.made_by == made_by]
    staying = {known.version for known in [known for known in own if known.published][-KEPT:]} | {table.current}
    staying |= {known.version for known in own if known.published and known.kept_until >= (today or "0")}
    return [known.version for known in own if known.version not in staying]


def past(table: TableVersions, today: str) -> list[str]:
    """The versions that were to stay through a day that is over, of every maker: what a bundle published that is
    replaced goes whole; of the one in force the newest two stay, and what is in force.

    >>> old = [Version(f"v{n}", "b", True, f"2028-11-2{n}") for n in (1, 2, 3)]
    >>> past(TableVersions("v3", old), "2028-11-25")
    ['v1']
    >>> past(TableVersions("w1", [*old, Version("w1", "c", True, "2028-12-01")]), "2028-11-23")
    ['v1', 'v2']
    """
    in_force = {known.made_by for known in table.versions if known.version == table.current}
    newest = [known.version for known in table.versions if known.published and known.made_by in in_force][-KEPT:]
    over = [known.version for known in table.versions if "" < known.kept_until < today]
    return [version for version in over if version not in newest and version != table.current]


def withdrawn(of_store: StoreVersions, tables: Iterable[str], version: str) -> StoreVersions:
    """The versions with a version published no longer; its maker's newest other one is in force, if there is one.

    >>> of_store = {"scores": TableVersions("v2", [Version("v1", "b", True), Version("v2", "b", True)])}
    >>> withdrawn(of_store, ["scores"], "v2")["scores"].current
    'v1'
    """
    found = dict(of_store)
    for name in tables:
        table = of_store[name]
        makers = {known.made_by for known in table.versions if known.version == version}
        versions = [replace(known, published=False) if known.version == version else known for known in table.versions]
        others = [known.version for known in versions if known.published and known.made_by in makers]
        current = table.current if table.current != version else others[-1] if others else None
        found[name] = TableVersions(current, versions)
    return found


def without(of_store: StoreVersions, name: str, versions: Iterable[str]) -> StoreVersions:
    """The versions once versions of a table are deleted."""
    gone, table = set(versions), of_store[name]
    return {**of_store, name: replace(table, versions=[known for known in table.versions if known.version not in gone])}
