"""Event files for TensorBoard: losses and examples a second of each epoch, a folder for each fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from medspark.runs.progress import Progress, Told


@contextmanager
def event_files(folder: Path | None, progress: Progress) -> Iterator[Progress]:
    """What is told `progress`, and written below a folder where there is one; on disk when the block ends."""
    if folder is None:
        yield progress
        return
    files = _EventFiles(folder)

    def tell(told: Told) -> None:
        progress(told)
        if told.ended:
            files.add(told)

    try:
        yield tell
    finally:
        files.close()


class _EventFiles:
    """The files of fits one after the other: `network`, `student`, and of folds `network-2` and so on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fits: dict[str, int] = {}
        self.last = ("", 0)
        self.writer: Any = None

    def add(self, told: Told) -> None:
        if told.fit != self.last[0] or told.epoch <= self.last[1]:
            self._begin(told.fit)
        self.last = (told.fit, told.epoch)
        with self.writer.as_default(step=told.epoch):
            _scalar("loss", told.loss)
            _scalar("examples_per_second", told.examples_per_second)
            for name, value in told.watched.items():
                _scalar(name, value)

    def _begin(self, fit: str) -> None:
        self.close()
        self.fits[fit] = self.fits.get(fit, 0) + 1
        name = fit if self.fits[fit] == 1 else f"{fit}-{self.fits[fit]}"
        self.writer = tf.summary.create_file_writer(str(self.folder / name))

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _scalar(name: str, value: float) -> None:
    """What `tf.summary.scalar` writes; that one asks for TensorBoard to be installed."""
    found = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    found.plugin_data.plugin_name = "scalars"
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=found)
