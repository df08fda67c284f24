"""Which side a patient is on, as `medspark.cases.split` has it, told by a worker. No Spark here."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from medspark.cases.worker.history import Floats
from medspark.schemas import TEST, TRAIN, VALID
from medspark.task.training import Split


def hash_shares(subjects: Sequence[str], salt: str) -> Floats:
    """A number in [0, 1) for each subject: the first 32 bits of md5("SALT:ID").

    >>> hash_shares(["1", "2"], "split0").round(3).tolist()
    [0.593, 0.459]
    """
    digests = (hashlib.md5(f"{salt}:{subject}".encode(), usedforsecurity=False).hexdigest() for subject in subjects)
    return np.fromiter((int(digest[:8], 16) for digest in digests), np.float64, len(subjects)) / 2**32


def sides(subjects: pa.Array, split: Split) -> tuple[pa.Array, pa.Array]:
    """The split of each subject (n,), and the fold; null where the task asks for none."""
    known = subjects.dictionary_encode()
    texts = known.dictionary.cast(pa.string()).to_pylist()
    share = hash_shares(texts, f"split{split.seed}")
    names = np.where(share < split.test, TEST, np.where(share < split.test + split.valid, VALID, TRAIN))
    side = pa.array(names.tolist(), pa.string()).take(known.indices)
    if split.folds is None:
        return side, pa.nulls(len(subjects), pa.int32())
    fold = np.floor(hash_shares(texts, f"fold{split.seed}") * split.folds).astype(np.int32)
    return side, pa.array(fold).take(known.indices)
