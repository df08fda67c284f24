"""The ledger's chain: what a run that was killed leaves is no damage, and nothing follows an entry that was altered."""

import json

import pytest

from medspark.errors import InputError
from medspark.store.ledger import FIRST, append_entry, chain_problems, published_entries, read_entries


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
