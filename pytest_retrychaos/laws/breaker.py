"""CB01 to CB04: a circuit breaker judged from the wire, whatever library it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.circuit import NOT_OPENED, Circuit, Slip, walk
from pytest_retrychaos.laws.ends import request_of
from pytest_retrychaos.laws.guarded import COUNTS, PER, circuits
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted, seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy, Per
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import View

NO_BREAKER: Final = "no breaker was given: chaos.verify(breaker=BreakerPolicy(threshold=5, cooldown=30))"


def cb01(view: View, terms: Terms) -> LawResult:
    """Judge that the breaker opens at its threshold, no later and no earlier.

    - *late*: after the threshold was reached by sure failures, another call was sent within the cooldown. *early*: a
      call was turned away by a breaker's error, with fewer failures in a row than the threshold. By a failure rate: as
      soon as the window holds enough calls.
    - Does not apply where nothing was tried once it should have been open; where the call that was sent may have been
      let through before (it runs in another thread or task and began at that very moment); where a call was turned away
      before any had failed: then the breaker is older than the test.
    - Nor where a deadline may have ended the calls (`asyncio.timeout`, `trio.fail_after`): around the breaker it is no
      failure to it. The client's own time limit ended a call where another one was told so by the client's error after
      the same time, and none of that length was told otherwise.
    - Nor does *early* where a success took a second or longer: some breakers count slow calls as failures.
    - Counted neither for nor against it: the end of a call that began before the circuit last closed. The window of a
      rate may be exact or counted in tenths: *late* and *early* are what is wrong in both.
    - Why: A service that is down is asked on and on, and every caller waits until that has failed.
    - Fix: Let the breaker see every failure: a 503 that is returned, and not raised, is a success to most of them.
    """
    policy = terms.breaker
    otherwise = "the failure rate was not reached"
    if policy is not None and policy.threshold is not None:
        otherwise = f"no circuit met {counted(policy.threshold, 'failure')} in a row"
    return _judge("CB01", view, terms, noun="circuit", did="opened at the threshold", otherwise=otherwise)


def cb02(view: View, terms: Terms) -> LawResult:
    """Judge that nothing reaches the service while the breaker is open.

    - Broken by a call that was sent within the cooldown after another had been turned away.
    - Why: The service gets no rest, and who has to be told at once waits instead.
    - Fix: Ask the breaker before every request, and keep one breaker for all who call the service.
    """
    otherwise = "no call was seen to be turned away: call the code by chaos.call while the circuit is open"
    return _judge("CB02", view, terms, noun="call", did="met an open circuit and sent nothing", otherwise=otherwise)


def cb03(view: View, terms: Terms) -> LawResult:
    """Judge that a half-open breaker lets one probe through at a time.

    - *two-probes*: after the cooldown a call was sent while the first one had not ended. *no-probe*: a call was turned
      away after the cooldown though none was under way. A probe that takes longer than the policy's `probe_timeout` (as
      long as the cooldown, unless given) leaves its place.
    - Does not apply where nothing was tried while the probe was under way: call side by side, and let the probe take
      time (`slow=2s`). Nor does *no-probe* where the call that was turned away had begun before the cooldown was over:
      when it asked its breaker was not seen.
    - Why: When the cooldown is over all callers come at once, and knock down what was about to recover.
    - Fix: Let one call through when half open, and turn the others away until it has ended.
    """
    otherwise = "nothing was tried while a probe was under way: call side by side, and let the probe take time"
    return _judge("CB03", view, terms, noun="call", did="sent nothing beside a probe", otherwise=otherwise)


def cb04(view: View, terms: Terms) -> LawResult:
    """Judge that the breaker closes after a successful probe and opens again after a failed one.

    - *stays-closed*: a call was sent within a cooldown after a failed probe. *stays-open*: a call was turned away right
      after a probe had succeeded.
    - Does not apply after a probe that ended in a 4xx or was closed by the client: it may tell the breaker anything.
      Nor does *stays-open* after a probe of a second or longer: it may be a slow call, and a failure; nor where the
      call that was turned away had begun before the probe had ended.
    - Why: One failed probe shows that the service is still down; one that succeeds, that it is back.
    - Fix: Open for a whole cooldown when the probe fails, whatever the threshold; close and forget when it succeeds.
    """
    otherwise = "nothing was tried after a probe: advance the clock by the cooldown, and call twice"
    return _judge("CB04", view, terms, noun="probe", did="decided what came after it", otherwise=otherwise)


def _judge(code: str, view: View, terms: Terms, *, noun: str, did: str, otherwise: str) -> LawResult:
    tally = Tally(code)
    if terms.breaker is None:
        return tally.result(noun="", did="", otherwise=NO_BREAKER)
    for circuit in _walked(view, terms.breaker):
        tally.held += circuit.held[code]
        slip = circuit.slip
        if slip is not None and slip.shape.startswith(code) and terms.breaker.by_hand:
            tally.pass_over(BY_HAND)
        elif slip is not None and slip.shape.startswith(code):
            tally.accuse(_told(slip, terms.breaker))
        elif code in circuit.unclear:
            tally.pass_over(circuit.unclear[code])
    return tally.result(noun=noun, did=did, otherwise=otherwise)


def _walked(view: View, policy: BreakerPolicy) -> list[Circuit]:
    """Walk every circuit, once for all laws, in the reading that explains most."""
    if policy not in view.memo:
        readings = PER if policy.per is None else (policy.per,)
        view.memo[policy] = max((_read(view, policy, per) for per in readings), key=_merit)
    found: list[Circuit] = view.memo[policy]
    return found


def _read(view: View, policy: BreakerPolicy, per: Per) -> list[Circuit]:
    tolerance_ns = view.trace.resolution_ns
    read = [circuits(view, per, counts) for counts in COUNTS]
    return [
        max((walk(one[key], policy, tolerance_ns=tolerance_ns) for one in read), key=lambda circuit: _merit([circuit]))
        for key in read[0]
    ]


def _merit(read: list[Circuit]) -> tuple[int, int, int]:
    """Rank a reading by how few slips it has, how late they come, and how much was held."""
    slipped = [circuit.explained for circuit in read if circuit.slip is not None]
    return -len(slipped), sum(slipped), sum(circuit.held.total() for circuit in read)


def _told(slip: Slip, policy: BreakerPolicy) -> Finding:
    headline, why, fix, _ = WORDS[slip.shape]
    return finding(
        slip.shape,
        headline.format(**_figures(slip, policy)),
        operation=None,
        marks=_marks(slip),
        why=why,
        fix=fix,
        hint=_hint(slip, policy),
    )


def _hint(slip: Slip, policy: BreakerPolicy) -> str | None:
    hint = WORDS[slip.shape][3]
    if hint is None or (hint is MORE and slip.refusal is not None and slip.refusal.is_alone):
        return None  # a half-open circuit lets a call through that is alone, however many successes it wants
    return hint.format(more=policy.successes + 1)


def _figures(slip: Slip, policy: BreakerPolicy) -> dict[str, str]:
    at_ns = slip.refusal.at_ns if slip.refusal is not None else 0
    if slip.call is not None and slip.refusal is None:
        at_ns = slip.call.first.began_ns
    since_ns = 0 if slip.opening is None else at_ns - slip.opening.earliest_ns
    threshold = "" if policy.threshold is None else counted(policy.threshold, "failure")
    return {
        "request": "" if slip.call is None else request_of(slip.call.first),
        "name": "" if slip.refusal is None else slip.refusal.scope.name,
        "since": seconds(since_ns),
        "cooldown": _cooldown(policy),
        "failures": counted(slip.failures, "failure"),
        "limit": f"{threshold} in a row" if threshold else f"a failure rate of {policy.failure_rate:g}",
        "probe": "" if slip.probe is None else f"#{slip.probe.first.index}",
    }


def _cooldown(policy: BreakerPolicy) -> str:
    shortest, longest = (seconds(round(one * SECOND)) for one in (policy.shortest, policy.longest))
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _marks(slip: Slip) -> list[tuple[int, str]]:
    marks: list[tuple[int, str]] = []
    opening = slip.opening
    if opening is not None and opening.by is not None:
        word = "the circuit is open from here on" if opening.cause != "probe" else "the failed probe: open again"
        if slip.shape in NOT_OPENED.values():
            word = "the circuit has to open" if opening.cause != "probe" else "the failed probe: it has to open again"
        marks.append((opening.by.last.index, word))
    if slip.probe is not None:
        marks.append((slip.probe.last.index, "the probe"))
    if slip.refusal is None and slip.call is not None:
        marks.append((slip.call.first.index, "sent all the same"))
    elif slip.refusal is not None and slip.refusal.after > 0:
        marks.append((slip.refusal.after, "the next call was turned away"))
    return marks


OUTLIVES: Final = (
    "does it outlive its test, and bring its count along? make a new one for each; "
    "if it closes only after more successes: BreakerPolicy(successes={more})"
)
MANY: Final = "has each tenant or client one of its own, or this request none? BreakerPolicy(per=lambda attempt: …)"
GROWS: Final = "does its cooldown grow with each failed probe? BreakerPolicy(cooldown=(least, most))"
MORE: Final = "does it close only after more successes? BreakerPolicy(successes={more})"
RESET: Final = "was it reset by hand? BreakerPolicy(by_hand=True)"
BY_HAND: Final = "the breaker was tripped or reset by hand, which is right at any time: judge it in a test without that"

WORDS: Final[dict[str, tuple[str, str, str, str | None]]] = {
    "CB01/late": (
        "the breaker did not open in time: {request} was sent after {limit}",
        "a service that is down is asked on and on, and every caller waits until that has failed",
        "let the breaker see every failure: an answer of 500 that is returned and not raised is none to it",
        MANY,
    ),
    "CB01/early": (
        "the breaker opened too early: {name} was turned away after {failures}, it opens at {limit}",
        "callers are cut off from a service that works",
        "count as the breaker is meant to: failures in a row, forgotten after each success",
        OUTLIVES,
    ),
    "CB02": (
        "traffic while open: {request} was sent {since} after the circuit had opened, its cooldown is {cooldown}",
        "the service gets no rest, and who has to be told at once waits instead",
        "ask the breaker before every request, and keep one breaker for all who call the service",
        RESET,
    ),
    "CB03/two-probes": (
        "two probes: {request} was sent while the probe {probe} was under way",
        "when the cooldown is over all callers come at once: what was about to recover is knocked down again",
        "let one call through when half open, and turn the others away until it has ended",
        None,
    ),
    "CB03/no-probe": (
        "no probe: {name} was turned away {since} after the circuit had opened, its cooldown is {cooldown}",
        "nobody finds out that the service is back",
        "let the first call after the cooldown through; a probe that is cancelled has to give its place back",
        GROWS,
    ),
    "CB04/stays-closed": (
        "not opened again: {request} was sent {since} after the probe had failed, the cooldown is {cooldown}",
        "one failed probe shows that the service is still down: it is asked on and on",
        "open for a whole cooldown when the probe fails, whatever the threshold",
        RESET,
    ),
    "CB04/stays-open": (
        "not closed again: {name} was turned away although the probe {probe} had succeeded",
        "callers are cut off from a service that works",
        "close the circuit, and forget its failures, when the probe succeeds",
        MORE,
    ),
}
"""Headline, why, fix and what would settle it, of every shape."""
