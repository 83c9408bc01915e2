"""Put a thread on virtual time and take it off again, leaving every name, type and function as it was."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterable
from types import ModuleType, TracebackType
from typing import Protocol

from pytest_retrychaos.clock import cpython
from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.descriptors import descriptor_swaps
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.functions import real, time_swaps
from pytest_retrychaos.clock.locks import lock_patches
from pytest_retrychaos.clock.outsiders import outside_names
from pytest_retrychaos.clock.refusals import loop_swaps, refused_loop, running_loop, thread_swaps, trio_setup
from pytest_retrychaos.clock.travel import Journey, Zone
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.model import SECOND

PATIENCE = 5.0
"""Real seconds that a thread older than the clock gets to end a wait that has no limit."""
GRACE = 0.05
"""Real seconds that it gets before time jumps to the limit of a wait."""
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

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
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
        # Made before anything is replaced: they look for the originals.
        switches = [*time_swaps(), *descriptor_swaps(), *lock_patches(), *thread_swaps(), *loop_swaps()]
        for module, name, twin in list(outside_names()):
            self._set(module, name, twin)
        journey = Journey()
        self._do(journey.stop, journey.start)
        if zone is not None:
            self._do(zone.stop, zone.start)
        self._switch_on(switches)
        trio = trio_setup()
        if trio is not None:
            self._set(trio[0], "setup_runner", trio[1])
        self._do(_disown, _own)


def _own() -> None:
    ACTIVE.owner = get_ident()


def _disown() -> None:
    ACTIVE.owner = 0


def current() -> Installation | None:
    """Return what is installed in this process, in whatever thread: for a tear-down that lost hold of it."""
    return ACTIVE.slot.get("installation")


def install(
    clock: VirtualClock,
    *,
    timezone: str | None = None,
    forbid_threads: bool = True,
    patience: float = PATIENCE,
    grace: float = GRACE,
) -> Installation:
    """Put the calling thread on a clock; all other threads stay on real time.

    ``timezone`` is the local zone meanwhile, an IANA name. ``patience`` and ``grace`` are real seconds: how
    long threads older than the clock are waited for where a wait has no limit, and before time jumps to its
    limit (halved each time that it was in vain, down to a millisecond). ``forbid_threads`` refuses the
    thread's attempts to start others.

    Raises `Refused` where a clock is installed already, an event loop runs in this thread, or another tool
    holds the clock; `Unsupported` on an interpreter whose insides differ; `ValueError` for an unknown zone.
    """
    cpython.check()
    zone = None if timezone is None else Zone(timezone)
    loop = running_loop()
    if loop is not None:
        raise refused_loop(loop)
    installation = Installation(clock)
    try:
        if ACTIVE.slot.setdefault("installation", installation) is not installation:
            raise Refused(
                "a second virtual clock was to be installed while one is active: a process has one at a time. "
                "End the first chaos before the second begins, or use the one that is there."
            )
        ACTIVE.clock, ACTIVE.forbid_threads = clock, forbid_threads
        ACTIVE.patience, ACTIVE.grace, ACTIVE.grace_left = patience, grace, grace
        # Rounded up, so that the clock does not go back behind what was read before.
        clock.monotonic_start_ns = (real("monotonic_ns")() // SECOND + 1) * SECOND
        installation._begin(zone)
    except BaseException:
        installation.remove()
        raise
    return installation
