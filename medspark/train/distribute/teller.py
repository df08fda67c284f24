"""What the first member tells the command that waits for it: how far training is, and sentences for a person."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from threading import Lock, Thread, current_thread
from typing import Final

from medspark.runs.progress import Progress, Told
from medspark.train.distribute.connections import FAILURES, Address, answering, call

Say = Callable[[str], None]
SECONDS_AT_THE_END: Final = 5.0
"""For what is still to be heard."""


@contextmanager
def hearing(host: str, key: bytes, progress: Progress, say: Say) -> Iterator[Address]:
    """Hear what members tell while the block lasts; the address that they tell it to.

    A second member begins where the first was lost. Whatever is made of what they tell, training goes on.

    Args:
        host: where it is listened, and only there.
        key: only who has it is heard.
    """
    came, lock, tell = list[Thread](), Lock(), _whatever_comes(progress, say)

    def hear(connection: Connection) -> None:
        with connection:
            with lock:
                before = came[-1] if came else None
                came.append(current_thread())
            if before is not None:
                before.join(SECONDS_AT_THE_END)  # for the last words of the one that was lost
                tell("a worker was lost: training begins again from its last checkpoint")
            with suppress(EOFError, OSError):
                while True:
                    tell(connection.recv())

    with answering(host, key, hear, SECONDS_AT_THE_END) as address:
        yield address


def _whatever_comes(progress: Progress, say: Say) -> Callable[[Told | str], None]:
    """Passes on one thing after the other; where that fails it is said once, and training goes on."""
    lock, failed = Lock(), list[str]()

    def tell(said: Told | str) -> None:
        with lock:
            try:
                if isinstance(said, Told):
                    progress(said)
                else:
                    say(said)
            except Exception as error:  # whatever is made of it
                failed.append(type(error).__name__)
                if len(failed) == 1:
                    with suppress(Exception):
                        say(f"not all that training tells is shown ({failed[0]}); training goes on")

    return tell


class Teller:
    """Tells; where nobody listens, or does any more, training goes on untold."""

    def __init__(self, address: Address, key: bytes) -> None:
        self._to: Connection | None = None
        with suppress(*FAILURES):
            self._to = call(address, key)

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
            self.close()
