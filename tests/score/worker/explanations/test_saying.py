"""What a clinician reads of each kind of item, from what was encoded: back to the value that the case had."""

import io

import numpy as np
import pyarrow as pa
import pytest

from medspark.encode.kinds.base import KNOTS
from medspark.encode.kinds.events import GridStatistics, SequenceStatistics, ValuesStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.score.worker.explanations.about import About
from medspark.score.worker.explanations.explain import SAYERS
from medspark.score.worker.explanations.facts import ExplainFacts
from medspark.score.worker.explanations.images import saliency
from medspark.score.worker.explanations.layout import layout_of

NOTHING = {"cases": 100, "numeric": (), "categorical": (), "codes": ()}


def said(statistics, batch, **facts):
    """All that is said of every item of each row."""
    tensors, layout = encode(batch, statistics), layout_of(statistics)
    known = ExplainFacts(
        target="x", baseline={}, baseline_logit=0, nodes=4, tolerance=1, logit_range=1, cases=1, errors={}, **facts
    )
    about, found = About(statistics, known), []
    for row in range(batch.num_rows):
        each = {}
        for block in layout.blocks:
            items = np.arange(block.first, block.first + block.items)
            told = SAYERS[type(block.feature)](block.feature, block, tensors, np.full(len(items), row), items, about)
            each |= dict(zip(items.tolist(), told, strict=True))
        found.append([each[at] for at in sorted(each)])
    return found


@pytest.mark.parametrize("scaling", ["smooth", "standard", "robust", "quantile", "none"])
def test_a_number_is_read_as_it_was_to_four_digits_whatever_its_scaling(scaling):
    knots = tuple(np.quantile(np.random.default_rng(0).gamma(2, 40, 5000), KNOTS).tolist())
    center, scale = (0, 1) if scaling == "none" else (67.1, 41.3)
    feature = NumericStatistics(
        column="glucose", scaling=scaling, center=center, scale=scale, knots=knots, impute=67.1, missing_indicator=True,
        mean=80, sd=50, missing_share=0.1,
    )  # fmt: skip
    values = [knots[0], 33.33, 67.1, 101.5, 300.25, None]
    batch = pa.RecordBatch.from_pydict({"glucose": pa.array(values, pa.float64())})
    rows = said(Statistics(**{**NOTHING, "numeric": (feature,)}), batch, units={"glucose": "mg/dL"})
    assert [row[0][1] for row in rows[-1:]] == ["missing"]
    for value, ((item, text),) in zip(values[:-1], rows[:-1], strict=True):
        assert item is None
        assert text.endswith(" mg/dL")
        assert float(text.split()[0]) == pytest.approx(value, rel=6e-4)


def test_numbers_of_a_code_are_told_with_the_code_and_what_is_taken():
    group = ValuesStatistics(
        column="labs", codes=("LAB/crp",), counts=(9,), rare=0, missing_share=0, takes=("last", "time_since"),
        scaling="standard", center=((20.0, 30.0),), scale=((10.0, 12.0),), impute=((20.0, 30.0),),
    )  # fmt: skip
    struct = pa.struct([("last", pa.float64()), ("time_since", pa.float64())])
    cells = pa.array([[("LAB/crp", {"last": 52.5, "time_since": 6.0})], []], pa.map_(pa.string(), struct))
    rows = said(Statistics(**NOTHING, values=(group,)), pa.RecordBatch.from_pydict({"labs": cells}))
    assert rows[0] == [("LAB/crp, last", "52.5"), ("LAB/crp, time since", "6 hours")]
    assert rows[1] == [("LAB/crp, last", "missing"), ("LAB/crp, time since", "missing")]


def test_an_event_is_told_by_its_name_its_number_its_place_and_how_long_before():
    sequence = SequenceStatistics(
        column="path", codes=("DX/heart", "LAB/crp"), counts=(9, 9), rare=0, missing_share=0, last=4, mean=(0, 20.0),
        scale=(0, 10.0), knots=((), tuple(KNOTS)),
    )  # fmt: skip
    event = pa.struct([("code", pa.string()), ("hours_before", pa.float64()), ("number", pa.float64())])
    events = [
        {"code": "DX/heart", "hours_before": 24 * 30.0, "number": None},
        {"code": "ZZ", "hours_before": 24 * 12.0, "number": None},
        {"code": "LAB/crp", "hours_before": 5.0, "number": 47.0},
    ]
    batch = pa.RecordBatch.from_pydict({"path": pa.array([events], pa.list_(event))})
    (row,) = said(Statistics(**NOTHING, sequences=(sequence,)), batch, names={"DX/heart": "Heart failure"})
    assert row[1:] == [
        ("DX/heart", "Heart failure, event 1 of 3, 30 days before"),
        ("a rare or unknown one", "event 2 of 3, 12 days before"),
        ("LAB/crp", "47, event 3 of 3, 5 hours before"),
    ]


def test_a_grid_is_told_by_code_and_hour_and_whether_the_number_is_from_before():
    grid = GridStatistics(
        column="vitals", codes=("hr",), counts=(9,), rare=0, missing_share=0, steps=3, mean=(80.0,), scale=(10.0,),
        carried=True,
    )  # fmt: skip
    cells = pa.array([[("hr", [None, 95.0, None])]], pa.map_(pa.string(), pa.list_(pa.float64())))
    statistics = Statistics(**NOTHING, grids=(grid,))
    (row,) = said(statistics, pa.RecordBatch.from_pydict({"vitals": cells}), hours={"vitals": 12.0})
    assert row == [
        ("hr", "missing, 24 hours before"),
        ("hr", "95, 12 hours before"),
        ("hr", "95 from before, at the prediction"),
    ]


def test_letters_are_told_by_their_place_on_either_strand():
    gene = GeneStatistics(
        column="dna", name="dna", length=3, keep="start", reverse_complement=True, longer=0, odd=0, missing_share=0
    )
    (row,) = said(Statistics(**NOTHING, genes=(gene,)), pa.RecordBatch.from_pydict({"dna": ["ACC"]}))
    assert row[:2] == [("position 1", "A"), ("position 2", "C")]
    assert row[3] == ("position 1 of the reverse complement", "G")


def test_an_image_is_there_or_missing_and_its_saliency_is_a_picture_of_its_size():
    image = ImageStatistics(
        name="xray", columns=("xray",), height=9, width=12, channels=1, several="first", missing_share=0
    )
    batch = pa.RecordBatch.from_pydict({"xray": pa.array([bytes(108), None], pa.binary())})
    assert said(Statistics(**NOTHING, images=(image,)), batch) == [[("xray", "there")], [("xray", "missing")]]
    from PIL import Image

    parts = np.zeros((3, 3))
    parts[0, 0], parts[2, 2] = 1.0, -1.0
    picture = Image.open(io.BytesIO(saliency(np.full((9, 12, 1), 100, np.uint8), parts, 4)))
    assert picture.size == (12, 9)
    red, grey, blue = (picture.getpixel(place) for place in ((0, 0), (5, 5), (11, 8)))
    assert red[0] > red[2]
    assert grey == (100, 100, 100)
    assert blue[2] > blue[0]
