"""Members in a ring, here threads of one process."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from threading import Barrier

import numpy as np
import pytest

from medspark.train.distribute import ring as module
from medspark.train.distribute.ring import join_ring

HERE = "127.0.0.1"


def in_ring(members, do, keys=None):
    """What each member makes of its ring."""
    addresses, met = [None] * members, Barrier(members)

    def take_part(member):
        def meet(mine):
            addresses[member] = mine
            met.wait()
            return addresses

        ring = join_ring(member, members, HERE, (keys or [b"key"] * members)[member], meet)
        try:
            return do(ring)
        finally:
            ring.close()

    with ThreadPoolExecutor(members) as pool:
        return list(pool.map(take_part, range(members)))


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
    with pytest.raises((AuthenticationError, EOFError, ConnectionError)):
        in_ring(2, lambda ring: ring.total(np.ones(3, np.float32)), keys=[b"key", b"another"])


def test_a_member_that_is_gone_or_silent_is_an_error_and_no_waiting_for_ever(monkeypatch):
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)

    def gone(ring):
        if ring.member == 0:
            with pytest.raises((EOFError, ConnectionError)):
                ring.total(np.ones(10, np.float32))

    both_waited = Barrier(2)

    def silent(ring):
        with pytest.raises(TimeoutError, match="said nothing for"):
            ring._wait()
        both_waited.wait()

    in_ring(2, gone)
    in_ring(2, silent)
