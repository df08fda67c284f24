"""How large a student is, whatever it reads, and that LiteRT serves it."""

import numpy as np
import pytest

from medspark.encode.kinds.events import GridStatistics, SequenceStatistics
from medspark.encode.kinds.genes import GeneStatistics
from medspark.encode.kinds.images import ImageStatistics
from medspark.encode.kinds.table import CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.errors import InputError
from medspark.score.speed import to_time
from medspark.score.worker.engine import litert_engine
from medspark.task.training import ImageNetwork, Network
from medspark.train.export import export_litert, keras_logits
from medspark.train.networks.build import serving_network
from medspark.train.networks.student import MOST_WEIGHTS, student_settings, students_network

pytestmark = pytest.mark.slow

NOTHING = Statistics(cases=1, numeric=(), categorical=(), codes=())
CODES = ("a", "b", "c")


def numbers(count):
    one = NumericStatistics(
        column="age", scaling="none", center=0, scale=1, knots=(0,) * 13, impute=0, missing_indicator=False, mean=0,
        sd=1, missing_share=0,
    )  # fmt: skip
    return tuple(one.model_copy(update={"column": f"x{at}"}) for at in range(count))


def bag(codes):
    names = tuple(map(str, range(codes)))
    return CodesStatistics(name="dx", columns=("one",), codes=names, counts=(9,) * codes, rare=0, missing_share=0)


SHARED = {"codes": CODES, "counts": (9, 9, 9), "rare": 0, "missing_share": 0, "mean": (0,) * 3, "scale": (1,) * 3}
SEQUENCE = SequenceStatistics(column="past", last=6, knots=((),) * 3, **SHARED)
GRID = GridStatistics(column="vitals", steps=8, carried=True, **SHARED)
GENE = GeneStatistics(
    column="dna", name="dna", length=60, keep="start", reverse_complement=True, longer=0, odd=0, missing_share=0
)
IMAGE = ImageStatistics(
    name="xray", columns=("xray",), height=28, width=28, channels=1, several="first", missing_share=0
)
READ = {
    "numbers": NOTHING.model_copy(update={"numeric": numbers(70)}),
    "codes": NOTHING.model_copy(update={"codes": (bag(900),)}),
    "sequence": NOTHING.model_copy(update={"sequences": (SEQUENCE,)}),
    "grid": NOTHING.model_copy(update={"grids": (GRID,)}),
    "gene": NOTHING.model_copy(update={"genes": (GENE,)}),
    "image": NOTHING.model_copy(update={"images": (IMAGE,)}),
    "all": Statistics(
        cases=1, numeric=numbers(20), categorical=(), codes=(bag(200),), sequences=(SEQUENCE,), grids=(GRID,),
        genes=(GENE,), images=(IMAGE,),
    ),
}  # fmt: skip


def drawn(statistics, cases=40):
    rng = np.random.default_rng(0)
    found = {}
    for one in statistics.inputs():
        shape = (cases, one.width)
        if one.dtype == "float32":
            found[one.name] = rng.normal(size=shape).astype(np.float32)
        else:
            found[one.name] = rng.integers(0, one.size or 255, shape).astype(one.dtype)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*READ])
def test_a_small_student_has_at_most_20_000_weights_and_litert_serves_it_alike(kind, tmp_path):
    statistics = READ[kind]
    teacher = Network(student="small", images=ImageNetwork(shift=0))
    settings = student_settings(statistics, teacher, "several", 2)
    students, last = students_network(statistics, settings, 1, 2, "several", 2)
    network = serving_network(last)
    assert network.count_params() <= 20_000
    assert students.count_params() == 2 * network.count_params()
    tensors = drawn(statistics)
    assert export_litert(network, tmp_path / "model.tflite", tensors).difference < 1e-5
    empty = {name: np.zeros_like(array) for name, array in tensors.items()}
    found = litert_engine(tmp_path / "model.tflite")(empty)
    assert np.isfinite(found).all()
    assert np.abs(found - keras_logits(network, empty)).max() < 1e-5


def test_what_is_timed_is_the_sample_repeated_and_of_large_images_fewer_rows():
    sample = {"numeric": np.array([[1, 2], [3, 4], [5, 6]], np.float32)}
    assert to_time(sample)["numeric"].shape == (4096, 2)
    assert to_time(sample)["numeric"][:4].tolist() == [[1, 2], [3, 4], [5, 6], [1, 2]]
    large = {"pixels": np.zeros((2, 2**20), np.uint8), "seen": np.ones((2, 1), np.float32)}
    assert {name: len(array) for name, array in to_time(large).items()} == {"pixels": 255, "seen": 255}


def test_the_vectors_of_a_large_vocabulary_get_narrower_before_the_layers_do():
    settings = student_settings(READ["codes"], Network(student="small"), "binary", 1)
    assert settings.hidden == (64, 32)
    assert settings.embedding < Network().embedding
    assert settings.members == 1
    assert settings.kind == "plain"


@pytest.mark.parametrize(
    ("codes", "student", "says"),
    [
        (6_000, "small", "at most 20,000 weights for these features, received 24,"),
        (200_000, "large", "at most 500,000 weights for these features, received 802,"),
    ],
)
def test_a_vocabulary_that_fits_no_student_is_refused_with_a_way_out(codes, student, says):
    statistics = NOTHING.model_copy(update={"codes": (bag(codes),)})
    with pytest.raises(InputError) as refused:
        student_settings(statistics, Network(student=student), "binary", 1)
    hint = "Say student: medium" if student == "small" else "Raise at_least of codes and events"
    assert says in str(refused.value)
    assert hint in str(refused.value)


def test_a_larger_student_has_more_weights_and_keeps_to_its_own_limit():
    found = [student_settings(READ["all"], Network(student=size), "binary", 1) for size in MOST_WEIGHTS]
    sizes = [students_network(READ["all"], one, 0, 1, "binary", 1)[1].count_params() for one in found]
    assert sizes == sorted(sizes)
    assert all(size <= most for size, most in zip(sizes, MOST_WEIGHTS.values(), strict=True))
