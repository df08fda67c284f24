"""A full disk and a refusing file system are told apart, whoever met them: Python, Java or a worker."""

import errno

import pytest

from medspark.errors import StoreError
from medspark.runs.writable import disk_full, is_full, store_writable


def chained(cause):
    """A failure that another one is behind, as Spark's are."""
    error = RuntimeError("Job aborted")
    error.__cause__ = cause
    return error


class JavaIsGoneError(RuntimeError):
    """As py4j has it: its text is asked of Java."""

    def __str__(self):
        raise ConnectionRefusedError


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (chained(RuntimeError("java.io.IOException: No space left on device")), True),
        (chained(RuntimeError("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: ...")), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (chained(ValueError("an age")), False),
        (chained(JavaIsGoneError()), False),
    ],
)
def test_a_full_disk_is_seen_behind_any_failure(error, full):
    assert is_full(error) == full


def test_a_full_disk_says_what_is_whole_and_what_to_do(tmp_path):
    told = str(disk_full(f"{tmp_path}/not/yet"))
    assert told.startswith(f"no space left on the disk of {tmp_path}/not/yet")
    assert "MB are free there now. Make room and run again. What was published before is whole" in told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written: expected a folder"),
        (chained(RuntimeError("AccessControlException: user=night")), "cannot be written: expected a folder"),
    ],
)
def test_each_has_a_message_of_its_own_and_exit_code_7(tmp_path, error, said):
    with pytest.raises(StoreError, match=said) as refused, store_writable(str(tmp_path)):
        raise error
    assert refused.value.exit_code == 7


def test_other_failures_stay_what_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError), store_writable(str(tmp_path)):
        raise ZeroDivisionError
