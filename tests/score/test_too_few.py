"""A night without scores, or without what training read, is no success."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from support.events import asthma_task
from support.roads import new_run, score, scores_of
from support.tasks import stays_task

from medspark.errors import InputError, RejectedError
from medspark.events.count import total_counts
from medspark.events.read import read_events
from medspark.score.publish import require_enough
from medspark.stages.eligible import require_what_training_read
from medspark.store.facts import EventCounts, MappedCounts


def bundle(**scoring):
    return SimpleNamespace(task=stays_task(scoring=scoring))


def bundle_of_events(trained, task=None, **scoring):
    task = (task or asthma_task()).model_copy(update={"scoring": stays_task(scoring=scoring).scoring})
    return SimpleNamespace(task=task, manifest={"counts": {"tables": trained}})


@pytest.mark.parametrize(
    ("scored", "reasons", "most", "enough"),
    [
        (90, {"quarantined: age: type": 10}, 0.1, True),
        (89, {"quarantined: age: type": 10, "unscorable: age": 1}, 0.1, False),
        (0, {"quarantined: age: type": 3}, 1.0, False),  # whatever the limit: nobody has a score
        (1, {"quarantined: age: type": 999}, 1.0, True),
        (1, {"excluded: died": 999}, 0.1, True),  # a criterion's cases want no score
        (0, {"excluded: died": 5}, 1.0, True),
        (0, {}, 1.0, True),
    ],
)
def test_too_many_rows_without_a_score_have_an_exit_code_of_their_own(scored, reasons, most, enough):
    if enough:
        require_enough(bundle(rejected_at_most=most), scored, reasons)
        return
    with pytest.raises(RejectedError, match="`rejected` says why") as refused:
        require_enough(bundle(rejected_at_most=most), scored, reasons)
    assert refused.value.exit_code == 6


def counts(**columns):
    tables = {name: MappedCounts(1, 0, 1, 1, {}, {}, 0, {}, 0, found) for name, found in columns.items()}
    return EventCounts(1, 0, 1, 0, 1, {}, 0, {}, tables)


TRAINED = {"person": {"columns": ["id", "birth"]}, "device": {"columns": ["id"]}}


@pytest.mark.parametrize(
    ("tonight", "named"),
    [
        ({"person": ["id", "birth"]}, "table device"),
        ({"person": ["id"], "device": ["id"]}, r"column person\.birth"),
    ],
)
def test_what_training_read_and_tonight_lacks_stops_the_run_or_warns(spark, tmp_path, tonight, named):
    run = new_run(spark, tmp_path)
    with pytest.raises(InputError, match=f"training read {named}, which this source lacks"):
        require_what_training_read(run, bundle_of_events(TRAINED), counts(**tonight))
    require_what_training_read(run, bundle_of_events(TRAINED, absent="warn"), counts(**tonight))
    assert run.receipt.absent == [named.replace("\\", "")]


def test_what_training_did_not_read_either_is_not_missed(spark, tmp_path):
    run = new_run(spark, tmp_path)
    require_what_training_read(
        run, bundle_of_events(TRAINED), counts(person=["id", "birth", "more"], device=["id"], extra=["id"])
    )
    assert run.receipt.absent == []


WARD = {
    "persons": {"subject": "id", "columns": {"id": "long"}, "events": [{"code": "INDEX"}]},
    "notes": {
        "subject": "id",
        "columns": {"id": "long", "at": "date", "code": "string", "left": "date"},
        "absent": ["left"],
        "events": [{"code": "DX/{code}", "date": "at"}, {"code": "LEFT/{code}", "date": "left"}],
    },
    "results": {
        "subject": "id",
        "columns": {"id": "long", "at": "date", "value": {"type": "double", "otherwise": "missing"}},
        "events": [{"code": "LAB/x", "date": "at", "value": "value"}],
    },
    "deaths": {
        "subject": "id",
        "columns": {"id": "long", "at": "date"},
        "events": [{"code": "MEDS_DEATH", "date": "at"}],
    },
}
NIGHT = {
    "persons": ["id", *"123456789"],
    "notes": ["id,at,code,left", *(f"{patient},2020-01-02,a,2020-01-09" for patient in range(1, 10))],
    "results": ["id,at,value", *(f"{patient},2020-01-02,7.5" for patient in range(1, 10))],
    "deaths": ["id,at", *(f"{patient},2020-01-02" for patient in range(1, 10))],
}


def ward_task(path):
    return asthma_task(
        source={"kind": "events", "mapping": "made-up", "format": "csv", "path": str(path)},
        mapping={"mapping": "made-up", "title": "A ward", "tables": WARD},
        features={"codes": {"all": {"of": ["DX/"]}}, "values": {"labs": {"of": ["LAB/"], "take": ["last"]}}},
    )


def read_ward(spark, folder, night):
    """What became of the rows of a night, and the task of its ward."""
    folder.mkdir()
    for name, lines in night.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    task = ward_task(folder)
    with read_events(spark, task.source, task.mapping) as found:
        return total_counts(found.counts), task


@pytest.mark.parametrize(
    ("tonight", "silent"),
    [
        ({"results": ["id,at,value", "1,02.01.2020,7.5", "2,02.01.2020,7.5"]}, ["any event of table results"]),
        (
            {"results": ["id,at,value", *(f"{n},2020-01-02," for n in "1234")]},
            ["a value in column results.value"],
        ),
        ({"results": ["id,at,value", *(f'{n},2020-01-02,"7,5"' for n in "1234")]}, ["a value in column results.value"]),
        ({"results": ["id,at,value", *["1,2020-01-02,"] * 9]}, []),  # one patient's rows are alike
        ({**{name: lines[:2] for name, lines in NIGHT.items()}, "results": ["id,at,value"]}, []),  # one patient
        ({"notes": ["id,at,code,left", *(f"{n},2020-01-02,a," for n in "12345")]}, []),  # none has left yet
        ({"deaths": ["id,at"]}, []),  # nobody has died yet
    ],
)
def test_a_table_of_events_that_is_there_but_says_nothing_stops_the_run_or_warns(spark, tmp_path, tonight, silent):
    before, _ = read_ward(spark, tmp_path / "before", NIGHT)
    counts, task = read_ward(spark, tmp_path / "tonight", {**NIGHT, **tonight})
    trained = asdict(before)["tables"]
    assert (before.tables["notes"].patients, trained["notes"]["missing"]) == (9, {})
    run = new_run(spark, tmp_path)
    if silent:
        with pytest.raises(InputError, match=f"training read {silent[0]}, which this source lacks"):
            require_what_training_read(run, bundle_of_events(trained, task), counts)
    require_what_training_read(run, bundle_of_events(trained, task, absent="warn"), counts)
    assert run.receipt.absent == silent
    for table in trained.values():  # of a bundle from before patients were counted nothing is known
        del table["missing"], table["patients"]
    require_what_training_read(run, bundle_of_events(trained, task), counts)


EMPTY = MappedCounts(0, 0, 0, 0, {}, {}, 0, {}, 0)
ALL_REFUSED = MappedCounts(4, 0, 0, 0, {}, {"at: type": 4}, 0, {}, 0)


@pytest.mark.parametrize(
    ("patients", "results", "stops"),
    [
        (4, EMPTY, False),  # just admitted
        (99, EMPTY, False),
        (100, EMPTY, True),
        (4, ALL_REFUSED, True),
    ],
)
def test_a_table_without_a_row_stops_a_night_of_many_patients_and_is_told_of_on_one_of_few(patients, results, stops):
    persons = MappedCounts(1, 0, 1, 1, {}, {}, 0, {}, 0, patients=1_000)
    before = {"persons": asdict(persons), "results": asdict(replace(persons, patients=990))}
    tonight = total_counts({"persons": replace(persons, patients=patients), "results": results})
    task = ward_task("p")
    said = []
    run = SimpleNamespace(receipt=SimpleNamespace(absent=[]), say=said.append)
    if stops:
        with pytest.raises(InputError, match="training read any event of table results, which this source lacks"):
            require_what_training_read(run, bundle_of_events(before, task), tonight)
        return
    require_what_training_read(run, bundle_of_events(before, task), tonight)
    assert run.receipt.absent == ["any event of table results"]
    assert said == ["  absent      training read any event of table results, which this source lacks"]


def test_a_night_on_which_every_row_is_rejected_publishes_the_reasons_and_stays_red_when_repeated(spark, road):
    with_age = [line.split(",") for line in road["lines"][:20] if line.split(",")[2]]
    lines = [",".join([stay, patient, "ninety", *rest]) for stay, patient, _, *rest in with_age]
    for _ in range(2):
        with pytest.raises(RejectedError, match=f"received 0: {len(lines)} were rejected"):
            score(spark, road, "all-rejected", lines)
    assert scores_of(spark, road["folder"] / "all-rejected") == {}
