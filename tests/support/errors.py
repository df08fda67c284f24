"""Errors that must be raised, by what they say."""

from collections.abc import Callable

import pytest


def told(error: type[Exception], call: Callable[[], object]) -> str:
    """What the error says that a call must raise."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)
