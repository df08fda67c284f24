"""No address holds a secret, in a task, a deployment or an argument: receipts and ledgers show them."""

import pytest
import typer
from support.sound import EVENT_TASK, changed

from medspark.cli.run_command import run_command
from medspark.deploy.deployment import Deployment
from medspark.task.addresses import REFUSAL, holds_secret
from medspark.task.load import check_task

WORD = "w0rd4711"


@pytest.mark.parametrize("place", [f"s3a://KEY:{WORD}@bucket/x", f"s3a://KEY:a/{WORD}@bucket", f"ftp://u:{WORD}@h/x"])
def test_an_address_with_a_key_is_refused_everywhere_and_never_shown(place, tmp_path, monkeypatch, capfd):
    task = changed(EVENT_TASK, "source.path", place)
    told = ["\n".join(check_task(task)[1])]
    sinks = [{"kind": "csv", "path": "/out"}]
    for key in ("bundle", "store", "source"):
        given = {"deployment": "d", "bundle": "/b", "store": "/s", "sinks": sinks, key: place}
        with pytest.raises(ValueError, match="expected an address without a secret") as refused:
            Deployment.model_validate(given)
        told.append("; ".join(error["msg"] for error in refused.value.errors()))
    monkeypatch.setattr("rich.console.Console.print", lambda self, *words, **how: told.append(" ".join(words)))
    for store, arguments in ((place, {}), (str(tmp_path / "store"), {"source": place})):
        with pytest.raises(typer.Exit) as ended, run_command("score", store, False, **arguments):
            pass
        assert ended.value.exit_code == 2
    assert len([one for one in told if REFUSAL in one]) == 6
    assert not any(WORD in one for one in told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    [
        "/srv/a:b@c",
        "hdfs://namenode:8020/x@y",
        "abfss://stays@account.dfs.core.windows.net/x",
        "s3a://bucket/a:b",
        "stays-*.csv",
    ],
)
def test_an_address_without_one_passes(place):
    assert not holds_secret(place)
