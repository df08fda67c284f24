"""Connections over TCP between those who have one key: a stranger is turned away, and keeps nobody waiting."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from threading import Event, Thread
from typing import Final

Address = tuple[str, int]

HANDSHAKE_SECONDS: Final = 10.0
"""For each word of a handshake."""
LOOKS_EVERY: Final = 0.2
"""Seconds until who listens sees that nobody is answered any more."""
KEPT_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 8}
"""Seconds of silence after which the system asks the other machine, and between two questions, and how many of them
without an answer end the connection: three minutes, where systems wait two hours by default."""
FAILURES: Final = (OSError, EOFError, AuthenticationError, AssertionError)
"""Of a handshake with nobody, with a stranger, or with one who says nothing."""


@contextmanager
def answering(
    host: str, key: bytes, take: Callable[[Connection], None], seconds_at_the_end: float = 0.0
) -> Iterator[Address]:
    """Answer all who call while the block lasts, each in a thread of its own; the address that they call.

    Args:
        host: where it is listened, and only there.
        key: who has it is taken; both sides prove it, and nobody says it.
        take: given a connection with each of them, in its thread.
        seconds_at_the_end: for those who are still being answered.
    """
    over, threads = Event(), list[Thread]()
    listener = socket.create_server((host, 0))
    listener.settimeout(LOOKS_EVERY)
    port = int(listener.getsockname()[1])
    listens = Thread(target=_answer, args=(listener, over, threads, key, take), daemon=True)
    listens.start()
    try:
        yield host, port
    finally:
        over.set()
        listens.join()  # from now on nobody more is answered, and all who are stand in `threads`
        until = time.monotonic() + seconds_at_the_end
        for one in threads:
            one.join(max(0.0, until - time.monotonic()))


def call(address: Address, key: bytes) -> Connection:
    """A connection with who answers there.

    Raises:
        OSError, EOFError, AuthenticationError, AssertionError: nobody does in time, or has another key.
    """
    end = socket.create_connection(address, HANDSHAKE_SECONDS)
    end.settimeout(None)
    return _proved(end, key, answer_challenge, deliver_challenge)


def _answer(
    listener: socket.socket, over: Event, threads: list[Thread], key: bytes, take: Callable[[Connection], None]
) -> None:
    with listener:
        while not over.is_set():
            try:
                end, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                over.wait(LOOKS_EVERY)
                continue
            threads[:] = [one for one in threads if one.is_alive()]
            thread = Thread(target=_greet, args=(end, key, take), daemon=True)
            thread.start()
            threads.append(thread)


def _greet(end: socket.socket, key: bytes, take: Callable[[Connection], None]) -> None:
    try:
        connection = _proved(end, key, deliver_challenge, answer_challenge)
    except FAILURES:
        return
    take(connection)


def _proved(end: socket.socket, key: bytes, *steps: Callable[[Connection, bytes], None]) -> Connection:
    """The connection, once both sides have proved that they have the key; closed where they have not."""
    with end:
        _keep_alive(end)
        _allow(end, HANDSHAKE_SECONDS)
        connection = Connection(end.dup().detach())
        try:
            for step in steps:
                step(connection, key)
        except BlockingIOError:
            connection.close()
            raise TimeoutError(f"nobody answered for {HANDSHAKE_SECONDS:.0f} s") from None
        except BaseException:
            connection.close()
            raise
        _allow(end, 0.0)
    return connection


def _keep_alive(end: socket.socket) -> None:
    """Let the system find out where the other machine is gone, however long nobody says anything."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEPT_ALIVE.items():
        if hasattr(socket, name):  # not everywhere
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _allow(end: socket.socket, seconds: float) -> None:
    """Let what is read or written take so long at most, 0 without an end: `Connection` knows no timeout of Python's."""
    whole = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        end.setsockopt(socket.SOL_SOCKET, option, whole)
