import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.errors import BundleError
from medspark.score.worker.calibration import Calibration, of_one
from medspark.score.worker.pieces import Sink, write_piece
from medspark.score.worker.predict import Served, answers_of, band_of, load_engine, sealed


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.1499, "low"), (0.15, "raised"), (0.2999, "raised"), (0.3, "high"), (1.0, "high")],
)
def test_a_band_starts_at_its_threshold(probability, band):
    assert band_of(np.array([probability]), {"high": 0.3, "raised": 0.15}).tolist() == [band]


def test_without_thresholds_no_risk_has_a_band():
    assert band_of(np.array([0.2, 0.9]), {}).tolist() == [None, None]


def test_scores_without_a_band_are_counted_all_the_same(tmp_path):
    keys = {"case_id": [1, 2], "subject_id": ["a", "b"], "prediction_time": pa.array([0, 0], pa.timestamp("us", "UTC"))}
    served = Served("litert", "", "", "", of_one(Calibration("none")), bands={})
    answers = answers_of(pa.table(keys), np.array([[0.0], [1.0]]), None, served)
    (tmp_path / "scores").mkdir()
    sink = Sink(str(tmp_path / "scores"), str(tmp_path / "rejected"), "run", "bundle", 0)
    assert write_piece("part-0.parquet", [answers], sink).bands == {"none": 2}
    assert pq.read_table(tmp_path / "scores" / "part-0.parquet")["risk_band"].to_pylist() == [None, None]


@pytest.mark.parametrize(
    "change",
    [
        {"statistics": '{"cases": 3}'},
        {"calibration": of_one(Calibration("platt", slope=1.1))},
        {"bands": {"high": 0.2}},
        {"digest": "b"},
        {"kind": "tensorflow"},
    ],
)
def test_what_reaches_a_worker_altered_answers_nothing(change):
    sent = sealed(Served("litert", "", "a", '{"cases": 2}', of_one(Calibration("platt")), bands={"high": 0.3}))
    with pytest.raises(BundleError, match="reached this worker altered"):
        load_engine(sent._replace(**change))
