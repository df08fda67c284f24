"""Engines: the bundle's network as a function from tensors to logits. LiteRT, or TensorFlow where it cannot serve.

A worker that LiteRT serves never imports TensorFlow. No Spark here.
"""

import gc
import hashlib
import math
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import rows_at_once
from medspark.errors import BundleError, MedsparkError

Arrays = dict[str, npt.NDArray[np.generic]]
Engine = Callable[[Arrays], npt.NDArray[np.float64]]
"""From the network's inputs, each (n, width), to logits, (n,)."""
EngineKind = Literal["litert", "tensorflow"]

ROWS = 1024
"""Rows of one call, of images fewer: every call has as many, the last one padded, so that a row's logit never depends
on its batch."""
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
        with _mapped(network, digest) if kind == "litert" else _copied(network, digest) as sound:
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
def _copied(network: Path, digest: str) -> Iterator[Path]:
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


def litert_engine(network: Path) -> Engine:
    """An engine over LiteRT. The file is mapped, so workers of one machine share its pages."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MedsparkError("the LiteRT engine needs ai-edge-litert: install medspark[score] on the workers") from error
    interpreter = Interpreter(model_path=str(network), num_threads=threads())
    inputs = {_input_name(detail["name"]): detail["index"] for detail in interpreter.get_input_details()}
    pixels = sum(math.prod(one["shape"][1:]) for one in interpreter.get_input_details() if one["dtype"] == np.uint8)
    rows = rows_at_once(ROWS, int(pixels))
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


def _input_name(name: str) -> str:
    """The Keras input's name in LiteRT's: "serving_default_numeric:0" gives "numeric"."""
    return name.removeprefix("serving_default_").rsplit(":", 1)[0]


def tensorflow_engine(network: Path) -> Engine:
    """An engine over a .keras file, for a network that LiteRT cannot serve."""
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, str(threads()))
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise MedsparkError("this bundle needs TensorFlow to score: install medspark[train] on the workers") from error
    model = keras.saving.load_model(network, compile=False)
    function = tf.function(lambda tensors: model(tensors, training=False))

    def call(tensors: Arrays) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = function({k: tf.convert_to_tensor(v) for k, v in tensors.items()}).numpy()
        return logits

    pixels = sum(math.prod(one.shape[1:]) for one in model.inputs if one.dtype == "uint8")
    return _in_fixed_batches(call, rows_at_once(ROWS, pixels))


def _in_fixed_batches(call: Callable[[Arrays], npt.NDArray[np.float32]], each: int) -> Engine:
    """Calls of `each` rows, so that whatever the batch, a row's logit comes of a call of the same size."""

    def predict(tensors: Arrays) -> npt.NDArray[np.float64]:
        rows = len(next(iter(tensors.values())))
        logits = np.empty(rows, np.float64)
        for at in range(0, rows, each):
            part = {name: array[at : at + each] for name, array in tensors.items()}
            short = min(each, rows - at)
            if short < each:
                part = {name: np.pad(array, ((0, each - short), (0, 0))) for name, array in part.items()}
            logits[at : at + short] = call(part).reshape(-1)[:short]
        return logits

    return predict
