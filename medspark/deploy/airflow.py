"""A deployment as a DAG of Apache Airflow 3, in a file that imports nothing of medspark's and calls its command."""

from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from medspark.deploy.deployment import Clock, Deployment
from medspark.deploy.schedule import CALL

_DAG: Final = '''"""Each day at {at} in {zone}: medspark night of {name}. Written by `medspark schedule`."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

CALL = {call}
"""Exit codes that running again does not mend: somebody is to be called."""
ZONE = ZoneInfo({zone!r})


class Night(BaseOperator):
    """A night, of the end of its data interval: the clock shows {at}, for the first time where it does so twice."""

    template_fields = ("as_of",)

    def __init__(self, as_of="{{{{ data_interval_end.isoformat() }}}}", **options):
        super().__init__(**options)
        self.as_of = as_of
        self.hook = SubprocessHook()

    def execute(self, context):
        as_of = datetime.fromisoformat(self.as_of).astimezone(ZONE).replace(fold=0).isoformat()
        code = self.hook.run_command([{command!r}, "night", {file!r}, "--as-of", as_of]).exit_code
        if code in CALL:
            raise AirflowFailException(f"medspark ended with exit code {{code}}: another attempt does not mend it")
        if code:
            raise AirflowException(f"medspark ended with exit code {{code}}: it is tried again")

    def on_kill(self):
        self.hook.send_sigterm()


with DAG(
    {dag!r},
    schedule=CronDataIntervalTimetable({cron!r}, timezone={zone!r}),
    start_date=datetime({year}, {month}, {day}, tzinfo=ZONE),
    catchup=True,
    max_active_runs=1,
    tags=["medspark"],
):
    Night(task_id="night", retries=3, retry_delay=timedelta(minutes=10), max_active_tis_per_dag=1)
'''


def airflow_dag(deployment: Deployment, file: Path, command: str, first: date) -> dict[str, str]:
    """The file of a DAG, by its name.

    A night runs once its interval is over, one after the other, also those that were missed or are filled in. What
    another attempt may mend is tried three times more, ten minutes apart; what it does not mend fails at once.

    Args:
        deployment: whose nights.
        file: its file, as Airflow's workers have it.
        command: where `medspark` is there.
        first: the day, in the clock's zone, on which the first interval begins. The first night that Airflow runs of
            itself is of that interval's end, a day later; its `backfill` runs those before.
    """
    clock, name = deployment.as_of, f"medspark-{deployment.deployment}"
    hour, minute = clock.at.split(":")
    text = _DAG.format(
        at=clock.at,
        zone=clock.timezone,
        name=deployment.deployment,
        call=CALL,
        command=command,
        file=str(file),
        dag=name,
        cron=f"{int(minute)} {int(hour)} * * *",
        year=first.year,
        month=first.month,
        day=first.day,
    )
    return {f"{name}.py": text}


def first_day(clock: Clock, now: datetime) -> date:
    """The day, in the clock's zone, of the newest night that is not after `now`: Airflow runs all that come after it.

    >>> from datetime import UTC
    >>> first_day(Clock(at="20:00", timezone="America/New_York"), datetime(2026, 11, 27, 3, tzinfo=UTC))
    datetime.date(2026, 11, 26)
    """
    return clock.last(now).astimezone(ZoneInfo(clock.timezone)).date()
