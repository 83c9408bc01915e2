"""Waits on file descriptors: `select.select`, ``poll`` and ``epoll``, and with them every selector.

A wait on nothing, or on simulated descriptors only, is a sleep and costs virtual time. A wait on real ones
(a child's pipe, a test server on loopback) is given real time first.
"""

from __future__ import annotations

import functools
import os
import select
import subprocess
import sys
from _thread import get_ident
from collections.abc import Callable, Iterable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import (
    BuiltinSwap,
    TypePatch,
    following_twin,
    polled_descriptors,
)
from pytest_retrychaos.clock.durations import nanoseconds
from pytest_retrychaos.clock.genuine import genuine
from pytest_retrychaos.clock.loops import LONGEST_WAIT, has_no_moment, prepare, raised_in_trio, shuffle_due
from pytest_retrychaos.clock.refusals import refuse_frozen
from pytest_retrychaos.clock.waits import running, seconds_left, wait
from pytest_retrychaos.clock.workers import is_in_loop, running_loop
from pytest_retrychaos.model import SECOND

Method = Callable[..., Any]  # Any: a C function, whatever it takes
Ready = list[Any]  # Any: descriptors or pairs of them, as the function gives them back
_MILLISECOND = SECOND // 1000
_COMMUNICATE = getattr(getattr(genuine(subprocess, "Popen"), "_communicate", None), "__code__", None)
"""Private: looks until its limit is over. gevent's own Popen has none, and is refused later on."""
_OF_CHILDREN = ("anon_inode:[pidfd]", "pipe:", "pidfd:")
"""What /proc names a descriptor that tells the end of a process (since Linux 6.9 the last one), and a pipe."""


class _Waiting:
    """Descriptors that are waited on, by one of the system's functions."""

    def __init__(self, look: Callable[[], bool], descriptors: list[tuple[int, int]], patience: float) -> None:
        self.look = look
        self.descriptors = descriptors
        self.patience = patience
        self.is_endless = False


def _wait(
    attempt: Callable[[float], Ready],
    found: Callable[[Ready], bool],
    limit_ns: int | None,
    descriptors: list[tuple[int, int]],
    key: int,
    *,
    watched: Iterable[int],
) -> Ready:
    """Wait by an attempt that takes real seconds, 0 to look; ``descriptors`` are those that it looks at.

    ``watched`` are those of which one may become ready: the same, or what an epoll object watches.
    """
    latest: list[Ready] = []

    def look() -> bool:
        if not latest or not found(latest[0]):  # what a look has found is kept: an armed event comes only once
            latest[:] = [attempt(0)]
        return found(latest[0])

    if look() or limit_ns == 0:
        ACTIVE.clock.wait_until(0)
        return latest[0]
    until = None if limit_ns is None else ACTIVE.clock.now_ns + limit_ns
    real = [number for number in watched if number not in ACTIVE.clock.simulated_descriptors]
    if is_in_loop():
        real = [number for number in real if _is_of_child(number)]
    poller = _Waiting(look, descriptors, running().outside.patience_for_descriptors(real))
    if wait(look, key, until, "file descriptors of which none can become ready", poller=poller) is None:
        left = seconds_left(until)
        return attempt(-1 if left is None else left)
    return latest[0]


def _number(item: Any) -> int:  # Any: a descriptor or what has one
    return item if isinstance(item, int) else int(item.fileno())


def _select(real: Method) -> Method:
    def select_(*args: Any) -> Ready:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner:
            return real(*args)  # type: ignore[no-any-return]  # three lists
        if not 3 <= len(args) <= 4 or not all(hasattr(each, "__iter__") for each in args[:3]):
            return real(*args)  # type: ignore[no-any-return]  # raises before it waits
        lists = [list(each) for each in args[:3]]
        timeout = args[3] if len(args) == 4 else None
        limit = None if timeout is None else _limit(lambda: real([], [], [], timeout), timeout, SECOND)
        events = zip(lists, (select.POLLIN, select.POLLOUT, select.POLLPRI), strict=True)
        watched = [(_number(item), event) for each, event in events for item in each]

        def attempt(seconds: float) -> Ready:
            return real(*lists, None if seconds < 0 else seconds)  # type: ignore[no-any-return]  # three lists

        return _wait(attempt, any, limit, watched, id(lists), watched=[number for number, _ in watched])

    return select_


def _limit(raises: Callable[[], object], timeout: Any, unit: int) -> int:  # Any: as the caller gives it
    try:
        ns = nanoseconds(timeout)
    except (TypeError, ValueError, OverflowError):
        raises()
        raise
    if ns < 0 or ns >= 2**63 or (isinstance(timeout, float) and timeout < 0):
        raises()
    return ns * unit // SECOND


def _poll(real: Method) -> Method:
    def poll(poller: Any, *args: Any) -> Ready:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner or len(args) > 1:
            return real(poller, *args)  # type: ignore[no-any-return]  # a list of pairs
        if args and args[0] == 0:  # a look, as pools take before they reuse a connection
            ACTIVE.clock.readings += 1
            outer = sys._getframe(1).f_back
            if outer is not None and outer.f_code is _COMMUNICATE:
                running().wait_an_instant()
            return real(poller, *args)  # type: ignore[no-any-return]  # as above
        timeout = args[0] if args else None
        limit = _unlimited(timeout, lambda: real(select.poll(), timeout), _MILLISECOND)
        known = polled_descriptors(poller)
        numbers = [number for number, _ in known]
        return _wait(lambda seconds: real(poller, seconds * 1000), bool, limit, known, id(poller), watched=numbers)

    return poll


def _unlimited(timeout: Any, raises: Callable[[], object], unit: int) -> int | None:  # Any: as the caller gives it
    # poll and epoll take None and anything negative for "no limit".
    if timeout is None or (isinstance(timeout, (int, float)) and timeout < 0):
        return None
    return _limit(raises, timeout, unit)


def _bind_epoll(timeout: Any = None, maxevents: int = -1) -> tuple[Any, int]:  # Any: as the caller gives it
    return timeout, maxevents


def _epoll(real: Method) -> Method:
    def raise_for(timeout: Any) -> None:  # Any: as the caller gives it
        with select.epoll() as scratch:
            real(scratch, timeout)

    def poll(poller: Any, *args: Any, **kwargs: Any) -> Ready:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner or len(args) > 2 or not kwargs.keys() <= {"timeout", "maxevents"}:
            return real(poller, *args, **kwargs)  # type: ignore[no-any-return]  # a list of pairs
        timeout, most = _bind_epoll(*args, **kwargs)
        limit = 0 if timeout == 0 else _unlimited(timeout, lambda: raise_for(timeout), SECOND)
        loop, chance = running_loop(), running().granted.chance
        if limit is not None and limit >= LONGEST_WAIT and has_no_moment(loop):
            limit = None
        if loop is None and is_in_loop():
            refuse_frozen(None)
        elif loop is not None:
            prepare(loop)
            if limit and chance is not None:
                shuffle_due(loop, chance, running().switches)

        def attempt(seconds: float) -> Ready:
            return real(poller, seconds, most)  # type: ignore[no-any-return]  # a list of pairs

        found: Ready = real(poller, 0, most)
        if not found and limit and loop is not None and running().skip_to(ACTIVE.clock.now_ns + limit):
            return found
        if not found and limit != 0:
            number = poller.fileno()
            watched = _epolled(number) if not is_in_loop() or running().outside.has_children() else []
            try:
                found = _wait(attempt, bool, limit, [(number, select.POLLIN)], id(poller), watched=watched)
            except BaseException as stop:
                if loop is not None or not raised_in_trio(stop):
                    raise
        elif not found:
            ACTIVE.clock.wait_until(0)
        if len(found) > 1 and chance is not None:
            chance.shuffle(found)  # the system says nothing of their order
            found = list(running().switches.ordered(found))
        return found

    return poll


def _epolled(number: int) -> list[int]:
    # Which descriptors an epoll object watches is known to the kernel alone: proc_pid_fdinfo(5), "tfd".
    with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as lines:
        return [int(line.split()[1]) for line in lines if line.startswith("tfd:")]


def _is_of_child(number: int) -> bool:
    """Whether an event loop watches a child process by a descriptor: one that tells its end, or a pipe."""
    return running().outside.has_children() and os.readlink(f"/proc/self/fd/{number}").startswith(_OF_CHILDREN)


@functools.cache
def descriptor_swaps() -> tuple[BuiltinSwap | TypePatch, ...]:
    """Make the swaps of the functions that wait on descriptors, once in a process."""
    swaps: list[BuiltinSwap | TypePatch] = [BuiltinSwap(select.select, _select(following_twin(select.select)))]
    if hasattr(select, "poll"):
        kind = type(select.poll())
        swaps.append(TypePatch(kind, "poll", _poll(kind.__dict__["poll"])))
    if hasattr(select, "epoll"):
        swaps.append(TypePatch(select.epoll, "poll", _epoll(select.epoll.__dict__["poll"])))
    return tuple(swaps)
