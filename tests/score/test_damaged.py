"""Published scores whose files were deleted, cut short or changed: the same command makes them again, and says so."""

import json
import shutil

import pytest
from support.roads import new_run, score, scores_of
from support.tensors import score_tensors

from medspark.bundles.bundle import load_bundle
from medspark.score.explain_options import Ask
from medspark.stages.encode import encode_stage
from medspark.store.tables import read_table


def a_file(store, table):
    return max((store / table).glob("*/*.parquet"), key=lambda path: path.stat().st_size)


def flip(path):
    """One bit in the middle, of a page and not of the footer."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "emptied": lambda path: path.write_bytes(b""),
    "one bit": flip,
    "added": lambda path: path.with_name("part-other.parquet").write_bytes(path.read_bytes()),
    "no manifest": lambda path: path.with_name("_manifest.json").unlink(),
}


@pytest.mark.parametrize("table", ["scores", "rejected"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_as_it_was_published_is_made_again(spark, road, encoded, damage, table):
    name = f"damaged-{table}-{damage.replace(' ', '-')}"
    expected, first = score_tensors(spark, road, encoded[0], name)
    store = road["folder"] / name
    DAMAGES[damage](a_file(store, table))
    again, run = score_tensors(spark, road, encoded[0], name)
    assert again == expected
    assert run.receipt.damaged[run.receipt.version][0].startswith(f"{table}/")
    assert run.receipt.counts["score"]["scored"] == first.receipt.counts["score"]["scored"]
    third, run = score_tensors(spark, road, encoded[0], name)
    assert third == expected
    assert (run.receipt.damaged, "scored" in run.receipt.counts["score"]) == ({}, False)


@pytest.mark.parametrize("table", ["explanations", "scores"])
def test_explanations_and_the_scores_they_explain_are_made_again_together(spark, road, encoded, table):
    name = f"damaged-explained-{table}"
    _, first = score_tensors(spark, road, encoded[0], name, ask=Ask(top=2))
    told = read_table(spark, first.store, "explanations").drop("run_id").collect()
    flip(a_file(road["folder"] / name, table))
    _, run = score_tensors(spark, road, encoded[0], name, ask=Ask(top=2))
    assert run.receipt.damaged[run.receipt.version][0].startswith(f"{table}/")
    assert sorted(read_table(spark, run.store, "explanations").drop("run_id").collect()) == sorted(told)


@pytest.mark.parametrize("table", ["scores", "rejected"])
def test_a_version_whose_folder_is_gone_is_made_again(spark, road, encoded, table):
    name = f"damaged-gone-{table}"
    expected, first = score_tensors(spark, road, encoded[0], name)
    shutil.rmtree(road["folder"] / name / table / first.receipt.version)
    again, run = score_tensors(spark, road, encoded[0], name)
    assert again == expected
    assert run.receipt.damaged == {first.receipt.version: [f"{table}/_manifest.json is not there or damaged"]}


@pytest.mark.parametrize("damage", [*DAMAGES, "gone", "facts"])
def test_tensors_that_are_not_as_encode_published_them_are_encoded_again(spark, road, tmp_path, damage):
    def encode():
        run = new_run(spark, tmp_path)
        encode_stage(run, load_bundle(road["bundle"]), str(road["source"]))
        return run, sorted(map(repr, read_table(spark, str(tmp_path), "tensors").collect()))

    (_, rows), file = encode(), a_file(tmp_path, "tensors")
    if damage == "gone":
        shutil.rmtree(file.parent)
    elif damage == "facts":
        flip(file.with_name("_facts.json"))
    else:
        DAMAGES[damage](file)
    run, again = encode()
    assert again == rows
    assert run.receipt.damaged[run.receipt.version][0].startswith("tensors/")
    run, again = encode()
    assert (run.receipt.damaged, again) == ({}, rows)


def test_a_raw_source_is_scored_again_too_and_a_later_run_says_which_run_made_it(spark, road):
    expected, _ = score(spark, road, "damaged-raw")
    a_file(road["folder"] / "damaged-raw", "scores").unlink()
    again, maker = score(spark, road, "damaged-raw")
    assert again == expected
    _, run = score(spark, road, "damaged-raw")
    assert run.receipt.made_by_run == maker.receipt.run_id


def test_a_version_has_rows_sizes_and_digests_of_its_files(spark, road, encoded):
    scores, run = score_tensors(spark, road, encoded[0], "manifest")
    manifest = json.loads(next((road["folder"] / "manifest" / "scores").glob("*/_manifest.json")).read_text())
    assert (manifest["run_id"], manifest["rows"]) == (run.receipt.run_id, len(scores))
    assert sum(file["rows"] for file in manifest["files"].values()) == len(scores)
    assert {len(file["sha256"]) for file in manifest["files"].values()} == {64}


def test_until_damaged_scores_are_made_again_the_version_before_is_in_force(spark, road, monkeypatch):
    before, _ = score(spark, road, "damaged-before", road["lines"][:300])
    score(spark, road, "damaged-before", road["lines"][:310])
    a_file(road["folder"] / "damaged-before", "scores").unlink()
    monkeypatch.setattr("medspark.stages.score.write_scores", lambda *_: (_ for _ in ()).throw(OSError("planted")))
    with pytest.raises(OSError, match="planted"):
        score(spark, road, "damaged-before", road["lines"][:310])
    assert scores_of(spark, road["folder"] / "damaged-before") == before
