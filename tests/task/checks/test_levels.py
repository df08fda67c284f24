"""A condition that no row can meet is told before it runs."""

import pytest
from support.sound import TABLE_TASK, changed

from medspark.task.load import check_task
from medspark.task.notes import notes

LEVELS = {"type": "category", "levels": ["home", "died"]}


def told(exclude, fate=LEVELS):
    """What `medspark check` says of exclusions, in a task that is sound."""
    task, problems = check_task(changed(changed(TABLE_TASK, "columns.fate", fate), "exclude", exclude))
    assert problems == []
    return [note for note in notes(task) if note.startswith("exclude.")]


def excluding(when):
    return [{"name": "dead", "when": when, "because": "of it"}]


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("fate = 'dead'", "exclude.dead: no row has the level 'dead' of 'fate'"),
        ("'diedd' = fate", "Did you mean 'died'?"),
        ("fate in ('home', 'hospice')", "no row has the level 'hospice'"),
        ("age < 3 and fate != 'gone'", "no row has the level 'gone'"),
    ],
)
def test_a_level_that_the_column_does_not_list_is_told(when, says):
    assert any(says in note for note in told(excluding(when)))


@pytest.mark.parametrize("when", ["fate = 'died'", "fate in ('home')", "fate is null", "fate = 'home '"])
def test_a_level_that_it_lists_is_fine(when):
    assert told(excluding(when)) == []


def test_a_column_without_levels_may_have_any():
    assert told(excluding("fate = 'dead'"), {"type": "category"}) == []


def test_an_exclusion_that_repeats_an_earlier_one_is_never_reached():
    twice = [{"name": name, "when": when, "because": "x"} for name, when in (("a", "age < 3"), ("b", "age  <  3"))]
    assert told(twice) == ["exclude.b: its condition is that of 'a', which takes out the same rows before it"]


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("age > 120", "no row has age > 120 after cleaning, by the column's range from 0 up to 120"),
        ("0 > age", "no row has age < 0"),
        ("age = -1", "no row has age = -1"),
        ("dose >= 5.5", "no row has dose >= 5.5 after cleaning, by the column's range up to 5"),
        ("fate = 'home' or age between 3 and 9 or age <= -0.5", "no row has age <= -0.5"),
    ],
)
def test_a_number_beyond_the_range_of_its_column_is_told(when, says):
    (note,) = told_of_doses(when)
    assert says in note


@pytest.mark.parametrize("when", ["age >= 120", "age > 119.5", "age <= 0", "age < 200", "dose < -99", "age > dose"])
def test_a_number_that_the_range_leaves_room_for_is_fine(when):
    assert told_of_doses(when) == []


def told_of_doses(when):
    columns = {**TABLE_TASK["columns"], "fate": LEVELS, "dose": {"type": "double", "range": [None, 5]}}
    task, problems = check_task(changed(changed(TABLE_TASK, "columns", columns), "exclude", excluding(when)))
    assert problems == []
    return [note for note in notes(task) if note.startswith("exclude.")]
