"""RT04: a retry is the same request."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_retrychaos.laws.ends import CONTENT_FIELDS, LOGIN, SAME_REQUEST, UNSUPPORTED, path_of
from pytest_retrychaos.laws.headers import SIGNING_FIELDS, SIGNING_SCHEMES, may_differ
from pytest_retrychaos.laws.lookback import LOOK_AHEAD
from pytest_retrychaos.laws.respelled import is_respelled
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, View
from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.volatile import is_credential, is_signed_token

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import LawResult
    from pytest_retrychaos.trace import Attempt

Difference = tuple[str, str]
"""The shape's second half, and what differs in words."""

FIXES = {
    "method": "keep the method: repeat the request as it was, or follow 307 and 308 with the method they came to",
    "path": "build the address once, outside the retry loop",
    "body": "keep the body as bytes, or rewind the stream before every attempt",
    "headers": "build the headers once, outside the retry loop, and send them on every attempt",
    "credentials": "send the same credentials on every attempt; change them after 401, 403 or 407 only",
    "key": "send the idempotency key on every leg of a redirect too",
}
MINTED = 'a token made for each attempt? chaos.verify(ignore=("RT04/credentials",))'


def rt04(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a retry is the same request: method, path, body, and headers but for those that must change.

    - Method, path, query, body and headers are compared with the first attempt; after a 307 or 308 method, body and key
      with the request that it answered.
    - Headers may differ that name the attempt, the time, the trace or the connection, or sign the request: by a list,
      and by words in their names (`date`, `timestamp`, `timeout`, `signature`, `retry`, `nonce` …); after 415 those
      that say how the body is packed, and what it is.
    - Credentials may differ after 401, 403 and 407, where the scheme signs each request, where both are signed tokens
      (JWT), and where another request came in between, which may have fetched a token. They may be left out where the
      service then asks for them and is given them (Kerberos, NTLM, a hook that logs in).
    - The body may differ in fields such as a nonce or a timestamp, in the order of JSON fields and the space between
      them. A JSON value spelled otherwise is another body: `10` as `10.0`, `true` as `1`.
    - Why: A retry asks for the same thing once more. The usual case is a file or a generator: read by the first
      attempt, empty for the second.
    - Fix: Keep the body as bytes, or rewind it before each attempt. Build address and headers once, outside the loop.
    """
    tally = Tally("RT04")
    for operation in view.operations:
        if len(operation.attempts) < 2:
            continue
        compared = False
        for place, attempt in enumerate(operation.attempts[1:], start=1):
            before = _counterpart(operation, place)
            if before is None:
                continue
            compared = True
            if _is_plainly_equal(before, attempt):
                continue
            difference = _difference(operation, before, attempt)
            if difference is not None and not (difference[0] == "credentials" and _is_challenged(view, attempt)):
                _accuse(tally, operation, attempt, difference)
                break
        else:
            if compared:
                tally.hold()
    return tally.result(noun="operation", did="repeated the same request", otherwise="no request was sent twice")


def _counterpart(operation: OperationView, place: int) -> Attempt | None:
    """Which earlier attempt this one has to equal: the first, for a leg the one that led to it."""
    attempt = operation.attempts[place]
    if not attempt.was_sent:
        return None
    if attempt.joined == "leg":
        before = operation.attempts[place - 1]
        return before if before.status in SAME_REQUEST else None
    first = operation.attempts[0]
    if first.target == attempt.target and first.method == attempt.method:
        return first
    earlier = [other for other in operation.attempts[:place] if other.was_sent]
    same = [o for o in earlier if o.method == attempt.method and path_of(o) == path_of(attempt)]
    return next(iter(same or earlier), None)


def _is_plainly_equal(before: Attempt, attempt: Attempt) -> bool:
    return (
        attempt.joined != "leg"
        and (attempt.body_relation == "same" or not _is_other_body(before, attempt))
        and before.target == attempt.target
        and before.method == attempt.method
        and before.headers.pairs == attempt.headers.pairs
    )


def _difference(operation: OperationView, before: Attempt, attempt: Attempt) -> Difference | None:
    if before.method != attempt.method:
        return "method", f"{attempt.method} instead of {before.method}"
    if attempt.joined == "leg":
        if before.body.sha256 != attempt.body.sha256:
            return "body", _body(before, attempt)
        return ("key", "another idempotency key") if before.key != attempt.key else None
    if path_of(before) != path_of(attempt):  # queries are compared when attempts are joined, volatile fields aside
        return "path", "another path"
    if _is_other_body(before, attempt):
        return "body", _body(before, attempt)
    return _header_difference(operation, before, attempt)


def _blanked(text: str, attempt: Attempt) -> str:
    """Take out what may differ on every attempt."""
    values = {value for value in (*attempt.volatile, attempt.key, attempt.credentials) if value}
    for value in sorted(values, key=lambda value: (-len(value), value)):
        text = text.replace(value, "*")
    return text


def _is_other_body(before: Attempt, attempt: Attempt) -> bool:
    """Whether more differs than volatile fields; the digests leave those out."""
    if attempt.body_relation == "volatile":
        return is_respelled(before, attempt)
    return attempt.body_relation in ("rest", "different", "first") and before.body.sha256 != attempt.body.sha256


def _body(before: Attempt, attempt: Attempt) -> str:
    if attempt.body_relation == "volatile":
        return "a value of its body spelled otherwise"
    if attempt.body.size < before.body.size:
        return f"{attempt.body.size} of {counted(before.body.size, 'byte')} of its body"
    return "another body"


def _header_difference(operation: OperationView, before: Attempt, attempt: Attempt) -> Difference | None:
    first, second = _fields(before), _fields(attempt)
    exempt = {(carrier or "").lower() for carrier in (before.key_carrier, attempt.key_carrier)}
    for name in [*first, *(name for name in second if name not in first)]:
        if first.get(name) == second.get(name) or name in exempt or may_differ(name):
            continue
        if name in CONTENT_FIELDS and _was_unsupported(operation, attempt):
            continue
        if is_credential(name):
            if not _may_change_credentials(operation, before, attempt, name):
                return "credentials", _change(name, first, second)
        elif not _is_blank_equal(first.get(name), second.get(name), before, attempt):
            return "headers", _change(name, first, second)
    return None


def _was_unsupported(operation: OperationView, attempt: Attempt) -> bool:
    refused = next((other for other in operation.attempts if other.status == UNSUPPORTED), None)
    return refused is not None and refused.index < attempt.index


def _fields(attempt: Attempt) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in attempt.headers.pairs:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def _change(name: str, first: dict[str, list[str]], second: dict[str, list[str]]) -> str:
    if name not in second:
        return f"no {name} header"
    return f"another {name} header" if name in first else f"a new {name} header"


def _is_blank_equal(first: list[str] | None, second: list[str] | None, before: Attempt, attempt: Attempt) -> bool:
    if first is None or second is None:
        only, owner = (first or [], before) if second is None else (second, attempt)
        return all(value in owner.volatile for value in only)
    return [_blanked(value, before) for value in first] == [_blanked(value, attempt) for value in second]


def _may_change_credentials(operation: OperationView, before: Attempt, attempt: Attempt, name: str) -> bool:
    """Whether they may: after a refusal, signed for each attempt, or when a token was fetched in between.

    An earlier attempt that had the same ones was judged when it came: they have not changed since.
    """
    earlier = [other for other in operation.attempts if other.index < attempt.index]
    if any(other.status in LOGIN for other in earlier):
        return True
    value = attempt.headers.get(name)
    if any(other.was_sent and other.headers.get(name) == value for other in earlier):
        return True
    if value is None:
        return False
    if all(_is_signed_token(one, name) for one in (before, attempt)):
        return True
    if value.partition(" ")[0].lower() in SIGNING_SCHEMES or any(f in attempt.headers for f in SIGNING_FIELDS):
        return True
    return name in before.headers and attempt.index - earlier[-1].index > 1


def _is_signed_token(attempt: Attempt, name: str) -> bool:
    """Whether a field holds a signed token, whatever other credentials stand beside it."""
    value = attempt.headers.get(name, "")
    return is_signed_token(value.partition(" ")[2] or value)


def _is_challenged(view: View, attempt: Attempt) -> bool:
    """Whether an attempt came without credentials, and its client is seen to bring them where it is asked for them."""
    if attempt.credentials is not None:
        return False
    same = attempt.method, attempt.host, attempt.target, attempt.lineage
    around = view.trace.attempts[max(0, attempt.index - LOOK_AHEAD) : attempt.index + LOOK_AHEAD]
    kin = [one for one in around if (one.method, one.host, one.target, one.lineage) == same]
    return any(
        asked.status in LOGIN and asked.credentials is None and brought.credentials is not None
        for asked, brought in pairwise(kin)
    )


def _accuse(tally: Tally, operation: OperationView, attempt: Attempt, difference: Difference) -> None:
    part, what = difference
    tally.accuse(
        finding(
            f"RT04/{part}",
            f"another request: {operation.request} was sent again with {what}",
            operation=operation.index,
            marks=[(attempt.index, what)],
            why="a retry asks for the same thing once more: what differs makes it another request,"
            " which the service may refuse or carry out anew",
            fix=FIXES[part],
            hint=MINTED if part == "credentials" else None,
        )
    )
