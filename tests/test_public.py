"""The public face: what `import medspark` offers, and that a notebook can do with it what the command does."""

import subprocess
import sys
import typing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.roads import scores_of, stays, write
from support.tasks import task_file

import medspark
from medspark.errors import InputError
from medspark.schemas import BESIDE_TYPES


def test_the_exported_names_are_these_and_each_is_a_function_with_a_docstring():
    names = ("clean", "features", "train", "score", "encode", "evaluate", "score_tensors", "monitor")
    stages = {f"{name}_stage" for name in names}
    assert set(medspark.__all__) == {*stages, "load_task", "load_bundle", "open_run", "score_table", "score_frame"}
    assert sorted(medspark._ROOMS) == medspark.__all__
    for name in medspark.__all__:
        member = getattr(medspark, name)
        assert callable(member), name
        assert member.__doc__, name
        assert typing.get_type_hints(member), name
    assert set(medspark.__all__) <= set(dir(medspark))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'score_everything'"):
        _ = medspark.score_everything


def test_importing_medspark_imports_neither_spark_nor_tensorflow():
    script = "import sys, medspark; print({'pyspark', 'tensorflow', 'pandas', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout == "set()\n", found.stderr


def test_a_notebook_walks_the_road(spark, tmp_path):
    source = write(tmp_path / "stays.csv", stays(800))
    task = medspark.load_task(task_file(tmp_path, source))
    run = medspark.open_run(str(tmp_path / "store"), task, quiet=True)
    task = medspark.clean_stage(run, task)
    medspark.features_stage(run, task)
    bundle = medspark.load_bundle(medspark.train_stage(run, task))
    medspark.score_stage(run, bundle, None)
    encoded = medspark.open_run(str(tmp_path / "encoded"), quiet=True)
    medspark.encode_stage(encoded, bundle, str(source))
    medspark.score_tensors_stage(encoded, bundle, encoded.store)
    expected = scores_of(spark, run.store)
    assert scores_of(spark, encoded.store) == expected

    cases = pq.read_table(run.receipt.outputs["cases"])
    table = medspark.score_table(bundle, cases)
    assert table.column_names == [
        "case_id",
        "subject_id",
        "prediction_time",
        "logit",
        "probability",
        "risk_band",
        "reason",
        *BESIDE_TYPES,
    ]
    assert dict(zip(table["case_id"].to_pylist(), table["probability"].to_pylist(), strict=True)) == expected


# ---------------------------------------------------------------- scoring in memory


@pytest.fixture(scope="module")
def bundle(road):
    return medspark.load_bundle(road["bundle"])


def test_a_pandas_frame_of_one_new_case_gets_a_risk_and_a_band(bundle):
    case = pd.DataFrame({"case_id": [7], "age": [80.0], "sex": ["F"], "diag_1": ["I50"], "diag_2": [None]})
    found = medspark.score_frame(bundle, case)
    assert found["case_id"].tolist() == [7]
    assert found["reason"].tolist() == [None]
    assert 0 < found["probability"][0] < 1
    assert found["risk_band"][0] in {"low", "raised", "high"}


def test_rows_keep_their_order_and_no_row_changes_another(bundle):
    ages = [80.0, None, 25.0]
    columns = {"case_id": [3, 1, 2], "age": ages, "sex": ["F", "M", None], "diag_1": ["I50", None, "zz"]}
    table = pa.table({**columns, "diag_2": pa.nulls(3, pa.string())})
    together = medspark.score_table(bundle, table)["probability"].to_pylist()
    alone = [medspark.score_table(bundle, table.slice(at, 1))["probability"][0].as_py() for at in range(3)]
    assert together == alone


def test_no_rows_give_no_rows_with_the_same_columns(bundle):
    empty = pd.DataFrame({"case_id": [], "age": [], "sex": [], "diag_1": [], "diag_2": []}).astype({"sex": str})
    found = medspark.score_frame(bundle, empty)
    assert len(found) == 0
    assert list(found)[-1] == list(BESIDE_TYPES)[-1]


def test_an_absent_column_is_named_with_a_hint(bundle):
    wrong = pa.table({"case_id": [1], "ages": [50.0], "sex": ["F"], "diag_1": ["I50"], "diag_2": ["I10"]})
    with pytest.raises(InputError, match=r"received none of age\. Did you mean 'ages'\?"):
        medspark.score_table(bundle, wrong)
