import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medspark.encode.inputs import share_of_categories, share_of_numbers
from medspark.encode.kinds.base import KNOTS
from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.encode.worker.encoder import as_list, encode, encode_batches
from medspark.encode.worker.flat import quantile_place
from medspark.encode.worker.tensors import arrays, shaped
from medspark.errors import InputError


def numeric(column="age", **changes):
    known = {"scaling": "standard", "center": 50.0, "scale": 10.0, "impute": 60.0, "missing_indicator": True}
    rest = {"knots": tuple(KNOTS), "mean": 50.0, "sd": 10.0, "missing_share": 0.0}
    return NumericStatistics(column=column, **{**known, **rest, **changes})


def categorical(column, *levels):
    return CategoricalStatistics(column=column, levels=levels, counts=(1,) * len(levels), rare=0, missing_share=0.0)


STATISTICS = Statistics(
    cases=10,
    numeric=(numeric(),),
    categorical=(categorical("sex", "F", "M"), categorical("ward", "A")),
    codes=(
        CodesStatistics(
            name="dx", columns=("d1", "d2", "d3"), codes=("I10", "E11"), counts=(2, 1), rare=0, missing_share=0.0
        ),
    ),
)


def test_a_level_of_statistics_from_before_spellings_were_one_is_the_one_that_is_seen():
    before = to_json(STATISTICS.model_copy(update={"categorical": (categorical("ward", "Chirurgie A", "B"),)}))
    read = from_json(before.replace("Chirurgie A", "Chirurgie\u00a0A"))
    assert read.categorical[0].levels == ("Chirurgie A", "B")
    found = encode(
        batch(age=[50.0, 50.0], ward=["Chirurgie A", "C"], d1=[None] * 2, d2=[None] * 2, d3=[None] * 2), read
    )
    assert found["categories"].tolist() == [[2], [1]]


def batch(**columns):
    types = {"age": pa.float64(), "sex": pa.string(), "ward": pa.string()}
    return pa.RecordBatch.from_arrays(
        [pa.array(values, types.get(name, pa.string())) for name, values in columns.items()], names=list(columns)
    )


CASES = batch(
    age=[40.0, None, float("nan"), float("inf")],
    sex=["M", None, "X", "F"],
    ward=["A", "A", None, "Z"],
    d1=["I10", None, "E11", "E11"],
    d2=["I10", None, "I10", None],
    d3=["???", None, None, "I10"],
)


def test_numbers_are_scaled_and_missing_ones_imputed_and_marked():
    assert encode(CASES, STATISTICS)["numeric"].tolist() == [[-1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]


def test_missing_and_unknown_levels_are_two_ids_and_features_share_one_table():
    # sex has ids 0..3 (missing, unknown, F, M), ward 4..6 (missing, unknown, A)
    assert encode(CASES, STATISTICS)["categories"].tolist() == [[3, 6], [0, 6], [1, 4], [2, 5]]


def test_a_bag_holds_each_code_once_in_no_order_that_the_columns_had():
    # 0 is padding, 1 unknown, I10 is 2, E11 is 3; "???" is unknown
    assert encode(CASES, STATISTICS)["codes_dx"].tolist() == [[2, 1, 0], [0, 0, 0], [3, 2, 0], [3, 2, 0]]


def test_tensors_have_the_networks_types():
    assert {name: array.dtype.name for name, array in encode(CASES, STATISTICS).items()} == {
        "numeric": "float32",
        "categories": "int32",
        "codes_dx": "int32",
    }


def test_a_rows_tensor_does_not_depend_on_its_batch():
    whole = encode(CASES, STATISTICS)
    for at in range(CASES.num_rows):
        alone = encode(CASES.slice(at, 1), STATISTICS)
        assert {name: array.tolist() for name, array in alone.items()} == {
            name: [array[at].tolist()] for name, array in whole.items()
        }


def test_an_empty_batch_gives_empty_tensors():
    assert {name: array.shape for name, array in encode(CASES.slice(0, 0), STATISTICS).items()} == {
        "numeric": (0, 2),
        "categories": (0, 2),
        "codes_dx": (0, 3),
    }


def test_whole_numbers_with_nulls_and_booleans_and_decimals_are_numbers():
    statistics = Statistics(
        cases=1,
        numeric=tuple(numeric(c, center=0.0, scale=1.0, impute=7.0, missing_indicator=False) for c in "abc"),
        categorical=(),
        codes=(),
    )
    found = pa.RecordBatch.from_arrays(
        [
            pa.array([2**53 + 1, None], pa.int64()),
            pa.array([True, False]),
            pa.array([None, "1.25"]).cast(pa.decimal128(10, 2)),
        ],
        names=["a", "b", "c"],
    )
    assert encode(found, statistics)["numeric"].tolist() == [[float(2**53), 1.0, 7.0], [7.0, 0.0, 1.25]]


def test_a_quantile_place_rises_from_0_to_1_and_ties_share_their_middle():
    knots = (0.0,) * 7 + (1.0, 1.0, 2.0, 3.0, 5.0, 21.0)
    found = quantile_place(np.array([-5.0, 0.0, 1.0, 2.0, 3.0, 5.0, 13.0, 21.0, 99.0]), knots)
    assert found.round(3).tolist() == [0.3, 0.3, 0.75, 0.9, 0.95, 0.99, 0.995, 1.0, 1.0]


def test_statistics_come_back_from_json_unchanged():
    assert from_json(to_json(STATISTICS)) == STATISTICS


def test_encoded_batches_become_arrays_again_without_a_copy():
    (encoded,) = encode_batches(iter([CASES]), STATISTICS, ("sex",))
    views = arrays(encoded, STATISTICS.inputs())
    assert views["numeric"].tolist() == encode(CASES, STATISTICS)["numeric"].tolist()
    assert not views["numeric"].flags.owndata


def tensors(column, name="categories"):
    return pa.record_batch([column], [name])


@given(st.integers(0, 20), st.integers(1, 5), st.integers(0, 5))
def test_numbers_survive_a_list_column_and_any_slice(rows, width, start):
    numbers = np.arange(rows * width, dtype=np.int32).reshape(rows, width)
    views, reasons = shaped(tensors(as_list(numbers).slice(start)), [share_of_categories(width, 100)])
    assert reasons is None
    assert views["categories"].tolist() == numbers[start:].tolist()


@pytest.mark.parametrize(
    ("rows", "numbers", "misshapen"),
    [
        ([[1.0], None], [[1.0], [0.0]], [False, True]),
        ([[1.0], [1.0, 2.0]], [[1.0], [0.0]], [False, True]),
        ([[], [1.0, 2.0], [3.0]], [[0.0], [0.0], [3.0]], [True, True, False]),
        ([[None], [2.0]], [[0.0], [2.0]], [True, False]),
    ],
)
def test_a_row_of_another_shape_becomes_zeros_with_a_reason(rows, numbers, misshapen):
    views, reasons = shaped(tensors(pa.array(rows, pa.list_(pa.float32())), "numeric"), [share_of_numbers(1)])
    assert views["numeric"].tolist() == numbers
    says = "numeric is null or not 1 numbers"
    assert reasons.tolist() == [says if wrong else None for wrong in misshapen]


def test_training_refuses_rows_of_another_shape():
    column = pa.array([[1.0], None], pa.list_(pa.float32()))
    with pytest.raises(InputError, match="1 of 2 rows cannot be read: numeric is null"):
        arrays(tensors(column, "numeric"), [share_of_numbers(1)])


def test_a_tensor_of_another_type_is_refused():
    with pytest.raises(InputError, match="expected lists of float, received list<item: double>"):
        arrays(tensors(pa.array([[1.0]], pa.list_(pa.float64())), "numeric"), [share_of_numbers(1)])


def test_an_absent_tensor_is_refused_by_name():
    with pytest.raises(InputError, match="categories"):
        arrays(batch(age=[1.0]), [share_of_categories(2, 9)])
