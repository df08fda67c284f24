"""Files on any file system that Spark can write to, by Hadoop's clients in the JVM. No Spark session is needed.

What is asked of this machine's own disks is answered without Java where that is the same.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext

from medspark.errors import StoreError
from medspark.store.here import create_here, names_here, replace_here

_LETTERS: Final = re.compile(r"([*?\[\]{}\\])")
_ESCAPED: Final = r"\\\1"
"""How Hadoop is told that a letter of its patterns is none."""

_ASIDE: Final = ".new-"
"""Before the name of what is being brought."""


class _Hadoop(NamedTuple):
    """Hadoop's settings and classes in the JVM, found once: each part of such a name is a question to the JVM."""

    settings: Any
    path: Any
    file_context: Any
    rename: Any
    """Options of a rename."""
    io_utils: Any
    starts_here: bool
    """Whether a path that names no file system is on this machine's."""


@lru_cache(maxsize=1)
def _hadoop(context: SparkContext) -> _Hadoop:
    jvm: Any = context._jvm
    files, settings = jvm.org.apache.hadoop.fs, context._jsc.hadoopConfiguration()
    starts_here = files.FileSystem.getDefaultUri(settings).getScheme() == "file"
    io_utils = jvm.org.apache.commons.io.IOUtils
    return _Hadoop(settings, files.Path, files.FileContext, files.Options.Rename, io_utils, starts_here)


def _file_system(context: SparkContext, path: str) -> tuple[Any, Any]:
    """The file system that `path` is on, and the path as Hadoop's type."""
    hadoop = _hadoop(context)
    hadoop_path = hadoop.path(path)
    return hadoop_path.getFileSystem(hadoop.settings), hadoop_path


def path_here(context: SparkContext, path: str) -> Path | None:
    """Where an absolute path is on this machine's own disks, which need no Java; None of any other.

    To Hadoop //host/a is the path /a of a host.
    """
    bare = path.removeprefix("file://") if path.startswith("file:///") else path.removeprefix("file:")
    if not bare.startswith("/") or bare.startswith("//") or (bare == path and not _hadoop(context).starts_here):
        return None
    return Path(os.path.normpath(bare))


def whole_path_here(context: SparkContext, path: str) -> Path | None:
    """As `path_here`, of any path."""
    return path_here(context, full_path(context, path))


def is_elsewhere(place: str) -> bool:
    """Whether a place is on another file system than this machine's: hdfs://HOST/FOLDER, s3a://BUCKET/FOLDER."""
    return "://" in place and not place.startswith("file:")


def full_path(context: SparkContext, path: str) -> str:
    """A path with its file system, as every machine of a cluster understands it."""
    if (here := path_here(context, path)) is not None:
        return f"file:{here}"
    system, hadoop_path = _file_system(context, path)
    return str(system.makeQualified(hadoop_path).toString())


def raw_path(context: SparkContext, path: str) -> str:
    """A path without its file system, as Spark names files in `_metadata.file_path`: a blank is %20."""
    system, hadoop_path = _file_system(context, path)
    return str(system.makeQualified(hadoop_path).toUri().getRawPath())


def make_folder(context: SparkContext, path: str) -> None:
    system, hadoop_path = _file_system(context, path)
    system.mkdirs(hadoop_path)


def exists(context: SparkContext, path: str) -> bool:
    if (here := path_here(context, path)) is not None:
        return os.path.exists(here)
    system, hadoop_path = _file_system(context, path)
    return bool(system.exists(hadoop_path))


def is_folder(context: SparkContext, path: str) -> bool:
    if (here := path_here(context, path)) is not None:
        return os.path.isdir(here)
    system, hadoop_path = _file_system(context, path)
    return bool(system.exists(hadoop_path) and system.getFileStatus(hadoop_path).isDirectory())


def file_state(context: SparkContext, path: str) -> tuple[int, int] | None:
    """A file's size in bytes and the time of its last change in milliseconds since 1970; None where there is none."""
    if (here := path_here(context, path)) is not None:
        if not os.path.exists(here):
            return None
        found = here.stat()
        return found.st_size, found.st_mtime_ns // 1_000_000
    system, hadoop_path = _file_system(context, path)
    if not system.exists(hadoop_path):
        return None
    status = system.getFileStatus(hadoop_path)
    return int(status.getLen()), int(status.getModificationTime())


def delete(context: SparkContext, path: str) -> None:
    system, hadoop_path = _file_system(context, path)
    system.delete(hadoop_path, True)


def delete_file(context: SparkContext, path: str) -> None:
    """Delete a file; of a folder that has files, nothing.

    Raises:
        Py4JJavaError: it is such a folder.
    """
    system, hadoop_path = _file_system(context, path)
    system.delete(hadoop_path, False)


def list_paths(context: SparkContext, path: str) -> list[str]:
    """The full paths directly below a directory, hidden ones too; of a file, itself; none where nothing is."""
    system, hadoop_path = _file_system(context, path)
    if not system.exists(hadoop_path):
        return []
    whole = system.makeQualified(hadoop_path)
    here = Path(str(whole.toUri().getPath()))
    if system.getScheme() == "file" and here.is_dir():  # Hadoop's listing asks Java for each name
        above = whole.toString().rstrip("/")  # once: it asks Java
        return [f"{above}/{name}" for name in sorted(names_here(here))]
    return sorted(status.getPath().toString() for status in system.listStatus(hadoop_path))


def list_files(context: SparkContext, path: str) -> dict[str, str]:
    """Every file at or below a path, hidden ones too, sorted, each with its path below it; the path is no pattern."""
    system, hadoop_path = _file_system(context, path)
    return _files_of(system, [system.getFileStatus(hadoop_path)] if system.exists(hadoop_path) else [])


def list_sizes(context: SparkContext, path: str) -> dict[str, int]:
    """The bytes of every file below a path, hidden ones too, by its path below it: of one walk."""
    system, hadoop_path = _file_system(context, path)
    above, walk = hadoop_path.toUri().getPath(), _walk(system, hadoop_path)
    sizes = ((status.getPath().toUri().getPath(), int(status.getLen())) for status in walk)
    return {path.removeprefix(above).strip("/"): size for path, size in sizes}


def match_files(context: SparkContext, pattern: str, folder: str | None = None) -> dict[str, str]:
    """The same of what a source's pattern matches, each with its path below the match.

    Args:
        pattern: taken as it is where something has just that name.
        folder: what the pattern is below; where there is such a folder, its name is no pattern.
    """
    whole = pattern if folder is None else f"{folder}/{pattern}"
    if exists(context, whole):
        return list_files(context, whole)
    if folder is not None and exists(context, folder):
        whole = f"{_LETTERS.sub(_ESCAPED, folder)}/{pattern}"
    system, hadoop_path = _file_system(context, whole)
    matches = system.globStatus(hadoop_path)
    return _files_of(system, matches if matches is not None else [])


def _files_of(system: Any, places: Iterable[Any]) -> dict[str, str]:
    files = {}
    for place in places:
        above = place.getPath() if place.isDirectory() else place.getPath().getParent()
        for status in _walk(system, place.getPath()):
            file = status.getPath().toString()
            files[file] = file.removeprefix(above.toString()).strip("/")
    return dict(sorted(files.items()))


def _walk(system: Any, path: Any) -> Iterator[Any]:
    """Hadoop's status of every file at or below a path."""
    walk = system.listFiles(path, True)
    while walk.hasNext():
        yield walk.next()


def _path_here(context: SparkContext, place: Path) -> Any:
    """A place of this machine as Hadoop's type, which decodes no letter of a URI: a blank would be %20 in its name."""
    return _hadoop(context).path(f"file:{place.absolute()}")


def copy_to_local(context: SparkContext, path: str, place: Path) -> None:
    """Copy a file or a folder from any file system to `place` on the driver's machine, which is not there yet."""
    system, hadoop_path = _file_system(context, path)
    # The raw file system: the other one adds checksum files
    system.copyToLocalFile(False, hadoop_path, _path_here(context, place), True)


def bring(context: SparkContext, place: Path, path: str) -> None:
    """Copy a folder of this machine to a path on any file system, where it appears whole: by a rename.

    Nobody else brings anything below the same parent meanwhile: what is half there was left by a run that was killed.
    """
    system, target = _file_system(context, path)
    above = target.getParent()
    for left in list_paths(context, above.toString()):
        if left.rsplit("/", 1)[-1].startswith(_ASIDE):
            delete(context, left)
    aside = above.suffix(f"/{_ASIDE}{place.name}")
    system.mkdirs(above)
    system.copyFromLocalFile(False, True, _path_here(context, place), aside)
    if not system.rename(aside, target):
        raise FileExistsError(f"{path} could not be written: is it there already?")


def read_text(context: SparkContext, path: str) -> str:
    if (here := path_here(context, path)) is not None:
        return here.read_bytes().decode("utf-8")
    system, hadoop_path = _file_system(context, path)
    stream = system.open(hadoop_path)
    try:
        return bytes(_hadoop(context).io_utils.toByteArray(stream)).decode("utf-8")
    finally:
        stream.close()


def read_end(context: SparkContext, path: str, size: int) -> bytes:
    """The last bytes of a file, so many of them or all that it has."""
    system, hadoop_path = _file_system(context, path)
    length = int(system.getFileStatus(hadoop_path).getLen())
    stream = system.open(hadoop_path)
    try:
        stream.seek(max(0, length - size))
        return bytes(stream.readNBytes(min(size, length)))
    finally:
        stream.close()


def write_text(context: SparkContext, path: str, text: str) -> None:
    """Replace a small file in one step: written aside, then renamed over the old one."""
    here = whole_path_here(context, path)
    if here is not None:  # by Hadoop, a rename that replaces starts a dozen processes
        replace_here(here, text)
        return
    system, place = _file_system(context, full_path(context, path))
    aside = _hadoop(context).path(f"{place.toString()}.new")
    stream = system.create(aside, True)
    stream.write(bytearray(text.encode("utf-8")))
    stream.close()
    _replace(context, aside, place)


def _replace(context: SparkContext, source: Any, target: Any) -> None:
    """Rename a file over another, by Hadoop, in one step."""
    hadoop, gateway = _hadoop(context), context._gateway
    assert gateway is not None
    options = gateway.new_array(hadoop.rename, 1)
    options[0] = hadoop.rename.OVERWRITE
    hadoop.file_context.getFileContext(target.toUri(), hadoop.settings).rename(source, target, options)


def create_text(context: SparkContext, path: str, text: str) -> bool:
    """Write a small file where none is yet; False, and nothing changed, where one is. Of several at once one writes."""
    here = whole_path_here(context, path)
    if here is not None:  # Hadoop's own looks first and writes then
        return create_here(here, text)
    system, place = _file_system(context, full_path(context, path))
    try:
        stream = system.create(place, False)
    except Py4JJavaError:
        if system.exists(place):
            return False
        raise
    stream.write(bytearray(text.encode("utf-8")))
    stream.close()
    return True


def rename_only_file(context: SparkContext, folder: str, path: str, end: str) -> None:
    """Move the one file of a folder whose name ends so, and delete the folder."""
    system, hadoop_folder = _file_system(context, folder)
    (found,) = [file for file in list_files(context, folder) if file.endswith(end)]
    system.rename(_hadoop(context).path(found), _hadoop(context).path(path))
    system.delete(hadoop_folder, True)


def move_file(context: SparkContext, path: str, target: str) -> None:
    """Move a file over another, or to where none is, in one step; on this machine it is on the disk before that."""
    whole, aim = full_path(context, path), full_path(context, target)
    system, source = _file_system(context, whole)
    place = _hadoop(context).path(aim)
    system.mkdirs(place.getParent())
    here, there = path_here(context, whole), path_here(context, aim)
    if here is not None and there is not None:  # as in `write_text`
        with here.open("rb") as file:
            os.fsync(file.fileno())
        there.with_name(f".{there.name}.crc").unlink(missing_ok=True)
        here.replace(there)
        return
    _replace(context, source, place)


def move_folder(context: SparkContext, path: str, target: str) -> None:
    """Move a folder to where none is.

    Raises:
        StoreError: it could not be moved.
    """
    system, source = _file_system(context, full_path(context, path))
    place = _hadoop(context).path(full_path(context, target))
    system.mkdirs(place.getParent())
    if not system.rename(source, place):
        raise StoreError(f"{target}: expected a place that a folder can be moved to, received one that refuses it")


def copy_file(context: SparkContext, path: str, target: str) -> None:
    """Copy a file to another place, by Hadoop."""
    system, source = _file_system(context, path)
    other, place = _file_system(context, target)
    jvm: Any = context._jvm
    jvm.org.apache.hadoop.fs.FileUtil.copy(system, source, other, place, False, _hadoop(context).settings)


def sha256_of(context: SparkContext, path: str) -> str:
    """The digest of a file's bytes, read where it lies."""
    if (here := path_here(context, path)) is not None:
        with here.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    system, hadoop_path = _file_system(context, path)
    jvm: Any = context._jvm
    stream = system.open(hadoop_path)
    try:
        return str(jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
    finally:
        stream.close()
