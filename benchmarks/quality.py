"""How good the default networks are beside logistic regression and gradient boosting, on the same patients.

    python benchmarks/quality.py TASK.yaml ... [--splits 5]       tasks whose data is where they say
    python benchmarks/quality.py --small [NAME ...]               public tables of the package SurvSet, by a horizon
    python benchmarks/quality.py --alone TASK.yaml ...            the network alone

Each task is cleaned and made into cases once. The patients are divided into as many folds as there are divisions, each
of which is tested on once, and the next one is the validation split; so the test patients of all divisions together are
everybody, and what they have more of than the others evens out. In each the network is trained as `medspark train`
trains it, and beside it on the same tensors: logistic regression; scikit-learn's gradient boosting with early stopping,
the best of six settings by the validation split; and LightGBM, the best of three. All are measured on the test
patients, whom no choice saw. What is printed is the mean over the divisions, its spread, and the network's difference
from each on the same patients.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from medspark.cases.split import assign_fold, hold_out_fold
from medspark.evaluate.reliance import BY_MISSING
from medspark.evaluate.truth import reading_of
from medspark.runs.receipt import Receipt, new_run_id
from medspark.runs.run import Run
from medspark.schemas import CASES, LABEL, SPLIT, SUBJECT_ID, TEST, TRAIN, VALID
from medspark.spark.session import start_session
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.store.tables import read_table
from medspark.task.load import load_task
from medspark.task.tasks import Task
from medspark.train.baselines import dense_design, fit_baselines, plain_tensors
from medspark.train.batches import Loaded, load_split
from medspark.train.train_network import risks_of, train_network

SMALL = [
    "LeukSurv",
    "Dialysis",
    "actg",
    "grace",
    "TRACE",
    "dataDIVAT1",
    "nwtco",
    "dataDIVAT3",
    "colon",
    "Aids2",
    "smarto",
    "rott2",
    "Framingham",
    "GBSG2",
]
"""Of SurvSet: 500 to 10,000 cases. Others are kept for a check that no choice saw: support2, rhc and flchain."""
LEAVES = (7, 15, 31)
RATES = (0.03, 0.1)
Models = dict[str, Callable[[Any], np.ndarray]]


def small_task(name: str, folder: Path) -> Path:
    """A task whose outcome is whether the event came by the time that three in five of the events had come by."""
    from SurvSet.data import SurvLoader

    frame = SurvLoader().load_dataset(ds_name=name)["df"]
    days, event = frame["time"].astype(float), frame["event"].astype(int) == 1
    horizon = float(np.quantile(days[event], 0.6))
    known = (days >= horizon) | event
    numbers, factors = ([c for c in frame.columns if c.startswith(kind)] for kind in ("num_", "fac_"))
    table = frame.loc[known, numbers + factors].assign(outcome=(event & (days <= horizon))[known])
    table.insert(0, "case", range(len(table)))
    table.columns = [column.lower().replace(".", "_") for column in table.columns]
    table.to_csv(folder / f"{name}.csv", index=False)
    numbers, factors = ([c.lower().replace(".", "_") for c in names] for names in (numbers, factors))
    task = {
        "task": name.lower(),
        "title": f"{name}: the event within {horizon:g}",
        "source": {
            "kind": "table", "path": str(folder / f"{name}.csv"), "format": "csv", "case": "case", "subject": "case",
            "missing": ["nan", "NaN", "NA"],
        },
        "columns": {
            "case": {"type": "long"},
            **{column: {"type": "double"} for column in numbers},
            **{column: {"type": "category"} for column in factors},
            "outcome": {"type": "boolean", "true_values": ["True"], "false_values": ["False"]},
        },
        "outcome": {"name": "event", "when": "outcome"},
        "features": {"numeric": numbers, "categorical": factors},
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(task, sort_keys=False))
    return path


def cases_of(spark: SparkSession, task: Task, store: Path) -> tuple[Any, Task]:
    quiet = Console(quiet=True)
    run = Run(spark.sparkContext, str(store), quiet, Receipt("quality", new_run_id(), {}), quiet)
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return read_table(spark, str(store), CASES), frozen


# ---------------------------------------------------------------- models


def others(train: Loaded, valid: Loaded, inputs: Any, seed: int, classes: bool) -> Iterator[tuple[str, float, Any]]:
    """Name, seconds and model of each of the others."""
    y, held = ((part.truth.label.argmax(axis=1) if classes else part.truth.label[:, 0]) for part in (train, valid))
    began = time.perf_counter()
    logistic = fit_baselines(train.tensors, y, inputs, seed)["logistic_regression"]
    yield "logistic regression", time.perf_counter() - began, lambda tensors: two_columns(logistic(tensors))
    plain = plain_tensors(train.tensors, inputs)
    design = dense_design(plain, inputs, len(y))
    x, watched = design(plain), design(plain_tensors(valid.tensors, inputs))
    for name, fitted in (("boosting, tuned", histogram_boosting), ("LightGBM", light_boosting)):
        began = time.perf_counter()
        models = fitted(x, y, watched, held, design.categorical, seed)
        best = min(models, key=lambda model: log_loss(held, model.predict_proba(watched), labels=model.classes_))
        yield (
            name,
            time.perf_counter() - began,
            lambda tensors, best=best: best.predict_proba(design(plain_tensors(tensors, inputs))),
        )


def histogram_boosting(x: Any, y: Any, watched: Any, held: Any, levels: list[bool], seed: int) -> list[Any]:
    return [
        HistGradientBoostingClassifier(
            learning_rate=rate, max_leaf_nodes=leaves, max_iter=500, early_stopping=True, n_iter_no_change=15,
            random_state=seed,
            categorical_features=levels,
        ).fit(x, y)
        for rate in RATES
        for leaves in LEAVES
    ]  # fmt: skip


def light_boosting(x: Any, y: Any, watched: Any, held: Any, levels: list[bool], seed: int) -> list[Any]:
    stop = [lightgbm.early_stopping(30, verbose=False)]
    return [
        lightgbm.LGBMClassifier(
            n_estimators=1000, learning_rate=0.03, num_leaves=leaves, subsample=0.8, subsample_freq=1,
            colsample_bytree=0.8, n_jobs=2, random_state=seed, verbose=-1,
        ).fit(x, y, eval_set=[(watched, held)], callbacks=stop, categorical_feature=np.flatnonzero(levels).tolist())
        for leaves in LEAVES
    ]  # fmt: skip


def two_columns(risk: np.ndarray) -> np.ndarray:
    return np.stack([1 - risk, risk], axis=1) if risk.ndim == 1 else risk


# ---------------------------------------------------------------- measures


def measured(label: np.ndarray, risk: np.ndarray, classes: bool) -> dict[str, float]:
    if classes:
        y = label.argmax(axis=1)
        found = {"accuracy": accuracy_score(y, risk.argmax(axis=1)), "log_loss": log_loss(y, risk)}
    else:
        y, p = label[:, 0], risk[:, 1]
        found = {"auroc": roc_auc_score(y, p), "brier": brier_score_loss(y, p), "log_loss": log_loss(y, p)}
        found |= {"risk_less_share": p.mean() - y.mean(), "share": y.mean()}
    return {name: float(value) for name, value in found.items()}


def relied_on(found: dict[str, Any]) -> dict[str, float]:
    """Of the test patients the share flagged as unusual, and of those with and without the outcome, and of those of
    whom least and most is missing, the share whose conformal band leaves open what came true; NaN of too few."""
    everyone, *parts = found["coverage"]["groups"]
    by_missing = [part for part in parts if part["group"] == BY_MISSING]
    rows = {"": everyone} | ({"_least": by_missing[0], "_most": by_missing[-1]} if by_missing else {})
    covered = {
        f"covered_{name}{which}": (row[f"{name}_outcome"] or {}).get("covered", np.nan)
        for which, row in rows.items()
        for name in ("with", "without")
    }
    return {"unusual": found["unusual"]["share"], **covered}


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_gb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


def split_by(cases: Any, task: Task, division: int, divisions: int) -> Any:
    split = task.split.model_copy(update={"folds": divisions})
    return cases.withColumn(SPLIT, hold_out_fold(assign_fold(F.col(SUBJECT_ID), split), division, divisions))


def one_split(cases: Any, task: Task, seed: int, divisions: int, folder: Path, alone: bool) -> list[dict[str, Any]]:
    """A row a model, in one of the divisions."""
    divided, tensors = split_by(cases, task, seed, divisions), str(folder / f"tensors-{seed}")
    classes = task.outcome.targets.kind == "classes"
    reset_peak()
    began, cpu = time.perf_counter(), cpu_seconds()
    trained = train_network(divided, task, tensors, lambda *_: None, with_baselines=False)
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    about = {"seed": seed, "seconds": seconds, "cpu_seconds": cpu, "peak_gb": peak_gb()}
    inputs, reading = trained.statistics.inputs(), reading_of(task.outcome)
    parts = {split: load_split(tensors, split, inputs, reading, ("case_id",)) for split in (TRAIN, VALID, TEST)}
    test = parts[TEST]
    kept = (
        trained.predictions[trained.predictions[SPLIT] == TEST]
        .set_index("case_id")
        .loc[test.keys["case_id"].to_pylist()]
    )
    columns = [*task.outcome.targets.columns] or ["probability"]
    risk = two_columns(kept[columns[0]].to_numpy()) if len(columns) == 1 else kept[columns].to_numpy()
    beside = relied_on(trained.metrics["reliance"])
    rows = [{"model": "network", **about, **measured(test.truth.label, risk, classes), **beside}]
    if trained.teacher is not None:  # its seconds are among the network's, its student's
        said = risks_of(trained.teacher, tensors, trained.statistics, task)
        risk = said if classes else two_columns(said[:, 0])
        rows.append({"model": "teacher", "seed": seed, "seconds": None, **measured(test.truth.label, risk, classes)})
    models = () if alone else others(parts[TRAIN], parts[VALID], inputs, seed, classes)
    for name, spent, model in models:
        found = measured(test.truth.label, model(test.tensors), classes)
        rows.append({"model": name, "seed": seed, "seconds": spent, **found})
    return rows


def cpu_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


# ---------------------------------------------------------------- what is printed


def told(task: str, rows: pd.DataFrame, cases: int) -> Table:
    metrics = [name for name in ("auroc", "accuracy", "brier", "log_loss") if name in rows]
    table = Table(title=f"{task}: {cases:,} cases, {rows.seed.nunique()} divisions of the patients")
    for column in ("model", *metrics, f"network's {metrics[0]} less its", "seconds", "GB"):
        table.add_column(column, justify="left" if column == "model" else "right")
    network = rows[rows.model == "network"].set_index("seed")
    for model in rows.model.unique():
        found = rows[rows.model == model].set_index("seed")
        difference = network[metrics[0]] - found[metrics[0]]
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else float("nan")
        beside = "" if model == "network" else f"{difference.mean():+.4f} ± {error:.4f}, {(difference > 0).sum()} won"
        spread = [f"{found[name].mean():.4f} ({found[name].std(ddof=1):.4f})" for name in metrics]
        memory = f"{found.peak_gb.max():.1f}" if "peak_gb" in found and found.peak_gb.notna().any() else ""
        seconds = f"{found.seconds.mean():.0f}" if found.seconds.notna().any() else ""
        table.add_row(model, *spread, beside, seconds, memory)
    return table


def told_reliance(rows: pd.DataFrame) -> str:
    network = rows[rows.model == "network"]
    shares = [name for name in network if name.startswith("covered") or name == "unusual"]
    if "share" in network:  # of everyone
        both = network.covered_with * network.share + network.covered_without * (1 - network.share)
        network, shares = network.assign(covered=both), ["covered", *shares]
    each = [f"{name} {network[name].mean():.4f} ({network[name].std(ddof=1):.4f})" for name in shares]
    return "  beside the network's scores: " + ", ".join(each)


def told_level(rows: pd.DataFrame) -> str:
    """Calibration in the large: of each division the network's mean risk less the share with the outcome."""
    network = rows[rows.model == "network"]
    if "risk_less_share" not in network:
        return "  calibration in the large: of classes there is none"
    each = ", ".join(f"{found:+.4f}" for found in network.risk_less_share)
    return f"  the network's mean risk less the share with the outcome: {network.risk_less_share.mean():+.4f} ({each})"


def told_together(every: dict[str, pd.DataFrame]) -> Table:
    """The mean rank of each model over the tables, and how the network stands to logistic regression at worst."""
    means = pd.DataFrame({name: rows.groupby("model").auroc.mean() for name, rows in every.items()})
    ranks = means.rank(ascending=False)
    table = Table(title=f"{len(every)} tables together")
    for column in ("model", "mean AUROC", "mean rank", "least of its AUROC less logistic regression's"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for model in means.index:
        apart = means.loc[model] - means.loc["logistic regression"]
        worst = f"{apart.min():+.4f} ({apart.idxmin()})"
        table.add_row(model, f"{means.loc[model].mean():.4f}", f"{ranks.loc[model].mean():.2f}", worst)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help="task files, or with --small names of tables")
    parser.add_argument("--small", action="store_true", help="tables of SurvSet; all of them where none is named")
    parser.add_argument("--splits", type=int, default=5, help="divisions, at least 3")
    parser.add_argument("--alone", action="store_true", help="the network alone, and what stands beside its scores")
    parser.add_argument("--out", type=Path, help="a JSON file for every row")
    asked = parser.parse_args()
    spark, console, every = start_session("medspark quality"), Console(width=150), {}
    with tempfile.TemporaryDirectory(prefix="quality-") as scratch:
        folder = Path(scratch)
        for name in asked.tasks or (SMALL if asked.small else []):
            task = load_task(small_task(name, folder) if asked.small else name)
            cases, frozen = cases_of(spark, task, folder / Path(name).stem)
            count = cases.where(F.col(LABEL).isNotNull()).count()
            rows = [
                row
                for seed in range(asked.splits)
                for row in one_split(cases, frozen, seed, asked.splits, folder / Path(name).stem, asked.alone)
            ]
            every[Path(name).stem] = pd.DataFrame(rows)
            console.print(told(Path(name).stem, every[Path(name).stem], count))
            console.print(told_reliance(every[Path(name).stem]))
            console.print(told_level(every[Path(name).stem]))
            if asked.out is not None:
                asked.out.write_text(
                    json.dumps({key: found.to_dict("records") for key, found in every.items()}, indent=1)
                )
    if asked.small and len(every) > 1:
        console.print(told_together(every))


if __name__ == "__main__":
    main()
