"""Which side a patient is on, forever: by a hash of the subject's id, so that rows added later move nobody."""

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.schemas import TEST, TRAIN, VALID
from medspark.store.facts import SplitCounts
from medspark.task.tasks import Task
from medspark.task.training import Split

_PARTS = 2**32


def hash_share(subject: Column, salt: str) -> Column:
    """A number in [0, 1) for each subject: the first 32 bits of md5("SALT:ID"), so any language can recompute it."""
    digest = F.md5(F.concat(F.lit(f"{salt}:"), subject.cast("string")))
    return F.conv(F.substring(digest, 1, 8), 16, 10).cast("double") / _PARTS


def assign_split(subject: Column, split: Split) -> Column:
    """train, valid or test for each subject, in the task's shares."""
    share = hash_share(subject, f"split{split.seed}")
    return F.when(share < split.test, TEST).when(share < split.test + split.valid, VALID).otherwise(TRAIN)


def assign_fold(subject: Column, split: Split) -> Column:
    """The subject's fold, 0 to folds - 1, drawn apart from its split; null where the task asks for none."""
    if split.folds is None:
        return F.lit(None).cast("int")
    return F.floor(hash_share(subject, f"fold{split.seed}") * split.folds).cast("int")


def hold_out_fold(fold: Column, held_out: int, folds: int) -> Column:
    """The split of one round of cross-validation: test is the fold held out, valid the one after it."""
    return F.when(fold == held_out, TEST).when(fold == (held_out + 1) % folds, VALID).otherwise(TRAIN)


def faults_of_splits(splits: Mapping[str, SplitCounts], task: Task) -> list[str]:
    """Why a network cannot be learned from these splits, or not be calibrated; empty where it can."""
    learned = (TRAIN, VALID) if task.network.cross_fitted else (TRAIN,)
    faults = [] if _both(splits, *learned) else [_one_outcome(splits, *learned)]
    watched = _known(splits, VALID)
    if not task.network.cross_fitted and not sum(watched):
        faults.append("the validation split has no case with a known outcome; expected some, to see when to stop")
    elif not task.network.cross_fitted and task.training.calibration != "none" and not _both(splits, VALID):
        faults.append(
            f"{_one_outcome(splits, VALID)}, so nothing can be calibrated on it: use a larger valid share, "
            "three members or more, or calibration: none"
        )
    if not sum(_known(splits, TEST)):
        faults.append("the test split has no case with a known outcome: nothing can be evaluated")
    return faults


def gaps_of_splits(splits: Mapping[str, SplitCounts]) -> list[str]:
    """What will not be known of a network that is tested on these splits; empty where all will."""
    if not sum(_known(splits, TEST)) or _both(splits, TEST):
        return []
    return [f"{_one_outcome(splits, TEST)}: how well the network ranks and is calibrated will not be known"]


def _known(splits: Mapping[str, SplitCounts], *names: str) -> tuple[int, int]:
    """Cases without and with the outcome."""
    found = [splits[name] for name in names if name in splits]
    positives = sum(split.positives for split in found)
    return sum(split.cases - split.unknown for split in found) - positives, positives


def _both(splits: Mapping[str, SplitCounts], *names: str) -> bool:
    return all(_known(splits, *names))


def _one_outcome(splits: Mapping[str, SplitCounts], *names: str) -> str:
    without, with_it = _known(splits, *names)
    return f"of {without + with_it} cases of {' and '.join(names)} {with_it} have the outcome; expected both"
