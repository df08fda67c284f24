"""What workers read out of text by themselves, at the edges."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.clean.plan import zone_of
from medspark.clean.worker.numbers import read_double, read_whole
from medspark.clean.worker.texts import read_texts
from medspark.clean.worker.times import read_times, shapes_of
from medspark.clean.worker.zones import SECOND, to_utc
from medspark.sources.worker.xxhash64 import hash_texts
from medspark.task.columns import DateColumn


def texts(*cells: str | None, missing: tuple[str, ...] = ()):
    return read_texts(pa.array(cells, pa.string()), ("", *missing), spaces_count=True)


def test_the_hash_of_a_text_is_sparks_whatever_its_length(spark: SparkSession) -> None:
    found = ["x" * n + "é" * (n % 3) for n in range(100)]
    frame = spark.createDataFrame([(text,) for text in found], "t string")
    expected = [row[0] for row in frame.select(F.xxhash64("t")).collect()]
    data = "".join(found).encode()
    ends = np.cumsum([len(text.encode()) for text in found])
    assert hash_texts(data, np.append(0, ends[:-1]), ends).tolist() == expected


def test_a_text_that_says_missing_is_none_and_one_with_letters_nobody_sees_is_spelt() -> None:
    found = texts("a", " b ", "NA", "", None, "NA ", "\u200bc\u00a0", "é", missing=("NA",))
    assert found.array.to_pylist() == ["a", "b", "NA", "", None, "NA", "c", "é"]
    assert found.given.tolist() == [True, True, False, False, False, False, True, True]
    assert found.changed.tolist() == [False, True, False, False, False, True, True, False]


def test_whole_numbers_up_to_their_last_bit() -> None:
    cells = (
        "0",
        "007",
        "-0",
        "+5",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "1.0",
        "0x1",
        "",
    )
    values, there = read_whole(texts(*cells), "bigint", point_zero=False)
    assert values[there].tolist() == [0, 7, 0, 5, 2**63 - 1, -(2**63)]
    assert np.flatnonzero(there).tolist() == [0, 1, 2, 3, 4, 5]
    assert read_whole(texts("2147483648", "1.0"), "int", point_zero=True)[1].tolist() == [False, True]


def test_numbers_are_read_as_java_writes_them_and_infinities_are_none() -> None:
    values, there = read_double(texts("1.5", ".5", "5.", "-2e3", "1e400", "nan", "1_0", "1d", "1.2.3", ".", "0.1"))
    assert values[there].tolist() == [1.5, 0.5, 5.0, -2000.0, 0.1]


@pytest.mark.parametrize(
    ("text", "day"),
    [("29/02/2020", 18321), ("29/02/2100", None), ("01/13/2020", None), ("1/2/2020", None), ("31/12/1969", -1)],
)
def test_a_day_that_the_calendar_does_not_have_is_none(text: str, day: int | None) -> None:
    spec = DateColumn(type="date", format="dd/MM/yyyy")
    found = read_times(texts(text), spec, shapes_of(spec), None)
    assert (int(found.days[0]) if found.there[0] else None, bool(found.doubtful[0])) == (day, False)


def test_a_year_with_a_sign_is_sparks_to_tell() -> None:
    spec = DateColumn(type="date", format="dd/MM/yyyy")
    assert read_times(texts("01/02/-2000", "01/02/20000", "x"), spec, shapes_of(spec), None).doubtful.tolist() == [
        True,
        True,
        False,
    ]


def test_every_hour_of_two_centuries_is_the_instant_that_spark_says(spark: SparkSession) -> None:
    hours = np.arange(-2_208_000_000, 4_102_000_000, 90_061, dtype=np.int64)
    wall = np.concatenate(
        [hours, np.arange(1_585_440_000, 1_585_460_000, 600), np.arange(1_603_580_000, 1_603_600_000, 600)]
    )
    for name in ("Europe/Amsterdam", "America/St_Johns", "Asia/Kolkata", "UTC"):
        frame = spark.createDataFrame(pa.table({"s": wall}))
        instant = F.to_utc_timestamp(F.timestamp_seconds("s"), name)
        valid = F.when(F.from_utc_timestamp(instant, name) == F.timestamp_seconds("s"), F.unix_micros(instant))
        expected = [row[0] for row in frame.orderBy("s").select(valid).collect()]
        micros, skipped, unknown = to_utc(np.sort(wall) * SECOND, zone_of(spark, name))
        told = [None if gap else int(at) for at, gap in zip(micros, skipped, strict=True)]
        known = ~unknown
        assert known.mean() > 0.99
        assert [t for t, k in zip(told, known, strict=True) if k] == [
            e for e, k in zip(expected, known, strict=True) if k
        ]
