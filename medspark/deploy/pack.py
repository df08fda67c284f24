"""Pack what scoring needs of this machine's Python for machines that have Spark and Python, and nothing of medspark.

    environment.tar.gz
        bin/python           runs the machine's own Python of the same version with the packages below, and no others
        lib/                 medspark and each distribution it needs to score, as installed here
        requirements.txt     their versions

Spark is not in it, for a cluster brings its own; nor are TensorFlow and what reads images, unless asked for. The same
environment packs to the same bytes.

Why not a tool made for this: venv-pack and conda-pack ship a whole environment, here TensorFlow and Spark too, and
refuse packages installed editable; pex resolves anew, from an index, and unpacks itself on every executor.
"""

import gzip
import io
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medspark.errors import MedsparkError

SCORING: Final = ("medspark[score]",)
TENSORFLOW: Final = ("tensorflow", "keras")
IMAGES: Final = ("medspark[images]",)
BROUGHT: Final = frozenset({"pyspark"})
"""What a cluster has of its own."""

PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Without the machine's own packages (-S), of which one could hide one of these
LAUNCHER: Final = f"""#!/bin/sh
# The machine's {PYTHON} with the packages beside this file, and no others.
here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
command -v {PYTHON} >/dev/null || {{
  echo "medspark: expected {PYTHON} on the PATH of this machine, since the environment was packed for it" >&2
  exit 127
}}
export PYTHONPATH="$here/lib${{PYTHONPATH:+:$PYTHONPATH}}"
exec {PYTHON} -S "$@"
"""


def needed(roots: Iterable[str] = SCORING) -> dict[str, Distribution]:
    """The installed distributions that some requirements need, by their canonical name, themselves included.

    Raises:
        MedsparkError: some are missing, or installed in a version that is not asked for; all of them are named.
    """
    found: dict[str, Distribution] = {}
    problems: list[str] = []
    waiting = [(Requirement(root), "medspark pack") for root in roots]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, wanted_by = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in BROUGHT:
            continue
        try:
            found[name] = installed = distribution(name)
        except PackageNotFoundError:
            problems.append(f"{wanted_by}: expected {requirement}, received none")
            continue
        if not requirement.specifier.contains(installed.version, prereleases=True):
            problems.append(f"{wanted_by}: expected {requirement}, received {installed.version}")
        for extra in {"", *requirement.extras} - {extra for at, extra in seen if at == name}:
            seen.add((name, extra))
            waiting += [(below, name) for below in requirements_of(installed, extra)]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in sorted(set(problems)))
        raise MedsparkError(f"this environment cannot be packed\n{lines}\nInstall them: pip install 'medspark[score]'")
    return dict(sorted(found.items()))


def requirements_of(installed: Distribution, extra: str) -> list[Requirement]:
    """What a distribution needs on this machine: of an extra, or, for "", always."""
    all_of_it = [Requirement(text) for text in installed.requires or ()]
    return [item for item in all_of_it if item.marker is None or item.marker.evaluate({"extra": extra})]


def files_of(installed: Distribution) -> Iterator[tuple[str, Path]]:
    """A distribution's files, each with its path below `lib`; no compiled Python and nothing outside, as scripts are.

    Raises:
        MedsparkError: it does not list its files, or one of them is gone.
    """
    name = installed.metadata["Name"]
    if canonicalize_name(name) == "medspark":
        yield from _own_files()
        return
    listed = [file for file in installed.files or () if _is_packed(file.parts)]
    if not any(file.suffix in (".py", ".so") for file in listed):
        raise MedsparkError(
            f"{name}: expected an installed copy, received one that does not list its files (editable?)"
        )
    for file in listed:
        path = Path(str(installed.locate_file(file)))
        if not path.is_file():
            raise MedsparkError(f"{name}: expected {file}, which it lists, and received none. Install {name} anew.")
        yield str(file), path


def _is_packed(parts: tuple[str, ...]) -> bool:
    return ".." not in parts and "__pycache__" not in parts and not parts[0].startswith("/")


def _own_files() -> Iterator[tuple[str, Path]]:
    """medspark's own, which may be installed editable: then only its folder knows its files."""
    folder = Path(__file__).parent.parent
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder.parent)
        if path.is_file() and _is_packed(inside.parts):
            yield str(inside), path


def pack(out: Path, roots: Iterable[str] = SCORING) -> dict[str, str]:
    """Write the archive and return each distribution's version.

    Raises:
        MedsparkError: a distribution is missing or incomplete; then nothing is written.
    """
    distributions = needed(roots)
    versions = {name: installed.version for name, installed in distributions.items()}
    files = sorted({f"lib/{place}": path for one in distributions.values() for place, path in files_of(one)}.items())
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(out.name + ".new")
    try:
        with (
            new.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            _add(archive, "bin/python", LAUNCHER.encode(), executable=True)
            _add(archive, "requirements.txt", requirements(versions).encode())
            # Where programs ask for medspark's version
            about = f"Metadata-Version: 2.1\nName: medspark\nVersion: {versions['medspark']}\n"
            _add(archive, f"lib/medspark-{versions['medspark']}.dist-info/METADATA", about.encode())
            for place, path in files:
                _add(archive, place, path.read_bytes())
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)
    return versions


def requirements(versions: Mapping[str, str]) -> str:
    """The versions of distributions, as pip reads them.

    >>> print(requirements({"numpy": "2.1.0", "pyarrow": "18.0.0"}), end="")
    numpy==2.1.0
    pyarrow==18.0.0
    """
    return "".join(f"{name}=={version}\n" for name, version in versions.items())


def _add(archive: tarfile.TarFile, place: str, content: bytes, executable: bool = False) -> None:
    """A file without the owner and the time that it has here."""
    entry = tarfile.TarInfo(place)
    entry.size = len(content)
    entry.mode = 0o755 if executable else 0o644
    archive.addfile(entry, io.BytesIO(content))
