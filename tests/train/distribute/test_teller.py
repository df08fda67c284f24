"""What a member tells the command that waits for it."""

import socket
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from medspark.runs.progress import Told
from medspark.train.distribute import connections
from medspark.train.distribute import teller as module
from medspark.train.distribute.teller import Teller, hearing

HERE = "127.0.0.1"
TOLD = Told("network", 1, 2, 3, 4, 5.0, 6.0, 0.5, {}, False)


def soon(done):
    """Whether it is, well before a stranger is left alone."""
    until = time.monotonic() + connections.HANDSHAKE_SECONDS / 2
    while not done() and time.monotonic() < until:
        time.sleep(0.01)
    return done()


def test_progress_and_sentences_come_in_their_order_and_a_second_member_means_that_one_was_lost():
    heard = []
    with hearing(HERE, b"key", heard.append, heard.append) as address:
        first = Teller(address, b"key")
        first.say("the network goes on")
        first.tell(TOLD)
        first.close()
        assert soon(lambda: len(heard) == 2)
        second = Teller(address, b"key")
        second.tell(TOLD)
        second.close()
    lost = "a worker was lost: training begins again from its last checkpoint"
    assert heard == ["the network goes on", TOLD, lost, TOLD]


def test_who_has_another_key_or_says_nothing_is_not_heard_and_keeps_nobody_waiting():
    heard, began = [], time.monotonic()
    with hearing(HERE, b"key", heard.append, heard.append) as address, socket.create_connection(address):
        Teller(address, b"guessed").say("a guess")
        with pytest.raises(AuthenticationError):
            Client(address, authkey=b"guessed")
        own = Teller(address, b"key")
        own.say("known")
        own.close()
        assert soon(lambda: heard == ["known"])
        assert time.monotonic() - began < connections.HANDSHAKE_SECONDS / 2, "the silent one was not waited for"
    assert heard == ["known"]


def test_a_member_whose_machine_is_lost_keeps_the_next_one_waiting_for_a_moment_only(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_THE_END", 0.3)
    heard = []
    with hearing(HERE, b"key", heard.append, heard.append) as address:
        lost = Teller(address, b"key")  # whose connection nobody ends
        lost.say("epoch 1")
        assert soon(lambda: heard)
        following = Teller(address, b"key")
        following.say("epoch 2")
        following.close()
        assert soon(lambda: len(heard) == 3)
    assert heard == ["epoch 1", "a worker was lost: training begins again from its last checkpoint", "epoch 2"]
    lost.close()


def test_what_cannot_be_shown_is_said_once_and_what_follows_is_heard():
    said = []

    def progress(_):
        raise OSError("the disk is full")

    with hearing(HERE, b"key", progress, said.append) as address:
        own = Teller(address, b"key")
        for _ in range(3):
            own.tell(TOLD)
        own.say("had learned")
        own.close()
    assert said == ["not all that training tells is shown (OSError); training goes on", "had learned"]


def test_who_does_not_answer_keeps_a_member_for_a_moment_only(monkeypatch):
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.3)
    began = time.monotonic()
    with socket.create_server((HERE, 0)) as deaf:  # its system connects, and nobody ever answers
        Teller(deaf.getsockname(), b"key").tell(TOLD)
    assert time.monotonic() - began < 5.0


def test_where_nobody_hears_any_more_training_goes_on(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_THE_END", 0.1)
    with hearing(HERE, b"key", lambda _: None, lambda _: None) as address:
        found = Teller(address, b"key")
    for _ in range(1000):
        found.tell(TOLD)
    Teller(address, b"key").say("nobody is there")
