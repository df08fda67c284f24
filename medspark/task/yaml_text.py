"""YAML by version 1.2's core rules, with `${NAME}` filled from the environment. No Spark here."""

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
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|)$", "~n\0"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, `${NAME}` filled from the environment in every text.

    Raises:
        TaskError: the file is absent, is not YAML or no mapping, or names an unset variable.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise TaskError(str(path), ["expected a task file here, received none"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(str(path), [f"expected YAML in UTF-8: {error}"]) from None
    if not isinstance(raw, dict):
        raise TaskError(str(path), [f"expected keys and values, received {type(raw).__name__}"])
    unset = sorted({name for name in _variables(raw) if name not in os.environ})
    if unset:
        raise TaskError(
            str(path),
            [f"${{{name}}} is not set in the environment. Set it: export {name}=..." for name in unset],
        )
    filled = _fill(raw)
    assert isinstance(filled, dict)
    return filled


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
