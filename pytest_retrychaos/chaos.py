"""`Chaos`: what the fixture hands out. It wires script, service, clock, transport and record together."""

from __future__ import annotations

import contextlib
import inspect
import reprlib
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from pytest_retrychaos.clock.errors import LeftRunning, Refused
from pytest_retrychaos.clock.report import left_running
from pytest_retrychaos.clock.virtual import Clock
from pytest_retrychaos.clock.watchdog import WATCHDOG
from pytest_retrychaos.faults import Script, Step, parse
from pytest_retrychaos.judging import Judge, Known
from pytest_retrychaos.laws import Finding, Verdict
from pytest_retrychaos.model import SECOND, Effect
from pytest_retrychaos.options import Options
from pytest_retrychaos.policies.given import Given
from pytest_retrychaos.policies.terms import read_terms
from pytest_retrychaos.record.calling import Calls
from pytest_retrychaos.run import Run
from pytest_retrychaos.trace import Attempt, Trace
from pytest_retrychaos.views import OperationView, RunAssertions

if TYPE_CHECKING:
    from pytest_retrychaos.engine import Backoff, Retry
    from pytest_retrychaos.herd import Herd, Herding
    from pytest_retrychaos.policies.given import Bounds, CountingRetry, Decorated, Retrying
    from pytest_retrychaos.transports.calls import Results

P = ParamSpec("P")
R = TypeVar("R")


class Phase(contextlib.AbstractContextManager["Phase"]):
    """A script that was set; as a context manager it ends with its block."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __exit__(self, *_: object) -> None:
        self._end()


class Chaos(RunAssertions):
    """A fake service on a simulated network and clock, the faults to come, and the record of what happened.

    As a fixture it is there for one test; outside pytest it is a context manager::

        with Chaos("503 retry-after=2, ok") as chaos:
            PaymentClient(chaos.url).charge(amount=1000, currency="USD")
            chaos.verify()

    The arguments are those of the marker ``@pytest.mark.chaos``; see `Options`. ``watchdog`` is how many real
    seconds a thread may block for real while others wait for it; 0 is for ever. ``known`` tells which findings are
    noted and fail nothing.
    """

    def __init__(
        self,
        script: str | Script | Step | Sequence[Step] | None = None,
        *,
        name: str = "chaos",
        test_code: CodeType | None = None,
        database: str | Path | None = None,
        watchdog: float = WATCHDOG,
        known: Known | None = None,
        **options: Any,  # Any: checked one by one by Options
    ) -> None:
        self.options = Options.read(options, alone=test_code is None)
        if test_code is None and self.options.loop is not None:
            raise ValueError(
                f"loop={self.options.loop!r} of Chaos used alone: it runs no test, and cancels none; run async code by "
                "asyncio.run(…) inside, or use @pytest.mark.chaos"
            )
        given = None if script is None else parse(script)
        self._run = Run(self.options, database, watchdog=watchdog)
        self._recorder = self._run.recorder
        self.clock = Clock(self._run.clock)
        self.service = self._run.service
        self._calls = Calls(self._recorder, self._run.paused)
        self._results: Results | None = None
        self.recorded = self._run
        """The run itself, for the plugin and for exploring."""
        self._is_used_alone = test_code is None
        self.judge = Judge(self._run, self.options, name, test_code, known)
        """Judges the run, for `verify` and for the plugin."""
        if given is not None:
            self._run.given_script = given
            self.script(given, strict=self.options.strict)

    def __setattr__(self, name: str, value: object) -> None:
        is_own = name.startswith("_") or getattr(getattr(type(self), name, None), "fset", None) is not None
        if "judge" in self.__dict__ and not is_own:  # made
            if hasattr(self.service, name):
                raise AttributeError(f"chaos.{name} = {value!r}: that is the service's; write chaos.service.{name} = …")
            raise AttributeError(
                f"chaos.{name} = {value!r}: there is no such setting. Options stand in @pytest.mark.chaos(…), or are "
                "given to Chaos(…); what the service does is set on chaos.service"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        count = len(self._recorder.sheets)
        return f"<Chaos: {count} {'attempt' if count == 1 else 'attempts'} in {self.clock.elapsed:g} s>"

    # its life

    def __enter__(self) -> Chaos:
        self.judge.test_code = test_code = self.judge.test_code or sys._getframe(1).f_code
        self._run.watch(test_code)
        self._run.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if error is not None and self.judge.ended is None:
            self.judge.note_end(error)
        self._run.stop()
        if self.judge.ended is None and (left := [one for one in self._run.left_running if one.holds_up]):
            raise LeftRunning(left_running(left))
        if self._is_used_alone and self.judge.ended is None:  # else the plugin asks
            self.judge.require_expected()
            self.judge.require_routes()

    # what a test sets up

    @property
    def url(self) -> str:
        """The fake service's base URL, without a slash at its end."""
        return self._run.url

    @property
    def ca_file(self) -> str:
        """On ``loopback``: the file (PEM) of the authority to trust for HTTPS, which the same port speaks."""
        if self.options.transport != "loopback":
            raise Refused(
                f"chaos.ca_file on transport={self.options.transport!r}: there no certificate is checked, and none is "
                "needed; leave it out, or use transport='loopback'"
            )
        return self._run.started_server().ca_file

    def script(
        self,
        spec: str | Script | Step | Sequence[Step],
        route: str | None = None,
        host: str | None = None,
        per: str = "service",
        strict: bool = True,
    ) -> Phase:
        """Set the faults to come.

        ``route`` (``"POST /payments"``) and ``host`` narrow it to some requests; the most specific script
        decides. ``per="operation"``: every operation meets the script from its first step. ``strict=False``
        lets faults be left over. As a context manager it is a phase, which ends with its block.

        Raises `ScriptError` for a bad script, `ValueError` where it cannot be bound so, or where an earlier one
        for the same requests still has steps left.
        """
        if not isinstance(strict, bool):
            raise TypeError(f"chaos.script(strict={strict!r}): strict is True or False")
        self._run.check_script(parse(spec))
        with self._run.paused():
            active = self._run.board.set(
                spec, route=route, host=host, per=per, strict=strict, in_scope=self._recorder.is_in_scope
            )
        self._run.close_idle()
        return Phase(active.end)

    @contextlib.contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Open a scope: what is sent inside belongs to the operation of that name."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"chaos.operation({name!r}): give the operation a name, as in chaos.operation('order 7')")
        with self._run.paused():
            number, token = self._recorder.open_scope(name)
        try:
            yield
        finally:
            with self._run.paused():
                self._recorder.close_scope(number, token, None)

    def call(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the code under test in a scope of its own, record what the caller is told, and tell it.

        Raises `TypeError` for what has to be awaited: see `call_async`.
        """
        _require_callable("call", fn)
        name = _name_of(fn)
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
            raise TypeError(f"chaos.call({name}): this is an async function: await chaos.call_async({name}, …)")
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(
                f"chaos.call({name}): this is a generator function, and calling it does none of its work: "
                "give a function that consumes it, such as lambda: list(pages())"
            )
        with self._calls.scope(name) as telling:
            value = fn(*args, **kwargs)
            if inspect.iscoroutine(value):
                value.close()
                raise TypeError(f"chaos.call({name}): it returned a coroutine: await chaos.call_async({name}, …)")
            return telling.returns(value)

    async def call_async(self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await the code under test in a scope of its own, record what the caller is told, and tell it.

        The scope is the task's: calls side by side (``asyncio.gather``) have each their own, and what the code
        starts inside, tasks and threads, belongs to it.

        Raises `TypeError` for what cannot be awaited: see `call`.
        """
        _require_callable("call_async", fn)
        name = _name_of(fn)
        with self._calls.scope(name) as telling:
            awaitable = fn(*args, **kwargs)
            if not inspect.isawaitable(awaitable):
                raise TypeError(
                    f"chaos.call_async({name}): it returned {awaitable!r}, which cannot be awaited: give the function "
                    f"itself, not its call; a blocking one is called by chaos.call({name}, …)"
                )
            return telling.returns(await awaitable)

    @overload
    def herd(
        self, n: int, client: Callable[..., Coroutine[Any, Any, R]], /, *, over: float = ..., window: float = ...,
        as_: str | None = ...,
    ) -> Herd[R]: ...  # fmt: skip

    @overload
    def herd(
        self, n: int, client: Callable[..., R], /, *, over: float = ..., window: float = ..., as_: str | None = ...
    ) -> Herd[R]: ...

    def herd(
        self, n: int, client: Callable[..., Any], /, *, over: float = 0.0, window: float = 1.0, as_: str | None = None
    ) -> Herd[Any]:
        """Run ``n`` copies of the code under test at once, each in a scope of its own, and tell how they arrived.

        They come at one moment of virtual time, or spread ``over`` so many seconds, by the seed. A function that
        blocks runs in threads, an async one in tasks of an event loop that is begun for it; ``as_`` says so where
        the function does not. One that needs an argument is given the copy's number, from 0. ``window`` is the
        length in seconds in which arrivals are counted.

        What copies raise is collected. Bad arguments raise `TypeError` or `ValueError`; a herd within a herd and
        ``transport="loopback"`` are refused.
        """
        return self._herding.run(n, client, over=over, window=window, as_=as_)

    async def herd_async(
        self, n: int, client: Callable[..., Awaitable[R]], /, *, over: float = 0.0, window: float = 1.0
    ) -> Herd[R]:
        """Run a herd of tasks in the event loop that runs already, asyncio's or trio's; see `herd`."""
        return await self._herding.run_async(n, client, over=over, window=window)

    @property
    def _herding(self) -> Herding:
        from pytest_retrychaos.herd import Herding

        return Herding(self._run, lambda: self.trace)

    def faulty(
        self,
        fn: Callable[P, R],
        errors: Mapping[str, BaseException | type[BaseException] | Callable[[], BaseException]] | None = None,
    ) -> Callable[P, R]:
        """Wrap a function that does not go over HTTP, so that it meets the script call by call; an async one too.

        ``errors`` maps a fault's word (``timeout``, ``reset``, ``503``) to the error that the wrapped function
        raises; without it, ``timeout`` is a `TimeoutError`, ``reset`` a `ConnectionResetError`, and a status an
        error with ``.status``.
        """
        from pytest_retrychaos.transports.calls import Results
        from pytest_retrychaos.transports.function import faulty

        if self.options.transport == "loopback":
            raise Refused(
                f"chaos.faulty({_name_of(fn)}) on transport='loopback': functions meet a script on virtual time only. "
                "Use transport='network', which answers the functions and every host but this machine"
            )
        self._results = self._results or Results(self.service)
        return faulty(fn, errors or {}, self._run.exchange, self._run.clock, self._results)

    # what happened

    @property
    def trace(self) -> Trace:
        """The record so far: a value, see `Trace`."""
        return self.judge.trace

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every sending of a request, in the order in which they began."""
        return self.trace.attempts

    @property
    def operations(self) -> tuple[OperationView, ...]:
        """The operations, in the order in which they began, each with its attempts."""
        trace = self.trace
        return tuple(OperationView(trace, number) for number in range(len(trace.operations)))

    @property
    def waits(self) -> list[float]:
        """Seconds between the end of each attempt and the start of the next of its operation."""
        from pytest_retrychaos.trace import waits

        trace = self.trace
        return [wait / SECOND for operation in trace.operations for wait in waits(trace.of(operation))]

    @property
    def ledger(self) -> tuple[Effect, ...]:
        """What the service did that lasts, in commit order."""
        return self._run.ledger

    # judging

    def verify(
        self,
        policy: Retry | CountingRetry | Retrying | Decorated | None = None,
        *,
        attempts: int | None = None,
        bounds: Backoff | Bounds | None = None,
        timeout: float | None = None,
        breaker: object | None = None,
        amplification: float | None = None,
        only: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> Verdict:
        """Check every law that applies to what happened.

        Returns the verdict: held, broken or does not apply, each with its reason. ``policy`` makes the laws exact: an
        engine's `Retry`, urllib3's, or a Retrying of tenacity or what it decorates. ``attempts``, ``bounds`` (a
        back-off, or a function of the retry's number, from 1, that gives the least and the most seconds before it)
        and ``timeout`` say the same of any other, or what cannot be read of one. ``breaker`` is what a circuit breaker
        promises: a `BreakerPolicy`, or the breaker itself, the engine's, pybreaker's or aiobreaker's; the policy's own
        unless given. ``amplification`` is the most attempts that one operation may become, through every retry layer.
        ``only`` and ``ignore`` take codes, families or shapes (``ID04``, ``BK``, ``BK04/early``).

        Raises `LawsBroken` with every finding, `CannotTell` before any request, `TypeError` or `ValueError` for a
        policy that cannot be read, and what went wrong in the test's own service.
        """
        __tracebackhide__ = True
        given = Given.read(attempts, bounds, timeout)
        terms = read_terms(policy, given, breaker=breaker, amplification=amplification)
        return self.judge.verify(terms, only=only, ignore=ignore)

    @property
    def verdict(self) -> Verdict | None:
        """What the last judgement said."""
        return self.judge.verdict

    def begin_test(self) -> None:
        """Seed ``random`` for the test itself: other plugins reseed it right before the call."""
        self._run.entropy.seed()

    def _lets_pass(self, trace: Trace, found: Finding) -> bool:
        is_known = self.judge.lets_pass(trace, found)
        self.judge.shown = self.judge.shown or not is_known
        return is_known

    def _note_held(self, laws: tuple[str, ...]) -> None:
        self.judge.note_held(laws)

    def _snapshot(self) -> tuple[Trace, int | None]:
        return self.judge.asked_trace(), None


def _require_callable(how: str, fn: object) -> None:
    if not callable(fn):
        raise TypeError(
            f"chaos.{how}({reprlib.repr(fn)}): this cannot be called: give the function itself, not its call,"
            f" and its arguments behind it, as in chaos.{how}(charge, amount)"
        )


def _name_of(fn: Callable[..., object]) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)
