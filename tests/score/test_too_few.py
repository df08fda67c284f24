"""A night without scores, or without what training read, is no success."""

from types import SimpleNamespace

import pytest
from support.roads import new_run, score, scores_of
from support.tasks import stays_task

from medspark.errors import InputError, RejectedError
from medspark.score.publish import require_enough
from medspark.stages.eligible import require_what_training_read
from medspark.store.facts import EventCounts, MappedCounts


def bundle(trained=None, **scoring):
    return SimpleNamespace(task=stays_task(scoring=scoring), manifest={"counts": {"tables": trained or {}}})


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
        require_what_training_read(run, bundle(TRAINED), counts(**tonight))
    require_what_training_read(run, bundle(TRAINED, absent="warn"), counts(**tonight))
    assert run.receipt.absent == [named.replace("\\", "")]


def test_what_training_did_not_read_either_is_not_missed(spark, tmp_path):
    run = new_run(spark, tmp_path)
    require_what_training_read(
        run, bundle(TRAINED), counts(person=["id", "birth", "more"], device=["id"], extra=["id"])
    )
    assert run.receipt.absent == []


def test_a_night_on_which_every_row_is_rejected_publishes_the_reasons_and_stays_red_when_repeated(spark, road):
    with_age = [line.split(",") for line in road["lines"][:20] if line.split(",")[2]]
    lines = [",".join([stay, patient, "ninety", *rest]) for stay, patient, _, *rest in with_age]
    for _ in range(2):
        with pytest.raises(RejectedError, match=f"received 0: {len(lines)} were rejected"):
            score(spark, road, "all-rejected", lines)
    assert scores_of(spark, road["folder"] / "all-rejected") == {}
