"""Regular expressions within expressions: written out, and such as Java takes."""

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from medspark.task.java_regex import groups_of, java_refuses, replacement_refused

_READS_PATTERN: Final = (exp.RegexpLike, exp.RegexpILike, exp.RegexpExtract, exp.RegexpReplace, exp.RegexpSplit)


def pattern_problems(tree: exp.Expr) -> Iterator[str]:
    """What is wrong with each pattern of an expression, each replacement, and each number of a group."""
    for node in tree.find_all(*_READS_PATTERN):
        given = node.args["expression"]
        if not (isinstance(given, exp.Literal) and given.is_string):
            yield f"expected a regular expression written out, received {given.sql(dialect='spark')}"
            continue
        refused = java_refuses(given.name)
        if refused is not None:
            yield f"expected a regular expression of Java, received {given.name!r}: {refused}"
            continue
        groups = groups_of(given.name)
        replacement = node.args.get("replacement")
        if isinstance(replacement, exp.Literal) and (told := replacement_refused(replacement.name, groups)):
            yield f"expected a replacement of Java, received {replacement.name!r}: {told}"
        elif replacement is not None and not isinstance(replacement, exp.Literal):
            yield f"expected a replacement written out, received {replacement.sql(dialect='spark')}"
        if isinstance(node, exp.RegexpExtract):
            yield from _group_problems(node, groups)


def _group_problems(node: exp.RegexpExtract, groups: int) -> Iterator[str]:
    asked = node.args.get("group")
    number = int(asked.name) if isinstance(asked, exp.Literal) and asked.name.isdigit() else 1 if asked is None else -1
    if not 0 <= number <= groups:
        received = number if asked is None else asked.sql(dialect="spark")
        yield f"expected a group from 0 to {groups}, which the pattern has, received {received}"
