"""Which side a patient is on, forever: by a hash of the subject's id, so that rows added later move nobody."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.schemas import TEST, TRAIN, VALID
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
