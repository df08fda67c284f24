"""Arrow's arrays without pandas: the same as pyarrow's own ways make, views where nothing need be copied."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medspark.encode.worker.arrow import number_array, numbers_of, text_array

DTYPES = st.sampled_from([np.int8, np.int32, np.int64, np.float32, np.float64])


@given(st.lists(st.integers(-100, 100)), DTYPES)
def test_numbers_make_the_array_that_pyarrow_makes(values, dtype):
    numbers = np.array(values, dtype)
    assert number_array(numbers).equals(pa.array(numbers))
    every_other = np.arange(len(numbers)) % 2 == 0
    assert number_array(numbers, every_other).equals(pa.array(numbers, mask=every_other))
    assert number_array(numbers, np.zeros(len(numbers), bool)).null_count == 0


@given(st.lists(st.text()))
def test_texts_make_the_array_that_pyarrow_makes(texts):
    assert text_array(texts).equals(pa.array(texts, pa.string()))


@given(st.lists(st.integers(-100, 100)), DTYPES, st.integers(0, 3), st.integers(0, 3))
def test_numbers_of_a_part_of_an_array_are_a_view_of_it(values, dtype, first, last):
    array = pa.array(np.array(values, dtype))
    part = array.slice(first, max(0, len(array) - first - last))
    found = numbers_of(part)
    assert found.dtype == dtype
    assert found.tolist() == part.to_pylist()
    if len(found):
        assert found.ctypes.data == array.buffers()[1].address + first * found.itemsize
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 0


def test_numbers_past_2_to_the_53_stay_whole():
    assert numbers_of(number_array(np.array([2**53 + 1]))).tolist() == [2**53 + 1]
    assert number_array(np.array([2**53 + 1])).to_pylist() == [2**53 + 1]
