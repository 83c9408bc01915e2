"""Which requests may be sent again, and by which policy: what the adapters of all clients share.

Laws of this module:
1. Reads, PUT, DELETE and guarded writes may be sent again after any failure: doing them twice changes nothing.
2. So may a request that carries an idempotency key. The adapters add one to each other request, the same on all its
   attempts; the caller's own is kept.
3. Any other request is sent again only where the failure says that nothing was done (see `Kind`).
4. Where an attempt may have been carried out and the last answer says that nothing was done, the caller is told that
   the outcome is unknown, and not that answer.
5. A body that can be read only once is sent once, whatever the policy.
"""

from __future__ import annotations

from pytest_retrychaos.engine.answers import answer_in_result, status_in_result
from pytest_retrychaos.engine.classify import classify_answer
from pytest_retrychaos.engine.failures import Failure, failure_of_result, narrowed
from pytest_retrychaos.engine.retry import Retry
from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pytest_retrychaos.engine.attempt import Attempt
    from pytest_retrychaos.engine.events import GivingUp

KEY_HEADER = "Idempotency-Key"
"""draft-ietf-httpapi-idempotency-key-header, and Stripe, Adyen, Square and others before it."""

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} | {"PROPFIND", "REPORT", "SEARCH", "QUERY"})
"""Idempotent methods (RFC 9110, 9.2.2), and those that IANA's registry of HTTP methods has as safe."""

GUARDS = ("if-match", "if-none-match", "if-unmodified-since", "x-goog-if-generation-match")
"""Preconditions that a write which was carried out no longer meets (RFC 9110, 13.1; Google Cloud Storage)."""

_OWN_KEY, _SPENT_KEY = "_retrychaos_key", "_retrychaos_spent_key"
"""Attributes of a client's request: which key was added here, and which of them has led to a success."""

UNKNOWN = "the last answer was {status}, but an earlier attempt may have been carried out"

READ_ONCE = (
    "not retried: the body is a stream that can be read only once; give bytes, or a file that can seek, to have it "
    "sent again"
)


@value
class Resending:
    """How an adapter sends requests again: the caller's policy, and what is made of it."""

    policy: Retry
    careful: Retry
    """For requests that may not be carried out twice."""
    key_header: str | None

    def policy_for(self, method: str, headers: MutableMapping[str, str], *, can_resend: bool = True) -> Retry:
        """Give the policy for a request; ``headers`` are looked up in any case of their names."""
        policy = self.policy if self.is_repeatable(method, headers) else self.careful
        return policy if can_resend else _once(policy)

    def is_repeatable(self, method: str, headers: MutableMapping[str, str]) -> bool:
        """Tell whether a request may be carried out twice, once its key is added."""
        return (
            method.upper() in REPEATABLE
            or self.key_header is not None
            or KEY_HEADER in headers
            or any(guard in headers for guard in GUARDS)
        )

    def forget_key(self, request: object, headers: MutableMapping[str, str]) -> None:
        """Take out the key that was added when the same request object was sent before, and well: sending it again is
        another operation. One that has failed is sent again for the first one, by a retry layer outside or a login, and
        keeps its key; so does a copy, such as a client makes to follow a redirect.
        """
        if self.key_header is not None and getattr(request, _SPENT_KEY, None) == headers.get(self.key_header, ""):
            del headers[self.key_header]

    def add_key(self, request: object, method: str, headers: MutableMapping[str, str], attempt: Attempt) -> None:
        """Add the operation's key to a request that needs one and has none."""
        if self.key_header is None or method.upper() in REPEATABLE or self.key_header in headers:
            return
        if not any(guard in headers for guard in GUARDS):
            self.give_key(request, headers, attempt.idempotency_key)

    def give_key(self, request: object, headers: MutableMapping[str, str], key: str) -> None:
        """Add a key, and take note that it is not the caller's."""
        if self.key_header is not None:
            headers[self.key_header] = key
            setattr(request, _OWN_KEY, key)

    def own_key(self, request: object) -> str | None:
        """Tell the key that was added to a request."""
        return getattr(request, _OWN_KEY, None)

    def spend_key(self, request: object, response: object) -> None:
        """Take note of a success: the key that was added has done its work."""
        own = self.own_key(request)
        if own is not None and (status_in_result(response) or 500) < 400:
            setattr(request, _SPENT_KEY, own)

    def is_unknown(self, method: str, headers: MutableMapping[str, str], attempt: Attempt, response: object) -> bool:
        """Tell whether an answer says that nothing was done, though an earlier attempt may have done it.

        To hand it over would tell the caller to try again, as another operation.
        """
        if not attempt.may_be_done or method.upper() in REPEATABLE or any(guard in headers for guard in GUARDS):
            return False
        answer = answer_in_result(response)
        return answer is not None and classify_answer(answer).did_nothing

    def is_failure(self, response: object) -> bool:
        """Tell whether the policy takes an answer for a failure, so that its body is to be read at once.

        A judge of the policy's own (``on=``) is asked here, and once more when the attempt has ended.
        """
        return failure_of_result(response, self.policy.on) is not None


def resending(policy: object, key_header: object) -> Resending:
    """Check an adapter's arguments."""
    if not isinstance(policy, Retry):
        raise TypeError(f"retry={policy!r}: it has to be a policy, such as Retry(attempts=5)")
    if key_header is not None and (not isinstance(key_header, str) or not key_header.strip()):
        raise TypeError(
            f"key_header={key_header!r}: it has to be the name of a header; None sends no key, and retries unsafe "
            "requests only where nothing was done"
        )
    return Resending(policy, policy.__replace__(on=narrowed(policy.on, _did_nothing)), key_header)


def within(seconds: float | None, attempt: Attempt, *, share: float = 1.0) -> float | None:
    """Cut one of a client's time limits to what is left of the policy's, or a share of it; ``None`` is no limit."""
    remaining = attempt.remaining
    if remaining is None:
        return seconds
    left = remaining * share
    return attempt.within(left if seconds is None else min(left, seconds))


def _did_nothing(failure: Failure, _: object) -> bool:
    return failure.kind is not None and failure.kind.did_nothing


def _once(policy: Retry) -> Retry:
    """Make the policy that tries once and says why."""
    told = policy.giving_up

    def say(event: GivingUp) -> None:
        if event.reason == "attempts" and policy.attempts > 1 and isinstance(event.outcome, Exception):
            event.outcome.add_note(READ_ONCE)
        if told is not None:
            told(event)

    return policy.__replace__(attempts=1, giving_up=say)
