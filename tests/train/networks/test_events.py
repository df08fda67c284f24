from functools import cache

import keras
import numpy as np
import pytest

from medspark.encode.kinds.events import BagStatistics, GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.kinds.table import CategoricalStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import as_list
from medspark.evaluate.report.features import feature_rows
from medspark.evaluate.truth import Reading
from medspark.score.worker.engine import litert_engine
from medspark.task.training import Network
from medspark.train.baselines import fit_baselines, grid_summary, plain_tensors
from medspark.train.batches import dataset
from medspark.train.export import export_litert, keras_logits
from medspark.train.networks.build import build_network, serving_network

CODES = ("a", "b", "c")
SHARED = {"codes": CODES, "counts": (9, 8, 7), "rare": 6, "missing_share": 0.25}
ZEROS, ONES = ((0.0, 0.0),) * 3, ((1.0, 1.0),) * 3
STATISTICS = Statistics(
    cases=100,
    numeric=(),
    categorical=(CategoricalStatistics(column="sex", levels=("F", "M"), counts=(60, 40), rare=0, missing_share=0.0),),
    codes=(),
    values=(
        ValuesStatistics(
            column="labs_365d",
            takes=("last", "count"),
            scaling="standard",
            center=ZEROS,
            scale=ONES,
            impute=ZEROS,
            **SHARED,
        ),
    ),
    bags=(BagStatistics(column="dx-old_all", width=4, **SHARED),),
    sequences=(
        SequenceStatistics(column="past_all", last=8, mean=(0.0,) * 3, scale=(1.0,) * 3, knots=((),) * 3, **SHARED),
    ),
    grids=(GridStatistics(column="vitals", steps=6, mean=(0.0,) * 3, scale=(1.0,) * 3, carried=True, **SHARED),),
)
ROWS = 1500


def tensors(rows=ROWS, seed=0):
    """Random inputs of every kind; the first ten cases have no event at all."""
    rng = np.random.default_rng(seed)
    found = {}
    for one in STATISTICS.inputs():
        ids = rng.integers(0, one.size or 1, (rows, one.width))
        array = ids if one.dtype == "int32" else rng.normal(size=(rows, one.width))
        found[one.name] = array.astype(one.dtype)
    grid = found["grid_vitals"].reshape(rows, 6, 2, 3)
    grid[:, :, 1] = rng.random((rows, 6, 3)) < 0.5
    grid[:, :, 0] *= grid[:, :, 1]
    past = found["tokens_past_all"] > 0
    found["times_past_all"] = np.abs(found["times_past_all"]) * past
    for name in ("numbers_past_all", "bins_past_all"):
        found[name] *= past
    found["gaps_past_all"] = np.abs(found["gaps_past_all"]) * past
    found["since_vitals"] = np.clip(np.abs(found["since_vitals"]), 0, 1)
    return {
        name: np.where(np.arange(rows)[:, None] < 10, 0, array).astype(array.dtype) for name, array in found.items()
    }


def trained(**settings):
    members = Network(**settings).members
    network = build_network(STATISTICS, Network(**settings), 1e-4, seed=1, sample=tensors())
    network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    label = np.random.default_rng(3).integers(0, 2, (ROWS, 1)).astype(np.float32)
    before = [weight.numpy().copy() for weight in network.trainable_weights]
    network.fit(tensors(), np.repeat(label, members, axis=1)[..., None], batch_size=500, epochs=1, verbose=0)
    moved = [not np.array_equal(was, now.numpy()) for was, now in zip(before, network.trainable_weights, strict=True)]
    assert all(moved)  # every part of the network is on the way from the inputs to the loss
    return serving_network(network)


@pytest.mark.parametrize(
    "settings",
    [
        {"members": 1},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in (
                {},
                {"kind": "plain", "size": "medium", "members": 2},
                {"sequence": "gru", "members": 2},
                {"sequence": "lstm", "members": 2},
                {"sequence": "transformer", "members": 2},
                {"sequence": "transformer", "kind": "plain", "members": 1, "size": "medium"},
            )
        ),
    ],
)
def test_a_network_of_every_kind_of_input_trains_and_litert_serves_it_alike(tmp_path, settings):
    network = trained(**settings)
    difference = export_litert(network, tmp_path / "network.tflite", tensors(seed=7)).difference
    assert difference is not None
    assert difference < 1e-5


KINDS = [
    {"members": 3},
    {"kind": "plain", "members": 2},
    *(
        pytest.param({"sequence": kind, "members": 2}, marks=pytest.mark.slow)
        for kind in ("gru", "lstm", "transformer")
    ),
]


def learned(last=8, **settings):
    """A network whose weights are all drawn anew: the vectors of ids start at 0."""
    return _learned(last, Network(**settings))


@cache
def _learned(last, settings):
    (past,) = STATISTICS.sequences
    statistics = STATISTICS.model_copy(update={"sequences": (past.model_copy(update={"last": last}),)})
    network = build_network(statistics, settings, 0.0, seed=1, sample=tensors())
    rng = np.random.default_rng(5)
    network.set_weights([rng.normal(scale=0.1, size=weight.shape) for weight in network.get_weights()])
    return serving_network(network)


@pytest.mark.parametrize("settings", KINDS)
def test_every_input_reaches_the_logit(settings):
    network = learned(**settings)
    found = tensors(200)
    for name in sorted(STATISTICS.widths()):
        shuffled = {**found, name: found[name][::-1]}
        changed = np.abs(keras_logits(network, found) - keras_logits(network, shuffled))
        assert changed[20:180].max() > 1e-6, name


@pytest.mark.parametrize("settings", KINDS)
def test_padding_of_a_sequence_says_nothing_whatever_stands_there(settings):
    network = learned(**settings)
    found = tensors(40)
    found["tokens_past_all"][:, :3] = 0
    other = {name: array.copy() for name, array in found.items()}
    for name, junk in (("times", 0.7), ("numbers", -3.0), ("gaps", 0.4), ("bins", 5)):
        other[f"{name}_past_all"][:, :3] = junk  # where no token is
    assert keras_logits(network, found) == pytest.approx(keras_logits(network, other), abs=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_a_sequence_says_the_same_in_a_longer_window(settings):
    found = tensors(40)
    padded = {
        name: np.pad(array, ((0, 0), (12, 0))) if name.endswith("past_all") else array for name, array in found.items()
    }
    longer = keras_logits(learned(last=20, **settings), padded)
    assert keras_logits(learned(**settings), found) == pytest.approx(longer, abs=1e-5)


@pytest.mark.parametrize("kind", ["tabular", "plain"])
def test_a_grid_without_any_number_says_as_much_whatever_stands_there(kind):
    network = learned(kind=kind)
    found = tensors(20)
    found["since_vitals"][:] = 1.0  # never yet
    other = {**found, "grid_vitals": found["grid_vitals"] + 1.0}
    assert keras_logits(network, found) == pytest.approx(keras_logits(network, other), abs=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_litert_agrees_with_keras_at_the_edges_whatever_the_batch(tmp_path, settings):
    network = learned(**settings)
    random = tensors(300, seed=4)
    empty = {name: np.zeros_like(array[:4]) for name, array in random.items()}
    empty["since_vitals"][:] = 1.0
    full = {name: array[20:40].copy() for name, array in random.items()}
    full["tokens_past_all"][:] = 4
    full["times_past_all"][:] = 1.4  # 137 years ago
    full["numbers_past_all"][:], full["bins_past_all"][:] = -10.0, 14
    full["grid_vitals"][:] = 3.0
    assert export_litert(network, tmp_path / "network.tflite", random).difference < 1e-5
    served = litert_engine(tmp_path / "network.tflite")
    for found in (empty, full):
        assert served(found) == pytest.approx(keras_logits(network, found), abs=1e-5)
    whole = served(random)
    for rows in (slice(0, 1), slice(7, 9), slice(100, 300)):
        part = served({name: array[rows] for name, array in random.items()})
        assert part.tolist() == whole[rows].tolist()  # bit for bit


def test_a_recurrent_network_too_long_to_unroll_is_left_to_tensorflow_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("medspark.train.export.MOST_UNROLLED", 7)
    exported = export_litert(learned(sequence="gru"), tmp_path / "network.tflite", tensors(20))
    assert exported == (None, "a recurrent layer reads 8 events, of which LiteRT is given 7 at most")
    assert not (tmp_path / "network.tflite").exists()


def test_tensors_of_every_kind_come_back_from_parquet_with_their_types(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = tensors(50)
    folder = tmp_path / "split=train"
    folder.mkdir()
    columns = {name: as_list(array) for name, array in found.items()}
    pq.write_table(
        pa.table({"boolean_value": [True, False] * 25, "subject_id": list(range(50)), **columns}),
        folder / "0.parquet",
        row_group_size=20,
    )
    reading = Reading("binary", ("boolean_value",), 1)
    given = dataset([folder / "0.parquet"], STATISTICS.inputs(), reading, 64, None)
    ((inputs, truth),) = given(0, 0).as_numpy_iterator()
    dtypes = {one.name: one.dtype for one in STATISTICS.inputs()}
    assert {name: array.dtype.name for name, array in inputs.items()} == dtypes
    assert all(np.array_equal(inputs[name], found[name]) for name in found)
    assert truth[:, 0, 2].tolist() == [-1.0] * 50, "without folds"


# ---------------------------------------------------------------- baselines and report


def test_of_a_grid_a_baseline_reads_each_codes_last_value_mean_and_share_observed():
    # three steps of two codes: the values, then whether there is one
    grid = np.array([[[2.0, 0.0, 1, 0], [4.0, 0.0, 1, 0], [0.0, 0.0, 0, 0]]], np.float32).reshape(1, -1)
    assert grid_summary(grid, 2).round(4).tolist() == [[4.0, 0.0, 3.0, 0.0, pytest.approx(2 / 3, abs=1e-4), 0.0]]


def test_times_and_numbers_of_a_sequence_are_left_out_of_baselines():
    plain = plain_tensors(tensors(30), STATISTICS.inputs())
    assert set(plain) == {"numeric", "categories", "codes_dx-old_all", "tokens_past_all"}
    assert plain["numeric"].shape == (30, 3 * 3 + 3 * 3)


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
@pytest.mark.parametrize("key", ["tokens_past_all", "grid_vitals"])
def test_baselines_find_the_signal_in_sequences_and_grids_and_say_what_they_left_out(name, key):
    from sklearn.metrics import roc_auc_score

    found, unseen = tensors(), tensors(seed=9)

    def outcome(given):
        if key == "tokens_past_all":
            return (given[key] == 4).any(axis=1)
        return grid_summary(given[key], 3)[:, 4] > 0.2

    baseline = fit_baselines(found, outcome(found), STATISTICS.inputs(), seed=0)[name]
    assert roc_auc_score(outcome(unseen), baseline(unseen)) > 0.95
    assert "sequences as bags of codes, without times and numbers" in baseline.description
    assert "of grids each code's last value, mean and share" in baseline.description


def test_many_numbers_are_fitted_on_fewer_cases(monkeypatch):
    monkeypatch.setattr("medspark.train.baselines.NUMBER_CELLS", 18 * 300)
    monkeypatch.setattr("medspark.train.baselines.LEAST_ROWS", 50)
    label = np.arange(ROWS) % 2
    assert fit_baselines(tensors(), label, STATISTICS.inputs(), 0)["logistic_regression"].rows == 300


def test_the_report_has_one_line_for_each_column_of_events():
    lines = {row["name"]: (row["kind"], row["summary"]) for row in feature_rows(STATISTICS)}
    assert lines == {
        "sex": ("categorical", "2 levels; 0 cases with a rarer one"),
        "labs_365d": ("values", "3 codes x 2 numbers; standard scaling; 6 rarer ones left out"),
        "dx-old_all": ("bag", "3 codes (at most 4 a case); 6 rarer ones unknown"),
        "past_all": ("sequence", "3 codes of the last 8 events; 6 rarer ones unknown"),
        "vitals": ("grid", "3 codes x 6 steps; 6 rarer ones left out"),
    }
