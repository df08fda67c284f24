"""YAML by version 1.2's core rules, with `${NAME}` filled from the environment. No Spark here."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medspark.errors import TaskError

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where libyaml is there
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]


class _Loader(SafeLoader):
    """YAML 1.2's core rules: `No` and `010` are text, and a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list or keys and values as a key", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """A whole number of 64 bits; longer ones are names, and stand in quotes."""
    text = str(node.value)
    if not re.fullmatch(r"[-+]?[0-9]{1,19}", text) or not -(2**63) <= int(text) < 2**63:
        raise yaml.constructor.ConstructorError(None, None, f"{_NUMBER}{_short(text)}", node.start_mark)
    return int(text)


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = str(node.value)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, f"{_NUMBER}{_short(text)}", node.start_mark)
    return value


_NUMBER = "a number that no computer holds (text stands in quotes): "

_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|)$", "~n\0"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])


MOST_CHARACTERS = 2**25
MOST_NESTED = 50
MOST_REPEATED = 100_000
"""Values that aliases may add to what is written."""


def read_yaml(path: Path, variables: bool = True) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: the file.
        variables: whether `${NAME}` is filled from the environment in every text; not where the file is another's.

    Raises:
        TaskError: the file cannot be read, is not YAML or no mapping, or names an unset variable.
    """
    text = _text_of(path)
    try:
        _require_bounded(text)
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise TaskError(str(path), [f"expected YAML in UTF-8: {_received(error, text)}"]) from None
    if not isinstance(raw, dict):
        raise TaskError(str(path), [f"expected keys and values, received {type(raw).__name__}"])
    if not variables:
        return raw
    unset = sorted({name for name in _variables(raw) if name not in os.environ})
    if unset:
        raise TaskError(
            str(path),
            [f"${{{name}}} is not set in the environment. Set it: export {name}=..." for name in unset],
        )
    filled = _fill(raw)
    assert isinstance(filled, dict)
    return filled


def _text_of(path: Path) -> str:
    """The text of a task file, whatever keeps it from being one told in a sentence."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError:
        raise TaskError(str(path), ["expected a task file here, received none"]) from None
    except IsADirectoryError:
        raise TaskError(str(path), ["expected a task file here, received a folder"]) from None
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise TaskError(str(path), [f"expected a task file that can be read: {reason}"]) from None
    if len(content) > MOST_CHARACTERS:
        raise TaskError(str(path), [f"expected a task file of up to {MOST_CHARACTERS:,} bytes, received more"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TaskError(str(path), [f"expected YAML in UTF-8, received other bytes in line {line}"]) from None


def _require_bounded(text: str) -> None:
    """Refuse what would take a long time or a deep stack, in one pass over the events, before anything is built.

    Raises:
        YAMLError: too deep, an alias within what it stands for, or aliases that stand for too much.
    """
    sizes: dict[str | None, int] = {}  # of what each finished anchor stands for, aliases followed
    above: list[tuple[str | None, int]] = []  # the anchor of each open list or mapping, and the values before it
    total = repeated = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            added = sizes.get(event.anchor, 0)
            total, repeated = total + added, repeated + added
            if any(anchor == event.anchor for anchor, _ in above):
                raise _problem(f"the alias *{_short(str(event.anchor))} within what it stands for", event)
            if repeated > MOST_REPEATED:
                raise _problem(f"aliases that stand for more than {MOST_REPEATED:,} values", event)
        elif isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, total))
            if len(above) > MOST_NESTED:
                raise _problem(f"lists or keys nested more than {MOST_NESTED} deep", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            total += 1
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            size = 1 + len(event.value) // 64  # a long text is filled anew wherever an alias stands for it
            total += size
            if event.anchor is not None:
                sizes[event.anchor] = size


def _problem(words: str, event: yaml.Event) -> yaml.YAMLError:
    mark: Any = event.start_mark
    return yaml.error.MarkedYAMLError(None, None, words, mark)


def _received(error: Exception, text: str) -> str:
    """What the file has in place of YAML, in one sentence with its line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _short(" ".join(str(error).split()))
    lines = text.splitlines()
    around = lines[mark.line - 1 : mark.line + 1] if mark.line else lines[:1]
    bare = next((found[0] for line in around if (found := _BARE_VARIABLE.search(line))), None)
    quotes = f' Within braces or brackets it wants quotes: "{bare}".' if bare is not None else ""
    words = getattr(error, "problem", None) or "something else"
    return f"{words} in line {mark.line + 1}, column {mark.column + 1}.{quotes}"


_BARE_VARIABLE = re.compile(r"""(?<=[\[{,:\s])\$\{\w+\}[^,}\]\s"']*""")


def _short(text: str) -> str:
    """As much of a text as belongs in a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _variables(item)


def _fill(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: os.environ[match[1]], value)
    if isinstance(value, dict):
        return {key: _fill(item) for key, item in value.items()}
    return [_fill(item) for item in value] if isinstance(value, list) else value


def write_yaml(data: dict[str, Any]) -> str:
    """Data as YAML, to be read by `read_yaml` again."""
    return yaml.dump(data, sort_keys=False, allow_unicode=True, width=100, Dumper=_Dumper)


class _Dumper(yaml.SafeDumper):
    """Writes by `_Loader`'s rules: text that it would read as a number or a boolean is quoted."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
