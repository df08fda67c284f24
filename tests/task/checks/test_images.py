"""What a task may say of images, and what is told of the rest."""

from copy import deepcopy

import pytest
from support.pictures import PICTURES
from support.sound import changed, told_by

from medspark.task.load import check_task

LEFT = {"type": "image", "size": [16, 16]}
TWO = {**deepcopy(PICTURES), "features": {"images": {"chest": {"from": ["xray", "left"], "several": "mean"}}}}
TWO["columns"] = {**TWO["columns"], "left": LEFT}


def test_two_columns_may_be_one_feature():
    assert check_task(deepcopy(TWO))[1] == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "columns.left.size",
            [16, 32],
            "features.images.chest: expected columns of one size and as many channels, received 16 x 16 x 1 and "
            "16 x 32 x 1",
        ),
        ("columns.left.channels", 3, "features.images.chest: expected columns of one size and as many channels"),
        (
            "features.images.chest",
            {"from": ["xray"], "several": "last"},
            "features.images.chest.several: there is one column, so at most one image a case",
        ),
        (
            "columns.other",
            LEFT,
            "columns.other: no feature reads these images; as a string their paths are kept unread",
        ),
        ("features", {"numeric": ["age"]}, "network.images: no feature has images"),
        ("network.images.weights", "a.keras", "network.images.filters: a network that `weights` names has filters"),
    ],
)
def test_what_one_network_cannot_read_or_nobody_reads_is_told(path, value, says):
    problems = told_by("images_are_alike", changed(TWO, path, value))
    assert any(problem.startswith(says) for problem in problems)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("columns.xray.window", [40, 0], "expected header, none, or [center, width] with a width above 0, received"),
        ("columns.xray.window", "lung", "expected header, none, or [center, width] with a width above 0, received"),
        ("columns.xray.size", [16, 4096], "less than or equal to 1024"),
        ("columns.xray.channels", 4, "expected 1 or 3"),
        ("columns.xray.frame", "frist", "Did you mean 'first'?"),
        ("features.images.chest.from", ["age"], "features.images.chest: expected a column of image, received 'age'"),
        ("features.images.chest.from", ["xray", "xray"], "features.images.chest: 'xray' is named twice"),
        ("features.numeric", ["xray"], "features.numeric: expected a column of boolean or"),
        ("outcome.when", "xray", "expected true or false"),
    ],
)
def test_a_setting_that_is_none_is_told_with_what_is_expected(path, value, says):
    problems = check_task(changed(TWO, path, value))[1]
    assert any(says in problem for problem in problems), problems


def test_a_window_is_a_word_or_its_center_and_width():
    for window in ("header", "none", [40, 400]):
        task, problems = check_task(changed(TWO, "columns.xray.window", window))
        assert problems == []
        assert task.columns["xray"].window == (tuple(window) if isinstance(window, list) else window)


def test_with_images_members_are_three_unless_the_task_says_otherwise():
    assert check_task(changed(PICTURES, "network", {}))[0].network.members == 3
    assert check_task(changed(PICTURES, "network", {"members": 1}))[0].network.members == 1
    without = changed(changed(PICTURES, "network", {}), "features", {"numeric": ["age"]})
    without["columns"]["xray"] = {"type": "string"}
    assert check_task(without)[0].network.members == 8
