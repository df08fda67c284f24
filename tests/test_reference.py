"""The reference of the documentation: every key has a meaning and an example that the key may have."""

import sys
from typing import Annotated

import pytest
from pydantic import TypeAdapter
from support.places import ROOT

from medspark.cli.main import app
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping
from medspark.task.table_task import TableTask

sys.path.insert(0, str(ROOT / "docs"))
import reference

MODELS = list({model: None for root in (TableTask, EventTask, Mapping) for model in reference.sections(root, "", {})})
KEYS = [(model, name) for model in MODELS for name in model.model_fields]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_says_what_it_means(model):
    assert [name for name in model.model_fields if not reference.meaning(model, name)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_that_is_no_section_has_an_example_and_each_example_is_what_the_key_may_have(model):
    for name, field in model.model_fields.items():
        text = reference.example_of(model, name)
        if not text:
            assert next(reference.models_within(field.annotation), None) is not None, name
            continue
        value = reference.with_key(model, name, text)
        TypeAdapter(Annotated.__class_getitem__((field.annotation, name, *field.metadata))).validate_python(value)


def test_an_example_that_the_key_may_not_have_would_be_told(monkeypatch):
    monkeypatch.setitem(reference.EXAMPLES, ("Split", "folds"), "five")
    with pytest.raises(ValueError, match="integer"):
        test_every_key_that_is_no_section_has_an_example_and_each_example_is_what_the_key_may_have(
            next(model for model in MODELS if model.__name__ == "Split")
        )


def test_every_command_is_in_its_page():
    page = reference.commands_page()
    for command in app.registered_commands:
        assert f"## `medspark {command.callback.__name__.replace('_', '-')}" in page


def test_every_error_has_its_mending():
    from medspark import errors

    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert set(reference.MENDED_BY) == kinds


def test_every_table_is_in_its_page():
    page = reference.tables_page()
    for part in ("## quarantine", "| `risk_band` |", "| `boolean_value` |", "## finding"):
        assert part in page
