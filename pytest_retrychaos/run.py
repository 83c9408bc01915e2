"""One run put together: clock, service, script, record, exchange and transport, from its start to its end."""

from __future__ import annotations

import contextlib
from _thread import get_ident
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from random import Random
from types import CodeType
from typing import TYPE_CHECKING

from pytest_retrychaos.clock import workers
from pytest_retrychaos.clock.backstage import Backstage
from pytest_retrychaos.clock.caller import Caller
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.functions import note_stall
from pytest_retrychaos.clock.install import Installation, install
from pytest_retrychaos.clock.real import RESOLUTION_NS, RealClock
from pytest_retrychaos.clock.switches import Switches
from pytest_retrychaos.clock.virtual import Stall, VirtualClock
from pytest_retrychaos.clock.watchdog import WATCHDOG
from pytest_retrychaos.entropy import Entropy
from pytest_retrychaos.exchange import Board, Exchange
from pytest_retrychaos.faults import Script
from pytest_retrychaos.frozen import changed
from pytest_retrychaos.model import Effect
from pytest_retrychaos.options import CannotListen, Options
from pytest_retrychaos.record import Recorder, operation_of
from pytest_retrychaos.service import Service
from pytest_retrychaos.trace import RESOLUTION_NS as VIRTUAL_RESOLUTION_NS
from pytest_retrychaos.trace import WHOLE, HerdRecord, Told, Trace

if TYPE_CHECKING:
    from pytest_retrychaos.clock.strands import Strand
    from pytest_retrychaos.transports.loopback import Loopback
    from pytest_retrychaos.transports.network import Network
    from pytest_retrychaos.transports.responses import ResponsesTransport

HOST = "service.test"
"""The fake service's own name: ``.test`` never resolves elsewhere (RFC 6761)."""


class NoTimeout(BaseException):
    """A client without any timeout met silence: it would have waited for ever (BK07).

    It is no `Exception`, so that no retry loop can catch it and go on.
    """


class Run:
    """The parts of one run, and what they have recorded. One may be under way in a process."""

    active: Run | None = None
    """The one that is under way."""

    def __init__(self, options: Options, database: str | Path | None = None, *, watchdog: float = WATCHDOG) -> None:
        self.options = options
        self._changed_options = options.changed
        self._watchdog = watchdog
        self._installation: Installation | None = None
        self.seed = options.seed or 0
        self.clock: VirtualClock | RealClock = VirtualClock()
        self.server: Loopback | None = None
        """The real server, where the transport is one."""
        if options.transport == "loopback":
            self.clock = RealClock()
        # Read by what is written in C: each request asks a dozen times, and there is nothing else to do.
        now, wall = partial(attrgetter("now_ns"), self.clock), partial(attrgetter("wall_ns"), self.clock)
        self.service = Service(
            now=now,
            wall=wall,
            seed=self.seed,
            database=database,
            profile=options.profile,
            backstage=Backstage(),
        )
        self.board = Board()
        is_remote = options.transport == "loopback"
        self.recorder = Recorder(
            now,
            wall,
            workers=None if is_remote else workers,
            inherited=workers.inherited,
            sees_callers=not is_remote,
        )
        self.exchange = Exchange(self.board, self.service, self.recorder, now, wall, self.clock.note_traffic)
        self.exchange.keeps_alive = options.keep_alive
        self.caller = Caller(options.cancels_at_ns, options.cancels_in)
        """Who runs an async test, and cancels it."""
        self.exchange.landed = self.caller.note_attempt
        self.switches = Switches(options.switches)
        self.entropy = Entropy(self.seed, seeds_system=options.entropy == "seeded")
        self.given_script: Script | None = None
        """The script that stands in the marker, or was given to `Chaos`."""
        self.herds: list[HerdRecord] = []
        self.is_herding = False
        self.close_idle: Callable[[], None] = lambda: None
        """Closes idle connections that a coming step could not strike."""
        self._take_in: Callable[[], None] = lambda: None
        """Takes in what clients have done that their event loops have yet to carry out."""
        self._stack = contextlib.ExitStack()
        self._has_begun = False
        self._silences: list[BaseException] = []
        self._effects: tuple[Effect, ...] | None = None  # once it is over

    # from start to end

    def start(self) -> None:
        """Put the thread on virtual time and the simulated network; `Refused` while another run is under way."""
        from pytest_retrychaos.transports.foreign import check_process

        check_process()
        if Run.active is not None:
            raise Refused(
                "a second chaos was started while one is active: there is one clock and one network in a process. "
                "Let the first end before the second begins, or use the one that is there"
            )
        if self._has_begun:
            raise Refused("this chaos was begun before, and its service is closed: make a new one for each run")
        Run.active = self
        self._has_begun = True
        with contextlib.ExitStack() as stack:
            stack.callback(self._close_service)
            stack.callback(self._deactivate)
            stack.enter_context(self.entropy)
            if isinstance(self.clock, RealClock):
                self._start_server(stack, self.clock)
            else:
                self._install(stack, self.clock)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Put everything back, once; what was recorded stays readable."""
        if Run.active is not self:
            return
        try:
            if self.server is not None:
                self.server.stop()
            if self._installation is not None:
                self._installation.finish()
            self._effects = self.service.effects
        finally:
            if self._is_lost:
                self._effects = ()  # the handler that goes on keeps the store to itself
            self._stack.close()

    @property
    def is_over(self) -> bool:
        """Whether it has ended: nothing happens in it any more."""
        return self._has_begun and Run.active is not self

    def _close_service(self) -> None:
        if not self._is_lost:
            self.service.close()

    @property
    def _is_lost(self) -> bool:
        return self.server is not None and self.server.is_lost

    @staticmethod
    def _deactivate() -> None:
        Run.active = None

    @property
    def url(self) -> str:
        """The fake service's base URL, without a slash at its end."""
        return self.started_server().url if self.options.transport == "loopback" else f"http://{HOST}"

    def started_server(self) -> Loopback:
        """Give the real server; `Refused` before it has an address."""
        if self.server is None:
            raise Refused(
                "the server of transport='loopback' has no address before it starts: "
                "use it inside `with Chaos(…) as chaos:`"
            )
        return self.server

    def check_script(self, script: Script) -> None:
        """Refuse, by name, what the transport cannot do."""
        if self.options.transport == "loopback":
            from pytest_retrychaos.transports.possible import check

            check(script, self.options.address[0])

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Let nothing happen meanwhile, where it could: on a real server, whose own thread acts."""
        return contextlib.nullcontext() if self.server is None else self.server.paused()

    def _start_server(self, stack: contextlib.ExitStack, clock: RealClock) -> None:
        from pytest_retrychaos.transports.loopback import Loopback

        host, port = self.options.address
        try:
            self.server = server = Loopback(self.exchange, clock, host=host, port=port, watchdog=self._watchdog)
        except OSError as error:
            raise CannotListen(error, host, port) from error
        stack.callback(server.stop)
        stack.callback(clock.end)
        clock.begin()
        server.start()
        self.close_idle = server.close_idle

    def watch(self, test_code: CodeType) -> None:
        """Name the function that makes the calls: the test."""
        self.recorder.watch(test_code)
        if isinstance(self.clock, VirtualClock):
            self.clock.test_code = test_code

    def _install(self, stack: contextlib.ExitStack, clock: VirtualClock) -> None:
        clock.note_stall = self._note_stall
        from pytest_retrychaos.transports.foreign import Foreign

        chooser = Random(f"turns {self.seed}")
        installation = install(
            clock,
            timezone=self.options.timezone,
            chooser=chooser,
            watchdog=self._watchdog,
            switches=self.switches,
        )
        self._installation = installation
        stack.callback(installation.remove)
        foreign = Foreign()
        stack.callback(foreign.off)
        foreign.on()
        self._install_transport(stack, clock)

    def _note_stall(self, stall: Stall) -> None:
        if self.service.answering.handles_in != get_ident():  # a handler blocks no loop: it stands for a server
            self.recorder.note_stall(*stall)

    def _install_transport(self, stack: contextlib.ExitStack, clock: VirtualClock) -> None:
        from pytest_retrychaos.transports.connections import Rules

        rules = Rules(
            self._no_timeout, self._check_host, workers.is_mine, workers.is_interrupted, _note_blocking_request
        )
        transport = _transport(self.options.transport)(self.exchange, clock, rules)
        stack.callback(transport.remove)
        transport.install()
        clock.simulated_descriptors.update(transport.pipe_ends)
        self.close_idle, self._take_in = transport.close_idle, transport.take_in

    def _no_timeout(self, host: str) -> BaseException:
        stop = NoTimeout(
            f"the client waits for {host} without any timeout and met silence: it would wait for ever (BK07). "
            "Give every request a timeout, as in requests.get(url, timeout=10)"
        )
        self._silences.append(stop)
        return stop

    def _check_host(self, host: str) -> None:
        allowed = self.options.hosts
        if allowed and host not in (*allowed, HOST):
            raise self.exchange.refuse(
                f"the code called {host!r}, which is not among hosts={allowed!r}: add it there, or point the code "
                "at one of them"
            )

    # what was recorded

    @property
    def problems(self) -> list[BaseException]:
        """What could not be simulated, and what went wrong in handlers, whether the code let it through or not."""
        return [*self.exchange.problems, *self.clock.refused]

    @property
    def stops(self) -> list[BaseException]:
        """What ended code that would never have ended, whether it let that through or not."""
        if self.server is not None:
            return []  # nobody's code was ended: a server can only break connections off, and notes that
        return [*self._silences, *self.recorder.stops, *self.clock.stops]

    @property
    def unmet(self) -> str:
        """The option that found nothing to act on: the cancellation, or a switch; empty where each did."""
        if self.options.cancel is not None and not self.caller.has_cancelled:
            return f"the moment of cancel={self.options.cancel!r}"
        return "" if self.switches.have_struck else f"a moment of switches={self.options.switches!r}"

    @property
    def left_running(self) -> list[Strand]:
        """The threads of the test that had not ended when the run had."""
        return [] if self._installation is None else self._installation.left_running

    @property
    def ledger(self) -> tuple[Effect, ...]:
        """The effects in commit order, each with the name of its operation."""
        effects = () if self._is_lost else self._effects
        if effects is None:
            with self.paused():
                self.exchange.settle()
                effects = self.service.effects
        sheets = self.recorder.sheets
        return tuple([changed(one, operation=operation_of(sheets[one.attempt - 1]).name) for one in effects])

    def settle(self) -> None:
        """Carry out every request that is postponed: a real service would not forget it."""
        if self._effects is None:
            with self.paused():
                if not self._is_lost:
                    self.exchange.settle(all_of_them=True)

    def trace(self, name: str, ended: Told | None) -> Trace:
        """Take the record so far."""
        self._take_in()
        with self.paused():
            return self._trace(name, ended)

    def _trace(self, name: str, ended: Told | None) -> Trace:
        ledger = self.ledger
        operations = self.recorder.freeze_operations()
        scripts = self.board.scripts  # that of the marker, or given to `Chaos`, is the first
        general = next((one.text for one in scripts if one.where == "every request"), "")
        return Trace(
            test=name,
            seed=self.seed,
            script=general,
            attempts=tuple([sheet.freeze(operation_of(sheet).position) for sheet in self.recorder.sheets]),
            operations=operations,
            scopes=tuple(self.recorder.scopes),
            scripts=tuple([one.record() for one in scripts]),
            lineages=self.recorder.freeze_lineages(),
            effects=tuple([one if len(one.body) <= WHOLE else replace(one, body=one.body[:1024]) for one in ledger]),
            ended=ended,
            finished_ns=self.clock.now_ns,
            notes=tuple(self.clock.notes),
            stalls=tuple(self.recorder.stalls),
            script_is_own=self.given_script is None and bool(scripts),
            options=self._changed_options,
            herds=tuple(self.herds),
            resolution_ns=RESOLUTION_NS if isinstance(self.clock, RealClock) else VIRTUAL_RESOLUTION_NS,
        )


def _note_blocking_request() -> None:
    if workers.is_in_loop():
        note_stall("request", 0)


def _transport(name: str) -> type[Network | ResponsesTransport]:
    if name == "responses":
        from pytest_retrychaos.transports.responses import ResponsesTransport

        return ResponsesTransport
    from pytest_retrychaos.transports.network import Network

    return Network
