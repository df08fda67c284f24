"""What of a DICOM file becomes light: each rule on a small file made here, and every file of pydicom's."""

import numpy as np
import pytest
from support.dicoms import SECRET, dicom, item, ramp

from medspark.clean.worker.dicom import codestream_sides
from medspark.clean.worker.images import Wanted, read_image

WANTED = Wanted("/nowhere", 4, 4, 1, "header", "first", stretched=False)
EVENLY = [0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]


def pixels(content, **changes):
    rule, found = read_image(WANTED._replace(**changes), content)
    assert rule is None, rule
    return list(found)


def rule_of(content, **changes):
    rule, found = read_image(WANTED._replace(**changes), content)
    assert found is None
    return rule


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_without_a_window_the_darkest_is_black_and_the_brightest_white(dtype):
    assert pixels(dicom(ramp(dtype, 2))) == EVENLY


def test_monochrome1_is_turned_round():
    assert pixels(dicom(ramp(), "MONOCHROME1")) == EVENLY[::-1]


def test_values_are_rescaled_before_a_stated_window():
    ct = dicom(ramp(np.int16, 100), RescaleSlope=2, RescaleIntercept=-1000)  # -1000 to 2000 in steps of 200
    found = pixels(ct, window=(0.0, 800.0))
    assert found[:8] == [0, 0, 0, 0, 64, 128, 191, 255]
    assert set(found[8:]) == {255}


def test_the_headers_window_is_the_standards_linear_function():
    # PS3.3 C.11.2.1.2.1: width 8 about 8 is 4 to 11, both ends included
    found = pixels(dicom(ramp(), WindowCenter=8, WindowWidth=8))
    assert found == [0, 0, 0, 0, 0, 36, 73, 109, 146, 182, 219, *[255] * 5]
    exact = pixels(dicom(ramp(), WindowCenter=8, WindowWidth=8, VOILUTFunction="LINEAR_EXACT"))
    assert exact[4:13] == [0, 32, 64, 96, 128, 159, 191, 223, 255]
    sigmoid = pixels(dicom(ramp(), WindowCenter=8, WindowWidth=8, VOILUTFunction="SIGMOID"))
    assert (sigmoid[8], sigmoid[4], sigmoid[12]) == (128, 30, 225)


def test_of_several_windows_the_first_counts_and_none_ignores_them():
    several = dicom(ramp(), bits=4, WindowCenter=[8, 2], WindowWidth=[8, 2])
    assert pixels(several) == pixels(dicom(ramp(), WindowCenter=8, WindowWidth=8))
    assert pixels(several, window="none") == EVENLY, "4 bits say 0 to 15"
    assert pixels(dicom(ramp(), bits=5), window="none")[15] == 123, "5 bits say 0 to 31"
    assert pixels(dicom(ramp(np.int16), bits=5), window="none")[0] == 132, "5 bits with a sign say -16 to 15"


def test_a_windows_width_of_0_is_none():
    assert pixels(dicom(ramp(), WindowCenter=8, WindowWidth=0)) == EVENLY


def test_a_table_of_values_of_interest_goes_before_a_window():
    table = item(LUTDescriptor=[16, 0, 8], LUTData=list(range(255, -1, -17)), LUTExplanation="")
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    found = dicom(ramp(), WindowCenter=8, WindowWidth=8, VOILUTSequence=[table])
    assert pixels(found) == EVENLY[::-1]


def test_padding_is_not_the_darkest():
    values = ramp(np.int16, 10)
    values[0, 0] = -2000
    assert pixels(dicom(values, PixelPaddingValue=-2000))[1:3] == [0, 18]


@pytest.mark.parametrize(("frame", "value"), [("first", 0), ("middle", 10), ("last", 20)])
def test_of_several_frames_the_stated_one_is_drawn_by_its_own_window(frame, value):
    stack = np.stack([np.full((4, 4), value, np.uint8) for value in (0, 10, 20)])
    windows = [item(FrameVOILUTSequence=[item(WindowCenter=0, WindowWidth=width)]) for width in (41, 42, 43)]
    found = dicom(stack, frames=3, PerFrameFunctionalGroupsSequence=windows, WindowCenter=99, WindowWidth=1)
    # the standard's linear function: (x + 0.5) / (width - 1) + 0.5 of 255
    width = {"first": 41, "middle": 42, "last": 43}[frame]
    assert set(pixels(found, frame=frame)) == {round(255 * ((value + 0.5) / (width - 1) + 0.5))}
    assert set(pixels(dicom(stack, frames=3), frame=frame, window=(10.0, 20.0))) == {round(255 * value / 20)}


def test_what_all_frames_share_is_read_from_the_shared_group():
    shared = item(PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=0)])
    found = dicom(ramp(), SharedFunctionalGroupsSequence=[shared])
    assert pixels(found, window=(15.0, 30.0)) == EVENLY


def test_colours_become_grey_by_their_luminance_or_stay():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 0], rgb[0, 0] = 200, (10, 20, 30)
    content = dicom(rgb, "RGB")
    assert pixels(content)[:2] == [18, 60]
    assert pixels(content, channels=3)[:6] == [10, 20, 30, 200, 0, 0]


def test_ybr_becomes_rgb():
    ybr = np.zeros((4, 4, 3), np.uint8)
    ybr[...] = (76, 85, 255)  # red
    found = pixels(dicom(ybr, "YBR_FULL"), channels=3)
    assert found[0] > 250
    assert max(found[1], found[2]) < 5


def test_a_palette_gives_colours():
    tables = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, levels in (("Red", [0, 65535]), ("Green", [0, 0]), ("Blue", [65535, 0]))
        for part, value in (("Descriptor", [2, 0, 16]), ("Data", np.array(levels, np.uint16).tobytes()))
    }
    found = pixels(dicom(ramp(np.uint8) % 2, "PALETTE COLOR", **tables), channels=3)
    assert found[:6] == [0, 0, 255, 255, 0, 0]


def test_a_grey_image_may_be_asked_for_in_colour():
    assert pixels(dicom(ramp()), channels=3)[:6] == [0, 0, 0, 17, 17, 17]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (lambda: dicom(ramp())[:-4], "damaged"),
        (lambda: dicom(ramp())[:200], "no pixels"),
        (lambda: dicom(ramp(), Rows=60_000, Columns=60_000), "too large"),
        (lambda: dicom(ramp(), Rows=0), "damaged"),
        (lambda: dicom(ramp(), NumberOfFrames=2), "damaged"),
        (lambda: dicom(ramp(), RescaleSlope="1", WindowCenter="8", WindowWidth="8")[:-1], "damaged"),
        (lambda: dicom(ramp()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0"), "syntax"),
        (lambda: dicom(ramp()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"), "damaged"),
    ],
)
def test_a_file_that_gives_no_image_has_a_reason_and_no_more_of_it_is_told(content, rule, capfd):
    assert rule_of(content()) == rule
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err


def test_a_deflated_file_that_would_fill_the_memory_is_not_inflated(monkeypatch):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    content = dicom(np.zeros((64, 64), np.uint8), syntax=DeflatedExplicitVRLittleEndian)
    assert set(pixels(content)) == {0}
    monkeypatch.setattr("medspark.clean.worker.dicom.MOST_BYTES", 1000)
    assert rule_of(content) == "too large"


def test_a_codestream_larger_than_its_header_says_is_not_decoded():
    jpeg = bytes.fromhex("ffd8ffe00004aaaa") + bytes.fromhex("ffc0001108ffffffff03")
    assert codestream_sides(jpeg) == (65535, 65535)
    j2k = bytes.fromhex("ff4fff510029000000010000000100000000000000000000")
    assert codestream_sides(j2k) == (65536, 65536)
    assert codestream_sides(b"") == codestream_sides(b"\xff\xd8\xff") == (1, 1)


# ---------------------------------------------------------------- pydicom's files

NOT_DICOM = ("README", "README.txt", "crayons.icc", "rtplan.dump", "rtstruct.dump", "test1.json", "test_PN.json")
EXPECTED = {
    **dict.fromkeys((*NOT_DICOM, "zipMR.gz", "no_meta.dcm"), "format"),
    "JPEG-lossy.dcm": "syntax",  # 12 bits in JPEG Extended: only a package under the GPL reads it
    "JPGExtended.dcm": "syntax",
    "MR_truncated.dcm": "damaged",
    "badVR.dcm": "damaged",  # a number of frames that is no number
    "JPEG2000-embedded-sequence-delimiter.dcm": "too large",  # its codestream says 3.7 billion columns
}
WITHOUT_PIXELS = [
    *("ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm"),
    *("meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm", "no_meta_group_length.dcm", "priv_SQ.dcm", "reportsi.dcm"),
    *("reportsi_with_empty_number_tags.dcm", "rtplan.dcm", "rtplan_truncated.dcm", "rtstruct.dcm", "test-SR.dcm"),
    "waveform_ecg.dcm",
]


def expected_of(path):
    if path.name.startswith("DICOMDIR") or path.parent.name == "SE000000" or path.name in WITHOUT_PIXELS:
        return "no pixels"
    return EXPECTED.get(path.name)


@pytest.mark.data
def test_every_file_of_pydicoms_gives_an_image_or_the_reason_for_none(data):
    root = data / "pydicom_files" / "test_files"
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    wanted = WANTED._replace(folder=str(root), height=32, width=32)
    found = {path.relative_to(root): read_image(wanted, str(path.relative_to(root)))[0] for path in files}
    assert found == {path.relative_to(root): expected_of(path) for path in files}
    assert sum(rule is None for rule in found.values()) > 70


@pytest.mark.data
def test_one_image_is_the_same_in_whatever_syntax_it_is_kept(data):
    root = data / "pydicom_files" / "test_files"
    wanted = WANTED._replace(folder=str(root), height=64, width=64)
    names = ["MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_expb", "MR_small_implicit"]
    names += ["MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"]
    assert len({read_image(wanted, f"{name}.dcm") for name in names}) == 1
