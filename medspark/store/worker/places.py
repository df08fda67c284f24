"""Files where Spark's workers reach them without Spark: on disks, S3, GCS and HDFS, by Arrow. No Spark here."""

import os
from typing import Final

from pyarrow import fs

_SCHEMES: Final = {"s3a": "s3", "s3n": "s3"}
"""Hadoop's names of file systems that Arrow names otherwise."""


def open_place(address: str) -> tuple[fs.FileSystem, str]:
    """Arrow's file system for an address as Hadoop writes it (`file:/a`, `hdfs://h:p/a`, `s3a://b/a`), and the path.

    Raises:
        OSError, ValueError, ImportError, RuntimeError: there is no client for it here, or it does not answer.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme == "file":
        return fs.LocalFileSystem(), "/" + (rest if colon else address).lstrip("/")
    if scheme == "hdfs":
        return _hdfs(*rest.removeprefix("//").partition("/")[::2])
    system, path = fs.FileSystem.from_uri(f"{_SCHEMES.get(scheme, scheme)}:{rest}")
    return system, path


def _hdfs(server: str, path: str) -> tuple[fs.FileSystem, str]:
    """HDFS by a client that needs neither Java nor Hadoop's libraries, as a worker's machine may have neither."""
    from hdfs_native.fsspec import HdfsFileSystem

    if "SPARK_USER" in os.environ:  # a container's own user is another
        os.environ.setdefault("HADOOP_USER_NAME", os.environ["SPARK_USER"])
    host, _, port = server.partition(":")
    system = HdfsFileSystem(host or None, int(port) if port else None)
    return fs.PyFileSystem(fs.FSSpecHandler(system)), f"/{path}"
