"""Put a thread on virtual time and take it off again, leaving every name, type and function as it was."""

from __future__ import annotations

import math
import random
from _thread import get_ident
from collections.abc import Callable, Iterable
from types import ModuleType, TracebackType
from typing import Protocol

from pytest_retrychaos.clock import cpython
from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cancelling import ANYIO, cancel_patches
from pytest_retrychaos.clock.children import child_swaps
from pytest_retrychaos.clock.descriptors import descriptor_swaps
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.functions import real, time_swaps
from pytest_retrychaos.clock.imports import Act, Imports
from pytest_retrychaos.clock.locks import lock_patches
from pytest_retrychaos.clock.loops import LOOPS, TRIO, Trio, loop_swaps, loops_go_home, prepare
from pytest_retrychaos.clock.outside import Outside
from pytest_retrychaos.clock.outsiders import outside_names
from pytest_retrychaos.clock.pipes import pipe_swaps
from pytest_retrychaos.clock.pools import pool_patches, pools_go_home
from pytest_retrychaos.clock.processes import PROCESSES, patches_of, process_patches
from pytest_retrychaos.clock.real_sockets import socket_patches
from pytest_retrychaos.clock.rounds import ROUNDS, round_patches
from pytest_retrychaos.clock.stopping import event_patches
from pytest_retrychaos.clock.strands import Strand
from pytest_retrychaos.clock.switches import Switches
from pytest_retrychaos.clock.threads import thread_swaps
from pytest_retrychaos.clock.travel import Journey, Zone, wall_swap
from pytest_retrychaos.clock.turns import Turns
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.clock.watchdog import WATCHDOG, Watchdog
from pytest_retrychaos.clock.workers import running_loop
from pytest_retrychaos.model import SECOND

PATIENCE = 5.0
"""Real seconds that a thread older than the clock gets to end a wait that has no limit."""
GRACE = 0.05
"""Real seconds that it gets before time jumps to the limit of a wait."""
JOINING = 1.0
"""Real seconds, in all, for which threads that a test has left are waited for at its end."""
_LOOK = 0.002
_TRIES = 3
"""So often a step is undone before an interrupt in the middle of it is taken for its own failure."""


class Switch(Protocol):
    """Something that is put in and taken out."""

    def on(self) -> None:
        """Put it in."""

    def off(self) -> None:
        """Take it out; harmless when it is not in."""


class Installation:
    """A clock that its thread sees. Ends by `remove`, or as a context manager."""

    def __init__(
        self, clock: VirtualClock, turns: Turns, outside: Outside, watchdog: Watchdog, trio_seed: int | None
    ) -> None:
        self.clock = clock
        self.turns = turns
        self._outside = outside
        self._watchdog = watchdog
        self._trio_seed = trio_seed
        turns.company = watchdog.start
        self.left_running: list[Strand] = []
        """Threads that were in the middle of something when virtual time ended."""
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take the thread off virtual time and put everything back; harmless when done twice.

        An interrupt in the middle is raised again once everything is back.
        """
        raised: BaseException | None = None
        tries = 0
        while self._undo:
            try:
                while self._undo:
                    self._undo[-1]()  # each may be repeated: an interrupt can come before the next line
                    self._undo.pop()
                    tries = 0
            except BaseException as error:
                raised = error
                tries += 1
                if tries >= _TRIES:
                    self._undo.pop()
                    tries = 0
        if ACTIVE.slot.get("installation") is self:
            ACTIVE.slot.clear()
        if raised is not None:
            raise raised

    def finish(self) -> None:
        """End virtual time, and give the threads that go on a second of real time to end.

        The simulated network is still there, so that nothing of what they send meanwhile leaves the machine.
        """
        self._disown()
        end = real("monotonic")() + JOINING
        while any(one.holds_up for one in self.left_running) and real("monotonic")() < end:
            real("sleep")(_LOOK)
        self.left_running = [one for one in self.left_running if not one.is_done]

    def _do(self, undo: Callable[[], None], do: Callable[[], None]) -> None:
        self._undo.append(undo)  # first, so that an interrupt between the two leaves nothing behind
        do()

    def _switch_on(self, switches: Iterable[Switch]) -> None:
        for switch in switches:
            self._do(switch.off, switch.on)

    def _set(self, module: ModuleType, name: str, value: object) -> None:
        before = getattr(module, name)
        self._do(lambda: setattr(module, name, before), lambda: setattr(module, name, value))

    def _begin(self, zone: Zone | None) -> None:
        self._do(self._outside.close, self._outside.open)
        self._do(self._watchdog.stop, lambda: None)
        # Made before anything is replaced: they look for the originals.
        switches = [
            *time_swaps(),
            wall_swap(),
            *descriptor_swaps(),
            *lock_patches(),
            *thread_swaps(),
            *pool_patches(),
            *socket_patches(),
            *child_swaps(),
            *pipe_swaps(),
            *loop_swaps(),
            *round_patches(),
            *process_patches(),
            *cancel_patches(),
            *event_patches(),
        ]
        for module, name, twin in list(outside_names()):
            self._set(module, name, twin)
        journey = Journey()
        self._do(journey.stop, journey.start)
        if zone is not None:
            self._do(zone.stop, zone.start)
        self._switch_on(switches)
        self._switch_on([Trio(self._trio_seed, self.turns.switches)])
        came: dict[str, Act] = {LOOPS: self._loops_came, TRIO: self._trio_came, ANYIO: self._loops_came}
        came[ROUNDS] = lambda _: self._switch_on(round_patches())
        came |= dict.fromkeys(PROCESSES, self._processes_came)
        self._switch_on([Imports(came)])
        self._do(loops_go_home, lambda: None)
        self._do(self._disown, self._own)

    def _loops_came(self, _: ModuleType) -> None:
        self._switch_on([*loop_swaps(), *cancel_patches(), *event_patches()])

    def _processes_came(self, module: ModuleType) -> None:
        self._switch_on(patches_of(module))

    def _trio_came(self, _: ModuleType) -> None:
        self._switch_on([*loop_swaps(), *cancel_patches(), *event_patches()])
        self._switch_on([Trio(self._trio_seed, self.turns.switches)])

    def _own(self) -> None:
        ACTIVE.turns = self.turns
        self.clock.sleeper = self.turns.sleep_until
        self.clock.waiter, self.clock.wake = self.turns.wait_for, self.turns.wake
        self.clock.alarm = self.turns.alarm
        ACTIVE.owner = get_ident()

    def _disown(self) -> None:
        """Let the threads settle, and those that go on do so in real time."""
        if ACTIVE.turns is self.turns:
            pools_go_home()
            self.turns.settle()
            self.left_running = self.turns.end()
        ACTIVE.owner = 0
        ACTIVE.turns = None
        self.clock.alone()


def current() -> Installation | None:
    """Return what is installed in this process, in whatever thread: for a tear-down that lost hold of it."""
    return ACTIVE.slot.get("installation")


def install(
    clock: VirtualClock,
    *,
    timezone: str | None = None,
    chooser: random.Random | None = None,
    patience: float = PATIENCE,
    grace: float = GRACE,
    watchdog: float = WATCHDOG,
    switches: Switches | None = None,
) -> Installation:
    """Put the calling thread, and those that it starts, on a clock; all other threads stay on real time.

    ``timezone`` is the local zone meanwhile, an IANA name. ``chooser`` decides which of several threads that
    are ready goes on; without one it is the first in line. ``patience`` and ``grace`` are real seconds: how
    long threads older than the clock are waited for where a wait has no limit, and before time jumps to its
    limit (halved each time that it was in vain, down to a millisecond; not at all while they sleep as they did when
    the clock began). ``watchdog`` is how long, in real seconds, a thread may hold the turn before it is reported, and
    older threads are waited for that may get something from child processes; 0 is for ever. ``switches`` says when
    another goes on than ``chooser`` has decided.

    Raises `Refused` where a clock is installed already, an event loop that keeps its own time runs in this
    thread, or another tool holds the clock; `Unsupported` on an interpreter whose insides differ; `ValueError`
    for an unknown zone.
    """
    cpython.check()
    zone = None if timezone is None else Zone(timezone)
    loop = running_loop()
    if loop is not None:
        prepare(loop)
    trio_seed = None if chooser is None else chooser.getrandbits(64)  # drawn whether trio is loaded or not
    outside = Outside(patience=patience, grace=grace, longest=watchdog or math.inf)
    turns = Turns(clock, outside, chooser, switches)
    installation = Installation(clock, turns, outside, Watchdog(turns, watchdog), trio_seed)
    try:
        if ACTIVE.slot.setdefault("installation", installation) is not installation:
            raise Refused(
                "a second virtual clock was to be installed while one is active: a process has one at a time. "
                "End the first chaos before the second begins, or use the one that is there."
            )
        ACTIVE.clock = clock
        # Rounded up, so that the clock does not go back behind what was read before.
        clock.monotonic_start_ns = (real("monotonic_ns")() // SECOND + 1) * SECOND
        installation._begin(zone)
    except BaseException:
        installation.remove()
        raise
    return installation
