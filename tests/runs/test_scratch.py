"""What a run has of patients for a while is gone when it ends, and of one that was killed when the next begins."""

from pathlib import Path

import pytest
from support.roads import new_run

from medspark.runs.lock import holding
from medspark.runs.scratch import scratch


def test_scratch_is_for_the_owner_only_and_gone_when_the_block_ends(spark, tmp_path):
    run = new_run(spark, tmp_path)
    with holding(run), scratch(run, "folds") as one, scratch(run, "folds") as other:
        assert one != other
        assert Path(one).parent == Path(other).parent == tmp_path / ".scratch" / run.receipt.run_id
        for folder in (tmp_path / ".scratch", Path(one).parent, Path(one)):
            assert folder.stat().st_mode & 0o777 == 0o700
        (Path(one) / "part-0.parquet").write_bytes(b"tensors")
    assert list(tmp_path.iterdir()) == []


def test_scratch_is_gone_when_the_block_fails(spark, tmp_path):
    run = new_run(spark, tmp_path)
    with pytest.raises(ZeroDivisionError), scratch(run, "folds"):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_when_another_takes_the_lock_and_nothing_else(spark, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("kept")
    store = tmp_path / "store"
    for left in (
        ".scratch/20261122T060000Z-77b0/folds-1",
        ".scratch/mine",
        "bundles/.new-template",
        "bundles/6d2deda6",
    ):
        (store / left).mkdir(parents=True)
        (store / left / "part-0.parquet").write_bytes(b"tensors")
    (store / "runs").mkdir()
    (store / "runs" / "20261122T060000Z-77b0.json").write_text("{}")
    (store / ".scratch" / "link").symlink_to(tmp_path / "elsewhere")
    run = new_run(spark, store)
    with holding(run), scratch(run, "folds") as mine:
        assert sorted(path.name for path in (store / "bundles").iterdir()) == [".new-template", "6d2deda6"]
        assert (store / ".scratch" / "mine" / "part-0.parquet").exists()
        assert not (store / ".scratch" / "20261122T060000Z-77b0").exists()
        with holding(run):  # of a stage within
            assert Path(mine).is_dir()
    assert (tmp_path / "elsewhere" / "precious").read_text() == "kept"
