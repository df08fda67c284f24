"""The champion: which bundle of a store tonight's scoring uses, who said so and when. No Spark here.

`STORE/champions.jsonl` has a line for each decision, and lines are only ever added: each names the line before it by
its digest, so that one that was altered or taken out shows. A bundle is named by its id and by the digest of its
manifest, which has the digest of every other file.
"""

import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from medspark.bundles.bundle import file_digest, is_plain, load_bundle
from medspark.bundles.manifest import MANIFEST, BundleId, Digest
from medspark.errors import BundleError, StoreError

CHAMPION: Final = "champion"
"""The word that stands for the champion's folder in `medspark score`."""
CHAMPIONS: Final = "champions.jsonl"
_START: Final = "0" * 64


Action = Literal["promote", "rollback", "update"]
"""promote and rollback are a person's; update is of `medspark update --each-night`."""


class Decision(BaseModel):
    """A line of the history: from then on, this bundle is the champion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    bundle_id: BundleId
    path: str
    """Below the store where the bundle lies in it, so that a store may be moved; else in full."""
    manifest: Digest
    by: str
    """Who was logged in."""
    at: str
    """ISO 8601, UTC."""
    reason: str | None
    night: datetime | None = None
    """Of an update that followed a night of a deployment, the night's as-of time, UTC."""
    before: Digest
    """Of the line before; of the first line zeros."""


def champion_of(store: str | Path, night: datetime | None = None) -> Path:
    """The folder of the bundle that tonight's scoring uses.

    Args:
        store: a folder of this machine.
        night: an as-of time. What updates put in the champion's place from its own on is left out: those of that night
            or a later one, those without a night that were made after it, and all that went on from them. So a night
            that is run again has the champion that it had.

    Raises:
        BundleError: nobody promoted a bundle, the history is damaged, or the bundle is gone or another than was
            promoted.
    """
    lines = history(store)
    if night is not None:
        lines = _before(lines, night)
    if not lines:
        raise BundleError(f"{store} has no champion: expected a bundle, promoted by `medspark promote {store} BUNDLE`")
    return _verified(Path(store), lines[-1])


def _before(lines: list[Decision], night: datetime) -> list[Decision]:
    """The decisions without the updates since a person decided last, from the first that the night did not know of on:
    each went on from the one before it."""
    persons = max((at for at, line in enumerate(lines, 1) if line.action != "update"), default=0)
    since = enumerate(lines[persons:], persons)
    late = (at for at, line in since if (line.night or datetime.fromisoformat(line.at)) >= night)
    return lines[: next(late, len(lines))]


def last_promoted(store: str | Path) -> Path:
    """The folder of the bundle that a person promoted last, of those not taken back; the champion, or what the updates
    of its nights began with.

    Raises:
        BundleError: as `champion_of`.
    """
    standing = [line for line in _standing(history(store)) if line.action == "promote"]
    return _verified(Path(store), standing[-1]) if standing else champion_of(store)


def promote(store: str | Path, bundle: str | Path, reason: str | None = None) -> Decision:
    """Make a bundle the champion, once every file of it was verified; what was promoted last stays so, unsaid.

    A champion by a rollback or an update may be promoted too: nights then go on from it, and are compared with it.

    Args:
        store: a folder of this machine.
        bundle: its folder, or the id of one in the store's `bundles`.
        reason: for the history.

    Raises:
        BundleError: it is none, or not as it was written, or the history is damaged.
        StoreError: the store is not a folder.
    """
    return _decide(store, bundle, "promote", reason)


def promote_update(
    store: str | Path, bundle: str | Path, after: Decision, night: datetime | None, reason: str
) -> Decision:
    """Make the update of a night the champion.

    Args:
        store: as of `promote`, and so are bundle, reason and the other errors.
        after: the newest decision when the update began.
        night: its as-of time, where it followed one.

    Raises:
        BundleError: somebody decided meanwhile, and that stands.
    """
    return _decide(store, bundle, "update", reason, night, after)


def _decide(
    store: str | Path,
    bundle: str | Path,
    action: Action,
    reason: str | None,
    night: datetime | None = None,
    after: Decision | None = None,
) -> Decision:
    place = _folder(store)
    found = load_bundle(place_of(place, bundle))
    digest = file_digest(found.path / MANIFEST)
    with _alone(place):
        lines = history(place)
        if after is not None and lines[-1:] != [after]:
            raise BundleError(f"{store}: {found.bundle_id} is not promoted: somebody decided while it learned")
        is_champion = lines and lines[-1].manifest == digest and (place / lines[-1].path).resolve() == found.path
        if is_champion and lines[-1].action == "promote":
            return lines[-1]
        path = found.path.relative_to(place) if found.path.is_relative_to(place) else found.path
        return _add(place, action, found.bundle_id, str(path), digest, reason, night)


def place_of(store: str | Path, bundle: str | Path) -> str | Path:
    """A bundle's folder, where it may be named by its id in the store's `bundles`."""
    own = Path(store) / "bundles" / str(bundle)
    return own if own.is_dir() and not Path(bundle).is_dir() else bundle


def rollback(store: str | Path, reason: str | None = None) -> Decision:
    """Make the bundle before the champion the champion again; once more goes one further back.

    Raises:
        BundleError: there is none before it, it is gone or another than was promoted, or the history is damaged.
        StoreError: the store is not a folder.
    """
    place = _folder(store)
    with _alone(place):
        standing = _standing(history(place))
        if len(standing) < 2:
            now = f"{standing[0].bundle_id} is its first" if standing else "it has none"
            raise BundleError(f"{store}: expected a champion before the present one, received none: {now}")
        back = standing[-2]
        _verified(place, back)
        return _add(place, "rollback", back.bundle_id, back.path, back.manifest, reason)


def history(store: str | Path) -> list[Decision]:
    """Every decision, the oldest first; none where nobody promoted a bundle.

    Raises:
        BundleError: a line is not as it was written, or one was taken out.
    """
    path = Path(store) / CHAMPIONS
    if not os.path.lexists(path):
        return []
    if not is_plain(path):
        raise BundleError(f"{path}: expected a file of its own, received a link or no file")
    found, before = [], _START
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            decision = Decision.model_validate_json(line)
        except ValidationError:
            raise _damaged(path, number, "it is not what medspark writes") from None
        if decision.before != before:
            raise _damaged(path, number, "it does not follow from the line before it")
        found.append(decision)
        before = hashlib.sha256(line).hexdigest()
    return found


def _damaged(path: Path, number: int, why: str) -> BundleError:
    return BundleError(f"{path}, line {number}: {why}. Restore the file, or move it away and promote anew.")


def _standing(lines: list[Decision]) -> list[Decision]:
    """The promotions that were not taken back, the champion last."""
    standing: list[Decision] = []
    for line in lines:
        if line.action == "rollback" or (standing and standing[-1].manifest == line.manifest):
            standing.pop()
        if line.action != "rollback":
            standing.append(line)
    return standing


def _verified(store: Path, line: Decision) -> Path:
    """The folder of a decision's bundle, whose manifest is the one that was promoted."""
    folder = (store / line.path).resolve()
    if not is_plain(folder / MANIFEST):
        raise BundleError(f"{store}: the bundle {line.bundle_id}, promoted {line.at}, is not at {folder} any more")
    if file_digest(folder / MANIFEST) != line.manifest:
        raise BundleError(f"{folder} is another bundle than the {line.bundle_id} that was promoted {line.at}")
    return folder


def _folder(store: str | Path) -> Path:
    if "://" in str(store) or not Path(store).is_dir():
        raise StoreError(f"{store}: expected a store in a folder of this machine, received no such folder")
    return Path(store).resolve()


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Of several who decide at once, one after the other."""
    file = os.open(store / f"{CHAMPIONS}.lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _add(
    store: Path,
    action: Action,
    bundle_id: str,
    path: str,
    manifest: str,
    reason: str | None,
    night: datetime | None = None,
) -> Decision:
    """The old lines and one more in the place of the old file, in one step: a reader sees either."""
    place = store / CHAMPIONS
    old = place.read_bytes() if place.exists() else b""
    lines = old.splitlines()
    line = Decision(
        action=action,
        bundle_id=bundle_id,
        path=path,
        manifest=manifest,
        by=_user(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason,
        night=night,
        before=hashlib.sha256(lines[-1]).hexdigest() if lines else _START,
    )
    aside = place.with_name(f"{CHAMPIONS}.new")
    aside.unlink(missing_ok=True)
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(
            old + json.dumps(line.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False).encode() + b"\n"
        )
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(place)
    return line


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
