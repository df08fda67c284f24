"""Engines: the bundle's network as a function from tensors to logits. LiteRT, or TensorFlow where it cannot serve.

A worker that LiteRT serves never imports TensorFlow. No Spark here.
"""

import gc
import hashlib
import math
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medspark.bundles.network_file import open_network
from medspark.encode.inputs import rows_at_once
from medspark.errors import BundleError, MedsparkError

Arrays = dict[str, npt.NDArray[np.generic]]
Engine = Callable[[Arrays], npt.NDArray[np.float64]]
"""From the network's inputs, each (n, width), to logits, (n, k)."""
EngineKind = Literal["litert", "tensorflow"]

ROWS = 1024
"""Rows of one call, where each is small: every call has as many, the last one padded, so a row's logit never depends on
its batch."""
ROW_BYTES = 2**19
"""Of the largest array that one row makes on its way; past it a call of LiteRT has fewer rows, as attention over some
hundred events has: their square times the heads."""
_KEPT = 2
_cache: OrderedDict[str, Engine] = OrderedDict()
_loads = 0


def engine_for(kind: EngineKind, network: Path, digest: str) -> Engine:
    """The engine for a network's file, loaded once in each process; the last two are kept.

    Raises:
        BundleError: the file has not the SHA-256 `digest`.
    """
    global _loads  # noqa: PLW0603 (a count of this process)
    key = f"{kind} {digest}"
    if key not in _cache:
        with _mapped(network, digest) if kind == "litert" else copied(network, digest) as sound:
            _cache[key] = litert_engine(sound) if kind == "litert" else tensorflow_engine(sound)
        _loads += 1
        gc.freeze()  # Spark collects garbage after every task, and would look through all that stays each time
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


@contextmanager
def _mapped(network: Path, digest: str) -> Iterator[Path]:
    """A name for the very file whose bytes were compared: its pages are mapped, whatever the path has by then."""
    with network.open("rb") as file:
        _require_digest(network, hashlib.file_digest(file, "sha256").hexdigest(), digest)
        yield Path(f"/dev/fd/{file.fileno()}")


@contextmanager
def copied(network: Path, digest: str) -> Iterator[Path]:
    """A file of the bytes that were compared, nobody else's, for Keras asks for a name of its own kind."""
    content = network.read_bytes()
    _require_digest(network, hashlib.sha256(content).hexdigest(), digest)
    with tempfile.TemporaryDirectory(prefix="medspark-") as folder:
        copy = Path(folder) / f"model{network.suffix}"
        copy.write_bytes(content)
        yield copy


def _require_digest(network: Path, found: str, expected: str) -> None:
    if found != expected:
        raise BundleError(
            f"{network}: expected the bundle's network ({expected[:16]}), received another ({found[:16]}). "
            "The file was altered since the bundle was opened; copy the bundle anew."
        )


def loads() -> int:
    """How many networks this process has loaded."""
    return _loads


def threads() -> int:
    """Threads of one task: Spark sets the variable to `spark.task.cpus`, and runs a task for each core already."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def litert_engine(network: Path, num_threads: int | None = None) -> Engine:
    """An engine over LiteRT, of as many threads as a task has unless some are asked for. The file is mapped, so workers
    of one machine share its pages."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MedsparkError("the LiteRT engine needs ai-edge-litert: install medspark[score] on the workers") from error
    interpreter = Interpreter(model_path=str(network), num_threads=num_threads or threads())
    inputs = {_input_name(detail["name"]): detail["index"] for detail in interpreter.get_input_details()}
    pixels = sum(math.prod(one["shape"][1:]) for one in interpreter.get_input_details() if one["dtype"] == np.uint8)
    fixed = next(iter(interpreter.get_input_details()))["shape_signature"][0]
    if fixed > 0:  # a network that was made for so many rows, as one that explains
        rows = int(fixed)
    else:
        rows = rows_of_a_call(max(_bytes_of(detail) for detail in interpreter.get_tensor_details()))
        rows = min(rows, rows_at_once(ROWS, int(pixels)))
        for detail in interpreter.get_input_details():
            interpreter.resize_tensor_input(detail["index"], [rows, *detail["shape"][1:]])
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]["index"]

    def call(tensors: Arrays) -> npt.NDArray[np.float32]:
        for name, index in inputs.items():
            interpreter.set_tensor(index, tensors[name])
        interpreter.invoke()
        logits: npt.NDArray[np.float32] = interpreter.get_tensor(output)
        return logits

    return _in_fixed_batches(call, rows)


def rows_of_a_call(row_bytes: int) -> int:
    """How many rows a call has, when the largest array that one row makes has so many bytes.

    >>> rows_of_a_call(4096), rows_of_a_call(2**19), rows_of_a_call(2**21), rows_of_a_call(2**40)
    (1024, 1024, 256, 1)
    """
    return max(1, ROWS * ROW_BYTES // max(row_bytes, ROW_BYTES))


def _bytes_of(detail: Mapping[str, Any]) -> int:
    """Of a LiteRT array, for one row; of weights, which no row makes, 0."""
    by_row = len(detail["shape_signature"]) > 1 and detail["shape_signature"][0] == -1
    return int(np.prod(detail["shape"], dtype=np.int64)) * np.dtype(detail["dtype"]).itemsize if by_row else 0


def _input_name(name: str) -> str:
    """The Keras input's name in LiteRT's: "serving_default_numeric:0" gives "numeric"."""
    return name.removeprefix("serving_default_").rsplit(":", 1)[0]


def tensorflow_engine(network: Path) -> Engine:
    """An engine over a .keras file, for a network that LiteRT cannot serve."""
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, str(threads()))
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MedsparkError("this bundle needs TensorFlow to score: install medspark[train] on the workers") from error
    model = open_network(network)
    function = tf.function(lambda tensors: model(tensors, training=False))

    def call(tensors: Arrays) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = function({k: tf.convert_to_tensor(v) for k, v in tensors.items()}).numpy()
        return logits

    pixels = sum(math.prod(one.shape[1:]) for one in model.inputs if one.dtype == "uint8")
    return _in_fixed_batches(call, rows_at_once(ROWS, pixels))


def _in_fixed_batches(call: Callable[[Arrays], npt.NDArray[np.float32]], at_once: int) -> Engine:
    """Calls of as many rows, so that whatever the batch, a row's logit comes of a call of the same size."""

    def predict(tensors: Arrays) -> npt.NDArray[np.float64]:
        rows = len(next(iter(tensors.values())))
        logits = np.empty((rows, 0), np.float64)
        for at in range(0, max(rows, 1), at_once):
            part = {name: array[at : at + at_once] for name, array in tensors.items()}
            short = min(at_once, rows - at)
            if short < at_once:
                part = {name: np.pad(array, ((0, at_once - short), (0, 0))) for name, array in part.items()}
            found = call(part)
            if at == 0:
                logits = np.empty((rows, found.shape[1]), np.float64)
            logits[at : at + short] = found[:short]
        return logits

    return predict
