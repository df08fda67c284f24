"""What a task says of its history: what scoring asks for it, and what its author is told."""

from support.past import HISTORY, past_task

from medspark.store.facts import case_rules
from medspark.task.notes import notes
from medspark.task.scoring import columns_asked_for
from medspark.task.tasks import dump_task
from medspark.task.yaml_text import read_yaml


def test_scoring_asks_for_what_the_past_reads_and_the_order():
    task = past_task("timestamp", history={"last": ["back_then"], "codes": {}})
    assert columns_asked_for(task) == [
        *("stay", "patient", "age", "sex", "diag_1", "diag_2", "died", "back_then", "at"),
    ]


def test_derived_columns_may_be_past_and_scoring_asks_for_what_they_are_made_of():
    derived = {"worse": {"type": "boolean", "expression": "back_then or age > 90"}}
    task = past_task(derived=derived, history={"last": ["worse"], "codes": {}})
    assert "back_then" in columns_asked_for(task)


def test_the_author_is_told_where_scoring_finds_earlier_rows():
    assert list(notes(past_task())) == [
        "features.history: scoring finds earlier rows in its source; `medspark score --history STORE` names a store "
        "with others."
    ]
    (told,) = notes(past_task(history={"records": "hdfs://host/store"}))
    assert "in its source and in the records of hdfs://host/store;" in told


def test_a_summary_counts_what_is_made_of_earlier_rows():
    assert past_task().features.summary().endswith(", 6 of earlier rows")


def test_a_history_is_written_as_it_was_read(tmp_path):
    (tmp_path / "task.yaml").write_text(dump_task(past_task()))
    found = read_yaml(tmp_path / "task.yaml")["features"]["history"]
    assert {key: found[key] for key in HISTORY if key != "codes"} == {k: v for k, v in HISTORY.items() if k != "codes"}
    assert found["codes"]["past"]["from"] == ["diag_1", "diag_2"]


def test_where_earlier_rows_lie_is_no_rule_of_cases_and_which_are_read_is():
    assert case_rules(past_task(history={"records": "store"})) == case_rules(past_task())
    assert case_rules(past_task(history={"gap": False})) != case_rules(past_task())
