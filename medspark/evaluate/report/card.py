"""The lists that a model card answers: each item with what the run or the task file says to it, or who must.

An item is answered from facts of the run, from what a person said in the task file's `card`, or from both together;
what neither says stays open, marked with the keys that would answer it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.format import Cell, Table, table
from medspark.task.card import asked
from medspark.task.tasks import Task

Told = Callable[[ReportData], str | None]


@dataclass(frozen=True)
class Item:
    """One thing that a list asks for."""

    number: str
    topic: str
    asks: str
    told: Told | None = None
    """What the run says to it; None where it says nothing."""
    keys: tuple[str, ...] = ()
    """Of the task's `card`, without which the item stays open."""
    instead: tuple[str, ...] = ()
    """Of the task's `card`: any of them answers where the run says nothing."""
    more: tuple[str, ...] = ()
    """Of the task's `card`, added where they are there."""
    where: str = ""
    """Another key of the task that would answer it, where the run says nothing."""


class Answer(NamedTuple):
    number: str
    topic: str
    asks: str
    text: str
    """What is said, as far as anybody said it."""
    by: Literal["run", "task", "nobody"]
    """Who answered: the run alone, or a person in the task file too; nobody where something is open."""
    open: tuple[str, ...]
    """Keys of the task file that a person has to fill in."""


def said(task: Task, key: str) -> str | None:
    """What the task's `card` says under a key, lists as sentences."""
    value = getattr(task.card, key, None) if task.card is not None else None
    if not value:
        return None
    if key == "role":
        return f"A risk {value} a decision."
    return " ".join(_sentence(line) for line in value) if isinstance(value, tuple) else _sentence(str(value))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def answers(items: Sequence[Item], data: ReportData) -> list[Answer]:
    """What is said to each item, and what is open."""
    return [_answer(item, data) for item in items]


def _answer(item: Item, data: ReportData) -> Answer:
    told = item.told(data) if item.told is not None else None
    words = {key: said(data.task, key) for key in (*item.keys, *item.instead, *item.more)}
    text = " ".join(part for part in (told, *words.values()) if part)
    lacking = [f"card.{key}" for key in item.keys if words[key] is None]
    silent = item.told is not None and told is None
    if silent and not any(words[key] for key in item.instead):
        lacking += [f"card.{key}" for key in item.instead] + ([item.where] if item.where else [])
        return Answer(item.number, item.topic, item.asks, text, "nobody", tuple(lacking))
    by: Literal["run", "task", "nobody"] = "task" if item.keys or silent else "run"
    return Answer(item.number, item.topic, item.asks, text, "nobody" if lacking else by, tuple(lacking))


def wanted(answer: Answer) -> str:
    """Who must fill in what is open, in words for the page; empty where nothing is."""
    if answer.by != "nobody":
        return ""
    keys = "; ".join(f"{key} ({about(key)})" if about(key) else key for key in answer.open)
    return f"To be filled in by the team, in the task file: {keys or 'this run knows nothing of it'}."


def about(key: str) -> str:
    """What a key of the task's `card` asks for; nothing of other keys."""
    return asked(key.removeprefix("card.")) if key.startswith("card.") else ""


def coverage(found: Sequence[Answer], main: Callable[[str], str] = lambda number: number) -> dict[str, Any]:
    """How many items are answered: `items`, `filled`, `by_run` alone, their `share`, and the numbers that are `open`.

    Args:
        found: the answers.
        main: the item that a number is part of, such as 3 of 3a: it is answered where all its parts are.
    """
    parts: dict[str, list[Answer]] = {}
    for answer in found:
        parts.setdefault(main(answer.number), []).append(answer)
    filled = [number for number, each in parts.items() if all(one.by != "nobody" for one in each)]
    by_run = [number for number, each in parts.items() if all(one.by == "run" for one in each)]
    return {
        "items": len(parts),
        "filled": len(filled),
        "by_run": len(by_run),
        "share": round(len(filled) / len(parts), 4),
        "open": [answer.number for answer in found if answer.by == "nobody"],
    }


def as_json(found: Sequence[Answer]) -> list[dict[str, Any]]:
    """The answers as card.json has them."""
    return [
        {
            "item": one.number,
            "topic": one.topic,
            "asks": one.asks,
            "answer": one.text or None,
            "answered_by": one.by,
            "to_be_filled_in_by_the_team": {key: about(key) for key in one.open},
        }
        for one in found
    ]


def list_table(caption: str, found: Sequence[Answer]) -> Table:
    """A list and its answers; what is open stands out."""
    return table(caption, "Item|About|Answer", [[one.number, _about(one), _answered(one)] for one in found])


def _about(one: Answer) -> Cell:
    return Markup("{}<small>{}</small>").format(one.topic, one.asks)


def _answered(one: Answer) -> Cell:
    mark = Markup('<span class="open">{}</span>').format(wanted(one)) if one.by == "nobody" else Markup("")
    return Markup("{} {}").format(one.text, mark) if one.text else mark


def joined(lines: "str | Sequence[str]") -> str:
    """One line of several."""
    return lines if isinstance(lines, str) else " ".join(_sentence(line) for line in lines)


def fact(facts: Sequence[tuple[str, Any]], name: str) -> str:
    """The fact of this name among those of `sentences`, as one line."""
    found: Mapping[str, Any] = dict(facts)
    return joined(found[name])
