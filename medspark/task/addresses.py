"""Addresses of files, which hold no secret. No Spark here."""

import re
from typing import Final

_SECRET: Final = re.compile(r"[\w+.-]+://[^/@:]*:(?!\d+/)[^@]*@")
"""A user, or a key, and a word before a host. A port is none, nor is the container of abfss://CONTAINER@ACCOUNT."""
REFUSAL: Final = (
    "expected an address without a secret, received one with a password or key before its host. "
    "Name it where Hadoop looks for it, as in fs.s3a.secret.key or a credential provider"
)


def holds_secret(place: str) -> bool:
    """Whether an address has a password or key in it, which receipts, ledgers and messages would show.

    >>> holds_secret("s3a://KEY:WORD@bucket/stays"), holds_secret("hdfs://namenode:8020/a@b/c:d@e")
    (True, False)
    """
    return _SECRET.match(place) is not None


def without_secret(place: str) -> str:
    """The address.

    Raises:
        ValueError: it holds one.
    """
    if holds_secret(place):
        raise ValueError(REFUSAL)
    return place


def is_whole(path: str) -> bool:
    """Whether a path says by itself where it leads: from a root, or on a file system that it names.

    >>> [is_whole(path) for path in ("/in/a.fasta", "hdfs://nodes/a.fasta", "in/a.fasta")]
    [True, True, False]
    """
    return re.match("/|[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None
