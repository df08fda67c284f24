"""What keeping a model up to date is worth: diabetes130 in the order of its encounters, as if it were five years.

    python benchmarks/updating.py [TASK.yaml] [--years 5] [--members 4] [--epochs N] [--resamples 300]

The network learns from the first year. Each year from the third on is then scored four ways by what was known before it
began: by the frozen network; by the frozen network with its calibration fitted to the year before; by the network that
was updated with each year after the first, some older cases rehearsed; and by one trained anew on all years so far.
Only patients of the test side of the split are scored: none of the four learned from them in any year. Then two
updates that must be refused: one whose outcomes are turned round, and one that knows no outcome of one age group.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from medspark.encode.statistics import Statistics
from medspark.evaluate.challenge import challenged, refusals
from medspark.evaluate.metrics import intervals, performance
from medspark.evaluate.subgroups import Cases, Drawing
from medspark.schemas import CASE_ID, CASES, LABEL, SPLIT, SUBJECT_ID, TEST
from medspark.score.worker.calibration import TargetCalibrations, apply_calibrations
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.open_run import open_run
from medspark.store.tables import read_table
from medspark.task.load import load_task
from medspark.task.tasks import Task
from medspark.task.updating import Updating
from medspark.train.fit import Fitted
from medspark.train.networks.build import serving_network
from medspark.train.train_network import SPLITS, calibrated, predict_split, subgroups_of, train_network, write_tensors
from medspark.train.update import Given, go_on

YEAR = "_year"
SHOWN = ("auroc", "brier", "calibration_slope", "calibration_intercept")
GROUP, LOST = "age_band", "70 and over"
"""The subgroup of which the second bad update knows no outcome."""


class Model(NamedTuple):
    fitted: Fitted
    calibration: TargetCalibrations
    statistics: Statistics


class Years(NamedTuple):
    """The cases by year, and their tensors by the first year's statistics."""

    task: Task
    cases: DataFrame
    folder: Path

    def of(self, *years: int) -> DataFrame:
        return self.cases.where(F.col(YEAR).isin(*years))

    def tensors(self, name: str, cases: DataFrame, statistics: Statistics) -> str:
        path = self.folder / name
        return str(path) if path.exists() else write_tensors(cases, statistics, str(path))


def cases_by_year(task: Task, store: str, years: int) -> DataFrame:
    """The task's cases with the part of all, by rising id, that each is in, from 1."""
    run = open_run(store, task, quiet=True)
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return read_table(run.spark, store, CASES).withColumn(YEAR, F.ntile(years).over(Window.orderBy(CASE_ID))).cache()


def copied(model: Model) -> Model:
    """The same network with weights of its own."""
    plain = keras.Model(model.fitted.members.input, model.fitted.members.output)  # of one compiled, keras asks the loss
    members = keras.models.clone_model(plain)
    members.set_weights(model.fitted.members.get_weights())
    return model._replace(fitted=model.fitted._replace(network=serving_network(members), members=members))


def recalibrated(model: Model, table: str, task: Task) -> Model:
    """The model with its calibration fitted on cases that it did not learn from, of one year."""
    parts = {split: predict_split(model.fitted, table, split, model.statistics) for split in SPLITS}
    found = calibrated(model.fitted, parts, task)
    return model._replace(calibration=found)


def updated(model: Model, years: Years, year: int, cases: DataFrame | None = None, name: str = "") -> Model:
    """A copy of a model that goes on learning from a year, with as many cases of the years before rehearsed.

    Args:
        cases: in the place of the year's own.
        name: theirs.
    """
    table = years.tensors(f"{name}year{year}", years.of(year) if cases is None else cases, model.statistics)
    count = years.of(year).where(F.col(SPLIT) != TEST).count()
    old = years.cases.where((F.col(YEAR) < year) & (F.col(SPLIT) != TEST))
    sample = old.orderBy(F.xxhash64(F.lit(year), CASE_ID)).limit(count)
    before = years.tensors(f"before{year}", sample, model.statistics)
    found = copied(model)
    given = Given(table, before, pd.DataFrame())
    go_on(found.fitted, model.statistics, years.task, given, "weights", lambda *told: None)
    return recalibrated(found, table, years.task)


def scored(model: Model, table: str) -> pd.DataFrame:
    """Of the cases of the test split the id, the patient, the outcome and the risk."""
    part = predict_split(model.fitted, table, TEST, model.statistics)
    frame = part.keys.copy()
    frame[LABEL] = part.truth.label[:, 0].astype(np.int8)
    return frame.assign(risk=apply_calibrations(model.calibration, part.logit)[:, 0]).sort_values(CASE_ID)


def told(way: str, year: int, found: pd.DataFrame, resamples: int) -> dict[str, Any]:
    """A year's figures for one way, each with its 95 % interval by patient."""
    label, risk, subject = found[LABEL].to_numpy(), found["risk"].to_numpy(), found[SUBJECT_ID].to_numpy()
    values, spans = performance(label, risk), intervals(label, risk, subject, resamples, 0)
    figures = {name: (values[name], *(spans[name] or (None, None))) for name in SHOWN}
    return {"year": year, "way": way, "cases": len(found), **figures}


def trained(years: Years, upto: int) -> Model:
    """A model of all years up to one."""
    cases = years.cases.where(F.col(YEAR) <= upto)
    path = str(years.folder / f"upto{upto}")
    found = train_network(cases, years.task, path, lambda *told: None, with_baselines=False)
    return Model(found.fitted, found.calibration, found.statistics)


def by_year(frozen: Model, years: Years, count: int, resamples: int) -> Iterator[dict[str, Any]]:
    """The rows of the table, as they come."""
    latest = frozen
    for year in range(3, count + 1):
        latest = updated(latest, years, year - 1)
        before = years.tensors(f"year{year - 1}", years.of(year - 1), frozen.statistics)
        ways: dict[str, Callable[[], Model]] = {
            "frozen": lambda: frozen,
            "recalibrated": lambda before=before: recalibrated(frozen, before, years.task),
            "updated": lambda latest=latest: latest,
            "refitted": lambda year=year: trained(years, year - 1),
        }
        for way, make in ways.items():
            model = make()
            name = f"year{year}" if model.statistics is frozen.statistics else f"year{year}-anew"
            table = years.tensors(name, years.of(year), model.statistics)
            yield told(way, year, scored(model, table), resamples)


def bad_updates(champion: Model, years: Years, resamples: int) -> Iterator[dict[str, Any]]:
    """What is said of a good update by the second year, and of two that must be refused."""
    lost = F.when(F.col(GROUP) == LOST, F.lit(False)).otherwise(F.col(LABEL))
    second = years.of(2)
    ways = {"good": second, "turned": second.withColumn(LABEL, ~F.col(LABEL)), "blind": second.withColumn(LABEL, lost)}
    then = years.tensors("year1", years.of(1), champion.statistics)
    groups = subgroups_of(years.of(1, 2), years.task)
    for way, cases in ways.items():
        now = years.tensors(f"{way}-year2", cases, champion.statistics)
        challenger = updated(champion, years, 2, cases, f"{way}-")
        recent, before = (compared(champion, challenger, table, groups, resamples) for table in (now, then))
        yield {"update": way, "refused": refusals(recent, before, years.task.updating or Updating())}


def compared(
    champion: Model, challenger: Model, table: str, groups: pd.DataFrame, resamples: int
) -> list[dict[str, Any]]:
    one, other = scored(champion, table), scored(challenger, table)
    levels = one[[CASE_ID]].merge(groups, on=CASE_ID, how="left")
    subject = pd.factorize(one[SUBJECT_ID])[0]
    cases = Cases(one[LABEL].to_numpy() == 1, one["risk"].to_numpy(), subject, np.ones(len(one)))
    columns = {str(name): levels[name] for name in levels if name != CASE_ID}
    return challenged(cases, other["risk"].to_numpy(), columns, Drawing(resamples, 0))


def shown(rows: list[dict[str, Any]]) -> Table:
    table = Table("year", "way", "cases", *SHOWN)
    for row in rows:
        figures = ("-" if row[name][0] is None else "{:.4f} ({:.4f} to {:.4f})".format(*row[name]) for name in SHOWN)
        table.add_row(str(row["year"]), row["way"], f"{row['cases']:,}", *figures)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?", default="conf/tasks/readmission-diabetes130.yaml")
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--epochs", type=int, help="at most; by the number of cases where none is said")
    parser.add_argument("--resamples", type=int, default=300)
    asked = parser.parse_args()
    task = load_task(asked.task)
    features = task.features.model_copy(update={"history": None})  # one year's source has no earlier stays
    network = task.network.model_copy(update={"members": asked.members})
    training = task.training.model_copy(update={"epochs": asked.epochs})
    task = task.model_copy(update={"features": features, "network": network, "training": training})
    with tempfile.TemporaryDirectory() as folder:
        years = Years(task, cases_by_year(task, f"{folder}/store", asked.years), Path(folder))
        first = trained(years, 1)
        for row in bad_updates(first, years, asked.resamples):
            print(json.dumps(row), flush=True)
        rows = []
        for row in by_year(first, years, asked.years, asked.resamples):
            print(json.dumps(row), flush=True)
            rows.append(row)
    Console(width=160).print(shown(rows))


if __name__ == "__main__":
    main()
