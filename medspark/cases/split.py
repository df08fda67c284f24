"""Which side a patient is on, forever: by a hash of the subject's id, so that rows added later move nobody."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark import SparkContext
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.schemas import PREDICTION_TIME, SPLIT, SUBJECT_ID, TEST, TRAIN, UNUSED, VALID, quoted
from medspark.store.facts import SplitCounts
from medspark.store.files import exists, sha256_of
from medspark.store.tables import read_parquet
from medspark.task.tasks import Task
from medspark.task.training import Split, SubjectSplits

_PARTS = 2**32
MEDS_SIDES = {"train": TRAIN, "tuning": VALID, "held_out": TEST}
"""What MEDS calls the sides."""


def hash_share(subject: Column, salt: str) -> Column:
    """A number in [0, 1) for each subject: the first 32 bits of md5("SALT:ID"), so any language can recompute it."""
    digest = F.md5(F.concat(F.lit(f"{salt}:"), subject.cast("string")))
    return F.conv(F.substring(digest, 1, 8), 16, 10).cast("double") / _PARTS


def assign_split(subject: Column, split: Split) -> Column:
    """train, valid or test for each subject, in the task's shares."""
    share = hash_share(subject, f"split{split.seed}")
    return F.when(share < split.test, TEST).when(share < split.test + split.valid, VALID).otherwise(TRAIN)


def divided(cases: DataFrame, split: Split) -> DataFrame:
    """Cases with their sides moved as a temporal or a site split asks, or by a file of patients; else as they are.

    No patient is on two sides. With `temporal` no case that is learned from is later than any that is tested on, and
    who is a test patient stays one whatever rows come later; with `site` none was at a site that is held out. What is
    on neither side is UNUSED, as a case without a time or a site is, or of a patient who is not in the file of
    `subjects`.

    Raises:
        InputError: the file of `subjects` is another one, or has other columns or sides, or a patient on two.
    """
    if split.subjects is not None:
        sides, key = _sides_of(cases.sparkSession, split.subjects), F.col(SUBJECT_ID).cast("string") == F.col(_PATIENT)
        sided = cases.drop(SPLIT).join(sides, key, "left").withColumn(SPLIT, F.coalesce(SPLIT, F.lit(UNUSED)))
        return sided.select(*map(quoted, cases.columns))
    if split.temporal is not None:
        time, start = F.col(PREDICTION_TIME), F.lit(split.temporal.test_from)
        end = F.lit(split.temporal.test_from - timedelta(days=split.temporal.gap_days))
        in_time = F.when(F.col(SPLIT) == TEST, time >= start).otherwise(time < end)
        return cases.withColumn(SPLIT, F.when(in_time, F.col(SPLIT)).otherwise(UNUSED))
    if split.site is None:
        return cases
    site = F.col(quoted(split.site.column)).cast("string")
    there, known = site.isin(list(split.site.held_out)), site.isNotNull()
    ever = F.max(F.coalesce(there, F.lit(False))).over(Window.partitionBy(SUBJECT_ID))
    share = hash_share(F.col(SUBJECT_ID), f"valid{split.seed}")
    learned = F.when(share < split.valid / (split.valid + split.train), VALID).otherwise(TRAIN)
    return cases.withColumn(SPLIT, F.when(there, TEST).when(known & ~ever, learned).otherwise(UNUSED))


_PATIENT = "_patient"


def _sides_of(spark: SparkSession, subjects: SubjectSplits) -> DataFrame:
    """Each patient of the file in _PATIENT, and the side in SPLIT."""
    if (received := digest_of(spark.sparkContext, subjects)) != subjects.sha256:
        raise InputError(
            f"split.subjects: expected {subjects.path} with the digest {subjects.sha256}, received one with {received}"
        )
    found = read_parquet(spark, subjects.path)
    if missing := [name for name in (SUBJECT_ID, SPLIT) if name not in found.columns]:
        raise InputError(
            f"split.subjects: expected the columns {SUBJECT_ID} and {SPLIT}, received no {' and no '.join(missing)}"
        )
    sides = found.select(F.col(SUBJECT_ID).cast("string").alias(_PATIENT), F.col(SPLIT).cast("string")).distinct()
    known = F.coalesce(F.col(SPLIT).isin(*MEDS_SIDES), F.lit(False)) & F.col(_PATIENT).isNotNull()
    each = sides.groupBy(_PATIENT).agg(F.count("*").alias("sides"), F.count_if(~known).alias("others"))
    others, twice = each.agg(F.sum("others"), F.count_if(F.col("sides") > 1)).collect()[0]
    if others or twice:
        raise InputError(
            f"split.subjects: expected each patient once, on one of {', '.join(MEDS_SIDES)}; received {others} with "
            f"another word and {twice} on several sides"
        )
    return sides.withColumn(SPLIT, renamed(F.col(SPLIT), MEDS_SIDES))


def renamed(side: Column, names: Mapping[str, str]) -> Column:
    return F.create_map(*(F.lit(text) for pair in names.items() for text in pair))[side]


def digest_of(context: SparkContext, subjects: SubjectSplits) -> str:
    """The digest of the file of a split.

    Raises:
        InputError: there is none.
    """
    if not exists(context, subjects.path):
        raise InputError(f"split.subjects: there is no file {subjects.path}")
    return sha256_of(context, subjects.path)


def assign_fold(subject: Column, split: Split, repeat: int = 0) -> Column:
    """The subject's fold, 0 to folds - 1, drawn apart from its split; null where the task asks for none.

    Args:
        repeat: of several divisions which one; that of the `cases` table is the first, 0.
    """
    if split.folds is None:
        return F.lit(None).cast("int")
    salt = f"fold{split.seed}" if repeat == 0 else f"fold{split.seed}-{repeat}"
    return F.floor(hash_share(subject, salt) * split.folds).cast("int")


def hold_out_fold(fold: Column, held_out: int, folds: int) -> Column:
    """The split of one round of cross-validation: test is the fold held out, valid the one after it."""
    return F.when(fold == held_out, TEST).when(fold == (held_out + 1) % folds, VALID).otherwise(TRAIN)


def faults_of_splits(splits: Mapping[str, SplitCounts], task: Task) -> list[str]:
    """Why a network cannot be learned from these splits, or not be calibrated; empty where it can."""
    learned = (TRAIN, VALID) if task.network.cross_fitted else (TRAIN,)
    targets = _targets_of(splits)
    faults = [_one_outcome(splits, name, *learned) for name in targets if not _both(splits, name, *learned)]
    if not any(sum(_known(splits, name, VALID)) for name in targets):
        faults.append("the validation split has no case with a known outcome; expected some, to see when to stop")
    elif not task.network.cross_fitted and task.training.calibration != "none":
        faults += [
            f"{_one_outcome(splits, name, VALID)}, so nothing can be calibrated on it: use a larger valid share, "
            "three members or more, or calibration: none"
            for name in targets
            if not _both(splits, name, VALID)
        ]
    if not any(sum(_known(splits, name, TEST)) for name in targets):
        faults.append("the test split has no case with a known outcome: nothing can be evaluated")
    return faults


def gaps_of_splits(splits: Mapping[str, SplitCounts]) -> list[str]:
    """What will not be known of a network that is tested on these splits; empty where all will."""
    return [
        f"{_one_outcome(splits, name, TEST)}: how well the network ranks and is calibrated will not be known"
        for name in _targets_of(splits)
        if sum(_known(splits, name, TEST)) and not _both(splits, name, TEST)
    ]


def _targets_of(splits: Mapping[str, SplitCounts]) -> list[str | None]:
    """The names of the targets; None stands for the one that there is alone."""
    return list(dict.fromkeys(name for split in splits.values() for name in split.targets)) or [None]


def _known(splits: Mapping[str, SplitCounts], target: str | None, *names: str) -> tuple[int, int]:
    """Cases without and with the outcome."""
    found = [splits[name] for name in names if name in splits]
    if target is not None:
        each = [split.targets.get(target, (0, 0)) for split in found]
        return sum(without for without, _ in each), sum(with_it for _, with_it in each)
    positives = sum(split.positives for split in found)
    return sum(split.cases - split.unknown for split in found) - positives, positives


def _both(splits: Mapping[str, SplitCounts], target: str | None, *names: str) -> bool:
    return all(_known(splits, target, *names))


def _one_outcome(splits: Mapping[str, SplitCounts], target: str | None, *names: str) -> str:
    without, with_it = _known(splits, target, *names)
    what = "the outcome" if target is None else target
    return f"of {without + with_it} cases of {' and '.join(names)} {with_it} have {what}; expected both"
