"""A deployment as a line of cron, or as a timer and a service of systemd. No Spark here."""

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from medspark.deploy.deployment import Clock, Deployment

CALL: Final = (2, 3, 4, 6)
"""Exit codes that running again does not mend: the deployment, the source, the gate, too many rows without a score."""

YEARS: Final = 10
"""For which a timer knows the nights that the clock skips."""


def cron_line(deployment: Deployment, file: Path, command: str) -> str:
    """The lines of a crontab that run a night each day.

    Args:
        deployment: whose nights.
        file: its file.
        command: where `medspark` is.

    >>> from medspark.deploy.deployment import Clock, FileSink
    >>> sinks = (FileSink(kind="csv", path="/out"),)
    >>> night = Deployment(deployment="stays", bundle="/b", store="/s", as_of=Clock(at="06:30"), sinks=sinks)
    >>> print(cron_line(night, Path("/etc/stays.yaml"), "/opt/bin/medspark"))
    CRON_TZ=UTC
    30 6 * * * /opt/bin/medspark night /etc/stays.yaml --json
    """
    hour, minute = deployment.as_of.at.split(":")
    call = shlex.join([command, "night", str(file), "--json"]).replace("%", "\\%")
    return f"CRON_TZ={deployment.as_of.timezone}\n{int(minute)} {int(hour)} * * * {call}"


def systemd_units(deployment: Deployment, file: Path, command: str) -> dict[str, str]:
    """The service and the timer, by the names of their files.

    A night that was missed, as the machine was off, is run when it is on again. What another attempt may mend is tried
    again three times, ten minutes apart; what it cannot mend is not. Nights whose time the clock skips in spring are
    named for the next ten years.
    """
    name, clock = f"medspark-{deployment.deployment}", deployment.as_of
    call, path = _word(command), _word(str(file)).replace("$", "$$")  # of the program's path nothing is replaced
    skipped = "".join(f"OnCalendar={moment:%Y-%m-%d %H:%M}:00 UTC\n" for moment in _skipped(clock, datetime.now(UTC)))
    service = f"""[Unit]
Description=medspark night of {deployment.deployment}
StartLimitIntervalSec=6h
StartLimitBurst=4

[Service]
Type=oneshot
ExecStart={call} night {path} --json
TimeoutStopSec=30
Restart=on-failure
RestartSec=600
RestartPreventExitStatus={" ".join(map(str, CALL))}
"""
    timer = f"""[Unit]
Description=each day at {clock.at} in {clock.timezone}: medspark night of {deployment.deployment}

[Timer]
OnCalendar=*-*-* {clock.at}:00 {clock.timezone}
{skipped}Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": service, f"{name}.timer": timer}


def _word(text: str) -> str:
    """A word of systemd's command line: quoted, no letter of it with a meaning of its own."""
    marked = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + "".join(letter if letter >= " " else f"\\x{ord(letter):02x}" for letter in marked) + '"'


def _skipped(clock: Clock, now: datetime) -> list[datetime]:
    """The nights of the years to come whose time the clock skips, as it is put forward: systemd passes over them.

    >>> berlin = Clock(at="02:30", timezone="Europe/Berlin")
    >>> [str(moment) for moment in _skipped(berlin, datetime(2026, 1, 1, tzinfo=UTC))[:2]]
    ['2026-03-29 01:30:00+00:00', '2027-03-28 01:30:00+00:00']
    """
    today = now.date()
    moments = clock.between(today, today + timedelta(days=round(365.25 * YEARS)))
    zone = ZoneInfo(clock.timezone)
    return [moment for moment in moments if f"{moment.astimezone(zone):%H:%M}" != clock.at]
