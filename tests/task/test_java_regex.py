# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Regular expressions are judged as Java judges them, without Java; and Java, where it is there, is asked."""

import random

import pytest
from pyspark.sql import SparkSession

from medspark.task.java_regex import groups_of, java_refuses, replacement_refused

TAKEN = [
    "", "a", "a|b|", "()", "(a)(b)", "(?:a)", "(?i)a(?-i)b", "(?i:a)", "(?<name>a)\\k<name>", "(?=a)*", "(?<=ab|c)d", "(?<!a{2})b", "(?>a)", "a++", "a*?", "a{2}", "a{2,}?",
    "a{2,3}+", "a{2}{3}", "{2}", "^*", "$+", "[a-z]", "[^a]", "[]a]", "[a-]", "[-a]", "[a-z&&[^b]]", "[a[bc]]", "[a&b]", "[\\]\\[]", "[\\d-]", "[a-z&&def]", "]", "}", "a-b",
    "\\d\\D\\s\\S\\w\\W\\h\\H\\v\\V\\R\\X", "\\b\\B\\A\\z\\Z\\G", "\\b{g}", "\\t\\n\\r\\f\\a\\e", "\\x41\\x{1F600}\\u0041\\07\\cA", "\\.\\-\\/\\'\\ ", "\\p{L}\\pL\\P{Lu}\\p{IsAlphabetic}\\p{IsLatin}\\p{Alpha}",
    "\\1(a)", "(a)\\1", "\\Q[a{\\E", "\\Qa(b", "[\\Q]\\E]", "[0-9]{2}:[0-5][0-9]", "([0-9]+)[.]txt$", "[A-Z]{2}|x", "^\\s*(?:[<>]=?|[≤≥])\\s*([+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+))\\s*$", "🙂[😀-😎]", "a\n",
]  # fmt: skip
REFUSED = [
    # pattern               says
    ("(",                   "a ( that is not closed"),
    ("a)",                  "a ) that closes nothing"),
    ("[a",                  "a [ that is not closed"),
    ("[[]",                 "a [ that is not closed"),
    ("[]",                  "a [ that is not closed"),
    ("[^]",                 "a [ that is not closed"),
    ("*a",                  "a * with nothing before it"),
    ("a|+",                 "a + with nothing before it"),
    ("a**",                 "a * with nothing before it"),
    ("(?",                  "an unknown flag after (?: none"),
    ("(?P<x>a)",            "an unknown flag after (?: P"),
    ("(?P=x)",              "an unknown flag after (?: P"),
    ("(?#note)",            "an unknown flag after (?: #"),
    ("(?a)b",               "an unknown flag after (?: a"),
    ("(?(1)a|b)",           "an unknown flag after (?: ("),
    ("(?<a_b>c)",           "a group's name that is not of letters and digits"),
    ("(?<a>b)(?<a>c)",      "two groups named a"),
    ("\\k<a>",              "a \\k that names no group before it"),
    ("(?<=(?:ab)+)c",       "a look-behind of any length"),
    ("(?<!(ab){2,})c",      "a look-behind of any length"),
    ("(?<=(a|b)*)c",        "a look-behind of any length"),
    ("(a)(?<=\\1)b",        "a look-behind of any length"),
    ("a{",                  "a { that counts nothing"),
    ("{x}",                 "a { that counts nothing"),
    ("a{,3}",               "a { that counts nothing"),
    ("a{3",                 "a { that counts nothing"),
    ("a{3,2}",              "a count {3,2} that runs backwards or is too large"),
    ("a{99999999999}",      "that runs backwards or is too large"),
    ("[z-a]",               "a range in [...] that runs backwards"),
    ("[a-\\d]",             "a range in [...] that runs backwards"),
    ("[&&]",                "a && with nothing beside it"),
    ("\\",                  "a backslash at the end"),
    ("\\y",                 "an unknown escape \\y"),
    ("\\i",                 "an unknown escape \\i"),
    ("[\\b]",               "an unknown escape \\b"),
    ("[\\1]",               "an unknown escape \\1"),
    ("\\U0001F600",         "an unknown escape \\U"),
    ("\\x4",                "a \\x without its number"),
    ("\\u12",               "a \\u without its number"),
    ("\\08",                "a \\0 without its number"),
    ("\\p{Foo}",            "an unknown property \\p{Foo}"),
    ("\\p{",                "an unknown property"),
    ("\\b{x}",              "a \\b{ without g"),
]  # fmt: skip


def asked_of_java(spark: SparkSession, pattern: str) -> bool:
    """Whether Java takes a pattern."""
    try:
        spark._jvm.java.util.regex.Pattern.compile(pattern)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("pattern", TAKEN)
def test_what_java_takes_is_taken(pattern: str) -> None:
    assert java_refuses(pattern) is None


@pytest.mark.parametrize(("pattern", "says"), REFUSED)
def test_what_java_refuses_is_refused_with_a_reason(pattern: str, says: str) -> None:
    assert says in str(java_refuses(pattern))


def test_java_says_the_same(spark: SparkSession) -> None:
    assert [pattern for pattern in TAKEN if not asked_of_java(spark, pattern)] == []
    assert [pattern for pattern, _ in REFUSED if asked_of_java(spark, pattern)] == []


PIECES = ["a", "b", "1", "-", "^", "$", ".", "|", "(", ")", "[", "]", "{", "}", "?", "*", "+", "\\", "&&", "&", "(?", ":", "<", ">", "=", "!", "{2}", ",",
          "\\d", "\\p{L}", "\\Q", "\\E", "\\x41", "[a-z]", "(?:", "(?<n>", "(?<=", "(?i)", "k<n>", " ", "#", "é", "😀", "\n"]  # fmt: skip


def test_what_is_taken_of_patterns_drawn_at_random_java_takes(spark: SparkSession) -> None:
    draw = random.Random(7)
    patterns = ["".join(draw.choices(PIECES, k=draw.randint(1, 9))) for _ in range(4000)]
    taken = [pattern for pattern in dict.fromkeys(patterns) if java_refuses(pattern) is None]
    assert len(taken) > 300
    assert [pattern for pattern in taken if not asked_of_java(spark, pattern)] == []


def test_groups_are_counted_as_java_numbers_them() -> None:
    assert groups_of("(a)(?:b)(?<c>d)((e))(?=(f))[(](\\()") == 6


@pytest.mark.parametrize(
    ("replacement", "says"),
    [("", None), ("x$1y$0", None), ("\\$", None), ("\\\\", None), ("${n}", None), ("$", "a $ without"), ("$x", "a $ without"), ("$3", "$3, but the pattern has 2 groups"), ("a\\", "a backslash at the end")],
)  # fmt: skip
def test_a_replacement_is_judged_too(replacement: str, says: str | None) -> None:
    told = replacement_refused(replacement, 2)
    assert told is None if says is None else says in str(told)
