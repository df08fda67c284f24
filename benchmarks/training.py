"""Training that streams tensors from Parquet beside `Model.fit` on the same arrays in memory; and how well it shuffles.

    python benchmarks/training.py [--cases N] [--epochs E] [--workers 1 2]

Both ways learn from the same cases in batches of the same size, in turn, and the median epoch counts; the first, which
compiles, does not. Streaming is medspark's own loop, checkpoints included. The shuffle is measured on a table ten times
as large as its window. `--workers` measures nothing but so many workers of one core each that learn together, in place
of all that.
"""

import argparse
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext
from rich.console import Console
from rich.table import Table
from scipy.stats import kstest

from medspark.encode.inputs import Input, share_of_numbers
from medspark.encode.worker.encoder import as_list
from medspark.evaluate.truth import Reading, truth_of
from medspark.runs.progress import Told
from medspark.spark.session import start_context
from medspark.task.outcome import Targets
from medspark.task.training import Training
from medspark.train.batches import batches, dataset, read_labels
from medspark.train.checkpoints import EVERY_SECONDS, Checkpoint
from medspark.train.distribute.barrier import learn_by_members
from medspark.train.fit import Material
from medspark.train.loop import Lessons, learn_steps
from medspark.train.steps import Schedule

WIDTH = 64
NETWORKS = {"64-128-64-1": (128, 64), "64-512-256-128-1": (512, 256, 128)}
GROUP_ROWS = 100_000
"""As a row group of 32 MB has."""
YES_OR_NO = Reading("binary", ("boolean_value",), 1)
INPUTS = [share_of_numbers(WIDTH)]
Floats = npt.NDArray[np.float32]


def write(folder: Path, cases: int, width: int = WIDTH, group: int = GROUP_ROWS) -> tuple[list[Path], Floats, Floats]:
    """Cases in files of half a million, and the same in memory; a case's first number is its place in the table."""
    rng, files, kept = np.random.default_rng(0), [], []
    for at, start in enumerate(range(0, cases, 500_000)):
        count = min(500_000, cases - start)
        numbers = rng.normal(size=(count, width)).astype(np.float32)
        numbers[:, 0] = np.arange(start, start + count) / cases
        label = rng.random(count) < 1 / (1 + np.exp(-numbers[:, 1:3].sum(axis=1)))
        frame = pa.table({"subject_id": np.arange(start, start + count), "boolean_value": label})
        files.append(folder / f"{at}.parquet")
        whole = frame.append_column("numeric", as_list(numbers))
        pq.write_table(whole, files[-1], row_group_size=group, use_dictionary=False, compression="lz4")
        kept.append((numbers, label))
    return files, np.concatenate([one for one, _ in kept]), np.concatenate([one for _, one in kept]).astype(np.float32)


def network(hidden: tuple[int, ...]) -> Any:
    """A plain network, compiled."""
    keras.utils.set_random_seed(0)
    tensors = {"numeric": keras.Input((WIDTH,), name="numeric")}
    found = tensors["numeric"]
    for width in hidden:
        found = keras.layers.Dense(width, activation="silu")(found)
    model = keras.Model(tensors, keras.layers.Dense(1)(found))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    return model


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """When each epoch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ended.append(time.perf_counter())


def in_memory(hidden: tuple[int, ...], numbers: Floats, label: Floats, batch: int, epochs: int) -> float:
    """Seconds of the median epoch of `Model.fit` but the first."""
    clock = Clock()
    network(hidden).fit({"numeric": numbers}, label, batch_size=batch, epochs=epochs, verbose=0, callbacks=[clock])
    return float(np.median(np.diff(clock.ended)))


def streamed(hidden: tuple[int, ...], files: list[Path], cases: int, batch: int, epochs: int, folder: Path) -> float:
    """The same of medspark's loop."""
    ended: list[float] = []

    def watch(_: Any) -> dict[str, float]:
        ended.append(time.perf_counter())
        return {"valid_loss": -float(len(ended))}

    given = dataset(files, INPUTS, YES_OR_NO, batch, 0)

    def lessons(epoch: int, done: int) -> Any:
        return given(epoch, done).map(lambda tensors, truth: (tensors, truth[:, 0, :1]))

    checkpoint = Checkpoint(folder / f"{len(hidden)}-{time.time_ns()}.npz", "benchmark", EVERY_SECONDS, lambda _: None)
    plan = Schedule(batch, epochs, epochs * -(-cases // batch))
    told = Lessons("network", lessons, plan, watch, lambda row: row["valid_loss"], epochs)
    learn_steps(network(hidden), told, lambda _: None, checkpoint)
    return float(np.median(np.diff(ended)))


def by_workers(context: SparkContext, hidden: tuple[int, ...], files: list[Path], workers: int, args: Any) -> float:
    """Examples a second of the median epoch but the first, of workers of one core each; they watch a hundredth."""
    inputs = {"numeric": keras.Input((WIDTH,), name="numeric")}
    found = inputs["numeric"]
    for width in hidden:
        found = keras.layers.Dense(width, activation="silu")(found)
    members = keras.Model(inputs, keras.layers.Reshape((1, 1))(keras.layers.Dense(1)(found)))
    truth = truth_of(read_labels(files, YES_OR_NO), YES_OR_NO)
    material = Material(files[:-1], files[-1:], INPUTS, YES_OR_NO, None, truth)
    training = Training(workers=workers, batch_size=args.batch, epochs=args.epochs, patience=args.epochs)
    targets = Targets("binary", ("outcome",))
    ended: list[float] = []

    def told(of: Told) -> None:
        if of.ended:
            ended.append(time.perf_counter())

    learn_by_members(context, members, material, targets, training, told, None)
    return args.cases / float(np.median(np.diff(ended)))


def compare_workers(args: Any, console: Console) -> None:
    """Examples a second side by side."""
    os.environ.setdefault("MEDSPARK_MASTER", f"local[{max(args.workers)}]")
    context = start_context("benchmark")
    with tempfile.TemporaryDirectory() as place:
        files, _, _ = write(Path(place), args.cases)
        (Path(place) / "watched").mkdir()
        files += write(Path(place) / "watched", args.cases // 100)[0]
        table = Table("network, numbers a step", *(f"{count} of one core, examples/s" for count in args.workers))
        for name, hidden in NETWORKS.items():
            found = [by_workers(context, hidden, files, count, args) for count in args.workers]
            numbers = sum(one * other + other for one, other in pairwise((WIDTH, *hidden, 1)))
            table.add_row(f"{name}, {numbers:,}", *(f"{one:,.0f} ({one / found[0]:.2f})" for one in found))
        console.print(table)


def shuffle_quality(files: list[Path], inputs: list[Input], cases: int, window: int | None) -> tuple[float, float]:
    """Of one epoch: how far the places of the table's first tenth are from even over the epoch (Kolmogorov-Smirnov,
    from 0 to 1), and the correlation of neighbours' places in the table."""
    if window is None:
        place = np.random.default_rng(0).permutation(cases) / cases
    else:
        found = batches(files, inputs, YES_OR_NO, 1024, [0, 0], window)
        place = np.concatenate([tensors["numeric"][:, 0] for tensors, _, _ in found]).astype(np.float64)
    assert len(np.unique(np.round(place * cases))) == cases, "every case once"
    of_first = np.flatnonzero(place < 0.1) / cases
    return float(kstest(of_first, "uniform").statistic), float(np.corrcoef(place[:-1], place[1:])[0, 1])


def compare_with_memory(args: Any, console: Console) -> None:
    """Streaming beside arrays in memory, and the shuffle beside a permutation."""
    with tempfile.TemporaryDirectory() as place:
        files, numbers, label = write(Path(place), args.cases)
        table = Table("network", "fit on arrays, examples/s", "streamed, examples/s", "of it")
        for name, hidden in NETWORKS.items():
            memory = args.cases / in_memory(hidden, numbers, label, args.batch, args.epochs)
            stream = args.cases / streamed(hidden, files, args.cases, args.batch, args.epochs, Path(place))
            table.add_row(name, f"{memory:,.0f}", f"{stream:,.0f}", f"{stream / memory:.0%}")
        console.print(table)
    with tempfile.TemporaryDirectory() as place:
        files, _, _ = write(Path(place), args.cases, 1, args.cases // 100)
        table = Table("order", "distance of the first tenth's places from even", "correlation of neighbours")
        for name, share in (("a permutation of all", None), ("a window of a tenth", args.cases // 10)):
            window = None if share is None else share * 4  # bytes, of one number a case
            distance, neighbours = shuffle_quality(files, [share_of_numbers(1)], args.cases, window)
            table.add_row(name, f"{distance:.4f}", f"{neighbours:+.4f}")
        console.print(table)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--cases", type=int, default=400_000)
    asked.add_argument("--epochs", type=int, default=6)
    asked.add_argument("--batch", type=int, default=1024)
    asked.add_argument("--workers", type=int, nargs="*", default=[])
    args = asked.parse_args()
    console = Console()
    if args.workers:
        compare_workers(args, console)
    else:
        compare_with_memory(args, console)


if __name__ == "__main__":
    main()
