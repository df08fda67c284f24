"""The `medspark` command. Each subcommand is also a job: `spark-submit jobs/X.py` takes the same arguments.

Exit codes: 0 done; 2 the task or arguments are wrong; 3 the input breaks its contract; 4 a gate refused; 5 another run
has the store; 6 too many rows were rejected; 7 the store cannot be written; 8 a database is away: run again; 130 and
143 stopped by Ctrl-C and by SIGTERM; 1 else.
"""

import os

import typer

from medspark.cli.champion import promote, rollback
from medspark.cli.compare import compare
from medspark.cli.data import clean, concepts, features, meds, synth
from medspark.cli.demo import demo
from medspark.cli.draft import init, profile
from medspark.cli.evaluate import evaluate
from medspark.cli.look import runs, show
from medspark.cli.model import report, run, train
from medspark.cli.night import backfill, night, tidy, verify, why
from medspark.cli.serve import encode, monitor, score
from medspark.cli.task import check, schema
from medspark.cli.tools import pack, schedule, share_classes
from medspark.cli.tune import tune
from medspark.cli.update import update

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The `medspark` command. Each subcommand is also a job: `spark-submit jobs/X.py` takes the same arguments.",
)


OF_NO_PATIENT = {"pack", "schedule", "schema"}
"""Commands whose files another account installs."""


@app.callback()
def begin(context: typer.Context) -> None:
    """What holds of every command that may read patients' rows: all that it writes is for its owner only."""
    if context.invoked_subcommand not in OF_NO_PATIENT:
        os.umask(0o077)


for command in (
    init,
    profile,
    check,
    schema,
    synth,
    clean,
    features,
    concepts,
    meds,
    train,
    tune,
    run,
    score,
    monitor,
    night,
    backfill,
    why,
    verify,
    tidy,
    encode,
    evaluate,
    report,
    compare,
    update,
    promote,
    rollback,
    runs,
    show,
    pack,
    share_classes,
    schedule,
    demo,
):
    app.command()(command)


def main() -> None:
    app()
