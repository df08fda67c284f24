"""Distillation: a small network learns what a dear one says, and is served in its place.

What the student that is served learns from are the teacher's logits of patients by the member that did not learn from
them: what a member says of its own patients is too sure, and a student would learn that. No test patient is among them.

Beside it learns a student for each fold, which leaves that fold out and is taught by the one member that left it out as
well. So every patient is judged by a student that has heard of their outcome in no way, and when to stop and how to
calibrate are of all these judgements, as the teacher's are. Were each taught by all members, it would hear of its own
fold through the others, who learned from it: on made-up cases its AUROC was then .78 where the test patients' was .75,
and its calibration too sure. A held-out validation split has the same fault, for the members learned from that too, and
says it of few patients.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from medspark.encode.statistics import Statistics
from medspark.encode.worker.tensors import Arrays
from medspark.evaluate.truth import Floats, truth_of
from medspark.runs.progress import Progress
from medspark.task.tasks import Task
from medspark.task.training import Network, Training
from medspark.train.batches import batches, dataset, read_labels
from medspark.train.checkpoints import Checkpoint
from medspark.train.fit import Fitted, by_metric, held_out_logit, optimizer_of, watched_row
from medspark.train.loop import Lessons, learn_steps
from medspark.train.losses import distilled_loss, positive_weights, shares_of
from medspark.train.networks.build import serving_network
from medspark.train.networks.student import students_network
from medspark.train.soft_labels import soft_input, write_beside
from medspark.train.steps import predicted_at_once, schedule

STEPS: Final = 5_000
"""Aimed at: twice a network's own, for a small one that hears more of each case."""
WEIGHT_DECAY: Final = 0.01
SOFT: Final = 0.7
"""What a teacher's word weighs in what its students learn; the outcome itself weighs the rest."""


def distil(
    teacher: Fitted,
    files: list[Path],
    statistics: Statistics,
    task: Task,
    settings: Network,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fit students on files that `write_soft_labels` wrote; the same seed and files give the same student.

    Args:
        teacher: the network that was fitted.
        files: of the training and validation splits, with what the teacher says.
        statistics: of the features.
        task: its training says which loss the outcomes themselves have, and the seed.
        settings: the student's.
        progress: told while it learns.
        checkpoint: what to go on from, and what to leave.

    Returns:
        The student that learned from all patients, and as its members those of each fold before it.
    """
    assert teacher.folds is not None, "the teacher's members left out folds"
    folds, reading, inputs, kind = teacher.folds, teacher.reading, statistics.inputs(), task.outcome.targets.kind
    training = _training(task.training)
    truth = truth_of(read_labels(files, reading), reading)
    shares = shares_of(kind, task.outcome.targets.names, truth)
    keras.utils.set_random_seed(training.seed)
    students, last = students_network(statistics, settings, training.seed, folds.parts + 1, kind, reading.size)
    plan = schedule(training, int(truth.weight.any(axis=1).sum()), STEPS)
    loss = distilled_loss(training, kind, positive_weights(training, kind, shares), folds.parts + 1, SOFT)
    students.compile(optimizer=optimizer_of(training, plan.steps), loss=loss, jit_compile=False)
    watched = partial(batches, files, inputs, reading, predicted_at_once(inputs), None)
    watch = partial(watched_row, found=watched, targets=task.outcome.targets, folds=folds, metric=None)
    said = soft_input(folds.parts + 1, reading.size)
    lessons = dataset(files, inputs, reading, plan.batch_size, training.seed, folds, said)
    asked = Lessons("student", lessons, plan, watch, by_metric(None), training.patience)
    history = learn_steps(students, asked, progress, checkpoint)
    return Fitted(serving_network(last), students, folds, history, reading, teacher.pretrained, taught=teacher.taught)


def _training(of_task: Training) -> Training:
    """A schedule of the student's own, whatever the task says of the teacher's; loss and seed are the task's."""
    return Training(loss=of_task.loss, class_weight=of_task.class_weight, seed=of_task.seed, weight_decay=WEIGHT_DECAY)


def write_soft_labels(teacher: Fitted, files: list[Path], statistics: Statistics, folder: Path) -> list[Path]:
    """Copies of tensors' files with the soft labels of each case, below a folder: a row group in memory at a time.

    They are the logits of each member, for the student that leaves out the same fold, and then those of the member that
    did not learn from the patient, for the student that is served.
    """
    inputs = statistics.inputs()

    def said(tensors: Arrays, subject: npt.NDArray[Any]) -> Floats:
        logits = np.asarray(teacher.members.predict(tensors, batch_size=predicted_at_once(inputs), verbose=0))
        return np.concatenate([logits, held_out_logit(logits, subject, teacher.folds)[:, None]], axis=1)

    return write_beside(said, files, inputs, folder)
