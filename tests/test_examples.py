"""Every example in a docstring says what is really returned."""

import doctest
import importlib

import pytest
from pyspark import SparkContext
from support.places import ROOT

PROMPT = ">>> "
SOURCES = sorted(path for path in (ROOT / "medspark").rglob("*.py") if PROMPT in path.read_text(encoding="utf-8"))


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_there_are_examples():
    assert SOURCES, "medspark has no example: this file would test nothing"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_the_examples_of_a_module_are_true(path):
    context = SparkContext._active_spark_context
    module = importlib.import_module(module_of(path))
    said = []
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries == path.read_text(encoding="utf-8").count(PROMPT), "an example is where doctest does not look"
    assert SparkContext._active_spark_context is context, "an example needs no Spark"
