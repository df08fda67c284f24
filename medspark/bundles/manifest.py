"""A bundle's manifest: which files there are, the digest of each, and the id that all of it has. No Spark here.

Two formats are read. In format 1 the id is of the files that decide a score. In format 2, which is written, it is of
every file and of all that the manifest says, so metrics, report and counts are what the id stands for as well.
"""

import hashlib
import json
import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from medspark.errors import BundleError, TaskError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 2
FORMATS: Final = (1, 2)
MOST_BYTES: Final = 2**24
"""Of a manifest."""

FileName = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
"""A name in the folder itself: no path, whichever slash it is written with."""
Digest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
BundleId = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{16}$")]


class Manifest(BaseModel):
    """What every manifest says; the facts beside it are of its format's time."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: StrictInt
    bundle_id: BundleId
    files: Annotated[dict[FileName, Digest], Field(max_length=100)]
    created_at: StrictStr


def read_manifest(text: bytes, place: str) -> dict[str, Any]:
    """A manifest, its types checked.

    Raises:
        BundleError: it is no JSON, of another format, or a part of it is of another type or leaves the folder.
    """
    try:
        manifest = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "expected JSON in UTF-8"
        raise BundleError(f"{place}: {MANIFEST} cannot be read: {reason}") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{place}: {MANIFEST} cannot be read: expected keys and values in up to {MOST_BYTES:,} bytes")
    found = manifest.get("format")
    if type(found) is not int or found not in FORMATS:
        raise BundleError(f"{place}: expected bundle format {' or '.join(map(str, FORMATS))}, received {_short(found)}")
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        problems = "\n".join(f"  - {_sentence(dict(problem))}" for problem in error.errors()[:10])
        raise BundleError(f"{place}: {MANIFEST} cannot be read: it is not what medspark writes\n{problems}") from None
    return manifest


def _sentence(problem: dict[str, Any]) -> str:
    where = tuple(problem["loc"])
    if where[:1] == ("files",) and where[-1:] == ("[key]",):
        return f"files: expected the name of a file in the folder, received {_short(problem['input'])}"
    expected = {"string_pattern_mismatch": "hexadecimal digits", "missing": "a value"}.get(problem["type"])
    received = "none" if problem["type"] == "missing" else _short(problem["input"])
    path = ".".join(_short(part, bare=True) for part in where)
    return f"{path}: expected {expected or problem['msg']}, received {received}"


def _short(value: Any, bare: bool = False) -> str:
    text = str(value) if bare else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def id_of(manifest: dict[str, Any], scored_by: tuple[str, ...]) -> str:
    """The id that a manifest should have: 16 hexadecimal digits.

    Args:
        manifest: as read from JSON; its own id does not matter.
        scored_by: the files that an id of format 1 is of.
    """
    if manifest["format"] == 1:
        return id_of_files(manifest["files"], scored_by)
    return _hash({key: value for key, value in manifest.items() if key != "bundle_id"})


def id_of_files(files: dict[str, str], names: tuple[str, ...]) -> str:
    """One digest for some of the files that are there, by the digest of each: 16 hexadecimal digits."""
    return _hash({name: files[name] for name in names if name in files})


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def require_expected(found: str, expect: str | None, place: str) -> None:
    """Refuse a bundle of another id than the one that was asked for.

    Raises:
        TaskError: what was asked for is no id.
        BundleError: it is another's.
    """
    if expect is None:
        return
    if not re.fullmatch(r"[0-9a-f]{16}", expect):
        raise TaskError("--expect", [f"expected a bundle's id of 16 hexadecimal digits, received {_short(expect)}"])
    if found != expect:
        raise BundleError(f"{place}: expected the bundle {expect}, received {found}. Nothing of it was read.")
