"""The network as Keras saves it, opened: no more of it comes into memory than lies in the file. No Spark here."""

import io
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from medspark.errors import BundleError

SPARE_BYTES: Final = 2**20
"""That all weights of a file may have beyond what is stored of them: Keras writes each as it is."""


def open_network(path: Path) -> Any:
    """The Keras model of a file.

    Raises:
        BundleError: its weights would grow as they are read.
    """
    keras: Any = import_module("keras")
    problems = list(weight_problems(path))
    if problems:
        raise BundleError(f"{path.name}: {'; '.join(problems)}")
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def weight_problems(path: Path) -> Iterator[str]:
    """What is wrong with the arrays of a Keras file whose archive is sound; none is read.

    Keras itself refuses an array only beyond 4 GiB and a thousand times of what is stored.
    """
    h5py: Any = import_module("h5py")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".h5"):
                continue
            arrays: list[tuple[int, int]] = []

            def note(_: str, found: Any, arrays: list[tuple[int, int]] = arrays) -> None:
                if isinstance(found, h5py.Dataset):
                    arrays.append((found.size * found.dtype.itemsize, found.id.get_storage_size()))

            with h5py.File(io.BytesIO(archive.read(name)), "r") as file:
                file.visititems(note)
            said, stored = (sum(sizes) for sizes in zip((0, 0), *arrays, strict=True))
            if said > stored + SPARE_BYTES:
                yield f"{name} would grow to {said:,} bytes, of which {stored:,} are stored"
