"""Score Arrow batches of cases or of tensors: encode, predict, calibrate. One row out for each row in.

A row that cannot be scored has a reason in place of a score; it changes nothing for the rows around it. No Spark here.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medspark.encode.statistics import Statistics, from_json
from medspark.encode.worker.arrow import number_array, numbers_of, text_array, written_out
from medspark.encode.worker.encoder import encode, short_batches
from medspark.encode.worker.missing import missing_share
from medspark.encode.worker.tensors import Arrays, Reasons, shaped, with_reason, without_unsound
from medspark.errors import BundleError
from medspark.monitor.worker.observe import columns_watched, observe
from medspark.schemas import (
    CASE_ID,
    LOGIT,
    MISSING_SHARE,
    NEWEST_EVENT,
    PREDICTION_TIME,
    PROBABILITY,
    REASON,
    RISK_BAND,
    SUBJECT_ID,
)
from medspark.score.worker.calibration import TargetCalibrations, apply_calibrations
from medspark.score.worker.engine import Engine, EngineKind, engine_for
from medspark.score.worker.uncertainty import Uncertainty, as_columns, beside_scores, columns_beside, uncertainty_of

KEYS = (CASE_ID, SUBJECT_ID, PREDICTION_TIME)
ANSWERS = (LOGIT, PROBABILITY, RISK_BAND, REASON)
LOWEST_BAND = "low"
NO_BAND = "none"
"""What rows without a band are counted under, where the task has no bands."""
UNSCORABLE = "unscorable: "
HELD_BYTES = 16 * 2**20
"""Of the batches whose answers are made, and written, together, where their keys keep all of them in memory."""
Floats = npt.NDArray[np.float64]


class Served(NamedTuple):
    """What a scoring worker needs of a bundle. The network goes to each executor as a file, all else by broadcast."""

    kind: EngineKind
    network: str
    """The file's path, or its name among the session's files."""
    digest: str
    statistics: str
    """JSON of the fitted statistics."""
    calibration: TargetCalibrations
    bands: dict[str, float]
    reads: Literal["cases", "tensors"] = "cases"
    seal: str = ""
    """A digest of what decides an answer, by `sealed`."""
    uncertainty: str = ""
    """JSON of what stands beside the scores; empty of a bundle from before."""
    watch: str = ""
    """JSON of what is counted of the scored cases; empty where nothing is."""


def columns_read(served: Served) -> list[str]:
    """The columns that scoring reads beside the keys."""
    statistics = statistics_of(served)
    newest = [NEWEST_EVENT] if _says_newest(served) else []
    if served.reads == "cases":
        names = dict.fromkeys([*statistics.columns(), *columns_watched(served.watch)])
        return [*(name for name in names if name not in KEYS), *newest]
    return [*statistics.widths(), *([MISSING_SHARE] if served.uncertainty else []), *newest]


@lru_cache(maxsize=2)
def _parsed(text: str) -> Statistics:
    return from_json(text)


def statistics_of(served: Served) -> Statistics:
    """The statistics, read once in each process."""
    return _parsed(served.statistics)


@lru_cache(maxsize=2)
def _parsed_uncertainty(text: str) -> Uncertainty:
    return uncertainty_of(text)


def _says_newest(served: Served) -> bool:
    return bool(served.uncertainty) and _parsed_uncertainty(served.uncertainty).newest_event


def answer_types(served: Served) -> dict[str, pa.DataType]:
    """The columns of `answers_of` behind the keys, the names of bands written out."""
    number = pa.float64()
    types = dict(zip(ANSWERS, (number, number, pa.string(), pa.string()), strict=True))
    return types | more_types(served)


def more_types(served: Served) -> dict[str, pa.DataType]:
    """The columns of scores that not every bundle has."""
    each = dict.fromkeys(served.calibration.targets.columns, pa.float64())
    return each | (columns_beside() if served.uncertainty else {})


def sealed(served: Served) -> Served:
    """The same with its seal: a worker compares what reached it."""
    return served._replace(seal=_seal(served))


def _seal(served: Served) -> str:
    bands = tuple(sorted(served.bands.items()))
    return _digest(served.kind, served.digest, served.statistics, served.calibration, bands, served.uncertainty)


@lru_cache(maxsize=2)
def _digest(
    kind: str,
    digest: str,
    statistics: str,
    calibration: TargetCalibrations,
    bands: tuple[tuple[str, float], ...],
    uncertainty: str,
) -> str:
    text = json.dumps([kind, digest, statistics, calibration.to_dict(), bands, uncertainty])
    return hashlib.sha256(text.encode()).hexdigest()


def load_engine(served: Served) -> Engine:
    """The network's engine in this worker, loaded the first time.

    Raises:
        BundleError: the network's file, or what came with it, is not the bundle's.
    """
    if served.seal != _seal(served):
        raise BundleError("what the bundle says reached this worker altered. Run the command again.")
    return engine_for(served.kind, Path(served.network), served.digest)


def tensors_of(batch: pa.RecordBatch, served: Served) -> tuple[Arrays, Reasons | None]:
    """The tensors of each of a batch's rows, zeros where a row is unsound, and why it is.

    Raises:
        InputError: a column of the tensors is absent or of another type.
    """
    statistics = statistics_of(served)
    if served.reads == "tensors":
        tensors, reasons = shaped(batch, statistics.inputs())
    else:
        tensors, reasons = encode(batch, statistics), None
    return without_unsound(tensors, statistics.sizes(), reasons)


def logits_of(batch: pa.RecordBatch, served: Served, engine: Engine) -> tuple[Floats, Reasons | None]:
    """The logits of each of a batch's n rows with what the network gives behind them, (n, k + more), and why a row has
    none; no Spark needed.

    Raises:
        InputError: a column of the tensors is absent or of another type.
    """
    tensors, reasons = tensors_of(batch, served)
    logit = engine(tensors)
    finite = np.isfinite(logit[:, : len(served.calibration.targets.names)])
    if not finite.all():
        reasons = with_reason(reasons, np.asarray(~finite.all(axis=1)), "the network's answer is not finite")
    if served.watch:
        scored = None if reasons is None else np.array([text is None for text in reasons])
        observe(served.watch, batch, tensors, lambda rows: _risks(logit[rows], served), scored)
    return logit, reasons


def _risks(logit: Floats, served: Served) -> Floats:
    """The headline's probabilities, (n,), of logits (n, k and more)."""
    targets = served.calibration.targets
    every = apply_calibrations(served.calibration, logit[:, : len(targets.names)])
    return np.asarray(every[:, targets.headline])


def answers_of(
    keys: pa.Table,
    found: Floats,
    reasons: Reasons | None,
    served: Served,
    missing: Floats | None = None,
    newest: pa.Array | None = None,
) -> pa.Table:
    """The keys of n rows, each with its answers, or with the reason why it has none.

    Args:
        found: (n, k + more), the logits of k targets, then what the network gives behind them.
        missing: (n,) the share of each row that is missing, where something stands beside the scores.
        newest: (n,) when each row's last event happened, where the bundle says so.

    Returns:
        KEYS as they came, LOGIT and PROBABILITY (double) of the headline, RISK_BAND (a dictionary of strings), all
        three null where there is no score, REASON (string), null where there is one, and where there are several
        targets the probability of each (double), null as the others are; then what `columns_beside` names.
    """
    unscored: npt.NDArray[np.bool_] | None = None
    reason = pa.nulls(len(found), pa.string())
    if reasons is not None:
        unscored = np.array([text is not None for text in reasons])
        reason = pa.array([None if text is None else UNSCORABLE + text for text in reasons], pa.string())
        found = np.where(unscored[:, None], np.nan, found)
    targets = served.calibration.targets
    logit, more = found[:, : len(targets.names)], found[:, len(targets.names) :]
    every = apply_calibrations(served.calibration, logit)
    probability = every[:, targets.headline]
    numbers = [number_array(values, unscored) for values in (logit[:, targets.headline], probability)]
    answers = [*numbers, band_of(probability, served.bands, unscored), reason]
    each = [number_array(every[:, at], unscored) for at in range(len(targets.columns))]
    beside: dict[str, pa.Array] = {}
    if served.uncertainty:
        assert missing is not None, "a bundle that says something beside its scores says how much is missing"
        stands = beside_scores(_parsed_uncertainty(served.uncertainty), more, probability, missing)
        beside = as_columns(stands, missing, newest, unscored)
    names = [*KEYS, *ANSWERS, *targets.columns, *beside]
    return pa.table([*keys.columns, *answers, *each, *beside.values()], names=names)


def band_of(
    probability: Floats, bands: dict[str, float], unscored: npt.NDArray[np.bool_] | None = None
) -> pa.DictionaryArray:
    """The highest band whose threshold each probability reaches; `low` below all of them; null where unscored.

    Without thresholds every band is null: nobody said what is low.
    """
    if not bands:
        return pa.DictionaryArray.from_arrays(pa.nulls(len(probability), pa.int8()), text_array([LOWEST_BAND]))
    ordered = sorted(bands.items(), key=lambda item: item[1])
    names = text_array([LOWEST_BAND, *(name for name, _ in ordered)])
    place = np.searchsorted([threshold for _, threshold in ordered], probability, side="right")
    return pa.DictionaryArray.from_arrays(number_array(place.astype(np.int8), unscored), names)


def answer_batches(
    batches: Iterable[pa.RecordBatch], served: Served, held_bytes: float = HELD_BYTES
) -> Iterator[pa.Table]:
    """Score Arrow batches, of wide features a part at a time, and give what `answers_of` says of many; no Spark needed.

    Keys and logits are held for batches of so many bytes: what is done once for these costs little a row.
    """
    engine = load_engine(served)
    held: list[_Held] = []
    size = 0
    for batch in short_batches(batches, statistics_of(served)):
        if batch.num_rows:
            beside = _missing(batch, served), batch.column(NEWEST_EVENT) if _says_newest(served) else None
            held.append(_Held(batch.select(KEYS), *logits_of(batch, served, engine), *beside))
            size += batch.nbytes
        if size >= held_bytes:
            yield _together(held, served)
            held, size = [], 0
    if held:
        yield _together(held, served)


class _Held(NamedTuple):
    keys: pa.RecordBatch
    found: Floats
    reasons: Reasons | None
    missing: Floats | None
    newest: pa.Array | None


def _missing(batch: pa.RecordBatch, served: Served) -> Floats | None:
    """The share of each row that is missing, (n,), where something stands beside the scores."""
    if not served.uncertainty:
        return None
    if served.reads == "cases":
        return missing_share(batch, statistics_of(served).columns())
    return np.asarray(numbers_of(batch.column(MISSING_SHARE)), np.float64)


def _together(held: list[_Held], served: Served) -> pa.Table:
    reasons = None
    if any(part.reasons is not None for part in held):
        none = (np.full(len(part.found), None, object) if part.reasons is None else part.reasons for part in held)
        reasons = np.concatenate([*none])
    keys = pa.Table.from_batches([part.keys for part in held])
    missing = [part.missing for part in held if part.missing is not None]
    found = np.concatenate([part.found for part in held])
    newest = [part.newest for part in held if part.newest is not None]
    share, last = np.concatenate(missing) if missing else None, pa.concat_arrays(newest) if newest else None
    return answers_of(keys, found, reasons, served, share, last)


def predict_batches(batches: Iterable[pa.RecordBatch], served: Served) -> Iterator[pa.RecordBatch]:
    """The same as batches with the names of bands written out, as Spark takes them."""
    for found in answer_batches(batches, served):
        yield from written_out(found).combine_chunks().to_batches()
