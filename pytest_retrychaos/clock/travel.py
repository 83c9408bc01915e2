"""The wall clock, ``time.time``, `datetime` and what follows from them, by time-machine; and the time zone."""

from __future__ import annotations

import functools
import os
import time
from _thread import get_ident
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE, place
from pytest_retrychaos.clock.backstage import READS_RUN
from pytest_retrychaos.clock.cpython import BuiltinSwap, following_twin
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.functions import builtin, count_reading
from pytest_retrychaos.clock.virtual import EPOCH, EPOCH_NS
from pytest_retrychaos.clock.workers import running_task
from pytest_retrychaos.model import SECOND

_START = "_retrychaos_start"
"""Under what name a travel that ticks keeps when, in virtual time, it was first read."""


def _wall_ns() -> int:
    if get_ident() != ACTIVE.owner:
        if READS_RUN.get():
            return ACTIVE.clock.wall_ns
        import _time_machine

        return _time_machine.original_time_ns()  # type: ignore[no-any-return]  # an int
    clock = ACTIVE.clock
    count_reading()
    return clock.epoch_ns + clock.now_ns


@functools.cache
def wall_swap() -> BuiltinSwap:
    """Make the swap of ``time.time``, once in a process; where a travel lies over ours it leaves all to time-machine.

    Clients read the wall clock several times a request, and by time-machine one reading takes three times as long.
    """
    import time_machine

    by_machine, stack = following_twin(builtin("time")), time_machine.traveller_stack

    def seconds() -> float:
        if get_ident() != ACTIVE.owner or not stack or stack[-1].time_ns is not _wall_ns:
            return by_machine()  # type: ignore[no-any-return]  # the twin of a function that returns a float
        clock = ACTIVE.clock  # `count_reading` written out, as in `functions`: its call would cost what this saves
        clock.readings += 1
        if clock.readings >= clock.watch_at:
            clock.polled(place(), running_task())
        return (clock.epoch_ns + clock.now_ns) / SECOND

    return BuiltinSwap(builtin("time"), seconds)


class Journey:
    """Time-machine's travel to the wall clock of whoever is active; nested ones lie over it."""

    def __init__(self) -> None:
        import uuid

        import time_machine

        self._machine: Any = time_machine  # Any: its class is patched, and what it keeps is restored
        self._travel = time_machine.travel(EPOCH.timestamp(), tick=False)
        self._older = list(time_machine.traveller_stack)
        self._ticking = time_machine.Traveller.time_ns
        self._uuid: Any = uuid  # Any: time-machine replaces two of its private names
        self._uuid_names = {name: getattr(uuid, name) for name in ("_generate_time_safe", "_UuidCreate")}

    def start(self) -> None:
        """Begin; `Refused` where freezegun holds the clock."""
        try:
            traveller: Any = self._travel.start()  # Any: its method is replaced
        except RuntimeError as error:
            raise Refused(f"chaos cannot set the clock: {error} End freeze_time before chaos begins.") from error
        traveller.time_ns = _wall_ns
        self._machine.Traveller.time_ns = _nested(self._ticking)

    def stop(self) -> None:
        """End, leaving a travel that the test did not end where it is; harmless when done twice."""
        self._machine.Traveller.time_ns = self._ticking
        stack = self._machine.traveller_stack
        mine = [each for each in stack if each not in self._older][:1]
        if mine and self._is_ours(mine[0]):
            stack.remove(mine[0])
            stack.append(mine[0])  # stop() takes the topmost
            self._travel.stop()
        if not stack:
            self._unpatch()

    def _is_ours(self, traveller: Any) -> bool:  # Any: time-machine's own class
        destination: int = traveller._destination_timestamp_ns
        return destination == EPOCH_NS and not traveller._tick

    def _unpatch(self) -> None:
        # An interrupt in the middle of time-machine's own start or stop leaves them half done.
        import _time_machine

        _time_machine.unpatch()
        for name, value in self._uuid_names.items():
            if not self._older:
                setattr(self._uuid, name, value)


def _nested(real: Any) -> Any:  # Any: a method of time-machine's class
    def time_ns(traveller: Any) -> int:  # Any: time-machine's own class
        if traveller._tick and not traveller._requested:  # the first reading, also since it was moved
            traveller.__dict__.pop(_START, None)
            real(traveller)  # notes it for the threads on real time
        if get_ident() != ACTIVE.owner:
            return real(traveller)  # type: ignore[no-any-return]  # an int
        count_reading()
        destination: int = traveller._destination_timestamp_ns
        if not traveller._tick:
            return destination
        # A travel that ticks goes on in virtual time from its first reading, as it does in real time.
        now = ACTIVE.clock.now_ns
        start: int = traveller.__dict__.setdefault(_START, now)
        return destination + now - start

    return time_ns


class Zone:
    """The local time zone of the process, set while a clock runs."""

    def __init__(self, name: str) -> None:
        from zoneinfo import ZoneInfo

        try:
            self._expected = EPOCH.astimezone(ZoneInfo(name)).utcoffset()
        except (KeyError, ValueError, OSError, TypeError) as error:
            raise ValueError(
                f"timezone={name!r}: no time zone known here; give an IANA name such as 'Asia/Tokyo' or 'UTC'"
            ) from error
        self._name = name
        self._before = os.environ.get("TZ")

    def start(self) -> None:
        """Set it; `Refused` where the C library does not know it."""
        os.environ["TZ"] = self._name
        time.tzset()
        offset = time.localtime(EPOCH.timestamp()).tm_gmtoff
        if self._expected is not None and offset != self._expected.total_seconds():
            raise Refused(
                f"timezone={self._name!r}: the C library has no such zone (it answers {offset / 3600:+g} h); "
                "install the system's time zone files (package tzdata)"
            )

    def stop(self) -> None:
        """Set back what was before; harmless when done twice."""
        if self._before is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = self._before
        time.tzset()
