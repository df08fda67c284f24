"""What the first member tells the command that waits for it: how far training is, and sentences for a person."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from threading import Event, Thread
from typing import Any, Final

from medspark.runs.progress import Progress, Told
from medspark.train.distribute.connections import Address

Say = Callable[[str], None]
HELLO: Final = ""
"""What a member begins with."""
SECONDS_AT_THE_END: Final = 5.0
"""For what is still to be heard."""


@contextmanager
def hearing(host: str, key: bytes, progress: Progress, say: Say) -> Iterator[Address]:
    """Hear what members tell while the block lasts; the address that they tell it to.

    Args:
        host: where it is listened, and only there.
        key: only who has it is heard.
    """
    with Listener((host, 0), authkey=key) as listener:
        over = Event()
        thread = Thread(target=_hear, args=(listener, over, progress, say), daemon=True)
        thread.start()
        address = (host, int(listener.address[1]))
        try:
            yield address
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(address, SECONDS_AT_THE_END).close()  # else it would wait for another member
            thread.join(SECONDS_AT_THE_END)


def _hear(listener: Listener, over: Event, progress: Progress, say: Say) -> None:
    """One member after another: a second one begins where the first was lost."""
    came = 0
    while not over.is_set():
        try:
            connection = listener.accept()
        except (OSError, EOFError, AuthenticationError):
            continue
        with connection:
            said = _next(connection)
            came += said == HELLO
            if said == HELLO and came > 1:
                say("a worker was lost: training begins again from its last checkpoint")
            while said is not None:
                if isinstance(said, Told):
                    progress(said)
                elif said:
                    say(said)
                said = _next(connection)


def _next(connection: Connection) -> Any:
    """What is said next; None at the end, and where who said it is gone without a word."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


class Teller:
    """Tells; where nobody listens any more training goes on untold."""

    def __init__(self, address: Address, key: bytes) -> None:
        self._to: Connection | None = None
        with suppress(OSError, EOFError, AuthenticationError):
            self._to = Client(address, authkey=key)
        self.say(HELLO)

    def tell(self, told: Told) -> None:
        self._send(told)

    def say(self, text: str) -> None:
        self._send(text)

    def close(self) -> None:
        if self._to is not None:
            self._to.close()
            self._to = None

    def _send(self, what: Told | str) -> None:
        if self._to is None:
            return
        try:
            self._to.send(what)
        except OSError:
            self._to = None
