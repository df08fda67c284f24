"""Members in a ring, here threads of one process."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import numpy as np
import pytest

from medspark.errors import InputError
from medspark.train.distribute import connections
from medspark.train.distribute import ring as module
from medspark.train.distribute.ring import join_ring

HERE = "127.0.0.1"


def in_ring(members, do, keys=None, met=lambda member, addresses: addresses):
    """What each member makes of its ring, or the error that it ends with.

    Args:
        met: what a member takes for all members' addresses.
    """
    addresses, all_met = [None] * members, Barrier(members)

    def take_part(member):
        def meet(mine):
            addresses[member] = mine
            all_met.wait()
            return met(member, addresses)

        ring = join_ring(member, members, HERE, (keys or [b"key"] * members)[member], meet)
        try:
            return do(ring)
        finally:
            ring.close()

    with ThreadPoolExecutor(members) as pool:
        found = [pool.submit(take_part, member) for member in range(members)]
    return [one.exception() or one.result() for one in found]


@pytest.mark.parametrize("members", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4, 1000, 300_001])
def test_all_members_have_the_same_sums_to_the_last_bit(members, size):
    each = [np.random.default_rng(member).normal(size=size).astype(np.float32) for member in range(members)]
    before = [one.copy() for one in each]
    found = in_ring(members, lambda ring: [ring.total(each[ring.member]) for _ in range(3)])
    expected = np.sum(each, axis=0, dtype=np.float64)
    assert np.allclose(found[0][0], expected, rtol=1e-5, atol=1e-5)
    for sums in found:
        assert all(one.tobytes() == found[0][0].tobytes() for one in sums)
    assert all(np.array_equal(one, other) for one, other in zip(each, before, strict=True)), "theirs stay as they are"


@pytest.mark.parametrize("members", [1, 2, 4])
def test_what_members_have_comes_to_all_in_their_order(members):
    found = in_ring(members, lambda ring: (ring.gather(f"of {ring.member}"), ring.from_first({"epoch": ring.member})))
    assert found == [([f"of {member}" for member in range(members)], {"epoch": 0})] * members


def test_who_has_another_key_does_not_join():
    found = in_ring(2, lambda ring: ring.total(np.ones(3, np.float32)), keys=[b"key", b"another"])
    assert [type(one) for one in found] == [InputError] * 2
    assert "expected worker 1 to reach worker 2 at 127.0.0.1:" in str(found[0])


def test_strangers_who_say_nothing_or_something_else_come_first_and_all_members_join():
    with ExitStack() as strangers:

        def met(member, addresses):
            for said in (b"", b"GET / HTTP/1.1\r\n\r\n"):
                stranger = strangers.enter_context(socket.create_connection(addresses[member]))
                stranger.sendall(said)
            return addresses

        assert in_ring(3, lambda ring: ring.gather(ring.member), met=met) == [[0, 1, 2]] * 3


def test_where_a_member_reaches_nobody_all_end_with_an_error_in_words_and_none_waits_for_ever(monkeypatch):
    monkeypatch.setattr(module, "JOIN_SECONDS", 2.0)
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 1.0)
    with socket.create_server((HERE, 0)) as deaf:  # its system connects, and nobody ever answers
        port = deaf.getsockname()[1]

        def met(member, addresses):
            return [*addresses[:2], (HERE, port)] if member == 1 else addresses

        found = in_ring(3, lambda ring: ring.member, met=met)
    assert [type(one) for one in found] == [InputError] * 3
    assert f"expected worker 2 to reach worker 3 at 127.0.0.1:{port}, received TimeoutError" in str(found[1])
    assert "expected worker 3 to be reached by worker 2 in 2 s, received nobody" in str(found[2])
    assert all("reach each other on all of them" in str(one) for one in found)


def test_a_member_that_is_gone_or_silent_is_an_error_and_no_waiting_for_ever(monkeypatch):
    monkeypatch.setattr(module, "SILENT_SECONDS", 1.0)

    def gone(ring):
        if ring.member == 0:
            with pytest.raises((EOFError, ConnectionError)):
                ring.total(np.ones(10, np.float32))

    both_waited = Barrier(2)

    def silent(ring):
        with pytest.raises(TimeoutError, match="said nothing for"):
            ring._wait()
        both_waited.wait()

    assert in_ring(2, gone) == [None] * 2
    assert in_ring(2, silent) == [None] * 2
