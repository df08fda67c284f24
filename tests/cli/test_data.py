"""A hospital is written by one run at a time."""

import pytest
from support.roads import new_run

from medspark.cli.data import make_hospital
from medspark.errors import BusyError
from medspark.runs.lock import holding


def test_of_two_hospitals_into_one_folder_the_second_is_told_who_writes_the_first(spark, tmp_path):
    first, out = new_run(spark, tmp_path / "out"), tmp_path / "out"
    with holding(first), pytest.raises(BusyError, match=f"is in use: run {first.receipt.run_id}"):
        make_hospital(new_run(spark, out), str(out), 20, 1)
    assert list(out.iterdir()) == []
    make_hospital(new_run(spark, tmp_path / "store"), str(out), 20, 1)
    assert sorted(path.name for path in out.iterdir()) == ["flat", "omop", "planted.json"]
