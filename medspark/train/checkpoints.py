"""Checkpoints: what a fit needs to go on where its process died, and to end with the same weights, bit for bit.

A checkpoint is one file of numpy arrays and a line of JSON, no pickle, written aside, flushed to the disk and renamed.
It bears the digest of all that decides the weights: task, statistics, every row that is learned from, and the versions
of the libraries. One of another digest is never taken.
"""

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from medspark.encode.statistics import Statistics, to_json
from medspark.task.tasks import Task
from medspark.train.trees import RULE

Arrays = list[npt.NDArray[Any]]

CHECKPOINTS: Final = "checkpoints"
"""A store's folder of what training left to go on from; it goes once there is a bundle, or a refusal."""
EVERY_SECONDS: Final = 30.0
"""Between two checkpoints: what a death costs at most, beside the start."""
LIBRARIES: Final = ("medspark", "keras", "tensorflow", "numpy", "pyarrow", "scikit-learn", "scipy")
_LEARNED: Final = "learned.json"
_LIBRARIES: Final = "libraries"
_END: Final = 8
"""Bytes of a Parquet file's end: the footer's length and PAR1."""
_AT_ONCE: Final = 2**20


class Kept(NamedTuple):
    """What a checkpoint holds."""

    about: dict[str, Any]
    """Small facts: the epoch, the step, the history."""
    arrays: dict[str, Arrays]
    """Weights and other state, by what they are."""


@dataclass
class Checkpoint:
    """The checkpoint of one fit, which its `digest` names."""

    place: Path
    digest: str
    every_seconds: float
    say: Callable[[str], None]
    written_at: float = 0.0

    def beside(self, name: str) -> "Checkpoint":
        """Another part of the same fit."""
        return replace(self, place=self.place.with_name(f"{self.place.stem}-{name}.npz"), written_at=0.0)

    def is_due(self) -> bool:
        return time.monotonic() - self.written_at >= self.every_seconds

    def read(self) -> Kept | None:
        """What was kept; None where there is nothing, or what is there is another fit's or damaged, which is said."""
        self.written_at = time.monotonic()
        try:
            with np.load(self.place, allow_pickle=False) as found:
                about = json.loads(bytes(found[_LEARNED]).decode())
                about.pop(_LIBRARIES, None)
                if about.pop("digest") != self.digest:
                    self.say(f"{self.place.name}: a checkpoint of another task, seed or data, not taken")
                    return None
                arrays = {name: [found[f"{name}-{at}"] for at in range(n)] for name, n in about.pop("arrays").items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self.say(f"{self.place.name}: a damaged checkpoint, not taken")
            return None
        return Kept(about, arrays)

    def write(self, kept: Kept) -> None:
        """Put it in the place of the one before, in one step."""
        arrays = {name: len(of) for name, of in kept.arrays.items()}
        about = {**kept.about, "digest": self.digest, _LIBRARIES: _libraries(), "arrays": arrays}
        named = {f"{name}-{at}": array for name, of in kept.arrays.items() for at, array in enumerate(of)}
        named[_LEARNED] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        self.place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = self.place.with_suffix(".new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            np.savez(stream, allow_pickle=False, **named)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self.place)
        self.written_at = time.monotonic()


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training run, below a folder of this machine."""

    folder: Path
    say: Callable[[str], None] = lambda _: None
    every_seconds: float = EVERY_SECONDS
    within: Path | None = None
    """A folder of several runs' checkpoints, which goes with the last of them."""

    def below(self, name: str) -> "Checkpoints":
        """Those of one run of several, such as an update in one way."""
        return Checkpoints(self.folder / name, self.say, self.every_seconds, self.folder)

    def of(self, name: str, task: Task, statistics: Statistics, files: Iterable[Path]) -> Checkpoint:
        """That of one fit, told apart by all that decides its weights."""
        return Checkpoint(self.folder / f"{name}.npz", digest_of(task, statistics, files), self.every_seconds, self.say)

    def delete(self) -> None:
        """Let go of them, and of nobody else's."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.within is not None:
            with suppress(OSError):  # others are left in it
                self.within.rmdir()


def digest_of(task: Task, statistics: Statistics, files: Iterable[Path]) -> str:
    """SHA-256 of the task, the statistics, the libraries' versions, how trees teach, the network that images start
    from, and what the Parquet files hold in their order."""
    found = hashlib.sha256()
    for text in (task.model_dump_json(), to_json(statistics), json.dumps([_libraries(), RULE])):
        found.update(hashlib.sha256(text.encode()).digest())
    if task.network.images.weights is not None and (start := Path(task.network.images.weights)).is_file():
        with start.open("rb") as stream:  # where it is not there, building the network says so
            found.update(hashlib.file_digest(stream, "sha256").digest())
    for file in files:
        found.update(_digest_of_content(file))
    return found.hexdigest()


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def other_libraries(place: Path) -> list[str]:
    """Of which libraries' versions, other than tonight's, a checkpoint is: no fit takes up one that is of any.

    None of a checkpoint that does not say so, as of one from before they did, and of a file that is none.
    """
    try:
        with np.load(place, allow_pickle=False) as found:
            kept: dict[str, str] = json.loads(bytes(found[_LEARNED]).decode())[_LIBRARIES]
            return [f"{name} {kept.get(name, '?')}" for name, now in _libraries().items() if kept.get(name) != now]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return []


def _digest_of_content(file: Path) -> bytes:
    """SHA-256 of a Parquet file's columns, the rows of its groups, and every byte before its footer.

    Spark writes the same rows to the same pages, but names the encodings in the footer in another order each time.
    """
    with pq.ParquetFile(file) as opened:
        metadata, schema = opened.metadata, opened.schema_arrow.remove_metadata()
    rows = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    found = hashlib.sha256(json.dumps([schema.to_string(), rows]).encode())
    left = file.stat().st_size - metadata.serialized_size - _END
    with file.open("rb") as stream:
        while left:
            part = stream.read(min(left, _AT_ONCE))
            found.update(part)
            left -= len(part)
    return found.digest()
