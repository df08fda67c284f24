"""What a member tells the command that waits for it."""

import socket
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from medspark.runs.progress import Told
from medspark.train.distribute import teller as module
from medspark.train.distribute.teller import Teller, hearing

HERE = "127.0.0.1"
TOLD = Told("network", 1, 2, 3, 4, 5.0, 6.0, 0.5, {}, False)


def test_progress_and_sentences_come_in_their_order_and_a_second_member_means_that_one_was_lost():
    heard = []
    with hearing(HERE, b"key", heard.append, heard.append) as address:
        first = Teller(address, b"key")
        first.say("the network goes on")
        first.tell(TOLD)
        first.close()
        second = Teller(address, b"key")
        second.tell(TOLD)
        second.close()
    lost = "a worker was lost: training begins again from its last checkpoint"
    assert heard == ["the network goes on", TOLD, lost, TOLD]


def test_who_has_another_key_or_says_nothing_is_not_heard_and_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_THE_END", 0.5)
    heard = []
    with hearing(HERE, b"key", heard.append, heard.append) as address:
        Teller(address, b"guessed").say("a guess")
        with pytest.raises(AuthenticationError):
            Client(address, authkey=b"guessed")
        own = Teller(address, b"key")
        own.say("known")
        own.close()
        silent = socket.create_connection(address)
    silent.close()
    assert heard == ["known"]


def test_where_nobody_hears_any_more_training_goes_on(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_THE_END", 0.1)
    with hearing(HERE, b"key", lambda _: None, lambda _: None) as address:
        found = Teller(address, b"key")
    for _ in range(1000):
        found.tell(TOLD)
    Teller(address, b"key").say("nobody is there")
