"""Connections between those who have one key."""

import socket
from queue import SimpleQueue

from medspark.train.distribute.connections import answering, call


def test_the_system_finds_out_at_both_ends_where_the_other_machine_is_gone_and_nobody_else_ends_the_silence():
    came = SimpleQueue()
    with answering("127.0.0.1", b"key", came.put) as address:
        ends = [call(address, b"key"), came.get(timeout=10)]
    for end in ends:
        with socket.fromfd(end.fileno(), socket.AF_INET, socket.SOCK_STREAM) as found:
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == bytes(16)
        end.close()
