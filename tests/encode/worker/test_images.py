"""Images to tensors: which of a case's there are, and their pixels without a copy."""

import numpy as np
import pyarrow as pa
import pytest

from medspark.encode.inputs import images
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.encode.worker.encoder import encode, encode_batches
from medspark.encode.worker.tensors import arrays, shaped, without_unsound
from medspark.errors import InputError

A, B = bytes(range(4)), bytes(range(4, 8))
NONE = bytes(4)


def statistics(several="first", columns=("front", "side"), varies=True):
    image = ImageStatistics(
        name="chest", columns=columns, height=2, width=2, channels=1, several=several, missing_share=0, varies=varies
    )
    return Statistics(cases=9, numeric=(), categorical=(), codes=(), images=(image,))


def batch(front, side):
    return pa.record_batch({"front": pa.array(front, pa.binary()), "side": pa.array(side, pa.binary())})


CASES = batch([A, A, None, None], [B, None, B, None])


@pytest.mark.parametrize(
    ("several", "pixels", "seen"),
    [
        ("first", [A, A, B, NONE], [[1], [1], [1], [0]]),
        ("last", [B, A, B, NONE], [[1], [1], [1], [0]]),
        ("mean", [A + B, A + NONE, NONE + B, NONE + NONE], [[1, 1], [1, 0], [0, 1], [0, 0]]),
    ],
)
def test_of_several_images_those_reach_the_network_that_the_rule_says(several, pixels, seen):
    found = encode(CASES, statistics(several))
    assert [row.tobytes() for row in found["pixels_chest"]] == pixels
    assert found["seen_chest"].tolist() == seen
    assert (found["pixels_chest"].dtype, found["seen_chest"].dtype) == (np.uint8, np.float32)


@pytest.mark.parametrize("several", ["first", "mean"])
def test_a_case_is_the_same_alone_and_in_a_slice(several):
    whole = encode(CASES, statistics(several))
    for at in range(4):
        one = encode(CASES.slice(at, 1), statistics(several))
        assert all(np.array_equal(one[name], whole[name][at : at + 1]) for name in whole)


def test_no_rows_give_no_rows():
    assert encode(CASES.slice(0, 0), statistics("mean"))["pixels_chest"].shape == (0, 8)


def test_pixels_are_not_copied_on_their_way():
    column = pa.array([A, B], pa.binary())
    one = statistics(columns=("front",))
    encoded = encode(pa.record_batch({"front": column}), one)["pixels_chest"]
    place = column.buffers()[2].address
    assert encoded.ctypes.data == place
    (made,) = encode_batches(iter([pa.record_batch({"front": column})]), one, ())
    assert made.schema.field("pixels_chest").type == pa.binary()
    back = arrays(made, one.inputs())
    assert back["pixels_chest"].ctypes.data == made.column("pixels_chest").buffers()[2].address == place
    assert back["pixels_chest"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_bytes_of_another_number_get_no_score_and_change_no_other_row():
    found = encode(batch([A, b"123", A], [None] * 3), statistics())
    assert [row.tobytes() for row in found["pixels_chest"]] == [A, NONE, A]
    sound, reasons = without_unsound(found, {}, None)
    assert reasons.tolist() == [None, "seen_chest is not finite", None]
    assert sound["seen_chest"].tolist() == [[1], [0], [1]]


def test_tensors_of_another_number_of_bytes_or_none_become_zeros_with_a_reason():
    pixels, _ = images("chest", (1, 2, 2, 1))
    rows = pa.record_batch({"pixels_chest": pa.array([A, None, b"12345", B], pa.binary())})
    found, reasons = shaped(rows, [pixels])
    assert [row.tobytes() for row in found["pixels_chest"]] == [A, NONE, NONE, B]
    says = "pixels_chest is null or not 4 bytes"
    assert reasons.tolist() == [None, says, says, None]
    with pytest.raises(InputError, match="expected binary values, received list"):
        shaped(pa.record_batch({"pixels_chest": pa.array([[1]], pa.list_(pa.int32()))}), [pixels])


def test_images_that_are_all_alike_are_left_out_by_name():
    one = statistics(varies=False)
    assert one.inputs() == []
    assert one.columns() == []
    assert one.images[0].remark == "left out, the same in all training cases"


def test_statistics_come_back_from_json_and_those_of_before_have_no_images():
    assert from_json(to_json(statistics())) == statistics()
    assert from_json('{"cases": 1, "numeric": [], "categorical": [], "codes": []}').images == ()
