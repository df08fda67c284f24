"""Hadoop's checksums beside a file, compared without Java."""

import struct
import zlib
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medspark.sources.checksums import agrees, checksums_of


def test_what_hadoop_wrote_agrees_and_one_other_letter_does_not(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(3000).selectExpr("concat(id, ' of three thousand') AS value")
    rows.coalesce(1).write.text(str(tmp_path / "out"))
    file = next((tmp_path / "out").glob("part-*.txt"))
    assert checksums_of(f"file:{file}").stat().st_size > 8 + 4
    assert agrees(f"file:{file}")
    content = file.read_bytes()
    for at in (0, 511, 512, len(content) - 1):
        file.write_bytes(content[:at] + b"#" + content[at + 1 :])
        assert not agrees(str(file))
    file.write_bytes(content)
    assert agrees(str(file))


def with_sums(folder: Path, content: bytes, sums: bytes) -> str:
    (folder / "in.csv").write_bytes(content)
    (folder / ".in.csv.crc").write_bytes(sums)
    return str(folder / "in.csv")


def chunks(size: int, *parts: bytes) -> bytes:
    return b"crc\x00" + struct.pack(">I", size) + b"".join(struct.pack(">I", zlib.crc32(part)) for part in parts)


@pytest.mark.parametrize(
    ("content", "sums", "same"),
    [
        (b"abcdef", chunks(4, b"abcd", b"ef"), True),
        (b"", chunks(512), True),
        (b"abcdef", chunks(4, b"abcd", b"eg"), False),
        (b"abcdef", chunks(4, b"abcd"), False),  # of a file that was shorter
        (b"abcd", chunks(4, b"abcd", b"ef"), False),  # of a file that was longer
        (b"abcdef", chunks(0, b"abcdef"), False),
        (b"abcdef", b"CRC\x00" + chunks(4, b"abcd", b"ef")[4:], False),
        (b"abcdef", b"crc\x00\x00", False),
        (b"abcdef", b"", False),
    ],
)
def test_sums_agree_where_each_chunk_has_its_own(tmp_path: Path, content: bytes, sums: bytes, same: bool) -> None:
    assert agrees(with_sums(tmp_path, content, sums)) == same


@pytest.mark.parametrize("gone", ["in.csv", ".in.csv.crc"])
def test_what_cannot_be_read_does_not_agree(tmp_path: Path, gone: str) -> None:
    file = with_sums(tmp_path, b"abcd", chunks(4, b"abcd"))
    assert agrees(file)
    (tmp_path / gone).unlink()
    assert not agrees(file)
    (tmp_path / gone).mkdir()
    assert not agrees(file)
