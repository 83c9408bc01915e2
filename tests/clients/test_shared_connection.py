"""One simulated connection in the hands of two threads: one reads, another writes, shuts it down, or gives up."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime

import pytest
import requests

from pytest_retrychaos.run import NoTimeout

REQUEST = b"GET /payments/%d HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


@pytest.fixture
def connection(chaos) -> Iterator[socket.socket]:
    """A connection to a simulated host, without any timeout."""
    with socket.create_connection(("api.example.com", 80)) as made:
        yield made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """One worker."""
    with ThreadPoolExecutor(1) as made:
        yield made


def test_a_reader_waits_for_what_another_thread_writes(chaos, connection, pool) -> None:
    """It reads before anything was asked, as the receiving thread of a client does."""
    answer = pool.submit(connection.recv, 65536)
    time.sleep(30)
    connection.sendall(REQUEST % 7)

    assert answer.result().startswith(b"HTTP/1.1 200 ")
    assert chaos.clock.elapsed == 30
    assert chaos.attempts[0].started == 30


def test_answers_come_in_the_order_of_the_requests(chaos, connection, pool) -> None:
    """One thread writes, another reads."""
    chaos.script("503, 500, slow=2s, ok")

    def read() -> list[str]:
        content = ""
        while content.count("HTTP/1.1") < 4:
            content += connection.recv(65536).decode()
        return re.findall(r"HTTP/1.1 (\d+)", content)

    statuses = pool.submit(read)
    for number in range(4):
        connection.sendall(REQUEST % number)
        time.sleep(1)

    assert statuses.result() == ["503", "500", "200", "200"]
    assert chaos.clock.elapsed == 4


def test_a_reader_is_woken_when_the_connection_is_shut_down(chaos, connection, pool) -> None:
    """So clients end a read that has no timeout of its own, by a timer."""
    chaos.script("timeout", strict=False)
    connection.sendall(REQUEST % 7)
    threading.Timer(5, connection.shutdown, [socket.SHUT_RDWR]).start()

    assert connection.recv(65536) == b""
    assert chaos.clock.elapsed == 5


def test_a_readers_own_timeout_ends_its_wait(chaos, connection, pool) -> None:
    """Though another thread goes on, and writes too late."""
    connection.settimeout(5)
    answer = pool.submit(connection.recv, 65536)
    time.sleep(6)
    connection.sendall(REQUEST % 7)

    with pytest.raises(TimeoutError, match="timed out"):
        answer.result()
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_two_readers_share_what_comes(chaos, connection) -> None:
    """What the first leaves is the second's."""
    chaos.script("200 body=aabb")
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(connection.recv, 2) for _ in range(2))
        connection.sendall(REQUEST % 7)
        assert {one.result(), other.result()} == {b"HT", b"TP"}


@pytest.mark.chaos("timeout")
def test_who_waits_for_the_caller_may_have_the_timeout(chaos, connection, pool) -> None:
    """A request without one is not told that it waits for ever, since its caller does not."""
    answer: Future[requests.Response] = pool.submit(requests.get, f"{chaos.url}/payments")
    with pytest.raises(NotInTime):
        answer.result(timeout=5)
    assert chaos.clock.elapsed == 5

    with pytest.raises(NoTimeout):  # now everybody waits for it, and nobody for a time
        answer.result()
    assert chaos.clock.elapsed == 5


@pytest.mark.chaos("timeout")
def test_where_nobody_can_go_on_the_reader_is_told(chaos, connection, pool) -> None:
    """In its own thread, and at once."""
    with pytest.raises(NoTimeout, match=r"waits for service\.test without any timeout"):
        pool.submit(requests.get, f"{chaos.url}/payments").result()
    assert chaos.clock.elapsed == 0


@pytest.mark.chaos("timeout")
def test_a_refresher_that_ticks_for_ever_does_not_keep_it_from_the_reader(chaos) -> None:
    """After an hour it is told all the same."""
    is_over = threading.Event()

    def refresh() -> None:
        while not is_over.wait(60):
            pass

    refresher = threading.Thread(target=refresh)
    refresher.start()
    with pytest.raises(NoTimeout):
        requests.get(f"{chaos.url}/payments")
    is_over.set()
    refresher.join()
    assert chaos.clock.elapsed == pytest.approx(3600, abs=61)
