"""Gradient boosting that teaches the members: each learns what trees say that saw the same patients as it.

Trees cut where a number tells and are good at few cases of many numbers; a network learns what they say from the same
cases (model compression: Bucila, Caruana and Niculescu-Mizil 2006; distillation: Hinton et al. 2015, arXiv 1503.02531),
is smoother than they are, and is what is served: no tree is. The outcomes come in again where the linear paths are
drawn towards logistic regressions. A member's trees leave out the fold that it leaves out, so
that it hears of no outcome there.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medspark.encode.inputs import Input
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.truth import Floats, Reading
from medspark.task.outcome import Kind
from medspark.task.training import Network, Training
from medspark.train.baselines import dense_design, plain_tensors
from medspark.train.batches import Folds, fold_of, opened, window_of, windows
from medspark.train.checkpoints import Checkpoint, Kept
from medspark.train.linear import Cases, asked_of
from medspark.train.soft_labels import soft_input, write_beside
from medspark.train.trees import TENTHS, Fit, cases_taught, fit_trees, most_trees

READ: Final = ("numbers", "categories", "codes")
"""The parts that trees read as well as a network does; of a sequence's times or an image they would know too little."""
IN_PROCESSES: Final = 10_000_000
"""Cells of all fits together from which on processes are worth their start."""
TOLD_EVERY: Final = 10.0
"""Seconds."""
Say = Callable[[str], None]


class Teachers(NamedTuple):
    """Of each member a model for each question: one for all classes, or one for each target."""

    models: list[list[Any]]
    design: Any
    inputs: Sequence[Input]
    kind: Kind


def said_by(teachers: Teachers, tensors: Arrays) -> Floats:
    """The logits that members are taught of n cases, (n, members, k); of horizons none is below an earlier one."""
    x = teachers.design(plain_tensors(tensors, teachers.inputs))
    each = [
        np.concatenate([_logits(model, x, teachers.kind) for model in models], axis=1) for models in teachers.models
    ]
    found: Floats = np.stack(each, axis=1)
    return np.maximum.accumulate(found, axis=2) if teachers.kind == "horizons" else found


def _logits(model: Any, x: npt.NDArray[Any], kind: Kind) -> Floats:
    """(n, 1) of an outcome, (n, k) of classes."""
    found = np.asarray(model.decision_function(x), np.float64)
    if found.ndim == 2:
        return found
    # trees have one logit of two classes, the network one of each
    return np.stack([-found, found], axis=1) / 2 if kind == "classes" else found[:, None]


@contextmanager
def taught_files(
    files: list[Path],
    inputs: list[Input],
    reading: Reading,
    folds: Folds | None,
    network: Network,
    training: Training,
    beside: Checkpoint | None = None,
) -> Iterator[tuple[list[Path], Input | None]]:
    """Files with what trees say of each case, and the column it stands in; the same files, and None, where none teach.

    They are beside the tensors, where every worker sees them, and go when learning has ended.

    Args:
        beside: where what the trees say is kept: who finds it there fits none again.
    """
    if folds is None or not can_be_taught(inputs, network, training):
        yield files, None
        return
    table, say = files[0].parent.parent, _say_nothing if beside is None else beside.say
    with tempfile.TemporaryDirectory(dir=table, prefix=".taught-") as folder:
        fit = cache(partial(_fit, files, inputs, reading, folds, training, say, folder))
        if not _teaches(fit, beside):
            yield files, None
            return
        os.chmod(folder, table.stat().st_mode & 0o777)  # workers may be other users
        said = partial(_said, fit)
        yield write_beside(said, files, inputs, Path(folder), beside), soft_input(folds.parts, reading.size)


def _say_nothing(_: str) -> None:
    return None


def _teaches(fit: Callable[[], Teachers | None], beside: Checkpoint | None) -> bool:
    """Whether trees teach, by the checkpoint where it says so."""
    kept = None if beside is None else beside.read()
    if kept is not None:
        return bool(kept.about["teaches"])
    found = fit() is not None
    if beside is not None:
        beside.write(Kept({"teaches": found}, {}))
    return found


def _said(fit: Callable[[], Teachers | None], tensors: Arrays, _: npt.NDArray[Any]) -> Floats:
    teachers = fit()
    assert teachers is not None, "files are written where trees teach"
    return said_by(teachers, tensors)


def can_be_taught(inputs: Sequence[Input], network: Network, training: Training) -> bool:
    """Whether trees read all that the network does, and both mean risks by their logits."""
    wanted = training.taught_by == "boosting" and network.kind == "tabular"
    return wanted and training.is_plain and all(one.part in READ for one in inputs)


def _fit(
    files: list[Path],
    inputs: list[Input],
    reading: Reading,
    folds: Folds,
    training: Training,
    say: Say,
    folder: str,
) -> Teachers | None:
    """By the first window of cases; None where they are too few."""
    rng = np.random.default_rng(training.seed)
    tensors, truth, subject = next(windows(files, inputs, reading, rng, window_of(training)))
    columns = sum(one.width for one in inputs if one.part != "codes")
    cases = sum(opened(file).metadata.num_rows for file in files)
    count = cases_taught(len(subject), cases, columns, reading.size)
    if not count:
        return None
    learned = Cases(tensors, truth, fold_of(subject, folds)).first(count)
    tenth = fold_of(subject[:count], Folds(TENTHS, training.seed + 1))
    return fit_teachers(learned, tenth, inputs, reading.kind, folds.parts, training.seed, say, folder)


def fit_teachers(
    cases: Cases,
    tenth: npt.NDArray[np.int64],
    inputs: Sequence[Input],
    kind: Kind,
    members: int,
    seed: int,
    say: Say = _say_nothing,
    folder: str | None = None,
) -> Teachers | None:
    """Trees of each member, of the folds that it learns from; None where without some fold an outcome is not there.

    Args:
        tenth: of each case's patient; one of them says how many trees a member's models have.
        say: told how many have learned.
        folder: where what processes read in common lies for a while, since patients' data stays by the store.
    """
    fits = [fit for member in range(members) for fit in _of_member(cases, tenth, kind, member, seed)]
    if any(fit.lacks_outcome() for fit in fits):
        return None
    plain = plain_tensors(cases.tensors, inputs)
    targets = cases.truth.label.shape[1]
    design = dense_design(plain, inputs, len(cases.fold) * targets)
    models = _fitted(design(plain), design.categorical, fits, say, folder)
    each = len(models) // members
    return Teachers([models[at : at + each] for at in range(0, len(models), each)], design, inputs, kind)


def _of_member(cases: Cases, tenth: npt.NDArray[np.int64], kind: Kind, member: int, seed: int) -> list[Fit]:
    """A fit for each question."""
    targets = cases.truth.label.shape[1]
    outcomes, most = targets if kind == "classes" else 2, most_trees(targets)
    learned, watched = cases.fold != member, tenth == member % TENTHS
    return [
        Fit(y, weight, learned & (weight > 0), watched, outcomes, seed + member, most)
        for y, weight in asked_of(cases.truth, kind)
    ]


def _fitted(
    x: npt.NDArray[Any], categorical: Sequence[bool], fits: list[Fit], say: Say, folder: str | None
) -> list[Any]:
    """The models in their order, as many at once as this process has cores; each is the same wherever it is fitted."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    processes = min(len(fits), _cores()) if x.size * len(fits) >= IN_PROCESSES else 1
    told, models = time.monotonic(), []
    at_once = Parallel(n_jobs=processes, return_as="generator", temp_folder=folder)
    for model in at_once(delayed(fit_trees)(x, categorical, fit) for fit in fits):
        models.append(model)
        if time.monotonic() - told >= TOLD_EVERY:
            told = time.monotonic()
            say(f"{len(models)} of {len(fits)} fits of trees that teach the network")
    if processes > 1:
        get_reusable_executor().shutdown(wait=True)  # else they stay for minutes, and their memory
    return models


def _cores() -> int:
    """Those that Spark counts on a task to use, or all that there are."""
    import tensorflow as tf
    from joblib import cpu_count

    return int(tf.config.threading.get_intra_op_parallelism_threads() or cpu_count())
