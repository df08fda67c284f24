"""Errors that must be raised: what they say, and what none may."""

from collections.abc import Callable

import pytest

SECRET = "Zebedee-4711"
"""Planted in rows that go wrong: no message may hold it."""


def told(error: type[Exception], call: Callable[[], object]) -> str:
    """What the error says that a call must raise."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)
