"""Which bundle is the champion: decided by a person, kept with who and when, and checked whenever it is used."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.bundles import fill
from typer.testing import CliRunner

from medspark.bundles.bundle import save_bundle
from medspark.bundles.champion import (
    CHAMPIONS,
    champion_of,
    history,
    last_promoted,
    promote,
    promote_update,
    rollback,
)
from medspark.cli.main import app
from medspark.errors import BundleError, StoreError


@pytest.fixture
def store(tmp_path):
    (tmp_path / "bundles").mkdir()
    return tmp_path


def made(store, title):
    """A bundle of its own in the store."""
    return save_bundle(store / "bundles", lambda folder: fill(folder, title=title))


def test_without_a_promotion_there_is_no_champion(store):
    with pytest.raises(BundleError, match="has no champion: expected a bundle, promoted by `medspark promote"):
        champion_of(store)


def test_promotions_and_rollbacks_go_back_one_at_a_time(store):
    a, b, c = (made(store, title) for title in "abc")
    promote(store, a), promote(store, str(b), "better in spring"), promote(store, c.name)
    assert champion_of(store) == c
    rollback(store)
    assert champion_of(store) == b
    rollback(store, "worse in summer")
    assert champion_of(store) == a
    promote(store, c)
    rollback(store)
    assert champion_of(store) == a
    with pytest.raises(BundleError, match=f"expected a champion before the present one.* {a.name} is its first"):
        rollback(store)
    kept = [(line.action, line.bundle_id, line.reason) for line in history(store)]
    assert kept == [
        ("promote", a.name, None),
        ("promote", b.name, "better in spring"),
        ("promote", c.name, None),
        ("rollback", b.name, None),
        ("rollback", a.name, "worse in summer"),
        ("promote", c.name, None),
        ("rollback", a.name, None),
    ]


def test_a_night_that_is_run_again_has_the_champion_from_before_its_own_update(store):
    first, second, third = (datetime(2026, 11, day, 6, tzinfo=UTC) for day in (1, 2, 3))
    a, b, c = (made(store, title) for title in "abc")
    learned = promote_update(store, b, promote(store, a), first, "learned")
    promote_update(store, c, learned, second, "learned")
    with pytest.raises(BundleError, match="somebody decided while it learned"):
        promote_update(store, b, learned, third, "learned")
    assert [champion_of(store, night) for night in (first, second, third, None)] == [a, b, c, c]
    assert last_promoted(store) == a
    assert [line.night for line in history(store)] == [None, first, second]
    promote(store, c, "so be it")
    assert last_promoted(store) == c
    rollback(store)
    assert champion_of(store, first) == champion_of(store) == b  # a person's word holds for every night


def test_a_night_that_is_run_again_has_no_update_that_went_on_from_its_own_or_came_after_it(store):
    first, second = (datetime(2026, 11, day, 6, tzinfo=UTC) for day in (1, 2))
    a, b, c = (made(store, title) for title in "abc")
    promote_update(store, c, promote_update(store, b, promote(store, a), second, "learned"), first, "learned")
    assert [champion_of(store, night) for night in (first, second, None)] == [a, a, c]
    promote_update(store, b, promote(store, c), None, "by hand, now")
    last_year, to_come = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2999))
    assert [champion_of(store, night) for night in (last_year, to_come)] == [c, b]


def test_promoting_what_a_rollback_made_champion_is_a_decision_that_no_rollback_goes_back_to_twice(store):
    a, b, c = (made(store, title) for title in "abc")
    promote(store, a), promote_update(store, c, promote(store, b), None, "learned")
    rollback(store)
    promote(store, b)
    assert [line.action for line in history(store)] == ["promote", "promote", "update", "rollback", "promote"]
    assert rollback(store).bundle_id == a.name


def test_promoting_the_champion_again_adds_nothing(store):
    bundle = made(store, "a")
    assert promote(store, bundle) == promote(store, bundle)
    assert len(history(store)) == 1


def test_old_lines_stay_byte_for_byte(store):
    promote(store, made(store, "a"))
    old = (store / CHAMPIONS).read_bytes()
    promote(store, made(store, "b"))
    assert (store / CHAMPIONS).read_bytes().startswith(old)


def test_a_line_altered_or_taken_out_is_refused(store):
    for title in "abc":
        promote(store, made(store, title))
    text = (store / CHAMPIONS).read_text()
    first, second, third = text.splitlines()
    (store / CHAMPIONS).write_text(f"{first}\n{third}\n")
    with pytest.raises(BundleError, match="line 2: it does not follow from the line before it"):
        champion_of(store)
    (store / CHAMPIONS).write_text(text.replace('"reason": null', '"reason": "yes"', 1))
    with pytest.raises(BundleError, match="line 2: it does not follow"):
        promote(store, made(store, "d"))
    (store / CHAMPIONS).write_text(f"{first}\n{second[:40]}")
    with pytest.raises(BundleError, match="line 2: it is not what medspark writes"):
        rollback(store)


def test_a_champion_that_is_gone_or_another_than_was_promoted_is_refused(store):
    bundle = made(store, "a")
    promote(store, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "created_at": "1999-01-01"}))
    with pytest.raises(BundleError, match=f"another bundle than the {bundle.name} that was promoted"):
        champion_of(store)
    bundle.rename(store / "away")
    with pytest.raises(BundleError, match=r"is not at .* any more"):
        champion_of(store)


def test_a_damaged_bundle_is_not_promoted(store):
    bundle = made(store, "a")
    (bundle / "metrics.json").write_text("{ }")
    with pytest.raises(BundleError, match=r"metrics\.json was altered"):
        promote(store, bundle)
    assert history(store) == []


def test_a_store_may_be_moved_with_its_champion(store, tmp_path_factory):
    bundle = made(store, "a")
    promote(store, bundle)
    moved = store.rename(tmp_path_factory.mktemp("moved") / "store")
    assert champion_of(moved) == moved / "bundles" / bundle.name


def test_a_bundle_elsewhere_can_be_champion(store, tmp_path_factory):
    bundle = made(tmp_path_factory.mktemp("other"), "a")
    promote(store, bundle)
    assert champion_of(store) == bundle


def test_two_who_promote_at_once_both_stand_in_the_history(store):
    bundles = [made(store, str(at)) for at in range(8)]
    threads = [threading.Thread(target=promote, args=(store, bundle)) for bundle in bundles]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(line.bundle_id for line in history(store)) == sorted(bundle.name for bundle in bundles)


@pytest.mark.parametrize("place", ["hdfs://host/store", "/nowhere/at/all"])
def test_a_store_that_is_no_folder_here_is_refused(store, place):
    with pytest.raises(StoreError, match="expected a store in a folder of this machine"):
        promote(place, made(store, "a"))


def test_the_commands_say_who_is_champion_and_end_with_3_where_nobody_is(store):
    run = lambda *words: CliRunner().invoke(app, [*words])  # noqa: E731
    bundle = made(store, "a")
    found = run("promote", str(store), bundle.name, "--reason", "first")
    assert (found.exit_code, found.stdout.split(",")[0]) == (0, f"champion: {bundle.name}")
    assert run("rollback", str(store)).exit_code == 3
    nobody = run("score", "champion", "--to", str(Path(store, "scored")))
    assert (nobody.exit_code, "has no champion" in nobody.stderr) == (3, True)
