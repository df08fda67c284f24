"""A column of images cleaned: pixels in the records, and each reason for none a rule that is counted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.pictures import png

from medspark.errors import InputError

RAMP = (np.arange(64) * 4).astype(np.uint8).reshape(8, 8)


def columns(**settings):
    return {"id": "long", "xray": {"type": "image", "size": [8, 8], **settings}}


def rules_of(cleaned):
    cleaned.release()
    return cleaned.counts.quarantined, cleaned.counts.set_missing


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.png").write_bytes(png(RAMP))
    (tmp_path / "cut.png").write_bytes(png(RAMP)[:40])
    (tmp_path / "note.txt").write_text("Lovelace^Ada")
    return tmp_path


def test_paths_beside_the_table_become_pixels_and_each_reason_is_a_rule(folder, clean_text, records_of, set_aside):
    text = "id,xray\n1, a.png \n2,\n3,nowhere.png\n4,../a.png\n5,cut.png\n6,note.txt\n"
    cleaned = clean_text(text, columns())
    assert records_of(cleaned) == [(1, RAMP.tobytes()), (2, None)]
    assert set_aside(cleaned) == [
        (4, "xray: absent"),
        (5, "xray: outside"),
        (6, "xray: damaged"),
        (7, "xray: format"),
    ]
    reasons = [row["reason"] for row in cleaned.quarantine.orderBy("line").collect()]
    assert reasons[0] == "xray: expected a file that is there and can be opened"
    assert "Ada" not in "".join(reasons)
    cleaned.release()


def test_images_that_change_between_two_passes_end_the_run(folder, clean_text):
    cleaned = clean_text("id,xray\n1,a.png\n", columns())
    cleaned.same()
    (folder / "a.png").write_bytes(png(RAMP.T))
    cleaned.same()  # what was read is kept
    cleaned.release()
    with pytest.raises(InputError, match="expected images that stay as they are while they are read"):
        cleaned.same()


def test_what_gives_no_image_may_be_missing_or_end_the_run(folder, clean_text):
    text = "id,xray\n1,a.png\n2,cut.png\n3,cut.png\n"
    assert rules_of(clean_text(text, columns(otherwise="missing"))) == ({}, {"xray: damaged": 2})
    with pytest.raises(InputError, match="xray: damaged: 2 rows"):
        clean_text(text, columns(otherwise="fail"))


def test_a_stated_folder_and_channels_are_heeded(folder, clean_text, records_of, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.png").write_bytes(png(RAMP))
    cleaned = clean_text("id,xray\n1,b.png\n", columns(folder=str(elsewhere), channels=3))
    assert records_of(cleaned) == [(1, np.repeat(RAMP[..., None], 3, axis=2).tobytes())]
    cleaned.release()


def test_bytes_in_parquet_are_read_and_a_repaired_row_keeps_its_image(spark, tmp_path, clean_path, records_of):
    source = tmp_path / "in.parquet"
    images = pa.array([png(RAMP), b"GIF89a", png(255 - RAMP), None], pa.binary())
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "age": [50, 51, 999, 52], "xray": images}), source)
    declared = {"id": "long", "age": {"type": "long", "range": [0, 120]}, "xray": columns()["xray"]}
    cleaned = clean_path(source, declared, format="parquet")
    assert records_of(cleaned) == [(1, 50, RAMP.tobytes()), (4, 52, None)]
    assert cleaned.counts.quarantined == {"age: range": 1, "xray: format": 1}
    rows = [row.asDict() for row in cleaned.quarantine.where("rule = 'age: range'").collect()]
    cleaned.release()
    mended = [{**row, "raw": row["raw"].replace("999", "99")} for row in rows]
    kept = ("file", "line", "row_digest", "raw")
    repairs = spark.createDataFrame(
        [tuple(row[name] for name in kept) for row in mended], "file string, line bigint, row_digest bigint, raw string"
    )
    again = clean_path(source, declared, format="parquet", repairs=repairs)
    assert sorted(records_of(again))[1] == (3, 99, (255 - RAMP).tobytes())
    again.release()


def test_the_fingerprint_is_of_the_images_too(folder, clean_text):
    def fingerprint():
        cleaned = clean_text("id,xray\n1,a.png\n", columns())
        cleaned.release()
        return cleaned.fingerprint

    before = fingerprint()
    assert fingerprint() == before
    (folder / "a.png").write_bytes(png(255 - RAMP))
    assert fingerprint() != before


def test_a_row_that_repeats_another_is_a_duplicate_whatever_its_image(folder, clean_text, records_of):
    text = "id,xray\n1,a.png\n1,a.png\n2,a.png\n2,\n"
    cleaned = clean_text(text, columns(), duplicates={"same": ["id"], "keep": "first"})
    assert records_of(cleaned) == [(1, RAMP.tobytes()), (2, RAMP.tobytes())]
    assert cleaned.counts.duplicates == 2
    cleaned.release()


def test_a_column_of_numbers_is_refused(tmp_path, clean_path):
    pq.write_table(pa.table({"id": [1], "xray": [1.5]}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="'xray' is declared image, which can be read from binary or string"):
        clean_path(tmp_path / "in.parquet", columns(), format="parquet")


def test_beside_a_pattern_lies_no_folder(folder, clean_path, clean_text):
    (folder / "t.csv").write_text("id,xray\n1,a.png\n")
    with pytest.raises(InputError, match="the source is a pattern, beside which no folder lies"):
        clean_path(f"{folder}/t*.csv", columns())
