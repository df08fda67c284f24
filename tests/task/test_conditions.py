# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""What must be true or false is, or a comparison is proposed; nothing else is taken for it in silence."""

from typing import Any

import pytest

from medspark.task.conditions import condition_problems, logic_problems

TYPES: dict[str, Any] = {"n": "number", "s": "text", "d": "date", "t": "timestamp", "b": "boolean", "u": None}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("n", "'n' is a number; expected true or false, as of: n = 2"),
        ("(n)", "'(n)' is a number; expected true or false, as of: (n) = 2"),
        ("n + 1", "'n + 1' is a number; expected true or false, as of: n + 1 = 2"),
        ("s", "'s' is a text; expected true or false, as of: s = 'yes'"),
        ("'true'", "\"'true'\" is a text; expected true or false, as of: 'true' = 'yes'"),
        ("d", "'d' is a date; expected true or false, as of: d is not null"),
        ("t", "'t' is a timestamp; expected true or false, as of: t is not null"),
        ("1", "'1' is a number; expected true or false, as of: 1 = 2"),
        ("null", "'null' is null alone; expected true or false, as of: null is not null"),
        ("coalesce(n, 0)", "'coalesce(n, 0)' is a number; expected true or false, as of: coalesce(n, 0) = 2"),
        ("case when b then 1 else 0 end", "is a number; expected true or false"),
        ("if(b, 'yes', 'no')", "is a text; expected true or false"),
        ("nvl2(b, 1, 0)", "is a number; expected true or false"),
        ("array_max(array(n))", "is a number; expected true or false"),
        ("split(s, ',')", "is several values; expected true or false"),
        ("n and n > 3", "'n' in 'n and n > 3' is a number; expected true or false, as of: n = 2"),
        ("not s", "'s' in 'not s' is a text; expected true or false, as of: s = 'yes'"),
        ("if(n, true, false)", "'n' in 'if(n, true, false)' is a number; expected true or false, as of: n = 2"),
        ("case when s then true end", "'s' in 'case when s then true end' is a text"),
    ],
)
def test_what_is_neither_true_nor_false_is_told_with_a_proposal(expression: str, says: str) -> None:
    (problem,) = condition_problems(expression, TYPES)
    assert says in problem


@pytest.mark.parametrize(
    "expression",
    ["b", "not b", "n = 2", "s = 'yes'", "d is not null", "b and n > 3 or s in ('a')", "cast(n as boolean)", "isnull(n)",
     "coalesce(b, false)", "if(b, n > 1, false)", "case n when 2 then true else false end", "true", "s rlike 'x'", "u", "b and u"],
)  # fmt: skip
def test_what_is_true_or_false_or_may_be_is_fine(expression: str) -> None:
    assert condition_problems(expression, TYPES) == []


def test_a_value_of_any_type_may_hold_logic_but_no_number_for_it() -> None:
    assert logic_problems("if(n > 1 and b, 1, 0)", TYPES) == []
    assert logic_problems("if(n and b, 1, 0)", TYPES) == [
        "'n' in 'if(n and b, 1, 0)' is a number; expected true or false, as of: n = 2"
    ]


def test_an_expression_that_cannot_be_read_is_told_as_such_alone() -> None:
    (problem,) = condition_problems("n +", TYPES)
    assert problem.startswith("expected a Spark SQL expression, received 'n +'")
