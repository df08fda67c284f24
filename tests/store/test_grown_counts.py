"""The counts of a source that was read in parts, and partly read again."""

from medspark.store.facts import EventCounts, MappedCounts
from medspark.store.grown_counts import added_counts, counts_without


def test_counts_added_up_say_nothing_of_patients_and_missing_values_that_a_part_did_not_count():
    def counts(**known):
        table = MappedCounts(10, 0, 10, 10, {}, {}, 0, {}, 0, **known)
        return EventCounts(10, 0, 10, 0, 10, {}, 0, {}, {"labs": table})

    told, more = counts(patients=4, missing={"value": 5}), counts(patients=2, missing={"value": 1})
    (both,) = added_counts(told, more).tables.values()
    assert (both.rows_in, both.patients, both.missing) == (20, 4, {"value": 6})
    (untold,) = added_counts(counts(), more).tables.values()
    assert (untold.rows_in, untold.patients, untold.missing) == (20, 0, {})


def test_counts_of_rows_that_are_read_again_are_taken_off_before_they_are_added():
    def counts(rows, kept, aside):
        table = MappedCounts(rows, 0, kept, 2 * kept, {"gone": 1}, {"code: required": aside}, 0, {"unit": kept}, 0)
        name = "labs, code: required"
        return EventCounts(rows, 0, kept, 1, 2 * kept, {name: aside}, 0, {"labs, unit": kept}, {"labs": table})

    again = counts(4, 2, 1)
    left = counts_without(counts(9, 7, 1), again.tables)
    assert (left.rows_in, left.with_events, left.non_events, left.records) == (5, 5, 0, 14)
    assert (left.quarantined, left.set_missing) == ({}, {"labs, unit": 5})
    assert left.tables["labs"] == MappedCounts(5, 0, 5, 10, {}, {}, 0, {"unit": 5}, 0)
    assert added_counts(left, again).tables == counts(9, 7, 1).tables
    assert counts_without(left, {}) == left
