"""A deployment as a line of cron, or as a timer and a service of systemd. No Spark here."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from medspark.deploy.deployment import Deployment

CALL: Final = (2, 3, 4, 6)
"""Exit codes that running again does not mend: the deployment, the source, the gate, too many rows without a score."""


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


def systemd_units(deployment: Deployment, file: Path, command: str) -> Mapping[str, str]:
    """The service and the timer, by the names of their files.

    A night that was missed, as the machine was off, is run when it is on again. What another attempt may mend is tried
    again three times, ten minutes apart; what it cannot mend is not.
    """
    name, clock = f"medspark-{deployment.deployment}", deployment.as_of
    words = [f'"{word}"' for word in (word.replace("\\", "\\\\").replace('"', '\\"') for word in (command, str(file)))]
    call, path = (word.replace("%", "%%").replace("$", "$$") for word in words)
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
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": service, f"{name}.timer": timer}
