"""The arguments that several commands share. No Spark here, so that `medspark --help` is quick."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

TaskFile = Annotated[Path, typer.Argument(metavar="TASK", help="A task file, such as conf/tasks/NAME.yaml.")]
Store = Annotated[str, typer.Option(help="Where the tables, bundles and receipts go.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print the receipt as JSON, for a scheduler.")]
TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="FOLDER", help="Write each epoch's losses and speed there, for TensorBoard."),
]
MLflow = Annotated[
    str | None,
    typer.Option("--mlflow", metavar="URI", help="Track the run there: parameters, metrics by epoch, the bundle."),
]
Folds = Annotated[bool, typer.Option("--cross-validate", help="Also train once for each of the task's split.folds.")]
BundleFolder = Annotated[
    str,
    typer.Argument(metavar="BUNDLE", help="The folder that training printed, or its copy, such as hdfs://HOST/FOLDER."),
]
Scored = Annotated[
    str,
    typer.Argument(metavar="BUNDLE", help="The same; or `champion`: the bundle promoted in the store of --to."),
]
Expect = Annotated[
    str | None,
    typer.Option("--expect", metavar="ID", help="The id that the bundle must have: another is refused, unread."),
]
Source = Annotated[
    str | None, typer.Option(help="The file, folder or pattern to score; without it the one trained on.")
]
AsOf = Annotated[
    str | None, typer.Option(help="Score the population as it stood at this time, such as 2026-11-23T06:00 (UTC).")
]
History = Annotated[
    str | None,
    typer.Option(metavar="STORE", help="A store whose records are earlier rows too; of events, are scored."),
]
ServedBy = Annotated[
    Literal["auto", "litert", "tensorflow"], typer.Option(help="auto: litert where the bundle has it.")
]
Who = Literal["auto", "workers", "spark"]
Reader = Annotated[
    Who, typer.Option(help="Who reads tensors or a table. auto: the workers themselves where they can, else Spark.")
]
STORE = "store"


def absolute(path: str) -> str:
    """A path of this machine in full, since Spark's own working folder is another; others as they are.

    >>> absolute("hdfs://namenode:8020/store")
    'hdfs://namenode:8020/store'
    """
    return path if "://" in path else os.path.abspath(path)
