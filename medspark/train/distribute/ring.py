"""Members in a ring: each says to the next one, hears of the one before, and all end with the same numbers.

Sums are made chunk by chunk around the ring (Patarasuk and Yuan 2009), so that each member sends twice the numbers
whatever the count of members, and each chunk is added up by one chain: every member has the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from medspark.errors import InputError
from medspark.train.distribute.connections import FAILURES, Address, answering, call

T = TypeVar("T")
Floats = npt.NDArray[np.float32]

JOIN_SECONDS: Final = 60.0
"""For the member before to come, once all know where all are."""
SILENT_SECONDS: Final = 6 * 3600.0
"""A member that says nothing for so long is taken for lost. One that judges its cases after an epoch is silent for as
long as that takes. Where its process ends the connection does, at once; where its machine is gone the system notices in
minutes, and so does Spark, by the executors' heartbeat."""


class Ring:
    """A member's place in the ring; with one member it is alone and all that it asks for is its own."""

    def __init__(self, member: int, members: int, before: Connection | None, after: Connection | None) -> None:
        self.member, self.members = member, members
        self._before, self._after = before, after
        self._sender = ThreadPoolExecutor(1)

    def total(self, values: Floats) -> Floats:
        """The sums over the members of numbers (n,), the same bits on each.

        Raises:
            EOFError, OSError: another member is lost.
        """
        found = np.array(values)
        chunks = np.array_split(found, self.members)
        at, count = self.member, self.members
        for step in range(count - 1):
            self._pass(chunks[(at - step) % count], heard := np.empty_like(chunks[(at - step - 1) % count]))
            chunks[(at - step - 1) % count] += heard
        for step in range(count - 1):
            self._pass(chunks[(at + 1 - step) % count], chunks[(at - step) % count])
        return found

    def total_and_joined(self, values: Floats, *met: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The sums of the first, and of each of the others those of all members one after the other."""
        parts = self.gather(met)
        return [self.total(values), *(np.concatenate(of) for of in zip(*parts, strict=True))]

    def gather(self, value: T) -> list[T]:
        """What every member has, in their order."""
        found: dict[int, T] = {self.member: value}
        for step in range(self.members - 1):
            found[(self.member - step - 1) % self.members] = self._exchange(found[(self.member - step) % self.members])
        return [found[member] for member in range(self.members)]

    def from_first(self, value: T) -> T:
        """What the first member has."""
        return self.gather(value if self.member == 0 else None)[0]  # type: ignore[return-value]

    def close(self) -> None:
        self._sender.shutdown(wait=False)
        for one in (self._before, self._after):
            if one is not None:
                one.close()

    def _pass(self, said: Floats, heard: Floats) -> None:
        sent = self._sender.submit(self._to().send_bytes, said.tobytes())
        self._wait()
        heard[:] = np.frombuffer(self._from().recv_bytes(), np.float32)
        sent.result()

    def _exchange(self, value: Any) -> Any:
        sent = self._sender.submit(self._to().send, value)
        self._wait()
        found = self._from().recv()
        sent.result()
        return found

    def _wait(self) -> None:
        if not self._from().poll(SILENT_SECONDS):
            raise TimeoutError(f"a member said nothing for {SILENT_SECONDS:.0f} s")

    def _to(self) -> Connection:
        assert self._after is not None, "there is another member"
        return self._after

    def _from(self) -> Connection:
        assert self._before is not None, "there is another member"
        return self._before


def join_ring(member: int, members: int, host: str, key: bytes, meet: Callable[[Address], Sequence[Address]]) -> Ring:
    """Take a place in the ring; it is there once all members have called this.

    Args:
        host: where this member listens, and only there, until the one before it has come.
        key: only who has it may join: both sides prove it, and nobody says it.
        meet: from this member's address to all members', in their order.

    Raises:
        InputError: on all members alike, where one does not reach the next.
    """
    if members == 1:
        meet((host, 0))
        return Ring(member, members, None, None)
    came: SimpleQueue[Connection] = SimpleQueue()
    following, name = (member + 1) % members, f"worker {member + 1}"
    with answering(host, key, came.put) as mine, ExitStack() as made:
        there = meet(mine)[following]
        with _in_words(f"{name} to reach worker {following + 1} at {there[0]}:{there[1]}"):
            after = call(there, key)
        made.callback(after.close)
        with _in_words(f"{name} to be reached by worker {(member - 1) % members + 1} in {JOIN_SECONDS:.0f} s"):
            before = came.get(timeout=JOIN_SECONDS)
        ring = Ring(member, members, before, after)
        made.callback(ring.close)
        with _in_words("every worker to reach the next one"):
            ring.gather(None)
        made.pop_all()
    return ring


@contextmanager
def _in_words(expected: str) -> Iterator[None]:
    try:
        yield
    except (*FAILURES, Empty) as error:
        why = "nobody" if isinstance(error, Empty) else type(error).__name__
        raise InputError(
            f"training.workers: expected {expected}, received {why}. Workers listen on ports that the system picks: "
            "let the machines of the cluster reach each other on all of them"
        ) from None
