"""What MLflow is given of a training run: a real client, with a folder and with a server that answers, and stops to."""

import builtins

import pytest
from support.tasks import stays_task

from medspark.errors import TaskError
from medspark.runs.progress import Told
from medspark.train.tracking import parameters_of, telling, tracked

METRICS = {"test": {"metrics": {"auroc": {"value": 0.75}, "auprc": {"value": None}}}}


def told(epoch, loss, ended=True):
    return Told("network", epoch, 3, 8, 8, 1000.0, 5.0, loss, {"valid_loss": loss + 1}, ended)


@pytest.fixture
def client(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    uri = (tmp_path / "tracked").as_uri()
    with tracked(uri, stays_task(), "0", print):  # makes the folder
        client = mlflow.MlflowClient(tracking_uri=uri)
    (first,) = client.search_runs([client.get_experiment_by_name("stays").experiment_id])
    client.delete_run(first.info.run_id)
    return client


def the_run(client):
    (run,) = client.search_runs([client.get_experiment_by_name("stays").experiment_id])
    return run


def test_a_run_has_its_parameters_its_metrics_by_epoch_and_its_bundle(client, tmp_path):
    bundle = tmp_path / "0123456789abcdef"
    bundle.mkdir()
    (bundle / "report.html").write_text("the report")
    heard = []
    with tracked(client.tracking_uri, stays_task(), "20261126T000000Z-0001", print) as tracking:
        progress = telling(tracking, heard.append)
        for at, one in enumerate([told(1, 0.5, ended=False), told(1, 0.5), told(2, 0.25)], start=1):
            progress(one)
            assert len(heard) == at
        tracking.finish(METRICS, bundle)
    run = the_run(client)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "20261126T000000Z-0001")
    assert run.data.params == parameters_of(stays_task())
    assert run.data.params["training.epochs"] == "3"
    assert run.data.params["network.images.shift"] == "0.1"
    history = client.get_metric_history(run.info.run_id, "network_loss")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 0.25)]
    assert run.data.metrics == {
        "network_loss": 0.25, "network_examples_per_second": 1000.0, "network_valid_loss": 1.25, "test_auroc": 0.75,
    }  # fmt: skip
    assert run.data.tags["bundle"] == bundle.name
    assert [one.path for one in client.list_artifacts(run.info.run_id, "bundle")] == ["bundle/report.html"]


def test_a_run_that_fails_is_marked_so(client):
    with pytest.raises(ValueError, match="no"), tracked(client.tracking_uri, stays_task(), "1", print):
        raise ValueError("no")
    assert the_run(client).info.status == "FAILED"


def test_a_server_that_stops_answering_is_told_of_once_and_stops_nothing(client, monkeypatch):
    said = []
    with tracked(client.tracking_uri, stays_task(), "1", said.append) as tracking:

        def gone(*_, **__):
            raise ConnectionError

        monkeypatch.setattr(type(client), "log_batch", gone)
        tracking.add(told(1, 0.5))
        tracking.add(told(2, 0.5))
    assert said == ["MLflow tracks no more of this run (ConnectionError); training goes on"]


def test_an_address_where_nothing_answers_is_one_sentence(client):
    with pytest.raises(TaskError, match="expected the address of a tracking server that answers"):
        tracked("http://127.0.0.1:9", stays_task(), "1", print).__enter__()


def test_where_mlflow_is_not_installed_one_sentence_says_how_to(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **more):
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(TaskError, match=r"pip install 'medspark\[mlflow\]'"):
        tracked("file:///x", stays_task(), "1", print).__enter__()


def test_nothing_is_tracked_where_nobody_asks():
    with tracked(None, stays_task(), "1", print) as tracking:
        assert tracking is None
        assert telling(tracking, print) is print
