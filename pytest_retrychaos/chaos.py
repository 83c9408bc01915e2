"""`Chaos`: what the fixture hands out. It wires script, service, clock, transport and record together."""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pytest_retrychaos.clock.errors import LeftRunning, Refused
from pytest_retrychaos.clock.report import left_running
from pytest_retrychaos.clock.virtual import Clock
from pytest_retrychaos.clock.watchdog import WATCHDOG
from pytest_retrychaos.engine import Retry
from pytest_retrychaos.faults import Script, Step, parse
from pytest_retrychaos.laws import Verdict, judge
from pytest_retrychaos.model import SECOND, Effect
from pytest_retrychaos.options import Options
from pytest_retrychaos.record.calling import Calls
from pytest_retrychaos.record.telling import tell_error
from pytest_retrychaos.run import HOST, Run
from pytest_retrychaos.text import again, failure_text, timeline
from pytest_retrychaos.trace import Attempt, Told, Trace
from pytest_retrychaos.views import Assertions, LawsBroken, OperationView

if TYPE_CHECKING:
    from pytest_retrychaos.transports.function import Results
    from pytest_retrychaos.transports.loopback import Loopback

P = ParamSpec("P")
R = TypeVar("R")


class CannotTell(AssertionError):
    """There is nothing to judge: no request was made."""


class Phase(contextlib.AbstractContextManager["Phase"]):
    """A script that was set; as a context manager it ends with its block."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __exit__(self, *_: object) -> None:
        self._end()


class Chaos(Assertions):
    """A fake service on a simulated network and clock, the faults to come, and the record of what happened.

    As a fixture it is there for one test; outside pytest it is a context manager::

        with Chaos("503 retry-after=2, ok") as chaos:
            PaymentClient(chaos.url).charge(amount=1000, currency="USD")
            chaos.verify()

    The arguments are those of the marker ``@pytest.mark.chaos``; see `Options`. ``watchdog`` is how many real
    seconds a thread may block for real while others wait for it; 0 is for ever.
    """

    def __init__(
        self,
        script: str | Script | Step | Sequence[Step] | None = None,
        *,
        name: str = "chaos",
        test_code: CodeType | None = None,
        database: str | Path | None = None,
        watchdog: float = WATCHDOG,
        **options: Any,  # Any: checked one by one by Options
    ) -> None:
        self.options = Options.read(options)
        self._name = name
        given = None if script is None else parse(script)
        self._run = Run(self.options, database, watchdog=watchdog)
        self._recorder = self._run.recorder
        self._test_code = test_code
        self.clock = Clock(self._run.clock)
        self.service = self._run.service
        self._calls = Calls(self._recorder, self._run.paused)
        self._results: Results | None = None
        self._ended: Told | None = None
        self._judged = False
        self.verdict: Verdict | None = None
        """What the last judgement said."""
        self.shown = False
        """Whether the failure text already has the timeline."""
        if given is not None:
            self._run.given_script = given
            self.script(given, strict=self.options.strict)

    def __repr__(self) -> str:
        count = len(self._recorder.sheets)
        return f"<Chaos: {count} {'attempt' if count == 1 else 'attempts'} in {self.clock.elapsed:g} s>"

    # its life

    def __enter__(self) -> Chaos:
        self._test_code = self._test_code or sys._getframe(1).f_code
        self._run.watch(self._test_code)
        self._run.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._ended is None:
            self.note_end(error)
        self._run.stop()
        if self._ended is None and (left := [one for one in self._run.left_running if one.holds_up]):
            raise LeftRunning(left_running(left))

    # what a test sets up

    @property
    def url(self) -> str:
        """The fake service's base URL, without a slash at its end."""
        return f"http://{HOST}" if self.options.transport != "loopback" else self._server.url

    @property
    def ca_file(self) -> str:
        """On ``loopback``: the file (PEM) of the authority to trust for HTTPS, which the same port speaks."""
        if self.options.transport != "loopback":
            raise Refused(
                f"chaos.ca_file on transport={self.options.transport!r}: there no certificate is checked, and none is "
                "needed; leave it out, or use transport='loopback'"
            )
        return self._server.ca_file

    @property
    def _server(self) -> Loopback:
        if self._run.server is None:
            raise Refused(
                "the server of transport='loopback' has no address before it starts: "
                "use it inside `with Chaos(…) as chaos:`"
            )
        return self._run.server

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
        name = _name_of(fn)
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
            raise TypeError(f"chaos.call({name}): this is an async function: await chaos.call_async({name}, …)")
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
        name = _name_of(fn)
        with self._calls.scope(name) as telling:
            awaitable = fn(*args, **kwargs)
            if not inspect.isawaitable(awaitable):
                raise TypeError(
                    f"chaos.call_async({name}): it returned {awaitable!r}, which cannot be awaited: give the function "
                    f"itself, not its call; a blocking one is called by chaos.call({name}, …)"
                )
            return telling.returns(await awaitable)

    def faulty(
        self,
        fn: Callable[P, R],
        errors: Mapping[str, BaseException | type[BaseException] | Callable[[], BaseException]] | None = None,
    ) -> Callable[P, R]:
        """Wrap a function that does not go over HTTP, so that it meets the script call by call.

        ``errors`` maps a fault's word (``timeout``, ``reset``, ``503``) to the error that the wrapped function
        raises; without it, ``timeout`` is a `TimeoutError`, ``reset`` a `ConnectionResetError`, and a status an
        error with ``.status``.
        """
        from pytest_retrychaos.transports.function import Results, faulty

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
        return self._run.trace(self._name, self._ended)

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
        policy: Retry | None = None,
        *,
        breaker: object | None = None,
        only: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> Verdict:
        """Check every law that applies to what happened.

        Returns the verdict: held, broken or does not apply, each with its reason. ``policy`` makes the laws
        exact; ``only`` and ``ignore`` take codes, families or shapes (``ID04``, ``BK``, ``BK04/early``).

        Raises `LawsBroken` with every finding, `CannotTell` before any request, and what went wrong in the
        test's own service.
        """
        __tracebackhide__ = True
        if policy is not None and not isinstance(policy, Retry):
            raise TypeError(
                f"verify({policy!r}): a policy is a pytest_retrychaos.engine.Retry, such as Retry(attempts=5)"
            )
        self._judged = True
        self.raise_problems()
        if not self._recorder.sheets:
            raise CannotTell(
                "verify() before any request: cannot tell whether the code is right. Call the code under test first, "
                f"with the service's address ({self.url}), or any other but loopback"
            )
        self._run.settle()
        verdict = self._judge(policy, breaker=breaker, only=only, ignore=ignore, scripts="closed")
        self._raise_swallowed()
        return verdict

    def _judge(
        self,
        policy: Retry | None = None,
        *,
        breaker: object | None = None,
        only: Collection[str] = (),
        ignore: Collection[str] = (),
        scripts: str,
    ) -> Verdict:
        __tracebackhide__ = True
        trace = self.trace
        ignored = (*ignore, *self.options.expect)
        verdict = judge(trace, policy, only=only, ignore=ignored, scripts=scripts, breaker=breaker)
        if self.verdict is None or not only:
            self.verdict = verdict
        if not verdict.ok:
            self.shown = True
            raise LawsBroken(failure_text(trace, verdict), verdict)
        held = [
            one
            for one in (() if only else self.options.expect)
            if judge(trace, policy, only=(one,), scripts=scripts, breaker=breaker).ok
        ]
        if held:
            raise LawsBroken(f"{', '.join(held)} expected to be broken, but it is not: take it out of expect=", verdict)
        return verdict

    def raise_problems(self) -> None:
        """Raise what could not be simulated or went wrong in a handler, if anything did."""
        __tracebackhide__ = True
        if self._run.problems:
            raise self._run.problems[0]

    def _raise_swallowed(self) -> None:
        __tracebackhide__ = True
        for stop in self._swallowed():
            stop.add_note("The code under test swallowed this: catch `Exception`, not `BaseException`")
            raise stop

    def _swallowed(self) -> list[BaseException]:
        """List the ends of code without one that never reached the test function: who got them took no notice."""
        return [stop for stop in self._run.stops if not _has_reached(stop, self._test_code)]

    def begin_test(self) -> None:
        """Seed ``random`` for the test itself: other plugins reseed it right before the call."""
        self._run.entropy.seed()

    def follow(self, tell: Callable[[Attempt, str], None]) -> Callable[[], None]:
        """Let each attempt on ``loopback`` be told once it has ended, with the name of its operation."""
        return self._run.follow(tell)

    def note_end(self, error: BaseException) -> None:
        """Note how the test ended: a law asks whether the retry loop ended in an error of its own."""
        self._ended = tell_error(error)

    def finish(self, *, judge_all: bool = False) -> None:
        """Judge what a test that passed left over: a fault that never fired, or, if asked, every law."""
        __tracebackhide__ = True
        self.raise_problems()
        self._raise_swallowed()
        if (judge_all or self.options.expect) and not self._judged and self._recorder.sheets:
            self._run.settle()
            self._judge(scripts="all")
        else:
            self._judge(only=("NV01",), scripts="all")
        if self.service.unused_routes and self.options.strict:
            arrived = dict.fromkeys(
                f"{one.method} {one.host}{one.target}" for one in self._recorder.sheets if one.method
            )
            raise CannotTell(
                f"no request matched the route {self.service.unused_routes[0]!r}: its handler was never asked. "
                f"What arrived: {', '.join(list(arrived)[:5]) or 'nothing'}. "
                "Mend the route, take it out, or say strict=False where it may stay unused"
            )

    def failure_section(self) -> str:
        """Write what a test that failed has to show: the timeline, the laws broken beside, how to run it again."""
        trace = self.trace
        problems = [*self._run.problems, *self._swallowed()]
        if self.shown and not trace.notes and not problems:
            return ""
        lines = [] if self.shown else [timeline(trace)] if trace.attempts else ["  nothing was sent"]
        lines += [f"note   {note}" for note in trace.notes]
        if not self.shown and trace.attempts:
            broken = judge(trace, ignore=(*self.options.expect, "NV01")).broken
            lines += [f"beside {finding.headline}" for result in broken for finding in result.findings[:1]]
        lines += [f"beside {type(problem).__name__}: {problem}" for problem in problems]
        return "\n".join([*lines, f"again  {again(trace)}"])

    def left_section(self) -> str:
        """Name the threads that went on when the run had ended and failed nothing: daemons, or beside an error."""
        left = [one for one in self._run.left_running if self._ended is not None or not one.holds_up]
        return left_running(left) if left else ""

    def _showed_timeline(self) -> None:
        self.shown = True

    def _snapshot(self) -> tuple[Trace, int | None]:
        self._judged = True
        self.raise_problems()
        return self.trace, None


def _has_reached(error: BaseException, code: CodeType | None) -> bool:
    """Whether an error came as far as a function: its traceback has every frame that it went through."""
    return any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))


def _name_of(fn: Callable[..., object]) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)
