"""What a case's history says: a few events and the columns made of them. The prediction is on day 10."""

import math

import pytest
from support.events import asthma_task, made_candidates

from medspark.cases.worker import windows as aggregates


def column(name, kind, group, rows, **changes):
    """The one column of a group for a case of patient 1 on day 10."""
    task = asthma_task(features={kind: {"g": group}}, **changes)
    (row,) = made_candidates([(1, 10, "INDEX"), *rows], task)
    return row[name]


def numbers(rows, take, days=None, **changes):
    group = {"of": ["LAB/"], "take": take} | ({"look_back_days": days} if days else {})
    return column("g_all" if days is None else f"g_{days}d", "values", group, rows, **changes)


def lab(day, number=None, *available, code="LAB/x"):
    return (1, day, code, number, *available)


NUMERIC = ["last", "first", "mean", "min", "max", "sd", "slope", "change"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([lab(9, 4.0)], [4, 4, 4, 4, 4, 0, None, None]),
        ([lab(7, 4.0), lab(9, 10.0)], [10, 4, 7, 4, 10, 3, 3, 6]),
        ([lab(9, 10.0), lab(7, 4.0)], [10, 4, 7, 4, 10, 3, 3, 6]),  # whatever their order
        ([lab(9, 4.0), lab(9, 10.0)], [10, 4, 7, 4, 10, 3, None, 6]),  # at one time from the lowest up
        ([lab(9, 4.0), lab(9, 4.0)], [4, 4, 4, 4, 4, 0, None, 0]),  # a copy is a value too
        ([lab(8)], [None] * 8),
        ([lab(7, 4.0), lab(8), lab(9, 10.0), lab(9.5)], [10, 4, 7, 4, 10, 3, 3, 6]),
        ([lab(9, float("nan"))], [None] * 8),
        ([lab(9, float("inf")), lab(8, 4.0)], [4, 4, 4, 4, 4, 0, None, None]),
    ],
)
def test_numbers_are_of_the_events_that_have_one(rows, expected):
    found = numbers(rows, NUMERIC)["LAB/x"]
    assert list(found) == NUMERIC
    assert list(found.values()) == [None if number is None else pytest.approx(number) for number in expected]


def test_counts_and_times_are_of_all_events_with_or_without_a_number():
    take = ["count", "present", "time_since", "time_since_first"]
    rows = [lab(9, 1.0), lab(9.5), lab(8, 3.0), lab(9.5)]
    assert numbers(rows, take)["LAB/x"] == {"count": 4, "present": 1, "time_since": 12, "time_since_first": 48}


def test_a_code_that_is_not_there_is_not_in_the_map():
    assert numbers([], ["count"]) == {}
    assert numbers([(1, 9, "DX/a")], ["count", "mean"]) == {}
    assert numbers([lab(9, code="LAB/y")], ["count"]) == {"LAB/y": {"count": 1}}


@pytest.mark.parametrize(
    ("day", "boundary", "seen"),
    [
        (8, "included", True),
        (7.999, "included", False),
        (8, "excluded", True),
        (10, "included", True),
        (10, "excluded", False),
        (9.999, "excluded", True),
        (10.001, "included", False),
    ],
)
def test_a_window_has_both_its_ends_unless_the_prediction_time_is_excluded(day, boundary, seen):
    clock = {"time": {"at_prediction_time": boundary}}
    assert numbers([lab(day)], ["count"], 2, **clock) == ({"LAB/x": {"count": 1}} if seen else {})
    bag = column("g_2d", "codes", {"of": ["LAB/"], "look_back_days": 2}, [lab(day)], **clock)
    assert bag == (["LAB/x"] if seen else [])


@pytest.mark.parametrize(
    ("available", "boundary", "seen"),
    [(None, "included", 1), (10, "included", 1), (10, "excluded", 0), (10.001, "included", 0), (3, "included", 1)],
)
def test_an_event_counts_once_it_is_known(available, boundary, seen):
    found = numbers([lab(9, 1.0, available)], ["count"], time={"at_prediction_time": boundary})
    assert len(found) == seen


def test_windows_of_one_group_are_nested():
    task = asthma_task(features={"values": {"g": {"of": ["LAB/"], "take": ["count"], "look_back_days": [1, 3]}}})
    (row,) = made_candidates([(1, 10, "INDEX"), lab(9.5), lab(8), lab(2)], task)
    assert (row["g_1d"], row["g_3d"]) == ({"LAB/x": {"count": 1}}, {"LAB/x": {"count": 2}})


def test_a_bag_has_each_code_once_sorted_by_name():
    rows = [(1, 9, "DX/b"), (1, 8, "DX/a"), (1, 3, "DX/b"), (1, 9, "LAB/x"), (2, 1, "DX/c")]
    assert column("g_all", "codes", {"of": ["DX/"]}, rows) == ["DX/a", "DX/b"]
    assert column("g_all", "codes", {"of": ["DX/"]}, []) == []


def test_the_codes_of_a_concept_as_one_are_one_code_with_its_name():
    concepts = {
        "index": {"codes": ["INDEX"]},
        "asthma": {"codes": ["DX/asthma"]},
        "sugar": {"codes": ["LAB/glucose", "LAB/poct"], "as_one": True},
    }
    rows = [lab(8, 5.0, code="LAB/glucose"), lab(9, 7.0, code="LAB/poct"), lab(9, 1.0)]
    group = {"of": ["sugar", "LAB/"], "take": ["count", "last", "change"]}
    assert column("g_all", "values", group, rows, concepts=concepts) == {
        "sugar": {"count": 2, "last": 7, "change": 2},
        "LAB/x": {"count": 1, "last": 1, "change": None},
    }
    assert column("g_all", "codes", {"of": ["sugar"]}, rows, concepts=concepts) == ["sugar"]


def test_a_sequence_keeps_the_last_events_oldest_first_and_ties_by_code_and_number():
    rows = [lab(9, 2.0), lab(9, 1.0), lab(9), (1, 9, "DX/a"), lab(1, 7.0), lab(9.5, float("inf"))]
    group = {"of": ["LAB/", "DX/"], "last": 5}
    found = column("g_all", "sequences", group, rows)
    assert [tuple(item.values()) for item in found] == [
        ("DX/a", 24.0, None),
        ("LAB/x", 24.0, 1.0),
        ("LAB/x", 24.0, 2.0),
        ("LAB/x", 24.0, None),
        ("LAB/x", 12.0, None),  # no finite number
    ]
    assert column("g_all", "sequences", {**group, "last": 2}, rows) == found[3:]
    assert column("g_all", "sequences", {**group, "last": 99}, rows)[0] == {
        "code": "LAB/x",
        "hours_before": 216.0,
        "number": 7.0,
    }
    assert column("g_all", "sequences", group, []) == []


@pytest.mark.parametrize(
    ("hours", "steps"),
    [
        (0, [None, None, 1]),
        (0.999, [None, None, 1]),
        (1, [None, 1, None]),
        (2, [1, None, None]),
        (3, [1, None, None]),  # the far end of the grid
        (3.001, None),
    ],
)
def test_a_step_of_a_grid_is_open_at_its_older_end_but_the_oldest(hours, steps):
    grid = {"of": ["LAB/"], "look_back_hours": 3, "every_hours": 1}
    found = column("g", "grids", grid, [lab(10 - hours / 24, 1.0)])
    assert found == ({} if steps is None else {"LAB/x": steps})


@pytest.mark.parametrize(
    ("take", "expected"), [("mean", 3.0), ("last", 2.0), ("min", 2.0), ("max", 4.0), ("count", 2.0)]
)
def test_a_step_of_a_grid_takes_one_number_of_its_events(take, expected):
    grid = {"of": ["LAB/"], "look_back_hours": 48, "every_hours": 24, "take": take}
    rows = [lab(9.5, 4.0), lab(9.75, 2.0), lab(9.8), lab(8.5, 7.0, code="LAB/y")]
    found = column("g", "grids", grid, rows)
    assert found["LAB/x"] == [None, expected]
    assert found["LAB/y"] == [1.0 if take == "count" else 7.0, None]


def test_every_case_of_a_patient_sees_its_own_past_and_no_other_patient():
    task = asthma_task(features={"values": {"g": {"of": ["LAB/"], "take": ["count"]}}})
    rows = [(1, 10, "INDEX"), (1, 20, "INDEX"), (2, 15, "INDEX"), lab(9), lab(15), (2, 30, "LAB/x")]
    assert [row["g_all"].get("LAB/x", {}).get("count") for row in made_candidates(rows, task)] == [1, 2, None]


def test_cases_made_in_chunks_are_the_cases_made_at_once(monkeypatch):
    task = asthma_task(
        features={
            "values": {"v": {"of": ["LAB/"], "take": [*NUMERIC, "count"]}},
            "sequences": {"s": {"of": ["LAB/"], "last": 3}},
            "codes": {"c": {"of": ["LAB/"]}},
        }
    )
    rows = [(patient, day, code, float(day)) for patient in (1, 2) for day in range(9) for code in ("INDEX", "LAB/x")]
    at_once = made_candidates(rows, task)
    monkeypatch.setattr(aggregates, "EXPANDED_EVENTS", 5)
    assert made_candidates(rows, task) == at_once
    assert not any(math.isnan(row["v_all"]["LAB/x"]["mean"]) for row in at_once)
