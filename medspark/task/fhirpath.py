"""FHIRPath as views use it: fhirpathpy, with the functions that SQL on FHIR adds. No Spark here.

https://sql-on-fhir.org/ir-shared/StructureDefinition-ViewDefinition.html#supported-fhirpath-expressions
"""

import calendar
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

from medspark.errors import did_you_mean

Path = Callable[[Any, Mapping[str, Any]], list[Any]]
"""From an element and the constants to the nodes of a collection."""

_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_CLOCK: Final = re.compile(r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?)?")
_ZONE: Final = re.compile(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z")
_EARLIEST_ZONE, _LATEST_ZONE = "+14:00", "-12:00"
"""Where a day begins first, and where it ends last."""


@cache
def compile_path(path: str) -> Path:
    """A path to be followed many times; its nodes know their types, and a path goes on from them.

    Raises:
        Exception: of the library's own kinds, as the path and later an element have it.
    """
    import fhirpathpy
    from fhirpathpy.models import models

    _add_functions()
    found: Path = fhirpathpy.compile(path, models["r4"], {"returnRawData": True})
    return found


@cache
def _add_functions() -> None:
    """Give the library what it lacks: the functions, and the element itself as what a path begins with."""
    from fhirpathpy.engine.evaluators import evaluators
    from fhirpathpy.engine.invocations import invocation_registry

    evaluators["ThisInvocation"] = lambda ctx, *_: _listed(ctx.get("$this", ctx["dataRoot"]))
    for name, known in invocation_registry.items():
        if any("Expr" in kinds for kinds in known.get("arity", {}).values()):
            invocation_registry[name] = {**known, "fn": _back_at_element(known["fn"])}
    invocation_registry |= {
        "join": {"fn": _join, "arity": {0: [], 1: ["String"]}},
        "getResourceKey": {"fn": lambda _, nodes: _each(nodes, lambda node: _data(node).get("id"))},
        "getReferenceKey": {"fn": _reference_key, "arity": {0: [], 1: ["TypeSpecifier"]}},
        "lowBoundary": {"fn": lambda _, nodes: _each(nodes, lambda node: boundary(_data(node), _type(node), low=True))},
        "highBoundary": {
            "fn": lambda _, nodes: _each(nodes, lambda node: boundary(_data(node), _type(node), low=False))
        },
        "resolve": {"fn": _contained},
    }


def _back_at_element(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that follows a path from each of its nodes, after which `$this` is again what it was before: the
    library leaves it at the last node, and reads what stands behind `where(...)` from there."""

    def followed(ctx: Any, *rest: Any) -> Any:
        before = {name: ctx[name] for name in ("$this",) if name in ctx}
        try:
            return function(ctx, *rest)
        finally:
            ctx.pop("$this", None)
            ctx.update(before)

    return followed


def _each(nodes: list[Any], function: Callable[[Any], Any]) -> list[Any]:
    return [value for value in map(function, nodes) if value is not None]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _join(_: Any, nodes: list[Any], between: str = "") -> list[Any]:
    """Texts in one; of none the empty text, as SQL on FHIR has it."""
    return [(between or "").join(str(_data(node)) for node in nodes)]


def _data(node: Any) -> Any:
    return getattr(node, "data", node)


def _type(node: Any) -> str:
    return str(getattr(node, "path", None) or "")


# ---------------------------------------------------------------- references


def _reference_key(_: Any, nodes: list[Any], kind: Any = None) -> list[Any]:
    wanted = None if kind is None else kind.name
    return _each(nodes, lambda node: reference_key(_data(node).get("reference"), wanted))


def reference_key(reference: str | None, kind: str | None = None) -> str | None:
    """The id that a reference leads to: relative or absolute, of a version, or a URN; None where it leads to another
    type, to a resource that is contained and so has no key, or to whatever a search finds.

    >>> reference_key("https://hospital.example/fhir/Patient/17/_history/2", "Patient")
    '17'
    >>> reference_key("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7")
    '53fefa32-fcbb-4ff8-8a92-55ee120877b7'
    >>> print(reference_key("Patient?identifier=7"))
    None
    """
    if reference is None or reference.startswith("#") or "?" in reference:
        return None
    if reference.startswith("urn:"):
        return reference.rsplit(":", 1)[-1]
    parts = reference.split("/_history/", 1)[0].strip("/").split("/")
    if len(parts) > 1 and kind is not None and parts[-2] != kind:
        return None
    return parts[-1] or None


def _contained(ctx: Any, nodes: list[Any]) -> list[Any]:
    """The contained resources that references lead to: no other resource is at hand."""
    within = _data(ctx["vars"]["resource"]).get("contained", [])
    wanted = [_data(node).get("reference", "") for node in nodes if isinstance(_data(node), dict)]
    return [part for name in wanted for part in within if name == f"#{part.get('id')}"]


# ---------------------------------------------------------------- boundaries


def boundary(value: Any, kind: str, low: bool) -> Any:
    """The lowest or the highest value that one of limited precision may stand for.

    >>> boundary("2019-05", "date", low=False)
    '2019-05-31'
    >>> boundary("2019-05", "dateTime", low=True)
    '2019-05-01T00:00:00.000+14:00'
    >>> boundary(Decimal("1.0"), "decimal", low=True)
    Decimal('0.95')
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        exact = Decimal(str(value))
        half = Decimal(5).scaleb(min(0, int(exact.as_tuple().exponent)) - 1)
        return exact - half if low else exact + half
    text = str(value)
    if kind == "time":
        return _clock(text, low)
    day, _, rest = text.partition("T")
    if kind not in ("dateTime", "instant") and not rest:
        return _day(text, low)
    zone = _ZONE.search(rest)
    clock = _clock(rest[: zone.start()] if zone else rest, low)
    whole_day = _day(day, low)
    if clock is None or whole_day is None:
        return None
    return f"{whole_day}T{clock}{zone.group() if zone else _EARLIEST_ZONE if low else _LATEST_ZONE}"


def _day(text: str, low: bool) -> str | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = found.groups()
    month = month or ("01" if low else "12")
    if not 1 <= int(month) <= 12 or int(year) < 1:
        return None
    return f"{year}-{month}-{day or ('01' if low else f'{calendar.monthrange(int(year), int(month))[1]:02d}')}"


def _clock(text: str, low: bool) -> str | None:
    found = _CLOCK.fullmatch(text or ("00" if low else "23"))
    if found is None:
        return None
    hour, minute, second, part = found.groups()
    rest = "00" if low else "59"
    return f"{hour}:{minute or rest}:{second or rest}.{(part or '').ljust(3, '0' if low else '9')}"


# ---------------------------------------------------------------- what is wrong with a path


def path_problems(path: str, constants: Collection[str]) -> Iterator[str]:
    """Why a path cannot be followed: it is no FHIRPath, or names a function or a constant that nobody knows."""
    from fhirpathpy.engine.invocations import invocation_registry
    from fhirpathpy.parser import parse

    fault = _fault(path)
    if fault is not None:
        yield f"path {path!r}: expected FHIRPath, {fault}"
        return
    _add_functions()
    for kind, name in _names(parse(path)):
        if kind == "Functn" and name not in invocation_registry:
            yield f"path {path!r}: no function {name!r}.{did_you_mean(name, invocation_registry)}"
        if kind == "ExternalConstant" and name not in constants:
            yield f"path {path!r}: no constant {name!r}.{did_you_mean(name, constants)}"


def _fault(path: str) -> str | None:
    """Where a path is no FHIRPath; the library's own parser reads as far as it can."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
    from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

    faults: list[str] = []

    class Faults(ErrorListener):  # type: ignore[misc]
        def syntaxError(self, recognizer: Any, symbol: Any, line: Any, column: int, message: str, error: Any) -> None:  # noqa: N802
            faults.append(f"received something else at character {column + 1}")

    lexer = FHIRPathLexer(InputStream(path))
    parser = FHIRPathParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(Faults())
    parser.entireExpression()
    return faults[0] if faults else None


def _names(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The functions and constants of a parsed path, each with the kind of its node."""
    children = node.get("children", [])
    if node.get("type") in ("Functn", "ExternalConstant") and children:
        yield node["type"], str(children[0].get("text", "")).replace("`", "")
    for child in children:
        yield from _names(child)
