"""A bundle's network on its way to the workers, and the ids of what they make with it."""

import atexit
import hashlib
import shutil
import tempfile
from pathlib import Path

from pyspark import SparkContext, SparkFiles

from medspark.bundles.bundle import CALIBRATION, KERAS, LITERT, STATISTICS, Bundle
from medspark.errors import TaskError
from medspark.score.worker.calibration import Calibration
from medspark.score.worker.predict import Served


def score_id(bundle_id: str, fingerprint: str, as_of: str | None) -> str:
    """The id of a scoring run, from all that decides its scores: 16 hexadecimal digits.

    >>> score_id("6d2deda624703d13", "00000000000000ff", None)
    '35536ce9b645009a'
    """
    return hashlib.sha256(f"{bundle_id} {fingerprint} {as_of}".encode()).hexdigest()[:16]


def statistics_digest(bundle: Bundle) -> str:
    """The digest of the statistics that encode for a bundle: tensors made by others are not for it."""
    return hashlib.sha256((bundle.path / STATISTICS).read_bytes()).hexdigest()[:16]


def serve(bundle: Bundle, engine: str = "auto") -> Served:
    """What scoring workers need of a bundle, with the engine asked for: litert, tensorflow, or auto.

    Raises:
        TaskError: the bundle has no network for that engine.
    """
    has_litert = (bundle.path / LITERT).exists()
    if engine == "litert" and not has_litert:
        raise TaskError("--engine", [f"this bundle has no {LITERT}: LiteRT cannot serve its network. Use tensorflow."])
    use_litert = engine == "litert" or (engine == "auto" and has_litert)
    name = LITERT if use_litert else KERAS
    return Served(
        kind="litert" if use_litert else "tensorflow",
        network=str((bundle.path / name).resolve()),
        digest=bundle.manifest["files"][name],
        statistics=(bundle.path / STATISTICS).read_text(encoding="utf-8"),
        calibration=Calibration.from_dict(bundle.read_json(CALIBRATION)),
        bands=bundle.task.risk_bands,
    )


def is_local(context: SparkContext) -> bool:
    """Whether the tasks run on the driver's machine, in its own process."""
    master = str(context.master)
    return master == "local" or master.startswith("local[")


def ship(context: SparkContext, served: Served) -> Served:
    """Give each executor the network's file, once; workers map it, so those of one machine share its pages."""
    if is_local(context):
        return served
    folder = Path(tempfile.mkdtemp(prefix="medspark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Path(served.network)
    # Named by content: the files of a session share one folder
    named = shutil.copy(source, folder / f"{served.digest}{source.suffix}")
    context.addFile(str(named))
    return served._replace(network=Path(named).name)


def located(served: Served) -> Served:
    """The same with the path that the network's file has on this executor."""
    if Path(served.network).is_absolute():
        return served
    return served._replace(network=SparkFiles.get(served.network))
