"""One folder of scores that is also others': of another bundle, of a colleague, of a neighbour by name."""

import pytest
from support.roads import new_run, score, scores_of, write
from support.tensors import score_tensors

from medspark.bundles.bundle import load_bundle
from medspark.stages.score import score_stage
from medspark.store.tables import read_table

pytestmark = pytest.mark.slow


def test_foreign_files_among_scores_and_rejected_stay_and_are_named(spark, road):
    for table in ("scores", "rejected"):
        place = road["folder"] / "foreign" / table
        (place / "2019-by-hand").mkdir(parents=True)
        (place / "2019-by-hand" / "a.csv").write_text("keep")
    for lines in (road["lines"][:300], road["lines"][:310], road["lines"][:320]):
        _, run = score(spark, road, "foreign", lines)
    assert run.receipt.foreign == {"scores": ["2019-by-hand"], "rejected": ["2019-by-hand"]}
    for table in ("scores", "rejected"):
        kept = sorted(path.name for path in (road["folder"] / "foreign" / table).iterdir() if path.is_dir())
        assert len(kept) == 3  # two versions, and what is not ours
        assert (road["folder"] / "foreign" / table / "2019-by-hand" / "a.csv").read_text() == "keep"


def test_two_bundles_in_one_folder_do_not_evict_each_other(spark, road):
    store = road["folder"] / "two-bundles"
    bundles = [load_bundle(road["bundle"]), load_bundle(road["bundle"])._replace(bundle_id="another")]
    made = []
    for lines in (road["lines"][:300], road["lines"][:310]):
        for bundle in bundles:
            source = write(road["folder"] / "two.csv", lines)
            made.append(score_stage(new_run(spark, store), bundle, str(source)))
    assert sorted(path.name for path in (store / "scores").iterdir() if path.is_dir()) == sorted(made)
    assert {row["run_id"] for row in read_table(spark, str(store), "scores").collect()} == {made[-1]}


@pytest.mark.parametrize("reader", ["auto", "spark"])
def test_a_folder_whose_name_is_like_a_pattern_leaves_its_neighbour_alone(spark, road, encoded, reader):
    mine, neighbour = f"x[1]-{reader}", f"x1-{reader}"
    expected, _ = score(spark, road, neighbour)
    bundle = load_bundle(road["bundle"])
    before = sorted(path.name for path in (road["folder"] / neighbour).rglob("*"))
    for lines in (300, 310, 320):
        write(road["folder"] / "plain.csv", road["lines"][:lines])
        score_stage(new_run(spark, road["folder"] / mine), bundle, str(road["folder"] / "plain.csv"))
    assert score_tensors(spark, road, encoded[0], mine, reader=reader)[0] == expected
    assert scores_of(spark, road["folder"] / neighbour) == expected
    assert sorted(path.name for path in (road["folder"] / neighbour).rglob("*")) == before
