"""A deployment's schedule, as the schedulers read it."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medspark.cli.main import app
from medspark.deploy.deployment import Clock, Deployment, FileSink
from medspark.deploy.schedule import cron_line, systemd_units

NIGHT = Deployment(
    deployment="stays",
    bundle="/bundles/b",
    store="/store",
    as_of=Clock(at="02:05", timezone="Europe/Berlin"),
    sinks=(FileSink(kind="csv", path="/out"),),
)


def test_cron_is_told_the_zone_and_a_percent_sign_is_no_line_end():
    assert cron_line(NIGHT, Path("/etc/my nights/100%.yaml"), "/opt/medspark").splitlines() == [
        "CRON_TZ=Europe/Berlin",
        r"5 2 * * * /opt/medspark night '/etc/my nights/100\%.yaml' --json",
    ]


def test_systemd_runs_it_each_day_and_again_only_where_that_may_help(tmp_path):
    units = systemd_units(NIGHT, Path("/etc/my nights/100%.yaml"), "/usr/bin/true")
    assert list(units) == ["medspark-stays.service", "medspark-stays.timer"]
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    for text in units.values():
        parsed.read_string(text.replace("[Unit]", f"[Unit {len(parsed.sections())}]"))
    assert "OnCalendar=*-*-* 02:05:00 Europe/Berlin" in units["medspark-stays.timer"].splitlines()
    assert parsed["Service"]["ExecStart"] == '"/usr/bin/true" night "/etc/my nights/100%%.yaml" --json'
    assert parsed["Service"]["RestartPreventExitStatus"] == "2 3 4 6"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_itself_finds_nothing_wrong(tmp_path):
    for name, text in systemd_units(NIGHT, Path("/etc/stays.yaml"), "/usr/bin/true").items():
        (tmp_path / name).write_text(text)
    files = sorted(map(str, tmp_path.iterdir()))
    found = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_night_whose_time_the_clock_skips_is_run_all_the_same():
    skipping = NIGHT.model_copy(update={"as_of": Clock(at="02:30", timezone="Europe/Berlin")})
    timer = systemd_units(skipping, Path("/etc/stays.yaml"), "/usr/bin/true")["medspark-stays.timer"]
    calendar = [line for line in timer.splitlines() if line.startswith("OnCalendar=")]
    assert calendar[0] == "OnCalendar=*-*-* 02:30:00 Europe/Berlin"
    assert "OnCalendar=2030-03-31 01:30:00 UTC" in calendar
    assert len(calendar) == 11
    usual = systemd_units(NIGHT.model_copy(update={"as_of": Clock(at="03:30")}), Path("/a"), "/b")
    assert usual["medspark-stays.timer"].count("OnCalendar=") == 1


def test_no_letter_of_a_path_means_anything_to_systemd():
    service = systemd_units(NIGHT, Path('/etc/a $HOME\n"b"/%h.yaml'), "/opt/$x/100%/medspark")["medspark-stays.service"]
    (call,) = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    assert call == r"""ExecStart="/opt/$x/100%%/medspark" night "/etc/a $$HOME\x0a\"b\"/%%h.yaml" --json"""


def test_the_command_prints_the_line_and_writes_the_units(tmp_path):
    file = tmp_path / "stays.yaml"
    file.write_text("{deployment: stays, bundle: /b, store: /s, sinks: [{kind: csv, path: /out}]}")
    said = CliRunner().invoke(app, ["schedule", str(file), "--by", "cron"])
    assert said.exit_code == 0
    assert f"night {file} --json" in said.stdout
    for by, name in (("airflow", "medspark-stays.py"), ("kubernetes", "medspark-stays.yaml")):
        said = CliRunner().invoke(app, ["schedule", str(file), "--by", by, "--to", str(tmp_path / by)])
        assert said.exit_code == 0
        assert str(file) in (tmp_path / by / name).read_text()
    said = CliRunner().invoke(app, ["schedule", str(file), "--by", "systemd", "--to", str(tmp_path / "units")])
    assert said.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == [
        "medspark-stays.service",
        "medspark-stays.timer",
    ]
