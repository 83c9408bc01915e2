"""A breaker's promise held against what happened at one circuit: a machine fed by its events, in order.

Laws of this module:
1. Only what cannot be right is a slip, and the first one ends the judgement: what follows it says nothing new.
2. `MACHINE` is the whole machine: what each event means in each state.
3. Between what surely counts as a failure and what may count, the breaker has the choice.
4. A call that may have been let through before the circuit opened is none that came after.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_retrychaos.laws.guarded import Call, Event, Refusal, Sign
from pytest_retrychaos.laws.tries import Tries
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy

SAME_MOMENT: Final = (
    "a call in another thread or task began when the circuit opened: before or after? let the failures take time, by a"
    " timeout or slow=1s"
)
SLOW: Final = "a success took a second or longer, and some breakers take a slow call for a failure"
UNSEEN: Final = (
    "nothing was tried while the circuit should have been open: call the code by chaos.call within the cooldown"
)
SOONER: Final = "a call that was turned away had begun sooner, and when it asked its breaker was not seen"
UNNAMED: Final = (
    "a call sent nothing once the cooldown was over, and nothing says that it was a breaker that stopped it: let its"
    " error have circuit or breaker in its name"
)


class State(enum.Enum):
    """What is known of a circuit."""

    CLOSED = "closed"
    """Or not known to be open: see `Tries.may_have_opened`."""
    OPEN = "open"
    PROBING = "probing"
    BETWEEN = "between probes"
    """One has succeeded, and the circuit closes only after more."""


class Opening(NamedTuple):
    """When and by what a circuit opened."""

    cause: str
    """``threshold``, ``probe`` (a failed one), or ``evidence``: it turned calls away, and may have been right."""
    by: Call | None
    earliest_ns: int
    latest_ns: int
    """A call that ended after that may have begun the cooldown anew."""
    beside: tuple[Call, ...] = ()
    """What each lineage ended last at the same moment: any of them may have been the very last."""


class Slip(NamedTuple):
    """The one thing that a right breaker does not do."""

    shape: str
    opening: Opening | None = None
    call: Call | None = None
    refusal: Refusal | None = None
    failures: int = 0
    """How many failures in a row there had been, at most."""
    probe: Call | None = None


class Circuit:
    """One circuit while its events are gone through."""

    def __init__(self, policy: BreakerPolicy, tolerance_ns: int) -> None:
        self._policy = policy
        self._tolerance_ns = tolerance_ns
        self._shortest_ns, self._longest_ns = round(policy.shortest * SECOND), round(policy.longest * SECOND)
        self.state = State.CLOSED
        self.tries = Tries(policy)
        self.opening: Opening | None = None
        self.slip: Slip | None = None
        self.explained = 0
        """How many events there were before the slip."""
        self.held: Counter[str] = Counter()
        self.unclear: dict[str, str] = {}
        self._probe: Call | None = None
        self._succeeded = 0
        """How many probes in a row have."""
        self._was_tried = False
        """Something was turned away since the circuit opened."""
        self._has_recovered = False
        """A probe closed it, and nothing has been tried or has failed since."""
        self._last_begun: Call | None = None
        self._under_way = 0
        self._early: list[Refusal] = []
        """Turned away when a probe was due: perhaps beside one that had sent nothing yet."""
        self._doubted_ns = -1
        self._closed_by: Call | None = None
        """The probe that closed it, or whose end may have; what began before that may count no more."""

    def take(self, event: Event) -> None:
        """Go through one more event."""
        if self.slip is None:
            MACHINE[self.state][event.kind](self, event)
        self.explained += self.slip is None
        if event.kind == "begin":
            self._last_begun = event.call
        self._under_way += (event.kind == "begin") - (event.kind == "end")

    # closed

    def _begins_while_closed(self, event: Event) -> None:
        if self._under_way or not _call(event).is_alone:
            self.tries.is_crowded = True
        if self._has_recovered:
            self.held["CB04"] += 1
            self._has_recovered = False

    def _ends_while_closed(self, event: Event) -> None:
        call = _call(event)
        if self.tries.is_in_doubt and call.sign is Sign.HEALTHY and call.admitted_ns >= self._doubted_ns:
            self.tries.clear()
        self._has_recovered = False
        may_be_open = self.tries.may_have_opened
        self.tries.add(call._replace(sign=Sign.UNCLEAR) if self._is_older(call) else call)
        if self.tries.has_opened:
            ended = call.ended_ns or 0
            # It may have opened already, but not before the last call was let through.
            since = self._last_begun.admitted_ns if may_be_open and self._last_begun is not None else ended
            self._open(Opening("threshold", call, min(since, ended), ended, tuple(self.tries.at_once.values())))

    def _is_older(self, call: Call) -> bool:
        """Whether a call may have begun before the circuit closed, or opened: a late answer tells nothing of what came
        since."""
        last = self.tries.last if call.sign is Sign.HEALTHY and self.tries.may_have_opened else None
        return any(
            since is not None and call.admitted_ns <= (since.ended_ns or 0) and not call.is_sequel_to(since)
            for since in (self._closed_by, last)
        )

    def _refused_while_closed(self, event: Event) -> None:
        refusal = _refusal(event)
        if not refusal.says_so:
            if self.tries.possible and not self.tries.may_have_opened:
                self._pass_over("CB01", "a call sent nothing, and nothing says that it was a breaker that stopped it")
            self.tries.add_unseen(refusal.at_ns)
        elif self.tries.is_in_doubt and refusal.at_ns == self._doubted_ns:
            return  # before or after what closed it, perhaps? At one moment nobody can say.
        elif self.tries.may_have_opened:
            self._is_open_by(refusal)
            self._was_tried = event.kind == "refused"
        elif self.tries.possible and (self.tries.is_crowded or not (refusal.is_alone and refusal.is_prompt)):
            self._pass_over("CB01", "a call that failed before it was sent, as in a full pool, may have counted")
            self._is_open_by(refusal)
        elif self.tries.possible and self.tries.has_slow:
            self._pass_over("CB01", SLOW)
            self._is_open_by(refusal)
        elif self.tries.possible:
            self.slip = Slip("CB01/early", refusal=refusal, call=self.tries.last, failures=self.tries.possible)
        elif self._has_recovered and self._probe is not None and refusal.came_beside(self._probe):
            self.held["CB03"] += 1
        elif self._has_recovered and self._probe is not None and self._probe.is_slow:
            self._pass_over("CB04", SLOW)
            self._is_open_by(refusal)
        elif self._has_recovered and self._probe is not None and refusal.since_ns < (self._probe.ended_ns or 0):
            self._pass_over("CB04", SOONER)
        elif self._has_recovered:
            self.slip = Slip("CB04/stays-open", self.opening, refusal=refusal, probe=self._probe)
        else:
            self._pass_over("CB01", "a call was turned away before any had failed: the breaker is older than the run")

    def _is_open_by(self, refusal: Refusal) -> None:
        begun, ended = self._last_begun, self.tries.last
        earliest = refusal.at_ns if begun is None else begun.admitted_ns
        if self.tries.is_in_doubt and self.opening is not None:
            earliest = self.opening.earliest_ns
        latest = refusal.at_ns if ended is None or ended.ended_ns is None else ended.ended_ns
        self._open(Opening("evidence", ended, earliest, latest))

    # open

    def _open(self, opening: Opening) -> None:
        self.state = State.OPEN
        self.opening = opening
        self.tries.clear()
        self._probe = None
        self._succeeded = 0
        self._was_tried = self._has_recovered = False

    def _begins_while_open(self, event: Event) -> None:
        call, opening = _call(event), self._opened()
        if call.first.began_ns >= opening.earliest_ns + self._shortest_ns - self._tolerance_ns:
            if not self._was_tried and opening.cause == "threshold":
                self._pass_over("CB01", UNSEEN)
            self._begin_probe(call)
        elif not self._came_after(call, opening):
            self._pass_over("CB01" if opening.cause == "threshold" else "CB04", SAME_MOMENT)
            self._pass_over("CB02", SAME_MOMENT)
        else:
            shape = "CB02" if self._was_tried else NOT_OPENED.get(opening.cause, "CB02")
            self.slip = Slip(shape, opening, call)

    def _came_after(self, call: Call, opening: Opening) -> bool:
        """Whether a call was surely let through after the circuit had opened."""
        if opening.by is None or call.admitted_ns > opening.latest_ns:
            return True
        return call.admitted_ns >= opening.latest_ns and all(map(call.is_sequel_to, (opening.by, *opening.beside)))

    def _ends_while_open(self, event: Event) -> None:
        """Take the end of a call that had begun before the circuit opened."""
        call, opening = _call(event), self._opened()
        if call.sign is Sign.FAILED:
            self.opening = opening._replace(latest_ns=call.ended_ns or opening.latest_ns)
        else:
            self._doubt(call)

    def _refused_while_open(self, event: Event) -> None:
        refusal, opening = _refusal(event), self._opened()
        due_ns = opening.latest_ns + self._longest_ns + self._tolerance_ns
        if refusal.at_ns <= due_ns:
            self._hold_open(opening)
            self.held["CB02"] += 1
        elif refusal.says_so and refusal.is_alone and refusal.since_ns > due_ns:
            self.slip = Slip("CB03/no-probe", opening, refusal=refusal)
        else:
            self._early.append(refusal)

    def _tripped_while_open(self, event: Event) -> None:  # noqa: ARG002 - every event is taken the same way
        self._hold_open(self._opened())

    def _hold_open(self, opening: Opening) -> None:
        if not self._was_tried and opening.cause in NOT_OPENED:
            self.held[NOT_OPENED[opening.cause].partition("/")[0]] += 1
        self._was_tried = True

    # half open

    def _begin_probe(self, call: Call) -> None:
        self.state = State.PROBING
        self._probe = call
        self.held["CB03"] += sum(refusal.came_beside(call) for refusal in self._early)
        self._early.clear()

    def _begins_while_probing(self, event: Event) -> None:
        call, probe = _call(event), self._probing()
        began_ns = call.first.began_ns
        longest = self._policy.probe_timeout
        if call.first.operation == probe.first.operation:  # a hedge is part of its call
            return
        if longest is not None and began_ns >= probe.first.began_ns + longest * SECOND - self._tolerance_ns:
            self._begin_probe(call)
        elif self._came_after(call, self._opened()):
            self.slip = Slip("CB03/two-probes", self.opening, call, probe=probe)
        else:
            self._pass_over("CB03", "a call that was sent beside the probe may have been let through before it opened")

    def _ends_while_probing(self, event: Event) -> None:
        call, probe = _call(event), self._probing()
        if call.first.index != probe.first.index:
            self._doubt(call)
        elif call.sign is Sign.FAILED:
            self._open(Opening("probe", call, call.ended_ns or 0, call.ended_ns or 0))
        elif call.sign is Sign.UNCLEAR:
            self._doubt(call)
        else:
            self._succeeded += 1
            is_enough = self._has_recovered = self._succeeded >= self._policy.successes
            self.state = State.CLOSED if is_enough else State.BETWEEN
            self._closed_by = call

    def _refused_while_probing(self, event: Event) -> None:  # noqa: ARG002 - every event is taken the same way
        self.held["CB03"] += 1

    # between probes

    def _begins_between_probes(self, event: Event) -> None:
        self._begin_probe(_call(event))

    def _ends_between_probes(self, event: Event) -> None:
        """Take the end of a call that had begun before the circuit opened."""
        self._doubt(_call(event))

    def _refused_between_probes(self, event: Event) -> None:
        refusal, probe = _refusal(event), self._probing()
        if refusal.came_beside(probe):
            self.held["CB03"] += 1
        elif probe.is_slow:
            self._doubt(probe)
        elif refusal.says_so and refusal.is_alone and refusal.since_ns >= (probe.ended_ns or 0):
            self.slip = Slip("CB04/stays-open", self.opening, refusal=refusal, probe=probe)

    # any state

    def _doubt(self, call: Call) -> None:
        """Go on without knowing whether the circuit is open."""
        self.state = State.CLOSED
        self.tries.doubt()
        self._has_recovered = False
        self._doubted_ns = call.ended_ns or 0
        self._closed_by = call
        for code in ("CB02", "CB04"):
            self._pass_over(code, "a call ended of which only the breaker knows whether it closed the circuit")

    def _ignore(self, event: Event) -> None:
        """Take no notice."""

    def _pass_over(self, code: str, reason: str) -> None:
        self.unclear.setdefault(code, reason)

    def _opened(self) -> Opening:
        assert self.opening is not None
        return self.opening

    def _probing(self) -> Call:
        assert self._probe is not None
        return self._probe

    def finish(self) -> None:
        """Say what was not put to the test."""
        opening = self.opening
        if self.state is State.OPEN and opening is not None and not self._was_tried and self.slip is None:
            self._pass_over("CB01" if opening.cause == "threshold" else "CB04", UNSEEN)
        for refusal in self._early:
            if refusal.is_alone:
                self._pass_over("CB03", SOONER if refusal.says_so else UNNAMED)


NOT_OPENED: Final = {"threshold": "CB01/late", "probe": "CB04/stays-closed"}
"""What it is that the first call is sent after a circuit should have opened."""

MACHINE: Final[dict[State, dict[str, Callable[[Circuit, Event], None]]]] = {
    State.CLOSED: {
        "begin": Circuit._begins_while_closed,
        "end": Circuit._ends_while_closed,
        "refused": Circuit._refused_while_closed,
        "tripped": Circuit._refused_while_closed,
    },
    State.OPEN: {
        "begin": Circuit._begins_while_open,
        "end": Circuit._ends_while_open,
        "refused": Circuit._refused_while_open,
        "tripped": Circuit._tripped_while_open,
    },
    State.PROBING: {
        "begin": Circuit._begins_while_probing,
        "end": Circuit._ends_while_probing,
        "refused": Circuit._refused_while_probing,
        "tripped": Circuit._ignore,
    },
    State.BETWEEN: {
        "begin": Circuit._begins_between_probes,
        "end": Circuit._ends_between_probes,
        "refused": Circuit._refused_between_probes,
        "tripped": Circuit._ignore,
    },
}


def walk(events: list[Event], policy: BreakerPolicy, *, tolerance_ns: int) -> Circuit:
    """Hold a breaker's promise against what happened at one circuit."""
    circuit = Circuit(policy, tolerance_ns)
    for event in events:
        circuit.take(event)
    circuit.finish()
    return circuit


def _call(event: Event) -> Call:
    assert event.call is not None
    return event.call


def _refusal(event: Event) -> Refusal:
    assert event.refusal is not None
    return event.refusal
