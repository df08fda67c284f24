"""Commands from cases to a bundle."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from support.tasks import stays_task

from medspark.cli import model


def test_networks_of_several_sizes_are_compared_in_the_store_wherever_they_learned(monkeypatch):
    run = SimpleNamespace(store="hdfs://host/learned/stays", say=print, receipt=SimpleNamespace(outputs={}))
    compared = []

    @contextmanager
    def run_task(*_, **__):
        yield run, stays_task()

    def train_stage(run, task, *_):
        run.receipt.outputs["bundle"] = f"{run.store}/bundles/{task.network.size}"
        return Path("/here/bundles") / task.network.size

    monkeypatch.setattr(model, "run_task", run_task)
    monkeypatch.setattr(model, "compare", lambda *asked: compared.append(asked))
    monkeypatch.setattr("medspark.stages.freeze.freeze", lambda _, task: task)
    monkeypatch.setattr("medspark.stages.train.train_stage", train_stage)
    model.train(Path("stays.yaml"), sizes="small,large")
    bundles = [f"{run.store}/bundles/{size}" for size in ("small", "large")]
    assert compared == [(run.store, bundles, False)]
