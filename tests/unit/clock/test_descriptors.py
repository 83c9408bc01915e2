"""Waits on descriptors: a sleep where there are none, real time where there are."""

from __future__ import annotations

import os
import select
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_retrychaos.clock import Deadlock, VirtualClock, install
from pytest_retrychaos.clock.functions import real

SECOND = 1_000_000_000
Waiter = Callable[[list[socket.socket], float | None], object]


def by_select(sockets: list[socket.socket], seconds: float | None) -> object:
    return select.select(sockets, [], [], seconds)[0]


def by_poll(sockets: list[socket.socket], seconds: float | None) -> object:
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    return poll.poll(None if seconds is None else seconds * 1000)


def by_epoll(sockets: list[socket.socket], seconds: float | None) -> object:
    with select.epoll() as poll:
        for each in sockets:
            poll.register(each, select.EPOLLIN)
        return poll.poll(seconds)


def by_selector(kind: type[selectors.BaseSelector]) -> Waiter:
    def wait(sockets: list[socket.socket], seconds: float | None) -> object:
        with kind() as selector:
            for each in sockets:
                selector.register(each, selectors.EVENT_READ)
            return selector.select(seconds)

    return wait


WAITERS: dict[str, Waiter] = {
    "select": by_select,
    "poll": by_poll,
    "epoll": by_epoll,
    "SelectSelector": by_selector(selectors.SelectSelector),
    "PollSelector": by_selector(selectors.PollSelector),
    "EpollSelector": by_selector(selectors.EpollSelector),
}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.mark.parametrize("kind", WAITERS)
def test_waiting_on_nothing_is_a_sleep(kind: str, clock: VirtualClock) -> None:
    """With no descriptor the limit is slept in virtual time."""
    assert not WAITERS[kind]([], 2)
    assert clock.now_ns == 2 * SECOND


@pytest.mark.parametrize("kind", ["select", "poll", "epoll"])
def test_waiting_on_nothing_for_ever_is_a_deadlock(kind: str, clock: VirtualClock) -> None:
    """Without a limit nothing can end it."""
    with pytest.raises(Deadlock, match="waits for file descriptors of which none can become ready"):
        WAITERS[kind]([], None)


@pytest.mark.parametrize("kind", WAITERS)
def test_a_ready_descriptor_costs_nothing(kind: str, pair, clock: VirtualClock) -> None:
    """What is there is given at once."""
    pair[1].send(b"x")
    assert WAITERS[kind]([pair[0]], 5)
    assert WAITERS[kind]([pair[0]], None)
    assert clock.now_ns == 0


@pytest.mark.parametrize("kind", WAITERS)
def test_a_real_descriptor_gets_real_time_before_the_jump(kind: str) -> None:
    """Something outside may answer: bounded real time passes first, then the limit is charged."""
    clock = VirtualClock()
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as near, open(writer, "wb"):
        began = real("monotonic")()
        with install(clock, patience=0.02):
            assert not WAITERS[kind]([near], 3600)  # type: ignore[list-item]  # has a descriptor too
    assert 0.02 <= real("monotonic")() - began < 3600
    assert clock.now_ns == 3600 * SECOND


@pytest.mark.parametrize("kind", WAITERS)
def test_an_idle_connection_holds_no_time_up(kind: str) -> None:
    """A pool keeps one to a server that was there before: nothing was asked, so nothing is about to come."""
    clock = VirtualClock()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as idle,
        install(clock, patience=600),
    ):
        for _ in range(100):
            assert not WAITERS[kind]([idle], 60)
    assert clock.now_ns == 6000 * SECOND


@pytest.mark.parametrize("kind", WAITERS)
def test_a_simulated_descriptor_gets_none(kind: str, pair) -> None:
    """A descriptor that is said to be simulated is not waited for in real time: no test would wait an hour."""
    clock = VirtualClock()
    clock.simulated_descriptors.add(pair[0].fileno())
    with install(clock, patience=3600):
        assert not WAITERS[kind]([pair[0]], 3600)
    assert clock.now_ns == 3600 * SECOND


@pytest.mark.parametrize("kind", WAITERS)
def test_looking_without_waiting_moves_nothing(kind: str, pair, clock: VirtualClock) -> None:
    """A limit of nought is a look."""
    assert not WAITERS[kind]([pair[0]], 0)
    assert clock.now_ns == 0


BAD = [([], [], []), (1, [], [], 1), ([], [], [], -1), ([], [], [], "x"), ([], [], [], float("nan")), ()]


@pytest.mark.parametrize("args", BAD[1:], ids=repr)
def test_bad_arguments_raise_what_select_raises(args: tuple[object, ...]) -> None:
    """Type and text of the error are the real function's."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 (compared with the virtual one below)
        select.select(*args)  # type: ignore[arg-type]  # that is the point
    with install(VirtualClock()), pytest.raises(type(expected.value)) as caught:
        select.select(*args)  # type: ignore[arg-type]  # that is the point
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("args", [("x",), (1, 2, 3), (float("nan"),)], ids=repr)
@pytest.mark.parametrize("make", [select.poll, select.epoll])
def test_bad_arguments_raise_what_poll_raises(make, args: tuple[object, ...]) -> None:
    """Type and text of the error are the real method's."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 (compared with the virtual one below)
        make().poll(*args)
    with install(VirtualClock()), pytest.raises(type(expected.value)) as caught:
        make().poll(*args)
    assert str(caught.value) == str(expected.value)


def test_a_child_process_finishes_in_real_time(clock: VirtualClock) -> None:
    """Talking to a child without a limit works as ever and costs no virtual time."""
    script = "import time; time.sleep(0.2); print('done')"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout == "done\n"
    assert clock.now_ns == 0


def test_afterwards_waits_are_real(pair) -> None:
    """Once the clock has gone, a selector waits in real time."""
    with install(VirtualClock()):
        selector = selectors.DefaultSelector()
    began = time.monotonic()
    with selector:
        selector.register(pair[0], selectors.EVENT_READ)
        assert selector.select(0.02) == []
    assert time.monotonic() - began >= 0.02
