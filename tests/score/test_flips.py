"""Single bits flipped in what scoring reads: each is an error, or changes no score."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tensors import score_tensors

from medspark.bundles.bundle import load_bundle
from medspark.errors import InputError, MedsparkError
from medspark.score.serve import serve
from medspark.score.worker.calibration import Calibration, of_one
from medspark.score.worker.explanations.explain import Explained
from medspark.score.worker.explanations.pieces import ExplainSink, finished_explanations, write_explanations
from medspark.score.worker.pieces import Sink, finished_piece, write_piece
from medspark.score.worker.predict import Served, answers_of
from medspark.score.worker.row_groups import plan_units, score_unit
from medspark.store.facts import TensorsFacts, read_facts
from medspark.store.worker.checksums import sums_of

FLIPS = 200


def flips(path, count, seed):
    """The file with one bit flipped, so many times, each time another; then as it was."""
    content = path.read_bytes()
    for bit in random.Random(seed).sample(range(8 * len(content)), count):
        harmed = bytearray(content)
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        yield bit
    path.write_bytes(content)


def taken_over(folder, files, share, seed, finished):
    """What is found of a piece with one bit flipped in a file of it, once each."""
    for file in files:
        for _ in flips(folder / file, min(FLIPS // share, 8 * (folder / file).stat().st_size), seed):
            yield finished()


def answers(folder, served, tensors, sums):
    """Case and probability of each row, scored in this process as a worker does."""
    shutil.rmtree(folder, ignore_errors=True)
    sink = Sink(str(folder / "scores"), str(folder / "rejected"), "run", "bundle", 0)
    for unit in plan_units({str(path): place for place, path in tensors.items()}, served, sums):
        score_unit(unit, served, sink)
    found = pa.concat_tables([pq.read_table(path) for path in sorted((folder / "scores").glob("part-*"))])
    return dict(zip(found["case_id"].to_pylist(), found["probability"].to_pylist(), strict=True))


@pytest.fixture
def tensors(spark, encoded, tmp_path):
    """A copy of the tensors that `medspark encode` wrote: their files by place, and the sums beside them."""
    (version,) = (path for path in (encoded[0] / "tensors").iterdir() if path.is_dir())
    sums = read_facts(spark.sparkContext, str(version), TensorsFacts).files
    shutil.copytree(version, tmp_path / "tensors")
    return {place: tmp_path / "tensors" / place for place in sums}, sums


def test_encoding_notes_the_sums_of_every_file(tensors):
    files, sums = tensors
    assert sorted(files) == sorted(path.name for path in next(iter(files.values())).parent.glob("*.parquet"))
    for place, path in files.items():
        with pa.OSFile(str(path)) as source:
            assert sums_of(source) == sums[place]


def test_no_flipped_bit_of_tensors_changes_a_score_in_silence(road, tensors, tmp_path):
    files, sums = tensors
    served = serve(load_bundle(road["bundle"]), "litert")._replace(reads="tensors")
    expected, refused = answers(tmp_path / "out", served, files, sums), 0
    path = max(files.values(), key=lambda file: file.stat().st_size)
    for _ in flips(path, FLIPS, seed=1):
        try:
            assert answers(tmp_path / "out", served, files, sums) == expected
        except (InputError, OSError, ValueError):
            refused += 1
    assert refused > FLIPS * 0.9  # the rest is PAR1 at the start
    assert answers(tmp_path / "out", served, files, sums) == expected


def test_no_flipped_bit_of_the_facts_beside_tensors_is_read(spark, tensors):
    """They have the sums of the tensors, what encoded them and the source that scores are named by."""
    files, _ = tensors
    folder = next(iter(files.values())).parent
    whole = read_facts(spark.sparkContext, str(folder), TensorsFacts)
    for _ in flips(folder / "_facts.json", FLIPS, seed=4):
        with pytest.raises(InputError, match=r"_facts\.json: expected"):
            read_facts(spark.sparkContext, str(folder), TensorsFacts)
    assert read_facts(spark.sparkContext, str(folder), TensorsFacts) == whole


def test_facts_with_a_key_that_is_none_of_theirs_are_refused(spark, tensors):
    """Of tables that were published before their manifest knew their facts: the sums would be passed over."""
    folder = next(iter(tensors[0].values())).parent
    manifest = json.loads((folder / "_manifest.json").read_text())
    (folder / "_manifest.json").write_text(json.dumps({**manifest, "facts": None}))
    facts = json.loads((folder / "_facts.json").read_text())
    facts["fhles"] = facts.pop("files")
    (folder / "_facts.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"expected TensorsFacts, received others \(fhles\)"):
        read_facts(spark.sparkContext, str(folder), TensorsFacts)


def test_a_bit_of_a_page_is_found_where_the_sums_are_not_known(road, tensors, tmp_path):
    """Tensors that no worker could read when they were written have their pages' own checksums."""
    files, _ = tensors
    served = serve(load_bundle(road["bundle"]), "litert")._replace(reads="tensors")
    path = max(files.values(), key=lambda file: file.stat().st_size)
    footer = pq.read_metadata(path).row_group(0)
    places = {footer.column(at).path_in_schema: at for at in range(footer.num_columns)}
    column = footer.column(places["numeric.list.element"])
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)checksum"):
        answers(tmp_path / "out", served, files, {})


def test_no_flipped_bit_of_a_piece_is_taken_for_finished_work(tmp_path):
    """What a stopped run left is taken over as it was written, or made again."""
    sink = Sink(str(tmp_path / "scores"), str(tmp_path / "rejected"), "run", "bundle", 0)
    times = pa.array([0] * 9, pa.timestamp("us", "UTC"))
    keys = pa.table({"case_id": range(9), "subject_id": range(9), "prediction_time": times})
    served = Served("litert", "", "", "", of_one(Calibration("none")), bands={"high": 0.6})
    reasons = np.array([None] * 8 + ["numeric is not finite"], object)
    rows = answers_of(keys, np.linspace(-1, 1, 9)[:, None], reasons, served)
    piece = write_piece("part-0.parquet", [rows], sink)
    assert finished_piece(sink, "part-0.parquet") == piece
    files = ("scores/part-0.parquet", "scores/_part-0.parquet.sums", "rejected/part-0.parquet")
    found = taken_over(tmp_path, files, 3, 2, lambda: finished_piece(sink, "part-0.parquet"))
    assert set(found) == {None}
    (tmp_path / "rejected" / "part-0.parquet").unlink()
    assert finished_piece(sink, "part-0.parquet") is None


EXPLAINED = {
    "case_id": range(9),
    "subject_id": range(9),
    "prediction_time": pa.array([0] * 9, pa.timestamp("us", "UTC")),
    "rank": pa.array([1] * 9, pa.int32()),
    "feature": ["age"] * 9,
    "item": pa.nulls(9, pa.string()),
    "value": [f"{age} years" for age in range(60, 69)],
    "direction": ["raises"] * 9,
    "contribution": [age / 7 for age in range(9)],
    "risk_points": [age / 3 for age in range(9)],
    "adds_up": [True] * 9,
    "method": ["gradients"] * 9,
    "saliency": pa.nulls(9, pa.binary()),
}


def test_no_flipped_bit_of_a_piece_of_explanations_is_taken_for_finished_work(tmp_path):
    sink = ExplainSink(str(tmp_path), "run", "bundle")
    piece = write_explanations("part-0.parquet", [Explained(pa.table(EXPLAINED), 9, 0)], sink)
    assert finished_explanations(sink, "part-0.parquet") == piece
    files = ("part-0.parquet", "_part-0.parquet.sums")
    found = taken_over(tmp_path, files, 2, 5, lambda: finished_explanations(sink, "part-0.parquet"))
    assert set(found) == {None}
    assert finished_explanations(sink, "part-0.parquet") == piece


def test_the_pages_of_explanations_have_checksums(tmp_path):
    write_explanations("part-0.parquet", [Explained(pa.table(EXPLAINED), 9, 0)], ExplainSink(str(tmp_path), "run", "b"))
    path = tmp_path / "part-0.parquet"
    footer = pq.read_metadata(path).row_group(0)
    places = {footer.column(at).path_in_schema: at for at in range(footer.num_columns)}
    column = footer.column(places["contribution"])
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_the_pages_of_a_piece_have_checksums(tmp_path):
    sink = Sink(str(tmp_path / "scores"), str(tmp_path / "rejected"), "run", "bundle", 0)
    keys = pa.table({"case_id": [1], "subject_id": [1], "prediction_time": pa.array([0], pa.timestamp("us", "UTC"))})
    served = Served("litert", "", "", "", of_one(Calibration("none")), bands={})
    write_piece("part-0.parquet", [answers_of(keys, np.zeros((1, 1)), None, served)], sink)
    path = tmp_path / "scores" / "part-0.parquet"
    column = pq.read_metadata(path).row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_no_flipped_bit_of_a_bundle_passes(road, tmp_path):
    copy = Path(shutil.copytree(road["bundle"], tmp_path / road["bundle"].name))
    whole = load_bundle(copy)
    names = sorted(path.name for path in copy.iterdir())
    for at, name in enumerate(names):
        for _ in flips(copy / name, FLIPS // len(names) + 1, seed=at):
            with pytest.raises(MedsparkError):
                load_bundle(copy)
    assert load_bundle(copy) == whole


@pytest.mark.parametrize("way", [{"reader": "workers"}, {"reader": "spark"}])
def test_the_command_refuses_tensors_that_were_altered_or_are_gone(spark, road, encoded, tmp_path, way):
    shutil.copytree(encoded[0], tmp_path / "store")
    path = max((tmp_path / "store" / "tensors").glob("*/*.parquet"), key=lambda file: file.stat().st_size)
    for _ in flips(path, 1, seed=3):
        with pytest.raises(InputError, match="expected the file that was written"):
            score_tensors(spark, road, tmp_path / "store", f"flipped-{way['reader']}", **way)
    path.rename(path.with_name("_aside"))
    with pytest.raises(InputError, match="1 of them gone and 0 added"):
        score_tensors(spark, road, tmp_path / "store", f"gone-{way['reader']}", **way)
