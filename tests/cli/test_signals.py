"""A signal stays what ended a command, whatever else fails while it ends."""

import signal

import pytest

from medspark.cli.signals import signal_first
from medspark.errors import Stopped


def stopped_while_java_is_gone():
    try:
        raise Stopped(signal.SIGTERM)
    finally:
        raise ConnectionRefusedError


def test_a_failure_of_freeing_what_was_held_does_not_hide_the_signal():
    with pytest.raises(Stopped) as caught, signal_first():
        stopped_while_java_is_gone()
    assert caught.value.exit_code == 143


def test_a_failure_without_a_signal_stays_what_it_is():
    with pytest.raises(ConnectionRefusedError), signal_first():
        raise ConnectionRefusedError
