"""Encoders of sequences learn to foretell the next event."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.encode.kinds.events import SequenceStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import as_list
from medspark.task.training import Network, Pretraining
from medspark.train.networks.build import build_network
from medspark.train.pretrain import Excerpts, _asked, pretrain

pytestmark = pytest.mark.slow

PAST = SequenceStatistics(
    column="past_all",
    codes=("a", "b", "c"),
    counts=(9, 8, 7),
    rare=0,
    missing_share=0.0,
    last=12,
    mean=(0.0,) * 3,
    scale=(1.0,) * 3,
    knots=((),) * 3,
)
STATISTICS = Statistics(cases=9, numeric=(), categorical=(), codes=(), sequences=(PAST,))
TOKENS, TIMES, NUMBERS, GAPS, BINS = (one.name for one in PAST.inputs())


def histories(rows, seed=0):
    """a, b, c, a and so on: after a c a day passes, else an hour. Some histories are shorter than the sequence."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 3, rows)[:, None] + np.arange(12)
    code = place % 3
    hours = np.where(code == 0, 24.0, 1.0)
    there = np.arange(12) >= rng.integers(0, 8, rows)[:, None]
    made = {
        TOKENS: np.where(there, code + 2, 0).astype(np.int32),
        TIMES: rng.random((rows, 12)).astype(np.float32) * there,
        NUMBERS: np.zeros((rows, 12), np.float32),
        GAPS: (np.log1p(hours) / 10 * there).astype(np.float32),
        BINS: np.zeros((rows, 12), np.int32),
    }
    return {name: np.where(there, array, 0).astype(array.dtype) for name, array in made.items()}


@pytest.fixture
def excerpts(tmp_path):
    table = pa.table({name: as_list(array) for name, array in histories(400).items()})
    pq.write_table(table, tmp_path / "0.parquet", row_group_size=150)
    return {"past_all": Excerpts(PAST.inputs(), [tmp_path / "0.parquet"])}


def network(kind):
    return build_network(STATISTICS, Network(sequence=kind, members=3), 0.0, seed=0, sample={})


@pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])
def test_what_always_follows_is_foretold_and_when_and_the_weights_are_the_networks(excerpts, kind):
    members = network(kind)
    before = members.get_weights()
    history = pretrain(members, excerpts, Pretraining(epochs=20, batch_size=32, learning_rate=0.02), seed=0)
    losses = history["past_all"]
    assert losses[0]["code_loss"] > 0.5  # of three codes, drawn blindly, 1.1
    assert losses[-1]["code_loss"] < 0.1
    # a third of the waits is a day and the others an hour: at the true rates 1 - (2/3) log 24 is about -1.1
    assert losses[-1]["time_loss"] == pytest.approx(1 - 2 / 3 * np.log(24), abs=0.15)
    moved = [not np.array_equal(was, now) for was, now in zip(before, members.get_weights(), strict=True)]
    assert any(moved)
    assert not all(moved)  # the members' own weights wait for outcomes


def test_the_same_seed_gives_the_same_weights(excerpts):
    made = []
    for _ in range(2):
        members = network("transformer")
        pretrain(members, excerpts, Pretraining(epochs=1), seed=3)
        made.append(members.get_weights())
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(*made, strict=True))


def test_an_excerpt_with_one_bit_flipped_is_not_learned_from(excerpts):
    (file,) = excerpts["past_all"].files
    pq.write_table(pq.read_table(file), file, write_page_checksum=True)
    column = pq.read_metadata(file).row_group(0).column(0)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 3] ^= 4
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)checksum"):
        pretrain(network("gru"), excerpts, Pretraining(epochs=1), seed=0)


def test_an_encoder_is_not_told_how_long_before_the_prediction_an_event_is():
    tensors = histories(5)
    read, truth, weight = _asked(tensors, PAST.inputs()[0])
    assert not read[TIMES].any()
    assert tensors[TIMES].any()
    assert (truth["code"][:, :-1] == tensors[TOKENS][:, 1:]).all()
    there = (tensors[TOKENS] > 0) & (truth["code"] > 0)
    assert ((weight > 0) == there).all()
    assert weight.mean() == pytest.approx(1.0)
    assert truth["rate"][there] == pytest.approx(np.where(truth["code"][there] == 2, 1.0, 1 / 24), rel=1e-4)


def test_an_encoder_foretells_an_event_from_those_before_it_alone():
    members = network("transformer")
    (encoder,) = [layer for layer in members.layers if layer.name.startswith("encoder_")]
    found, other = histories(30), histories(30)
    other[TOKENS][:, 9:] = 4
    other[GAPS][:, 9:] = 0.9
    states, changed = (np.asarray(encoder(one)) for one in (found, other))
    there = found[TOKENS][:, :9] != 0  # the state of padding is read by nobody
    assert there.any()
    assert np.allclose(states[:, :9][there], changed[:, :9][there], atol=1e-6)
    assert not np.allclose(states[:, 9:], changed[:, 9:], atol=1e-3)
