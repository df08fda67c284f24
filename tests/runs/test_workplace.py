"""Where a store elsewhere is learned from: a folder of this user alone, in which no patient's row stays."""

import pytest
from support.roads import new_run

from medspark.runs import workplace as module
from medspark.runs.workplace import brought, copied_here, workplace


@pytest.fixture
def run(spark, tmp_path, monkeypatch):
    """Its store counts as one elsewhere, and has tables."""
    monkeypatch.setenv("MEDSPARK_LOCAL_DIR", str(tmp_path / "a ä b"))
    monkeypatch.setattr(module, "is_elsewhere", lambda _: True)
    for table in ("tensors", "others"):
        (tmp_path / "store" / table).mkdir(parents=True)
        (tmp_path / "store" / table / "part.csv").write_text(table)
    return new_run(spark, tmp_path / "store")


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_copies_are_in_the_folder_together_and_gone_with_the_block(run, tmp_path):
    with copied_here(run) as here:
        copies = [here(f"{run.store}/{table}") for table in ("tensors", "others", "tensors")]
        assert [files_below(workplace(run) / copy) for copy in copies] == [["part.csv"]] * 3
        assert copies[0] == copies[2] != copies[1]
        assert all(str(workplace(run)) in copy for copy in copies)
    assert list(workplace(run).iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a ä b", "store"]


def test_what_a_killed_run_left_is_removed_but_what_it_can_go_on_from(run):
    left = ["copied/0/part.csv", ".scratch/run/x/part.csv", "predictions/run/part.csv", "bundles/id/monitor.json"]
    for name in [*left, "checkpoints/train-small/network.npz"]:
        path = workplace(run) / name
        path.parent.mkdir(parents=True)
        path.write_text("a patient's row")
    with copied_here(run):
        assert files_below(workplace(run)) == ["checkpoints/train-small/network.npz"]
        made = workplace(run) / "bundles" / "made"
        made.mkdir(parents=True)
        (made / "report.html").write_text("")
        assert brought(run, made, "bundles") == f"{run.store}/bundles/made"
    assert files_below(workplace(run)) == ["bundles/made/report.html", "checkpoints/train-small/network.npz"]
