"""Settings tried and compared: Optuna's trials, each in a Spark task of its own, kept in a journal.

Trees of Parzen estimators draw settings that are likely to be good by what was tried before (Bergstra et al. 2011); a
trial that is worse after an epoch than half of those before it is given up (the median rule). The first trial is of the
task's own settings. Each draw is of a number of its own, from which the first ones follow wherever each runs; a trial
that broke off is tried again with what it drew, however much was tried meanwhile.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.errors import InputError, MedsparkError
from medspark.evaluate.truth import reading_of
from medspark.runs.progress import Told
from medspark.schemas import TRAIN, VALID
from medspark.task.tasks import Task
from medspark.task.tuning import Between, Choice, Tuning, holds, setting_of, space_of, with_settings
from medspark.train.batches import Folds, batches, read_labels, split_files, window_of
from medspark.train.boosted import taught_files
from medspark.train.checkpoints import Checkpoint, Kept, digest_of
from medspark.train.fit import Fitted, by_metric, fit_network, watched_row
from medspark.train.steps import predicted_at_once

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STARTUP = 5
"""Trials drawn at random, and none given up, before what was tried says anything."""
LEAST_EPOCHS = 3
"""Before a trial may be given up."""
DRAW = "draw"
"""The number, from 0, of what a trial tries: of one that broke off another trial has it."""
ERROR = "error"
"""Why a trial failed: one without it broke off."""


class Search(NamedTuple):
    """All that a trial needs, wherever it runs."""

    journal: str
    """A file that every worker sees."""
    study: str
    """A digest of the task, the cases and the libraries: another's trials are not taken for this one's."""
    task: Task
    statistics: str
    """As JSON."""
    train: tuple[str, ...]
    """Files of tensors."""
    valid: tuple[str, ...]


def search_of(folder: Path, task: Task, statistics: Statistics, table: str) -> Search:
    """The search on a table's tensors; its journal lies in a folder, by a name that no other task or cases have."""
    train, valid = split_files(table, TRAIN), split_files(table, VALID)
    any_number = task.model_copy(update={"tuning": (task.tuning or Tuning()).model_copy(update={"trials": 2})})
    name = digest_of(any_number, statistics, [*train, *valid])
    folder.mkdir(exist_ok=True, mode=0o700)
    files = (tuple(map(str, some)) for some in (train, valid))
    return Search(str(folder / f"{name[:16]}.log"), name, task, to_json(statistics), *files)


def open_study(search: Search) -> optuna.Study:
    """The trials so far, made where there are none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=LEAST_EPOCHS)
    storage = JournalStorage(JournalFileBackend(search.journal))
    return optuna.create_study(
        storage=storage, sampler=_sampler(search, 0), pruner=pruner, study_name=search.study, load_if_exists=True
    )


def _sampler(search: Search, draw: int) -> optuna.samplers.TPESampler:
    seed = search.task.training.seed + draw
    return optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed, constant_liar=True)


def prepare(study: optuna.Study, task: Task) -> int:
    """Name the trials that broke off as failed, and ask for those that are to be done, the task's own settings first
    and what broke off by the settings that it drew; how many they are."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    space = space_of(task)
    own = {key: setting_of(task, key) for key in space}
    given: Mapping[str, Any] = {}
    if all(holds(space[key], value) for key, value in own.items()):
        given = {key: _written(space[key], value) for key, value in own.items()}
    made = {_draw_of(trial) for trial in ended(study)}
    asked = {_draw_of(trial) for trial in study.get_trials(states=(TrialState.WAITING,))}
    left = [draw for draw in range((task.tuning or Tuning()).trials) if draw not in made]
    drawn = {0: dict(given)} | _drawn_before(study)
    for draw in left:
        if draw not in asked:
            study.enqueue_trial(drawn.get(draw, {}), user_attrs={DRAW: draw})
    return len(left)


def _drawn_before(study: optuna.Study) -> dict[int, dict[str, Any]]:
    """By draw the settings of the trials that broke off, as far as they had come."""
    found: dict[int, dict[str, Any]] = {}
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        settings = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if ERROR not in trial.user_attrs and settings:
            found[_draw_of(trial)] = settings
    return found


def _draw_of(trial: FrozenTrial | Trial) -> int:
    return int(trial.user_attrs.get(DRAW, trial.number))


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with an outcome: one whose process died has neither value nor error, and is tried again by others."""
    return [one for one in study.get_trials(states=ENDED) if one.state != TrialState.FAIL or ERROR in one.user_attrs]


class Heard(Checkpoint):
    """What trees say, for trials that may be many at once: they read it, and write nothing."""

    def write(self, kept: Kept) -> None:
        pass


def teach(search: Search, say: Callable[[str], None] = lambda _: None) -> None:
    """Let trees say once, beside the tensors, what they would say in every trial of the task's own training."""
    task, files = _of_trial(search, {}), [Path(one) for one in (*search.train, *search.valid)]
    if not task.network.cross_fitted:
        return
    reading = reading_of(task.outcome, read_labels(files, reading_of(task.outcome)))
    folds, inputs = Folds(task.network.members, task.training.seed), from_json(search.statistics).inputs()
    heard = Checkpoint(_place_of_heard(search), search.study, 0.0, say)
    with taught_files(files, inputs, reading, folds, task.network, task.training, heard):
        pass  # what they say is kept


def _place_of_heard(search: Search) -> Path:
    return Path(search.train[0]).parent.parent / ".heard" / "trees.npz"


def _of_trial(search: Search, settings: Mapping[str, Any]) -> Task:
    """The task with other settings, and members as a network has that is tried."""
    members = (search.task.tuning or Tuning()).members
    return with_settings(search.task, {**settings, "network.members": members, "network.student": None})


def try_one(search: Search, _: int) -> None:
    """The next trial, in a Spark task: an error is its outcome, not the task's."""
    study = open_study(search)
    trial = study.ask()
    study.sampler = _sampler(search, _draw_of(trial))
    try:
        value = _judge(search, trial)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception:  # `_judge` kept it with the trial
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def try_all(search: Search) -> dict[str, Any]:
    """All trials that are left, one after the other in this process; their summary."""
    import keras

    left = prepare(open_study(search), search.task)
    if left:
        teach(search)
    for at in range(left):
        try_one(search, at)
        keras.utils.clear_session()
    return summary(open_study(search), search.task)


def _judge(search: Search, trial: Trial) -> float:
    """What is to be small; an error is kept with the trial."""
    began, seen = time.monotonic(), [0]
    try:
        return _value(search, trial, seen)
    except optuna.TrialPruned:
        raise
    except Exception as error:
        expected = isinstance(error, MedsparkError)
        trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}" if expected else type(error).__name__)
        raise
    finally:
        trial.set_user_attr("epochs", seen[0])
        trial.set_user_attr("seconds", round(time.monotonic() - began, 3))


def _value(search: Search, trial: Trial, seen: list[int]) -> float:
    """The same, on patients that a member did not learn from; `seen` has the epochs so far."""
    task = _of_trial(search, {key: _drawn(trial, key, choice) for key, choice in space_of(search.task).items()})
    better = by_metric(task.training.stop_on)

    def told(of: Told) -> None:
        if of.ended:
            seen[0] = of.epoch
            trial.report(better(dict(of.watched)), of.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    train, valid = ([Path(one) for one in some] for some in (search.train, search.valid))
    heard = Heard(_place_of_heard(search), search.study, 0.0, lambda _: None)
    fitted = fit_network(train, valid, from_json(search.statistics), task, told, heard=heard)
    if not fitted.lines:
        return min(map(better, fitted.history))
    return better(_as_kept(fitted, [*train, *valid], from_json(search.statistics), task))


def _as_kept(fitted: Fitted, files: list[Path], statistics: Statistics, task: Task) -> dict[str, float]:
    """What members say that were drawn towards regressions, as those of a bundle are."""
    inputs, training = statistics.inputs(), task.training
    found = partial(batches, files, inputs, fitted.reading, predicted_at_once(inputs), None, window_of(training))
    return watched_row(fitted.members, found, task.outcome.targets, fitted.folds, training.stop_on)


def _drawn(trial: Trial, key: str, choice: Choice) -> Any:
    match choice:
        case Between(low=int(low), high=int(high), log=log):
            return trial.suggest_int(key, low, high, log=log)
        case Between(low=low, high=high, log=log):
            return trial.suggest_float(key, low, high, log=log)
        case _:
            return _read(choice, trial.suggest_categorical(key, [_written(choice, one) for one in choice]))


def _written(choice: Choice, value: Any) -> Any:
    """As Optuna keeps it: of a list a text, since a value may be a list itself."""
    return value if isinstance(choice, Between) else json.dumps(value)


def _read(choice: Choice, value: Any) -> Any:
    if isinstance(choice, Between):
        return value
    found = json.loads(value)
    return tuple(found) if isinstance(found, list) else found


def chosen(study: optuna.Study, task: Task) -> dict[str, Any]:
    """The settings of the best trial.

    Raises:
        InputError: no trial came to an end.
    """
    if not study.get_trials(states=(TrialState.COMPLETE,)):
        told = next((one.user_attrs[ERROR] for one in study.trials if ERROR in one.user_attrs), "no reason is known")
        raise InputError(f"none of {len(ended(study))} trials came to an end: {told}")
    space = space_of(task)
    return {key: _read(space[key], value) for key, value in study.best_params.items()}


def summary(study: optuna.Study, task: Task) -> dict[str, Any]:
    """How many settings were tried, what became of each, and which was chosen."""
    states = [trial.state for trial in ended(study)]
    counts = {state.name.lower(): states.count(state) for state in ENDED}
    return {
        "judged_by": task.training.stop_on or "valid_loss",
        "trials": counts,
        "chosen": _draw_of(study.best_trial) + 1,
        "settings": chosen(study, task),
        "tried": rows_of(ended(study), task),
    }


def rows_of(trials: Sequence[FrozenTrial], task: Task) -> list[dict[str, Any]]:
    """A row a trial, numbered from 1; of one given up the last value, of one that failed the error."""
    space = space_of(task)
    sign = -1.0 if task.training.stop_on in ("auroc", "auprc") else 1.0
    return [
        {
            "trial": _draw_of(trial) + 1,
            "outcome": trial.state.name.lower(),
            "value": None if trial.value is None else sign * trial.value,
            "settings": {key: _read(space[key], value) for key, value in trial.params.items()},
            **{name: trial.user_attrs.get(name) for name in ("epochs", "seconds", ERROR)},
        }
        for trial in sorted(trials, key=_draw_of)
    ]
