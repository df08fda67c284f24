"""The page of faults names tests that are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


def test_every_row_names_its_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and " what happens " not in line]
    assert len(NAMED) == len(rows) > 50


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(file, name):
    assert f"def {name}(" in (TESTS / file).read_text()
