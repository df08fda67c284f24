"""The reference of the documentation: every key has a meaning and an example that the key may have; what has none is
named."""

import sys
import types
from typing import Annotated, Literal

import pytest
import typer
from pydantic import TypeAdapter
from support.places import ROOT
from typer.main import get_command

from medspark import errors
from medspark.cli.main import app
from medspark.task.base import Closed

sys.path.insert(0, str(ROOT / "docs"))
import reference
import reference_keys

MODELS = list({model: None for root in reference_keys.ROOTS for model in reference_keys.sections(root, "", {})})


def test_every_key_says_what_it_means_and_has_an_example():
    assert list(reference_keys.unsaid_keys(*reference_keys.ROOTS)) == []


def test_every_command_and_option_says_what_it_does():
    assert list(reference.unsaid_commands(get_command(app))) == []


def test_every_error_has_its_mending():
    assert list(reference.unsaid_errors(errors)) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_example_is_what_the_key_may_have(model):
    for name, field in model.model_fields.items():
        text = reference_keys.example_of(model, name)
        if text:
            value = reference_keys.with_key(model, name, text)
            TypeAdapter(Annotated.__class_getitem__((field.annotation, name, *field.metadata))).validate_python(value)


def test_an_example_that_the_key_may_not_have_would_be_told(monkeypatch):
    monkeypatch.setitem(reference_keys.EXAMPLES, ("Split", "folds"), "five")
    with pytest.raises(ValueError, match="integer"):
        test_each_example_is_what_the_key_may_have(next(model for model in MODELS if model.__name__ == "Split"))


class Inner(Closed):
    rate: float
    warm: bool | None = None
    """Whether it starts where the other ended."""


class Outer(Closed):
    kind: Literal["a", "b"]
    inner: Inner


def test_a_key_that_says_nothing_is_named_with_what_to_do():
    assert list(reference_keys.unsaid_keys(Outer)) == [
        "Outer.kind: expected a docstring below it that says what the key means",
        "Outer.inner: expected a docstring below it that says what the key means",
        "Inner.rate: expected a docstring below it that says what the key means",
        "Inner.rate: expected an example in conf/, a guide or docs/reference_examples.py",
    ]


def test_what_a_guide_shows_is_an_example_where_the_key_may_have_it(tmp_path):
    page = tmp_path / "guide.md"
    page.write_text(
        "```yaml\nsplit: {seed: 7, train: lots}\noutcome:\n  horizons_days: [30, 90]\n```\n"
        "```yaml\nsplit: {seed: 8}\nsplit: [\n```\n```yaml\ncolumns:\n  age: {range: [0, 99]}\n```\n"
    )
    found = reference_keys.examples_of_guides([page])
    assert (found["Split", "seed"], found["NumberColumn", "range"]) == ("7", "[0, 99]")
    assert found["Outcome", "horizons_days"] == "[30, 90]"
    assert ("Split", "train") not in found


def test_a_command_of_a_group_is_a_command_and_what_it_does_not_say_is_named():
    group, inner = typer.Typer(), typer.Typer()

    @inner.command()
    def night(at: int = 6) -> None:
        pass

    @inner.command()
    def day() -> None:
        """Every day."""

    group.add_typer(inner, name="schedule")
    found = get_command(group)
    assert [name for name, _ in reference.commands(found)] == ["schedule night", "schedule day"]
    assert list(reference.unsaid_commands(found)) == [
        "medspark schedule night: expected a docstring that says what the command does",
        "medspark schedule night --at: expected a help that says what the option does",
    ]


def test_an_error_without_its_mending_is_named():
    module = types.SimpleNamespace(PowerError=type("PowerError", (Exception,), {}), InputError=errors.InputError)
    assert list(reference.unsaid_errors(module)) == ["PowerError: expected how it is mended, in MENDED_BY"]


def test_every_command_is_in_its_page():
    page = reference.commands_page()
    for command in app.registered_commands:
        assert f"## `medspark {command.callback.__name__.replace('_', '-')}" in page


def test_every_table_is_in_its_page():
    page = reference.tables_page()
    for part in ("## quarantine", "| `risk_band` |", "| `boolean_value` |", "## finding"):
        assert part in page
