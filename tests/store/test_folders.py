"""A folder takes another one's place: whoever reads by the folder has the files of one or of the other."""

import shutil
import threading
from collections import Counter

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.store import folders
from medspark.store.folders import exchange, put_folder

LOOKS = 60
GONE = ("No such file", "No files found")
"""What DuckDB says of a file that was deleted after it was listed, and of a folder that was while it was listed."""


def rows_of(night):
    return 20 + night % 7


def written(folder, night):
    ids = range(night * 1000, night * 1000 + rows_of(night))
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": ids, "text": [f"night {night}"] * len(ids)}), folder / f"scores-{night}.parquet")
    return folder


def test_a_reader_that_opens_a_file_twice_sees_one_folder_or_that_what_it_listed_is_gone(tmp_path):
    place, ended = written(tmp_path / "scores" / "night", 0), threading.Event()

    def replace():
        for night in range(1, 10_000):
            exchange(written(tmp_path / "new", night), place)
            ended.wait(0.01)  # a reader may be anywhere in its work when a folder is deleted
            shutil.rmtree(tmp_path / "new")
            if ended.is_set():
                return

    found, writer = Counter(), threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(LOOKS):
            try:
                query = f"SELECT count(*), min(id), max(id), count(DISTINCT text) FROM '{tmp_path}/scores/*/*.parquet'"
                rows, first, last, texts = duckdb.connect().sql(query).fetchall()[0]
            except duckdb.IOException as error:
                if not any(gone in str(error) for gone in GONE):
                    raise
                found["gone"] += 1
                continue
            assert (rows, last, texts) == (rows_of(first // 1000), first + rows - 1, 1)
            found["whole"] += 1
    finally:
        ended.set()
        writer.join()
    assert found["whole"] > LOOKS / 4


def test_a_folder_is_put_where_none_is_or_takes_the_place_of_one(context, tmp_path, monkeypatch):
    place = tmp_path / "a folder" / "[night]"
    assert put_folder(context, str(written(tmp_path / "one", 1)), str(place))
    assert put_folder(context, str(written(tmp_path / "two", 2)), str(place))
    assert [path.name for path in place.iterdir()] == ["scores-2.parquet"]
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["scores-1.parquet"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "three", place)
    monkeypatch.setattr(folders.ctypes, "CDLL", lambda *_, **__: None)  # a system without such a call
    assert not put_folder(context, str(tmp_path / "two"), str(place))
    assert [path.name for path in place.iterdir()] == ["scores-2.parquet"]
