"""The ledger's chain: what a run that was killed leaves is no damage, and nothing follows an entry that was altered."""

import json

import pytest

from medspark.errors import InputError
from medspark.store.ledger import (
    FIRST,
    append_entry,
    chain_problems,
    last_entry,
    newest_published,
    published_entries,
    read_entries,
)


@pytest.fixture
def ledger(context, tmp_path):
    for outcome in ("published", "refused"):
        append_entry(context, str(tmp_path), "now", {"outcome": outcome})
    return tmp_path / "ledger"


def test_each_entry_has_the_digest_of_the_one_before(context, ledger):
    first, second = read_entries(context, str(ledger.parent))
    assert [first.facts["previous"], second.facts["previous"]] == [FIRST, first.digest]
    assert json.loads((ledger / "HEAD").read_text()) == {"entries": 2, "digest": second.digest}
    assert published_entries(context, str(ledger.parent)) == [first]
    assert chain_problems(context, str(ledger.parent)) == []


def test_a_run_that_was_killed_between_the_entry_and_head_did_no_damage(context, ledger):
    first, _ = read_entries(context, str(ledger.parent))
    (ledger / "HEAD").write_text(json.dumps({"entries": 1, "digest": first.digest}))
    (ledger / "00000003.json.new").write_text("{")
    assert chain_problems(context, str(ledger.parent)) == []
    append_entry(context, str(ledger.parent), "now", {"outcome": "published"})
    assert [entry.number for entry in read_entries(context, str(ledger.parent))] == [1, 2, 3]
    assert chain_problems(context, str(ledger.parent)) == []


def test_nothing_follows_an_entry_that_cannot_be_read(context, ledger):
    (ledger / "00000002.json").write_text("{")
    assert chain_problems(context, str(ledger.parent)) == ["entry 2 was altered: it cannot be read"]
    with pytest.raises(InputError, match=r"00000002\.json cannot be read: it was altered"):
        append_entry(context, str(ledger.parent), "now", {})


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (None, "HEAD is missing"),
        ("{", "HEAD was altered: it cannot be read"),
        ('{"entries": 0, "digest": ""}', "HEAD was altered: it counts 0 entries, there are 2"),
        ('{"entries": 3, "digest": ""}', "entry 3 is missing: HEAD counts 3 entries, there are 2"),
        ('{"entries": 2, "digest": "0"}', "entry 2 was altered: it has not the digest that HEAD has"),
    ],
)
def test_a_head_that_does_not_fit_is_named(context, ledger, head, says):
    (ledger / "HEAD").unlink() if head is None else (ledger / "HEAD").write_text(head)
    assert chain_problems(context, str(ledger.parent)) == [says]
    with pytest.raises(InputError, match=says):
        append_entry(context, str(ledger.parent), "now", {})


def test_an_entry_more_hides_no_last_one_that_was_altered_or_taken_out(context, ledger):
    last = ledger / "00000002.json"
    last.write_text(last.read_text().replace("refused", "published"))
    with pytest.raises(InputError, match="entry 2 was altered"):
        append_entry(context, str(ledger.parent), "now", {})
    last.unlink()
    with pytest.raises(InputError, match="entry 2 is missing"):
        append_entry(context, str(ledger.parent), "now", {})


def test_nothing_follows_where_an_entry_in_the_middle_was_taken_out(context, ledger):
    append_entry(context, str(ledger.parent), "now", {"outcome": "published"})
    (ledger / "00000002.json").unlink()
    with pytest.raises(InputError, match="expected a file of each of 3 entries, received 2 files"):
        append_entry(context, str(ledger.parent), "now", {})


def test_nothing_follows_where_a_file_lies_that_is_no_entry(context, ledger):
    (ledger / "00000009.json").write_text((ledger / "00000001.json").read_text())
    with pytest.raises(InputError, match="expected a file of each of 2 entries, received 3 files"):
        append_entry(context, str(ledger.parent), "now", {})


def test_a_store_without_a_ledger_has_no_last_entry(context, tmp_path):
    assert last_entry(context, str(tmp_path)) is None
    assert list(newest_published(context, str(tmp_path))) == []


@pytest.mark.parametrize("head", ["as it is", "one behind", "gone"])
def test_published_nights_come_newest_first_whatever_head_says(context, ledger, head):
    append_entry(context, str(ledger.parent), "now", {"outcome": "published"})
    if head == "one behind":
        (ledger / "HEAD").write_text(json.dumps({"entries": 2, "digest": ""}))
    elif head == "gone":
        (ledger / "HEAD").unlink()
    assert [entry.number for entry in newest_published(context, str(ledger.parent))] == [3, 1]


def test_the_newest_published_night_is_found_without_those_before_it(context, ledger):
    append_entry(context, str(ledger.parent), "now", {"outcome": "published"})
    (ledger / "00000001.json").write_text("{")
    assert next(newest_published(context, str(ledger.parent))).number == 3
    assert [entry.number for entry in newest_published(context, str(ledger.parent))] == [3]
