"""The bootstrap of a million cases beside a plain loop over scikit-learn's metrics, on the same draws of patients.

    python benchmarks/evaluating.py [--cases N] [--resamples B]

Medspark's resamples have all its metrics, recall and precision at five rates of alerts and the net benefit at 99
thresholds; the loop has four metrics. Of the loop a few resamples are run and their time is multiplied.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from medspark.evaluate.bootstrap import Resamples, over_resamples, sample_of
from medspark.evaluate.decisions import decision_figures
from medspark.evaluate.logistic import Floats, sigmoid
from medspark.evaluate.metrics import measure_of
from medspark.evaluate.subgroups import Cases, Drawing, subgroup_rows

LOOPED = 3
"""Resamples of the loop that are run."""
METRICS: dict[str, Callable[[Floats, Floats], float]] = {
    "auroc": roc_auc_score,
    "auprc": average_precision_score,
    "brier": brier_score_loss,
    "log_loss": log_loss,
}


def cases_of(count: int) -> Cases:
    """So many cases of half as many patients; the risks are right."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-2, 1.2, count)
    label = rng.random(count) < sigmoid(log_odds)
    return Cases(label, sigmoid(log_odds), rng.integers(0, count // 2, count), np.ones(count))


def by_medspark(cases: Cases, resamples: int) -> dict[str, Floats]:
    sample = sample_of(cases.label, cases.risk, cases.subject)
    measure = measure_of(sample)

    def figures(drawn: Resamples) -> dict[str, Floats]:
        return {**measure(drawn.positive[:, 0], drawn.negative[:, 0]), **decision_figures(sample.risk, drawn)}

    return over_resamples(sample, resamples, 0, figures)


def by_loop(cases: Cases, resamples: int) -> dict[str, Floats]:
    """As one would write it: of each draw the rows of its patients, and of these each metric."""
    patient = np.unique(cases.subject, return_inverse=True)[1]
    rng, count = np.random.default_rng(0), patient.max() + 1
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(resamples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        rows = np.repeat(np.arange(len(patient)), times[patient])
        for name, metric in METRICS.items():
            found[name].append(metric(cases.label[rows], cases.risk[rows]))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=300)
    asked = parser.parse_args()
    cases = cases_of(asked.cases)
    spent = {}
    start = time.perf_counter()
    found = by_medspark(cases, asked.resamples)
    spent["medspark"] = time.perf_counter() - start
    start = time.perf_counter()
    looped = by_loop(cases, LOOPED)
    spent["scikit-learn, in a loop"] = (time.perf_counter() - start) / LOOPED * asked.resamples
    levels = np.array(["a", "b", "c", "d"])[np.random.default_rng(1).integers(0, 4, asked.cases)]
    start = time.perf_counter()
    subgroup_rows(pd.Series(levels), "site", cases, Drawing(asked.resamples, 0), True)
    spent["medspark, 4 subgroups and the rest of each"] = time.perf_counter() - start
    apart = max(float(np.abs(found[name][:LOOPED] - values).max()) for name, values in looped.items())
    table = Table("way", "seconds", "medspark is", title=f"{asked.cases:,} cases, {asked.resamples} resamples")
    for way, seconds in spent.items():
        table.add_row(way, f"{seconds:,.1f}", f"{seconds / spent['medspark']:,.2f} ×")
    console = Console(width=100)
    console.print(table)
    console.print(
        f"The same draws give metrics that lie at most {apart:.1e} apart: risks are rounded to 1/200 of a logit"
    )


if __name__ == "__main__":
    main()
