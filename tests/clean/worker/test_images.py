"""Files by path or bytes to pixels: where a path may lead, what each format gives, and why there is no image."""

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image

from medspark.clean.worker.images import Wanted, read_image

RAMP = (np.arange(16) * 17).astype(np.uint8).reshape(4, 4)


def written(pixels, form="PNG", **settings):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **settings)
    return out.getvalue()


def npy(array, **settings):
    out = io.BytesIO()
    np.save(out, array, **settings)
    return out.getvalue()


@pytest.fixture
def wanted(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(written(RAMP))
    (tmp_path / "secret.png").write_bytes(written(RAMP))
    return Wanted(str(folder), 4, 4, 1, "header", "first", stretched=False)


def pixels(wanted, value):
    rule, found = read_image(wanted, value)
    assert rule is None, rule
    return list(found)


# ---------------------------------------------------------------- where a path leads


def test_a_path_is_read_from_its_folder_by_address_too(wanted):
    (os.mkdir(os.path.join(wanted.folder, "deep")), os.link(f"{wanted.folder}/a.png", f"{wanted.folder}/deep/b.png"))
    for path in ("a.png", "./a.png", "deep/b.png"):
        assert pixels(wanted, path) == RAMP.ravel().tolist()
        assert pixels(wanted._replace(folder=f"file:{wanted.folder}"), path) == RAMP.ravel().tolist()


@pytest.mark.parametrize(
    "path", ["../secret.png", "a/../../secret.png", "/etc/hostname", "file:/etc/hostname", "a\0b", "."]
)
def test_a_path_out_of_the_folder_is_not_followed(wanted, path):
    assert read_image(wanted, path) is None


def test_a_link_out_of_the_folder_is_not_followed_and_one_within_is(wanted, tmp_path):
    folder = tmp_path / "images"
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "within.png").symlink_to(folder / "a.png")
    assert read_image(wanted, "out.png") is None
    assert read_image(wanted, "up/secret.png") is None
    assert pixels(wanted, "within.png") == RAMP.ravel().tolist()


def test_what_is_no_file_is_absent_and_nobody_waits_for_a_pipe(wanted):
    os.mkdir(f"{wanted.folder}/deep")
    os.mkfifo(f"{wanted.folder}/pipe.png")
    for path in ("none.png", "deep", "pipe.png"):
        assert read_image(wanted, path) == ("absent", None)


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (written(RAMP), RAMP),
        (written(RAMP.astype(np.uint16) * 257), RAMP),
        (npy(RAMP), RAMP),
        (npy(RAMP[..., None]), RAMP),
        (npy(RAMP.astype(np.uint16) * 257), RAMP),
        (npy(np.linspace(-3, 5, 16).reshape(4, 4)), RAMP),
        (npy(np.stack([RAMP, RAMP * 0])), RAMP),
        (written(np.stack([RAMP] * 3, axis=2)), RAMP),
        (written(RAMP > 127), (RAMP > 127) * 255),
    ],
)
def test_each_format_and_depth_gives_8_bits(wanted, content, expected):
    assert pixels(wanted, content) == np.asarray(expected).ravel().tolist()


def test_a_jpeg_is_read_as_well_as_jpeg_keeps_it(wanted):
    found = np.array(pixels(wanted, written(np.full((4, 4), 90, np.uint8), "JPEG")))
    assert np.abs(found - 90).max() <= 2


def test_a_palette_and_transparency_become_colours(wanted):
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    out = io.BytesIO()
    palette.save(out, "PNG")
    colour = wanted._replace(height=2, width=2, channels=3)
    assert pixels(colour, out.getvalue()) == [255, 0, 0, 0, 0, 255, 0, 0, 255, 255, 0, 0]
    clear = np.dstack([np.full((2, 2, 3), 9, np.uint8), np.zeros((2, 2), np.uint8)])
    assert set(pixels(colour, written(clear))) == {9}


def test_bytes_and_text_of_bytes_are_read_like_files(wanted):
    content = written(RAMP)
    text = "data:;base64," + base64.encodebytes(content).decode().replace("\n", "\r\n")
    assert pixels(wanted, bytearray(content)) == pixels(wanted, text) == pixels(wanted, "a.png")


def test_frames_of_an_array_are_chosen_as_those_of_a_dicom_file(wanted):
    stack = np.stack([np.full((4, 4), value, np.uint8) for value in (1, 2, 3)])
    for frame, value in (("first", 1), ("middle", 2), ("last", 3)):
        assert set(pixels(wanted._replace(frame=frame), npy(stack))) == {value}


def test_a_window_is_of_greys_of_any_format(wanted):
    found = pixels(wanted._replace(window=(127.5, 51.0)), written(RAMP))
    assert found[:7] == [0] * 7
    assert found[7:9] == [85, 170]
    assert found[9:] == [255] * 7


def test_proportions_are_kept_with_black_edges_or_stretched(wanted):
    wide = written(np.full((2, 4), 200, np.uint8))
    assert pixels(wanted, wide) == [*[0] * 4, *[200] * 8, *[0] * 4]
    assert set(pixels(wanted._replace(stretched=True), wide)) == {200}


def test_what_is_made_smaller_is_averaged(wanted):
    lines = np.zeros((64, 64), np.uint8)
    lines[::2] = 200
    found = pixels(wanted, written(lines))
    assert max(abs(value - 100) for value in found) < 12


# ---------------------------------------------------------------- no image


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "format"),
        (b"GIF89a", "format"),
        (written(RAMP)[:-30], "damaged"),
        (written(RAMP)[:20], "damaged"),
        (written(np.zeros((64, 64), np.uint8), "JPEG")[:200], "damaged"),
        (npy(RAMP)[:-1], "damaged"),
        (npy(np.array([{"a": 1}], object), allow_pickle=True), "damaged"),
        (npy(np.array(["a"])), "format"),
        (npy(RAMP.ravel()), "format"),
        (npy(np.zeros((0, 4), np.uint8)), "format"),
        ("data:;base64,!!", "damaged"),
        ("data:nothing", "damaged"),
    ],
)
def test_what_is_no_image_has_its_reason(wanted, content, rule):
    assert read_image(wanted, content) == (rule, None)


def test_a_small_file_of_a_huge_picture_is_not_unpacked(wanted, monkeypatch):
    bomb = written(np.zeros((2000, 2000), np.uint8))
    assert len(bomb) < 10_000
    monkeypatch.setattr("medspark.clean.worker.pixels.MOST_PIXELS", 1_000_000)
    assert read_image(wanted, bomb) == ("too large", None)


def test_a_large_file_is_not_read(wanted, monkeypatch):
    monkeypatch.setattr("medspark.clean.worker.image_files.MOST_BYTES", 10)
    assert read_image(wanted, "a.png") == ("too large", None)
    assert read_image(wanted, written(RAMP)) == ("too large", None)


def test_nothing_is_no_image_and_breaks_no_rule(wanted):
    assert read_image(wanted, None) is None
