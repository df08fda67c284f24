"""The test split where there is more than yes or no: each target's figures, and of classes those of all together."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medspark.evaluate.bootstrap import interval_of, resampled_means
from medspark.evaluate.censoring import Truth
from medspark.evaluate.logistic import Floats
from medspark.evaluate.metrics import performance, resampled
from medspark.evaluate.ranked import METRICS
from medspark.privacy.small_cells import distinct, publishable_counts
from medspark.task.tasks import Task

Estimates = dict[str, dict[str, float | None]]


class _Draws(NamedTuple):
    subject: NDArray[Any]
    resamples: int
    seed: int


def evaluate_targets(
    task: Task, truth: Truth, risk: Floats, subject: NDArray[Any], baselines: Mapping[str, Floats]
) -> dict[str, Any]:
    """JSON-able metrics of all targets on the same test cases, with 95 % intervals from a bootstrap of patients.

    At horizons every figure is weighed by the inverse of the chance to be followed so far, so that those who were
    followed stand for those who were not (Graf et al. 1999, Stat Med 18:2529).

    Args:
        truth: labels and weights (n, k).
        risk: (n, k) the network's probabilities.
        subject: (n,) whose case it is.
        baselines: by name, probabilities (n, k).

    Returns:
        `kind`, `headline`, and `targets`: one dict each with `name`, `cases`, `positives`, `metrics` and `baselines`,
        by name the metrics; of classes `together` as well: `metrics`, `baselines` and `confusion`, a row a true class.
    """
    targets = task.outcome.targets
    draws = _Draws(subject, task.report.bootstrap, task.training.seed)
    each: list[dict[str, Any]] = [
        _one_target(name, at, truth, {"": risk, **baselines}, draws) for at, name in enumerate(targets.names)
    ]
    counts = publishable_counts(
        [one[key] for one in each for key in ("cases", "positives", "negatives")],
        [people for at in range(len(each)) for people in _patients(truth, at, subject)],
    )
    for at, one in enumerate(each):
        one["cases"], one["positives"] = counts[3 * at : 3 * at + 2]
        del one["negatives"]
    found: dict[str, Any] = {"kind": targets.kind, "headline": targets.names[targets.headline], "targets": each}
    if targets.kind == "classes":
        found["together"] = {
            "metrics": _of_classes(truth.label, risk, draws),
            "baselines": {name: _of_classes(truth.label, other, draws) for name, other in baselines.items()},
            "confusion": confusion(truth.label, risk, subject),
        }
    return found


def _patients(truth: Truth, at: int, subject: NDArray[Any]) -> list[int]:
    """The distinct patients of a target's cases, of those with it and of those without."""
    known, positive = truth.weight[:, at] > 0, truth.label[:, at] > 0
    return [distinct(subject, part) for part in (known, known & positive, known & ~positive)]


def _one_target(name: str, at: int, truth: Truth, risks: Mapping[str, Floats], draws: _Draws) -> dict[str, Any]:
    known = truth.weight[:, at] > 0
    label, weight = truth.label[known, at], truth.weight[known, at]
    metrics = {model: _estimates(label, risk[known, at], weight, known, draws) for model, risk in risks.items()}
    positives = int(label.sum())
    counts = {"cases": int(known.sum()), "positives": positives, "negatives": int(known.sum()) - positives}
    return {"name": name, **counts, "metrics": metrics.pop(""), "baselines": metrics}


def _estimates(label: Floats, risk: Floats, weight: Floats, known: NDArray[np.bool_], draws: _Draws) -> Estimates:
    values = performance(label, risk, weight)
    found = resampled(label, risk, draws.subject[known], draws.resamples, draws.seed, weight)
    return {name: _estimate(values[name], found[name]) for name in METRICS}


def _estimate(value: float | None, found: Floats) -> dict[str, float | None]:
    low, high = interval_of(found) or (None, None)
    return {"value": value, "low": low, "high": high}


def _of_classes(label: Floats, risk: Floats, draws: _Draws) -> Estimates:
    """Of all classes together: accuracy and log loss, and the AUROC of each class against the rest, as the mean over
    the classes (macro) and over all pairs of a case and a class (micro); as scikit-learn has them."""
    right = risk.argmax(axis=1) == label.argmax(axis=1)
    loss = -np.log(np.maximum((risk * label).sum(axis=1), np.finfo(np.float64).eps))
    accuracy, losses = resampled_means(np.column_stack([right, loss]), draws.subject, draws.resamples, draws.seed).T
    ranked = [
        resampled(one, p, draws.subject, draws.resamples, draws.seed) for one, p in zip(label.T, risk.T, strict=True)
    ]
    pairs = np.repeat(draws.subject, label.shape[1])
    micro = resampled(label.ravel(), risk.ravel(), pairs, draws.resamples, draws.seed)["auroc"]
    return {
        "accuracy": _estimate(float(right.mean()), accuracy),
        "log_loss": _estimate(float(loss.mean()), losses),
        "auroc_macro": _estimate(macro_auroc(label, risk), np.mean([one["auroc"] for one in ranked], axis=0)),
        "auroc_micro": _estimate(performance(label.ravel(), risk.ravel())["auroc"], micro),
    }


def macro_auroc(label: Floats, risk: Floats) -> float | None:
    """The mean over k classes of the AUROC of each against the rest; None where a class has no case.

    >>> macro_auroc(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    1.0
    """
    found = [performance(one, p)["auroc"] for one, p in zip(label.T, risk.T, strict=True)]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if len(known) == len(found) else None


def confusion(label: Floats, risk: Floats, subject: NDArray[Any] | None = None) -> list[list[int | str]]:
    """Cases of each true class (rows) by the class with the largest probability (columns), small counts hidden.

    >>> confusion(np.eye(2)[[0] * 20 + [1] * 30], np.eye(2)[[0] * 50])
    [[20, 0], [30, 0]]
    """
    size = label.shape[1]
    place = label.argmax(axis=1) * size + risk.argmax(axis=1)
    who = np.arange(len(place)) if subject is None else subject
    patients = [distinct(who, place == at) for at in range(size * size)]
    shown = publishable_counts(np.bincount(place, minlength=size * size).tolist(), patients)
    return [shown[at : at + size] for at in range(0, size * size, size)]
