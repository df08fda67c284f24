"""Pretraining: before any outcome is learned, a sequence's encoder foretells the next event from those before it.

What the next code is, by a softmax over the vocabulary, and how long until then, by an exponential distribution whose
rate the encoder says (as a language model of events does, and MOTOR for times: Steinberg et al. 2023, arXiv
2301.03150). The histories are those of the training split's patients alone, cases or not, with an outcome or without.
How long an event is before the prediction is withheld: it would tell the time to the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame

from medspark.cases.excerpts import build_excerpts
from medspark.encode.apply import encode_excerpts
from medspark.encode.inputs import Input, size_of
from medspark.encode.kinds.events import GAPS_PREFIX, TIMES_PREFIX, TOKENS_PREFIX
from medspark.encode.statistics import Statistics
from medspark.encode.worker.events import LOG_HOURS
from medspark.encode.worker.tensors import Arrays, arrays
from medspark.task.event_task import EventTask
from medspark.task.training import Pretraining
from medspark.train.batches import opened
from medspark.train.networks.encoders import PREFIX

LOGITS: Final = 40_000_000
"""Of a batch at most: events times codes."""
FASTEST: Final = 6.0
"""The largest logarithm of a rate, a day, and the least but for its sign: a gap of four minutes, or of a year."""

History = list[dict[str, float]]
"""One row an epoch: the losses, in nats an event."""


class Excerpts(NamedTuple):
    """Excerpts of histories as tensors."""

    inputs: Sequence[Input]
    files: list[Path]


def write_excerpts(records: DataFrame, task: EventTask, statistics: Statistics, folder: str) -> dict[str, Excerpts]:
    """Each sequence's excerpts, encoded by its statistics, below a folder of this machine, by the column's name."""
    columns = {column.name: column for column in task.features.columns()}
    found = {}
    for sequence in statistics.sequences:
        place = f"{folder}/{sequence.column}"
        excerpts = build_excerpts(records, task, columns[sequence.column])
        encode_excerpts(excerpts, sequence).write.parquet(f"file:{place}")
        found[sequence.column] = Excerpts(sequence.inputs(), sorted(Path(place).glob("*.parquet")))
    return found


def pretrain(members: Any, excerpts: Mapping[str, Excerpts], settings: Pretraining, seed: int) -> dict[str, History]:
    """Let every encoder of a network learn from its sequence's excerpts; its weights change in place."""
    found = {}
    for name, read in excerpts.items():
        encoders = [layer for layer in members.layers if layer.name.startswith(f"{PREFIX}{TOKENS_PREFIX}{name}_")]
        for at, encoder in enumerate(encoders):
            found[f"{name} {at + 1}" if len(encoders) > 1 else name] = _learn(encoder, read, settings, seed + at)
    return found


def _learn(encoder: Any, excerpts: Excerpts, settings: Pretraining, seed: int) -> History:
    tokens = excerpts.inputs[0]
    model = _foreteller(encoder, tokens, seed)
    model.compile(
        optimizer=keras.optimizers.AdamW(settings.learning_rate, weight_decay=0.01, global_clipnorm=1.0),
        loss={"code": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "rate": _time_loss},
        jit_compile=False,
    )
    batch_size = max(1, min(settings.batch_size, LOGITS // (tokens.width * size_of(tokens))))
    history: History = []
    for epoch in range(settings.epochs):
        rng = np.random.default_rng([seed, epoch])
        total, events = np.zeros(2), 0.0
        for tensors in _batches(excerpts, batch_size, rng):
            read, truth, weight = _asked(tensors, tokens)
            found = model.train_on_batch(read, truth, dict.fromkeys(truth, weight), return_dict=True)
            asked = float(np.count_nonzero(weight))
            total += np.array([found["code_loss"], found["rate_loss"]]) * asked
            events += asked
            model.reset_metrics()
        code, rate = (total / max(events, 1.0)).tolist()
        history.append({"epoch": epoch + 1, "code_loss": code, "time_loss": rate})
    return history


def _foreteller(encoder: Any, tokens: Input, seed: int) -> Any:
    """The encoder, and from each of its states the logits of the next code and the logarithm of a rate, a day."""
    init = keras.initializers.GlorotUniform
    logits = keras.layers.Dense(size_of(tokens), kernel_initializer=init(seed=seed), name="code")(encoder.output)
    raw = keras.layers.Dense(1, kernel_initializer=init(seed=seed + 1))(encoder.output)
    bounded = FASTEST * keras.ops.tanh(raw / FASTEST)
    rate = keras.layers.Reshape((tokens.width,), name="rate")(bounded)
    return keras.Model(encoder.input, {"code": logits, "rate": rate})


def _time_loss(days: Any, rate: Any) -> Any:
    """The negative log-likelihood of waiting so many days, (n, events), at a rate's logarithm."""
    return keras.ops.exp(rate) * days - rate


def _batches(excerpts: Excerpts, batch_size: int, rng: np.random.Generator) -> Iterator[Arrays]:
    """Every excerpt once, a row group at a time, in a drawn order."""
    groups = [(file, group) for file in excerpts.files for group in range(opened(file).num_row_groups)]
    for at in rng.permutation(len(groups)):
        file, group = groups[at]
        table = opened(file).read_row_group(group).combine_chunks()
        for batch in table.to_batches():
            whole, order = arrays(batch, excerpts.inputs), rng.permutation(batch.num_rows)
            for first in range(0, len(order), batch_size):
                drawn = order[first : first + batch_size]
                yield {name: array[drawn] for name, array in whole.items()}


def _asked(tensors: Arrays, tokens: Input) -> tuple[Arrays, dict[str, npt.NDArray[Any]], npt.NDArray[np.float32]]:
    """What the encoder reads of excerpts (n, events), what comes next, and the weight of each answer.

    The weights are 0 where there is no event, or none after it, and 1 in the mean.
    """
    name = tokens.name.removeprefix(TOKENS_PREFIX)
    read = {**tensors, TIMES_PREFIX + name: np.zeros_like(tensors[TIMES_PREFIX + name])}
    code, gap = (_next(tensors[prefix + name]) for prefix in (TOKENS_PREFIX, GAPS_PREFIX))
    days = np.expm1(LOG_HOURS * gap.astype(np.float64)) / 24
    asked = (np.not_equal(tensors[tokens.name], 0) & np.not_equal(code, 0)).astype(np.float32)
    return read, {"code": code, "rate": days.astype(np.float32)}, asked / max(asked.mean(), 1e-9)


def _next(events: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What each event's next one has, (n, events); 0 of the last."""
    return np.concatenate([events[:, 1:], np.zeros_like(events[:, :1])], axis=1)
