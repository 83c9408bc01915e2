"""A read whose copy, sent while the first was silent, was answered at the moment at which the first was closed."""

from __future__ import annotations

import select
import socket

import pytest

from pytest_retrychaos import LawsBroken

REQUEST = b"GET /items HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n\r\n"


def ask() -> socket.socket:
    """Send the request and do not wait for its answer."""
    connection = socket.create_connection(("service.test", 80), timeout=3)
    connection.sendall(REQUEST)
    return connection


@pytest.mark.chaos("slow=5s, ok")
def test_the_loser_of_a_hedge_was_not_given_up(chaos):
    """A round trip costs no time: the copy began when the first ended."""
    with ask() as first:
        assert select.select([first], [], [], 1)[0] == []
        with ask() as second:
            assert select.select([first, second], [], [], 3)[0] == [second]
            while second.recv(4096):
                pass

    assert chaos.verify().of("RT01").ruling.value == "does not apply"


@pytest.mark.chaos("slow=5s")
def test_a_read_that_was_closed_without_a_copy_was_given_up(chaos):
    """Closing while the service is silent is a timeout."""
    with ask() as first:
        assert select.select([first], [], [], 1)[0] == []

    with pytest.raises(LawsBroken, match=r"^RT01 "):
        chaos.verify()
