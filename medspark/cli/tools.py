"""Commands that prepare machines."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from medspark.cli.run_command import exit_code_of, terminal


def pack(
    out: Annotated[Path, typer.Option(help="The archive to write.")] = Path("environment.tar.gz"),
    with_tensorflow: Annotated[
        bool, typer.Option("--with-tensorflow", help="For bundles that only TensorFlow can serve.")
    ] = False,
    with_images: Annotated[bool, typer.Option("--with-images", help="For bundles whose source has images.")] = False,
) -> None:
    """Pack the Python packages that scoring needs, for clusters whose machines lack them."""
    from medspark.deploy.pack import IMAGES, SCORING, TENSORFLOW
    from medspark.deploy.pack import pack as pack_environment

    with exit_code_of(terminal()):
        more = (TENSORFLOW if with_tensorflow else ()) + (IMAGES if with_images else ())
        versions = pack_environment(out, SCORING + more)
        print(f"{len(versions)} packages, {out.stat().st_size / 1e6:,.0f} MB: {out}")
        print(f"spark-submit --archives {out}#environment --conf spark.pyspark.python=./environment/bin/python ...")


def share_classes() -> None:
    """Archive the classes of a Spark session for this machine's Java: each later command starts 2 s sooner."""
    from medspark.spark.class_archive import make_archive
    from medspark.spark.session import require_java

    with exit_code_of(terminal()):
        print(make_archive(require_java()))


def schedule(
    deployment: Annotated[Path, typer.Argument(metavar="DEPLOYMENT", help="Such as conf/deployments/NAME.yaml.")],
    by: Annotated[Literal["cron", "systemd", "airflow", "kubernetes"], typer.Option(help="Who runs it.")],
    to: Annotated[Path, typer.Option(help="The folder for the files of all but cron.")] = Path(),
) -> None:
    """Print the crontab lines of a deployment's nights, or write what another scheduler reads: systemd's service and
    timer, Airflow's DAG, the Spark operator's application.
    """
    from medspark.deploy.airflow import airflow_dag, first_day
    from medspark.deploy.kubernetes import scheduled_application
    from medspark.deploy.load import load_deployment
    from medspark.deploy.schedule import cron_line, systemd_units

    with exit_code_of(terminal()):
        found, file = load_deployment(deployment), deployment.resolve()
        command = shutil.which("medspark") or sys.argv[0]
        match by:
            case "cron":
                print(cron_line(found, file, command))
                return
            case "systemd":
                texts = systemd_units(found, file, command)
            case "airflow":
                texts = airflow_dag(found, file, command, first_day(found.as_of, datetime.now(UTC)))
            case "kubernetes":
                texts = scheduled_application(found, file)
        to.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (to / name).write_text(text, encoding="utf-8")
            print(to / name)
