"""RT03: attempts stay within the maximum, and none is made that the policy does not make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import LOGIN, TOLERANCE_NS, is_unsafe
from pytest_retrychaos.laws.lookback import two_operations
from pytest_retrychaos.laws.retry import in_words
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, Retry, View
from pytest_retrychaos.laws.words import counted, seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt

MOST_ATTEMPTS: Final = 25
LEAST_MEAN_GAP_NS: Final = SECOND
"""More attempts than that are too many if the request is unsafe, or they come faster than one a second."""


def rt03(view: View, terms: Terms) -> LawResult:
    """Judge that attempts stay within the maximum.

    - Without a policy: broken by more than 25 attempts, if the request is unsafe or they come faster than one a second.
      A loop that does not end is stopped at 2 000 attempts by an error that `except Exception` does not catch.
    - With a policy: broken by more attempts than the policy has, or by one after a failure that the policy does not
      retry (of urllib3 that can be read). A login that is let in (other credentials after 401, 403 or 407) is none of
      the policy's attempts.
    - Why: What nobody counts, nobody stops; and two retry layers inside each other multiply.
    - Fix: Give the loop a maximum, and keep one retry layer.
    """
    tally = Tally("RT03")
    for operation in view.operations:
        tries = operation.tries
        if len(tries) < 2:
            continue
        most, why = MOST_ATTEMPTS, _why_too_many(operation)
        excess = len(tries) > most and bool(why)
        if terms.policy is not None and terms.policy.attempts is not None:
            most = terms.policy.attempts
            why = f"the policy allows {counted(most, 'attempt')}; what nobody counts, nobody stops"
            tries = _without_logins(operation)
            excess = len(tries) > most
        against = None if excess or terms.policy is None else _against(operation, terms.policy)
        if against is not None:
            tally.accuse(_sent_against(operation, against))
            continue
        if not excess:
            tally.hold()
            continue
        tally.accuse(
            finding(
                "RT03",
                f"too many attempts: {operation.request} was sent {counted(len(tries), 'time')},"
                f" at most {most} {'is' if most == 1 else 'are'} right",
                operation=operation.index,
                marks=[(tries[most].index, f"attempt {most + 1}")],
                why=why,
                fix="give the loop a maximum, and keep one retry layer, not two inside each other",
            )
        )
    return tally.result(noun="operation", did="stayed within the maximum", otherwise="nothing was retried")


def _without_logins(operation: OperationView) -> tuple[Attempt, ...]:
    """Leave out what an authentication sent, inside of one attempt of the policy: a digest, a refreshed token."""
    let_in = {r.attempt.index for r in operation.retries if r.is_login and r.attempt.status not in LOGIN}
    return tuple(attempt for attempt in operation.tries if attempt.index not in let_in)


def _against(operation: OperationView, policy: Policy) -> Retry | None:
    """Find the first retry after a failure that the policy does not retry."""
    places = {end.attempt.index: place for place, end in enumerate(operation.ends)}
    for retry in operation.retries[:MOST_ATTEMPTS]:
        until = places[retry.before.attempt.index] + 1
        if not (retry.is_login or retry.is_failover) and policy.goes_on(operation.ends[:until]) is False:
            return retry
    return None


def _sent_against(operation: OperationView, retry: Retry) -> Finding:
    return finding(
        "RT03",
        f"too many attempts: {operation.request} was sent again after {in_words(retry.before)},"
        " which the policy does not retry",
        operation=operation.index,
        marks=[(retry.attempt.index, "against the policy")],
        why="another layer retries too, or the client has another policy than the one that is claimed",
        fix="keep one retry layer, and give the client the policy that is claimed",
        hint=two_operations(operation, retry),
    )


def _why_too_many(operation: OperationView) -> str:
    tries = operation.tries
    if any(is_unsafe(attempt) for attempt in tries):
        return "each sending of an unsafe request is one more chance to carry it out twice"
    mean_ns = (tries[-1].began_ns - tries[0].began_ns) // (len(tries) - 1)
    if mean_ns < LEAST_MEAN_GAP_NS - TOLERANCE_NS:
        return f"they came every {seconds(mean_ns)} on average: a service that is down is kept down"
    return ""
