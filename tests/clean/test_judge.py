"""What a broken rule does to its row, and rules across columns."""

import pytest
from pyspark.sql import SparkSession
from support.cleaning import Clean, Rows
from support.frames import frames_kept

from medspark.errors import InputError

# ---------------------------------------------------------------- actions

AGE = {"type": "integer", "range": [0, 120]}
AGES = "id,age\n1,40\n2,140\n3,x\n4,\n"


def test_set_aside_quarantines_the_row(clean_text: Clean, records_of: Rows, set_aside: Rows) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": AGE})
    assert records_of(cleaned) == [(1, 40), (4, None)]
    assert set_aside(cleaned) == [(3, "age: range"), (4, "age: type")]
    assert cleaned.counts.quarantined == {"age: range": 1, "age: type": 1}
    cleaned.release()


def test_missing_sets_the_value_missing_and_counts_it(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": {**AGE, "otherwise": "missing"}})
    assert records_of(cleaned) == [(1, 40), (2, None), (3, None), (4, None)]
    assert (cleaned.counts.set_missing, cleaned.counts.quarantined) == ({"age: range": 1, "age: type": 1}, {})
    cleaned.release()


def test_fail_ends_the_run_with_every_rule_and_its_count(clean_text: Clean) -> None:
    with pytest.raises(InputError) as error:
        clean_text(AGES + "5,150\n", {"id": "long", "age": {**AGE, "otherwise": "fail", "required": True}})
    assert str(error.value).splitlines()[1:] == [
        "  - age: range: 2 rows",
        "  - age: required: 1 rows",
        "  - age: type: 1 rows",
    ]


def test_a_required_value_is_set_aside_when_missing_even_where_others_are_set_missing(
    clean_text: Clean, set_aside: Rows
) -> None:
    cleaned = clean_text(AGES, {"id": "long", "age": {**AGE, "otherwise": "missing", "required": True}})
    assert set_aside(cleaned) == [(5, "age: required")]
    assert cleaned.counts.set_missing == {"age: range": 1, "age: type": 1}
    cleaned.release()


def test_a_row_without_a_key_is_set_aside_whatever_the_column_says(clean_text: Clean, set_aside: Rows) -> None:
    cleaned = clean_text("id,age\n,40\nx,40\n3,40\n", {"id": {"type": "long", "otherwise": "missing"}, "age": AGE})
    assert set_aside(cleaned) == [(2, "id: required"), (3, "id: type")]
    cleaned.release()


def test_the_first_column_judges_first_and_the_reason_has_all(clean_text: Clean) -> None:
    cleaned = clean_text(
        "id,age,sex\n1,x,Q\n",
        {"id": "long", "age": AGE, "sex": {"type": "category", "levels": ["F", "M"]}},
    )
    assert cleaned.quarantine.select("rule", "reason").collect() == [
        ("age: type", "age: expected a whole number of at most 32 bits; sex: expected one of F, M")
    ]
    cleaned.release()


# ---------------------------------------------------------------- across columns

STAYS = {"id": "long", "days": "integer", "died": {"type": "boolean"}}


def test_a_check_across_columns_sets_aside_what_is_false_and_lets_the_unknown_pass(
    clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    check = {"name": "no stay after death", "expect": "not (died and days > 3)"}
    cleaned = clean_text(
        "id,days,died\n1,5,true\n2,5,false\n3,,true\n4,5,\n5,2,true\n", STAYS, sections={"checks": [check]}
    )
    assert [row[0] for row in records_of(cleaned)] == [2, 3, 4, 5]
    assert set_aside(cleaned) == [(2, "no stay after death")]
    assert cleaned.quarantine.head()["reason"] == "expected not (died and days > 3)"
    cleaned.release()


def test_a_check_may_fail_the_run(clean_text: Clean) -> None:
    check = {"name": "short stays", "expect": "days < 3", "otherwise": "fail"}
    with pytest.raises(InputError, match="short stays: 2 rows"):
        clean_text("id,days,died\n1,5,\n2,6,\n3,1,\n", STAYS, sections={"checks": [check]})


def test_derived_columns_read_the_typed_values(clean_text: Clean, records_of: Rows) -> None:
    derived = {
        "long_stay": {"type": "boolean", "expression": "days > 3"},
        "band": {"type": "category", "expression": "days div 5"},
    }
    cleaned = clean_text("id,days,died\n1,5,\n2,,\n", STAYS, sections={"derived": derived})
    assert records_of(cleaned) == [(1, 5, None, True, "1"), (2, None, None, None, None)]
    cleaned.release()


def test_an_expression_that_fails_on_a_row_is_named_as_the_cause_and_nothing_is_kept(
    spark: SparkSession, clean_text: Clean
) -> None:
    check = {"name": "rate", "expect": "10 / days < 20"}
    before = frames_kept(spark)
    with pytest.raises(InputError, match=r"checks.rate: fails on some row \(DIVIDE_BY_ZERO\).*try_divide"):
        clean_text("id,days,died\n1,0,\n", STAYS, sections={"checks": [check]})
    assert frames_kept(spark) == before
