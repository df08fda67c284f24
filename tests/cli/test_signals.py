"""A signal stays what ended a command, whatever else fails while it ends."""

import signal

import pytest

from medspark.cli.signals import signal_first, stoppable
from medspark.errors import Stopped


class HoldsJava:
    """As what py4j keeps of Java's objects: it is freed whenever, and nothing that is raised there gets out."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def stopped_while_java_is_gone():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise ConnectionRefusedError


def stopped_where_nothing_gets_out():
    del [HoldsJava()][0]
    raise ConnectionRefusedError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("command", [stopped_while_java_is_gone, stopped_where_nothing_gets_out])
def test_a_failure_after_a_signal_does_not_hide_it(command):
    with pytest.raises(Stopped) as caught, stoppable() as signals, signal_first(signals.came):
        command()
    assert caught.value.exit_code == 143


def test_a_failure_without_a_signal_stays_what_it_is():
    with pytest.raises(ConnectionRefusedError), stoppable() as signals, signal_first(signals.came):
        raise ConnectionRefusedError
