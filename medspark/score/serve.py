"""What scoring workers need of a bundle, and the ids of what they make with it."""

import hashlib

from medspark.bundles.bundle import CALIBRATION, KERAS, LITERT, STATISTICS, UNCERTAINTY, Bundle
from medspark.errors import TaskError
from medspark.score.worker.calibration import TargetCalibrations
from medspark.score.worker.predict import Served, sealed


def score_id(bundle_id: str, fingerprint: str, as_of: str | None, earlier: str | None = None) -> str:
    """The id of a scoring run, from all that decides its scores: 16 hexadecimal digits.

    Args:
        bundle_id: of the bundle.
        fingerprint: of the source.
        as_of: the time that it is scored at.
        earlier: the fingerprint of the records that are part of the cases' past.

    >>> score_id("6d2deda624703d13", "00000000000000ff", None)
    '35536ce9b645009a'
    """
    past = "" if earlier is None else f" {earlier}"
    return hashlib.sha256(f"{bundle_id} {fingerprint} {as_of}{past}".encode()).hexdigest()[:16]


def statistics_digest(bundle: Bundle) -> str:
    """The digest of the statistics that encode for a bundle: tensors made by others are not for it."""
    return hashlib.sha256(bundle.read_bytes(STATISTICS)).hexdigest()[:16]


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
    served = Served(
        kind="litert" if use_litert else "tensorflow",
        network=str((bundle.path / name).resolve()),
        digest=bundle.manifest["files"][name],
        statistics=bundle.read_text(STATISTICS),
        calibration=TargetCalibrations.from_dict(bundle.read_json(CALIBRATION)),
        bands=bundle.task.risk_bands,
        uncertainty=bundle.read_text(UNCERTAINTY) if UNCERTAINTY in bundle.manifest["files"] else "",
    )
    return sealed(served)
