# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Expressions of a task: none leaves its row, and what Spark gets means what was written."""

import datetime
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.task.expression_types import type_of, with_types
from medspark.task.expressions import FUNCTIONS, columns_of, parse, problems_of, spark_sql

COLUMNS = ["a", "b", "x", "s", "d", "t"]

REFUSED = [
    # expression                                     says
    ("reflect('java.lang.System', 'exit', 0)", "calls reflect()"),
    ("`reflect`('java.lang.System', 'exit', 0)", "calls reflect()"),
    ("REFLECT ('a', 'b')", "calls reflect()"),
    ("reflect/* */('a', 'b')", "calls reflect()"),
    ("java_method('a', 'b')", "calls java_method()"),
    ("try_reflect('a', 'b')", "calls try_reflect()"),
    ("abs(reflect('a', 'b'))", "calls reflect()"),
    ("a > 1 or reflect('a', 'b') is null", "calls reflect()"),
    ("system.builtin.reflect('a', 'b')", "more than an expression over one row"),
    ("input_file_name()", "calls input_file_name()"),
    ("spark_partition_id()", "calls spark_partition_id()"),
    ("monotonically_increasing_id()", "calls monotonically_increasing_id()"),
    ("version()", "calls version()"),
    ("aes_decrypt(s, s)", "calls aes_decrypt()"),
    ("raise_error(s)", "calls raise_error()"),
    ("current_database()", "calls current_database()"),
    ("current_timezone()", "calls current_timezone()"),
    ("rand() > 0.5", "calls rand()"),
    ("uuid()", "calls uuid()"),
    ("shuffle(array(a))", "calls shuffle()"),
    ("read_files('/etc/passwd')", "calls read_files()"),
    ("explode(array(a))", "calls explode()"),
    ("current_user()", "when or by whom"),
    ("current_user", "when or by whom"),
    ("session_user()", "when or by whom"),
    ("session_user", "reads 'session_user'|when or by whom"),
    ("user", "reads 'user'"),
    ("current_date > d", "when or by whom"),
    ("now() > t", "calls now()"),
    ("localtimestamp > t", "reads 'localtimestamp'|when or by whom"),
    ("unix_timestamp() > 1", "when or by whom"),
    ("to_date(s, 'dd-MMM-yy')", "reads years of two digits, whose century is not told"),
    ("to_timestamp(s, 'yy')", "reads years of two digits, whose century is not told"),
    ("try_to_timestamp(s, 'yyMMdd')", "reads years of two digits, whose century is not told"),
    ("unix_timestamp(s, 'dd.MM.yy')", "reads years of two digits, whose century is not told"),
    ("try_to_timestamp(s, 'd.M.y')", "reads a year as it stands, 45 as the year 45: write yyyy"),
    ("try_to_timestamp(trim(s), 'yyy')", "reads a year as it stands"),
    ("s rlike 'a{'", "expected a regular expression of Java, received 'a{': a { that counts nothing"),
    ("not regexp_like(s, '(')", "received '(': a ( that is not closed"),
    ("regexp_replace(s, '[', 'x')", "received '[': a [ that is not closed"),
    ("split(s, '*')[0]", "received '*': a * with nothing before it"),
    ("s rlike d", "expected a regular expression written out, received d"),
    ("regexp_replace(s, 'a', '$1')", "received '$1': $1, but the pattern has 0 groups"),
    ("regexp_replace(s, 'a', s)", "expected a replacement written out, received s"),
    ("regexp_extract(s, 'a')", "expected a group from 0 to 0, which the pattern has, received 1"),
    ("regexp_extract(s, '(a)', 2)", "expected a group from 0 to 1, which the pattern has, received 2"),
    ("a in (select 1)", "Subquery"),
    ("a > (select max(a) from other)", "Subquery"),
    ("exists (select 1)", "Select"),
    ("select 1", "Select"),
    ("sum(a) > 1", "Sum"),
    ("count(*) > 1", "Count"),
    ("sum(a) over () > 1", "Window"),
    ("row_number() over (order by a)", "Window"),
    ("filter(array(a), y -> y > 1)", "Lambda"),
    ("transform(array(a), y -> reflect('a', 'b'))", "Lambda"),
    ("*", "Star"),
    ("other.a > 1", "names a table in 'other.a'"),
    ("a > :value", "Placeholder"),
    ("a; drop table x", "more than an expression over one row"),
    ("a > 1 --\n; drop table x", "more than an expression over one row"),
    ("drop table x", "more than an expression over one row"),
    ("a >", "expected a Spark SQL expression"),
    ("", "expected a Spark SQL expression"),
    ("aa > 1", "reads 'aa', which is no column. Did you mean 'a'?"),
    ("`a b` > 1", "reads 'a b', which is no column."),
    ("coalesc(a, 1) > 1", "calls coalesc(), which is not allowed here. Did you mean 'coalesce'?"),
]


@pytest.mark.parametrize(("expression", "says"), REFUSED)
def test_what_leaves_the_row_is_refused(expression: str, says: str) -> None:
    problems = problems_of(expression, COLUMNS)
    assert any(word in problem for problem in problems for word in says.split("|")), problems


TYPES: dict[str, Any] = {"a": "number", "b": "number", "x": "number", "s": "text", "d": "date", "t": "timestamp"}

BY_THE_CLOCK = [
    "date 'today'", "DATE 'Today'", "timestamp 'now'", "timestamp_ntz 'now'", "timestamp_ltz 'now'", "'now'::timestamp", "date ' YESTERDAY\t'",
    "cast('now' as date)", "cast(('now') as date)", "try_cast('tomorrow' as date)", "cast('today UTC' as timestamp)", "cast(cast('now' as string) as date)",
    "to_timestamp('now')", "to_date('tomorrow')", "to_date(' Today ')", "date('now')", "timestamp('now')", "to_date('now', 'yyyy')", "unix_timestamp('now')",
    "date r'today'", "date 'to' 'day'", r"date 't\u006fday'", "cast(concat('to', 'day') as date)", "cast('to' || 'day' as date)", "cast(lower('TODAY') as date)",
    "cast(if(true, 'now', 'x') as date)", "cast(nvl(null, 'now') as date)", "cast(nvl2(null, 'x', 'now') as date)", "cast(split('now', ',')[0] as date)",
    "element_at(array('now'), 1)", "cast(array('now')[0] as timestamp)", "'now'", "'now' + interval 1 day", "datediff('now', d)", "year('today')", "date_add('today', 1)",
    "add_months('now', 1)", "trunc('now', 'month')", "date_trunc('day', 'now')", "last_day('now')", "months_between('now', d)", "timestampdiff(DAY, 'now', t)",
    "date_format('now', 'yyyy')", "d > 'today'", "d = ('today')", "d <=> 'today'", "d in ('today')", "d between '2020-01-01' and 'now'", "coalesce(d, 'now')",
    "nullif('now', d)", "greatest(d, 'now')", "case d when 'today' then 1 end", "case when a > 1 then d else 'now' end", "if(a > 1, d, 'now')", "array_contains(array(d), 'today')",
    "current_date", "CURRENT_DATE", "current_date()", "curdate()", "current_timestamp", "current_timestamp()", "current_time", "current_time()", "current_time(3)", "now()",
    "localtimestamp", "localtimestamp()", "unix_timestamp()", "to_unix_timestamp()", "unix_timestamp ( )", "current_timezone()", "unix_timestamp", "to_unix_timestamp",
    "timestamp '10:30'", "t > '10:30'", "t > 'T10:30'", "cast(s as timestamp)", "to_timestamp(s)", "to_timestamp(nullif(s, ''))", "try_to_timestamp(s)", "t > s",
]  # fmt: skip
FIXED = [
    "s = 'now'", "s in ('now', 'past')", "s not in ('now')", "s like 'now%'", "case s when 'now' then 1 end", "if(a > 1, 'now', 'past') = s", "s = 'today' or a > 1",
    "case when s = 'today' then 'now' else 'past' end", "contains(s, 'today')", "coalesce(s, 'now')", "concat(s, ' now')", "replace(s, 'now', '')", "lower(s) = 'now'",
    "date '1970-01-01'", "date 'epoch'", "d > '2020-01-01'", "date_format(t, 'HH:mm') = '10:30'", "to_timestamp(s, 'yyyy')", "cast(s as date)", "to_date(s)",
    "try_to_timestamp(concat(a, '-1-1'), 'y-M-d')", "to_timestamp(s, 'd.M.y')",  # of the last the parser makes yyyy
    "to_unix_timestamp(t)", "coalesce(s, '') = ''", "date_format(d, 'yy')", "to_date(s, 'yyyy')",
]  # fmt: skip


@pytest.mark.parametrize("expression", BY_THE_CLOCK)
def test_what_the_clock_decides_is_refused_however_it_is_spelt(expression: str) -> None:
    assert problems_of(expression, TYPES) != []


@pytest.mark.parametrize("expression", FIXED)
def test_a_text_that_stays_a_text_may_be_any_word(expression: str) -> None:
    assert problems_of(expression, TYPES) == []


def test_a_part_that_the_clock_decides_is_told_as_it_is_written() -> None:
    assert problems_of("d > 'today' or t > s", TYPES) == [
        "\"d > 'today' or t > s\" depends on when it is run: 'today'",
        "\"d > 'today' or t > s\" depends on when it is run: s as a timestamp, where a text such as 10:30 is of today; "
        "give to_timestamp a format",
    ]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (" and ".join(["a > 1"] * 1000), "200 operations"),
        (" + ".join(["a"] * 1000), "200 operations"),
        ("(" * 41 + "a" + ")" * 41, "40 brackets"),
        ("(" * 100_000, "40 brackets"),
        ("abs(" * 300 + "a" + ")" * 300, "40 brackets"),
        ("a" + "[1]" * 2000, "within one another"),
        ("not " * 2000 + "a", "within one another"),
        ("- " * 2000 + "a", "within one another"),
        ("case when a then " * 300 + "1" + " end" * 300, "within one another"),
        ("a > " + "1 " * 100_000, "more than 100,000"),
        ("a > 1e999", "a number that Spark does not hold: 1e999"),
        ("a > " + "9" * 5000, "a number that Spark does not hold: 9999"),
    ],
)
def test_what_is_too_long_or_too_deep_is_one_short_sentence(expression: str, says: str) -> None:
    (problem,) = problems_of(expression, COLUMNS)
    assert says in problem
    assert len(problem) < 300


def test_a_long_list_and_some_brackets_are_fine() -> None:
    assert problems_of(f"a in ({', '.join(map(str, range(2000)))})", COLUMNS) == []
    assert problems_of("(" * 30 + "a" + ")" * 30 + " > 1", COLUMNS) == []
    assert problems_of(" or ".join(["a > 1"] * 150), COLUMNS) == []


def test_comments_do_not_reach_spark() -> None:
    assert spark_sql("a > 1 /* reflect('a', 'b') */ -- and rand() > 1") == "a > 1"


def test_columns_are_named_once_in_their_order() -> None:
    assert columns_of("a > 1 or (b < a and `e f` = lower(s))") == ["a", "b", "e f", "s"]


# Rows with nulls, zeros, negatives and awkward text; every expression is read over all of them
ROWS: list[tuple[Any, ...]] = [
    (1, 2, 0.5, "Abc", datetime.date(2024, 2, 29), datetime.datetime(2024, 3, 10, 2, 30)),
    (-7, 3, -2.5, "a'b\\c%_", datetime.date(1999, 12, 31), datetime.datetime(1970, 1, 1)),
    (0, None, None, "", None, None),
    (None, 5, float("nan"), None, datetime.date(2024, 1, 1), datetime.datetime(2024, 12, 31, 23, 59, 59)),
]
SCHEMA = "a bigint, b int, x double, s string, d date, t timestamp"

EXAMPLES = [
    # every function that is allowed, and the operators, at least once
    "abs(a)", "add_months(d, 1)", "array_size(array(a, b))", "array_contains(array(a, 1), 1)", "array_distinct(array(a, 1, 1))", "array_max(array(a, b))",
    "array_min(array(a, b))", "bround(x, 0)", "cast(nanvl(x, 0) as int)", "cast(a as string)", "cast(s as string)", "ceil(x)", "ceiling(x)", "char_length(s)",
    "coalesce(b, a, 0)", "concat(s, 'x')", "concat_ws('-', s, 'x')", "contains(s, 'b')", "date_add(d, 3)", "date_diff(d, date '2024-01-01')",
    "date_format(t, 'yyyy/MM/dd HH')", "date_sub(d, 3)", "date_trunc('month', t)", "datediff(d, date'2024-01-01')", "day(d)", "dayofmonth(d)", "dayofweek(d)",
    "dayofyear(d)", "element_at(array(a, b), 1)", "array(a, b)[1]", "element_at(array(a, b), -1)", "a is distinct from (b)", "endswith(s, 'c')", "exp(x)", "floor(x)", "greatest(a, b)", "hour(t)", "if(a > 0, 'p', 'n')",
    "ifnull(b, 0)", "a in (1, 2)", "a not in (1, 2)", "initcap(s)", "instr(s, 'b')", "int(nanvl(x, 0))", "isnan(x)", "isnotnull(a)", "isnull(a)", "last_day(d)",
    "least(a, b)", "left(s, 2)", "len(s)", "length(s)", "ln(abs(x))", "locate('b', s)", "locate('b', s, 2)", "log(abs(x))", "log(2, abs(x))", "log10(abs(x))",
    "log1p(abs(x))", "log2(abs(x))", "lower(s)", "lpad(s, 5, '*')", "ltrim(s)", "make_date(2024, 2, b)", "minute(t)", "mod(a, 3)", "month(d)",
    "months_between(d, date'2024-01-01')", "nanvl(x, 0)", "not (a > 1)", "nullif(a, 1)", "nvl(b, 0)", "nvl2(b, 1, 2)", "pmod(a, 3)", "position('b', s)",
    "pow(x, 2)", "power(x, 2)", "quarter(d)", "regexp_extract(s, '([a-z])', 1)", "regexp_like(s, '^A')", "regexp_replace(s, '[a-z]', '.')", "replace(s, 'b', 'x')",
    "reverse(s)", "right(s, 2)", "rint(x)", "rlike(s, 'b.')", "s rlike '\\\\w+'", "round(x, 0)", "round(x)", "rpad(s, 5, '*')", "rtrim(s)", "second(t)", "shiftleft(b, 2)",
    "shiftright(b, 1)", "sign(x)", "size(array(a, b))", "split(s, 'b')", "sqrt(abs(x))", "startswith(s, 'A')", "substr(s, 2)", "substring(s, 2, 1)",
    "substring_index(s, 'b', 1)", "timestampdiff(HOUR, t, timestamp'2024-01-01 00:00:00')", "to_date('2024-02-29')", "to_date('29.02.2024', 'dd.MM.yyyy')",
    "to_timestamp('2024-02-29 10:00:00')", "to_timestamp('29.02.2024 10', 'dd.MM.yyyy HH')", "translate(s, 'bc', 'xy')", "trim(s)", "trunc(d, 'month')", "try_add(a, b)",
    "try_cast(s as int)", "try_divide(a, b)", "try_divide(a, 0)", "try_element_at(array(a), 2)", "try_multiply(a, b)", "try_subtract(a, b)",
    "try_to_timestamp(s, 'yyyy')", "unix_timestamp(t)", "unix_timestamp('29.02.2024', 'dd.MM.yyyy')", "upper(s)", "weekday(d)", "weekofyear(d)",
    "case when a > 0 then 'p' when a < 0 then 'n' else 'z' end", "case b when 2 then 'two' end", "width_bucket(x, 0, 10, 5)", "year(d)",
    "a + b * 2 - 1", "(a + b) * 2", "a - (b - 1)", "a / 2", "a div 2", "a % 3", "-a", "- - a", "a = b", "a == b", "a <=> b", "a <> b", "a != b", "not a <=> b", "a is null",
    "a is not null", "a > 1 is true", "a between -7 and 0", "s like 'A%'", "s like '%\\\\%%'", "s not like 'A%'", "s ilike 'a%'", "s || 'x'", 's = "Abc"', "s = 'a\\'b\\\\c%_'",
    "s = 'Ab' 'c'", "d > '2000-01-01'", "d + interval 1 month", "t - interval '36' hour > timestamp'2000-01-01 00:00:00'", "d = date'2024-02-29'", "a & 3", "a | 3", "a ^ 3", "~a",
    "a > 1 and b > 1 or x > 0", "a > 1 and (b > 1 or x > 0)", "not a > 1 and b > 1", "a::double", "1e3 > a", "1.5 * a", "0.1 + 0.2 = 0.3", "true", "null", "2147483648 > a", "1L + a", "x = 0.5D",
    "array_contains(split(s, 'b'), 'A')", "`a` > 1", "concat(s, null)", "coalesce(x, cast('NaN' as double))",
]  # fmt: skip


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> Any:
    return spark.createDataFrame(ROWS, SCHEMA).cache()


def alike(written: Any, sent: Any) -> bool:
    """Whether two values are the same; log10(x) is sent as log(10, x), which may differ in the last digit."""
    if isinstance(written, float) and isinstance(sent, float):
        return math.isclose(written, sent, rel_tol=1e-14) or repr(written) == repr(sent)
    return repr(written) == repr(sent)


def test_what_spark_gets_means_what_was_written(frame: Any) -> None:
    for expression in EXAMPLES:
        assert problems_of(expression, COLUMNS) == []
    pairs = [
        column
        for n, expression in enumerate(EXAMPLES)
        for column in (F.expr(expression).alias(f"written{n}"), F.expr(spark_sql(expression)).alias(f"sent{n}"))
    ]
    chosen = frame.select(*pairs)
    rows, types = chosen.collect(), dict(chosen.dtypes)
    differing = [
        (expression, spark_sql(expression))
        for n, expression in enumerate(EXAMPLES)
        if types[f"written{n}"] != types[f"sent{n}"]
        or not all(alike(row[f"written{n}"], row[f"sent{n}"]) for row in rows)
    ]
    assert differing == []


def test_a_type_that_is_told_without_spark_is_sparks(frame: Any) -> None:
    spark_types = {"boolean": "boolean", "string": "text", "date": "date", "timestamp": "timestamp"}
    frame_types = dict(frame.select(*(F.expr(e).alias(f"c{n}") for n, e in enumerate(EXAMPLES))).dtypes)
    told = {e: type_of(with_types(parse(e), TYPES)) for e in EXAMPLES}
    are = {e: spark_types.get(frame_types[f"c{n}"], "number") for n, e in enumerate(EXAMPLES)}
    assert {e: (told[e], are[e]) for e in EXAMPLES if told[e] not in (are[e], "other", "null")} == {}


def test_every_allowed_function_has_an_example() -> None:
    text = " ".join(EXAMPLES).lower()
    assert [name for name in sorted(FUNCTIONS) if f"{name}(" not in text and f"{name} " not in text] == []


NUMBERS = st.recursive(
    st.sampled_from(["a", "b", "1", "-3", "2.5", "x"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("- {}".format),
        st.tuples(inner, inner).map(lambda pair: f"coalesce({pair[0]}, {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"case when {pair[0]} > {pair[1]} then {pair[0]} end"),
    ),
    max_leaves=6,
)
CONDITIONS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", "=", "<>", "<=>"]), NUMBERS).map(" ".join)
    | NUMBERS.map("{} is null".format)
    | st.text(st.sampled_from("aA'\\%_\" b"), max_size=5).map(
        lambda text: "s = '" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("not {}".format),
    ),
    max_leaves=4,
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions=st.lists(NUMBERS | CONDITIONS, min_size=5, max_size=25))
def test_whatever_is_written_means_the_same_to_spark(expressions: list[str], frame: Any) -> None:
    assert [problem for expression in expressions for problem in problems_of(expression, COLUMNS)] == []
    written = frame.select(*(F.expr(e).alias(f"c{n}") for n, e in enumerate(expressions)))
    sent = frame.select(*(F.expr(spark_sql(e)).alias(f"c{n}") for n, e in enumerate(expressions)))
    assert written.dtypes == sent.dtypes
    assert list(map(repr, written.collect())) == list(map(repr, sent.collect()))
