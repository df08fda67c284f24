"""What goes with the days that are kept, and what stays however old it is: what the next night is compared with."""

import json

import pytest
from support.nightly import new_run

from medspark.monitor.night import COMPARED, Night
from medspark.stages.kept_nights import newest_nights, nights_before
from medspark.stages.retention import forget_old, old_of

KEEP_DAYS = 1


def run_id(number):
    return f"202001{number // 24 + 1:02d}T{number % 24:02d}0000Z-{number:04x}"


@pytest.fixture
def store(tmp_path):
    """Of years ago: as many published nights as are compared and three more, and after each one that was refused."""
    for number in range(2 * (COMPARED + 3)):
        name, published = run_id(number), number % 2 == 0
        night = Night(version=f"v{number}", run_id=name, bundle_id="b", at="", rows_in=1, scored=1, published=published)
        for place, text in (
            (f"monitoring/nights/{name}.json", night.model_dump_json()),
            (f"runs/{name}.json", json.dumps({"run_id": name, "status": "done"})),
            (f"runs/{name}.log", ""),
        ):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(text)
    return tmp_path


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_the_nights_that_the_next_one_is_compared_with_stay_however_old_they_are(spark, store):
    run = new_run(spark, str(store))
    tonight = Night(version="w", run_id=run.receipt.run_id, bundle_id="b", at="", rows_in=1, scored=1)
    before = nights_before(newest_nights(run.context, run.store), tonight)
    forget_old(run, KEEP_DAYS)
    assert nights_before(newest_nights(run.context, run.store), tonight) == before
    stay = {f"{run_id(number)}.json" for number in range(6, 2 * (COMPARED + 3), 2)}
    assert len(stay) == len(before) == COMPARED
    assert names_in(store / "monitoring" / "nights") == names_in(store / "runs") == stay
    assert run.receipt.counts["forgotten"] == {"files": 3 * (COMPARED + 6) + COMPARED}
    assert list(old_of(run, KEEP_DAYS)) == []


def test_what_newer_nights_replace_goes_with_its_receipt(spark, store):
    run = new_run(spark, str(store))
    forget_old(run, KEEP_DAYS)
    first = store / "monitoring" / "nights" / f"{run_id(6)}.json"
    newest = Night.model_validate_json(first.read_text()).model_copy(update={"version": "w", "run_id": "30000101T"})
    (first.parent / f"{newest.run_id}.json").write_text(newest.model_dump_json())
    forget_old(run, KEEP_DAYS)
    assert not first.exists()
    assert not (store / "runs" / first.name).exists()


def test_samples_go_with_their_days_but_those_of_the_newest_nights_bundle(spark, store):
    folder = store / "monitoring" / "samples"
    folder.mkdir()
    numbers = range(56, 66, 2)
    for number in numbers:
        (folder / f"{run_id(number)}.json").write_text("{}")
    for number in numbers[:3]:
        file = store / "monitoring" / "nights" / f"{run_id(number)}.json"
        file.write_text(file.read_text().replace('"bundle_id":"b"', '"bundle_id":"before"'))
    forget_old(new_run(spark, str(store)), KEEP_DAYS)
    assert names_in(folder) == {f"{run_id(number)}.json" for number in numbers[3:]}
