"""ID01 to ID04: an operation is carried out once, however often it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.laws.calls import if_a_read, key_of, noun_of, one_key, subject_of, taker_of
from pytest_retrychaos.laws.conflicts import MISMATCH
from pytest_retrychaos.laws.ends import CUT, is_unsafe, path_of
from pytest_retrychaos.laws.lookback import looked
from pytest_retrychaos.laws.ownid import is_known_by_its_id
from pytest_retrychaos.laws.tally import ONE_OR_TWO, TWO_OPERATIONS, Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, Retry, View
from pytest_retrychaos.laws.words import counted

if TYPE_CHECKING:
    from pytest_retrychaos.laws.ends import Ended
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt

SHARED = "one key was used at two paths, with equal content: whether the service keeps keys by path is not known"
ELSEWHERE = "a redirect led to another path, with the same key: whether the service keeps keys by path is not known"


def _hint(operation: OperationView, *more: str) -> str | None:
    """What would settle it: outside a scope two equal requests may be two operations."""
    hints = [] if operation.scope is not None else [TWO_OPERATIONS]
    return "\n".join([*hints, *more]) or None


def id01(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a retried unsafe request carries an idempotency key.

    - Broken where an unsafe request was sent again without a key after a failure that leaves open whether it was
      carried out: a timeout, a lost connection, 408, 409, a 5xx but 503.
    - Does not apply where the client looked before it sent again: a read at the request's path, below it, or of what it
      acts on (`/orders/7` for `/orders/7/capture`) was answered in between, in the same scope. Nor where a POST gives
      what it creates an `id` of its own, and the service's answers give it back, or say 409. Nor where every retry came
      after a failure that shows that nothing was done.
    - Why: The service cannot tell the retry from a new order.
    - Fix: Make one key per operation, outside the retry loop. Where a POST only reads, say so: `chaos.service.route(…,
      effect=False)`; where your keys have a name of your own, too: `carriers=` of `chaos.service.idempotency`.
    """
    tally = Tally("ID01")
    for operation in view.operations:
        retries = [retry for retry in operation.retries if is_unsafe(retry.attempt)]
        bares = [(retry, done) for retry in retries if (done := _may_be_done(operation, retry)) is not None]
        blind = (retry for retry, done in bares if not looked(view, done, until=retry.attempt.index))
        bare = next(blind, None)
        if bares and bare is None:
            tally.pass_over("the client looked whether the request had been carried out before it sent it again")
        elif bare is not None and is_known_by_its_id(operation):
            tally.pass_over("it gives what it creates an id of its own, by which the service knows it again")
        elif bare is not None:
            tally.accuse(_keyless(operation, bare))
        elif operation.index in view.two_or_one:
            tally.pass_over(ONE_OR_TWO)
        elif any(retry.attempt.key for retry in retries):
            tally.hold()
        elif retries:
            tally.pass_over("every retry came after a failure that shows that nothing was done")
    return tally.result(
        noun="operation",
        did="was retried with an idempotency key",
        otherwise="no unsafe request was retried",
    )


def _may_be_done(operation: OperationView, retry: Retry) -> Attempt | None:
    """Give the attempt that may have been carried out when it was sent again without a key, if there is one.

    After an attempt that was not sent it is the one before that.
    """
    if retry.attempt.key and retry.led_by.key:
        return None
    before = retry.before
    if not retry.led_by.was_sent:
        earlier = [end for end in operation.ends if end.attempt.was_sent and end.attempt.index < retry.led_by.index]
        is_open = bool(earlier) and not earlier[-1].attempt.key and _leaves_open(earlier[-1])
        return earlier[-1].attempt if is_open else None
    is_open = before.attempt.failed if retry.led_by.status == 303 else _leaves_open(before)
    return retry.led_by if is_open else None


def _leaves_open(end: Ended) -> bool:
    return end.attempt.failed and end.kind is Kind.AMBIGUOUS


def _keyless(operation: OperationView, retry: Retry) -> Finding:
    what = retry.before.what
    met = f"status {what}" if what.isdigit() else "a cut by the client" if what == CUT else what
    return finding(
        "ID01",
        f"no idempotency key: {operation.request} was sent again after {met} without a key",
        operation=operation.index,
        marks=[(retry.attempt.index, "sent again without a key")],
        why=f"after {met} the {subject_of(retry.attempt)} may have been carried out, and the"
        f" {taker_of(retry.attempt)} cannot tell a retry from a new {noun_of(retry.attempt)}",
        fix=one_key(retry.attempt),
        hint=_hint(operation, if_a_read(retry.attempt)),
    )


def id02(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the key is the same on every attempt of an operation.

    - All attempts of an operation carry the first one's key. Two equal requests with different keys after a failure
      look exactly like this; if they are two orders, name them with `chaos.operation`.
    - Why: Under another key it is a new order to the service.
    - Fix: Make the key outside the retry loop.
    """
    tally = Tally("ID02")
    for operation in view.operations:
        sent = [a for a in operation.tries if a.was_sent and not a.is_read]
        keys = {attempt.key for attempt in sent}
        if keys <= {None}:
            continue
        if len(keys) > 1:
            tally.accuse(_other_key(operation, sent))
        elif operation.index in view.two_or_one:
            tally.pass_over(ONE_OR_TWO)
        elif len(sent) > 1:
            tally.hold()
    return tally.result(
        noun="operation",
        did="sent one key on every attempt",
        otherwise="no request with an idempotency key was retried",
    )


def _other_key(operation: OperationView, sent: list[Attempt]) -> Finding:
    first = sent[0]
    other = next(attempt for attempt in sent if attempt.key != first.key)
    is_new = other.key is not None
    return finding(
        "ID02/new-key" if is_new else "ID02/dropped",
        f"key not kept: {operation.request} was sent again {'with another key' if is_new else 'without its key'}",
        operation=operation.index,
        marks=[(other.index, "another key" if is_new else "no key")],
        why=f"the {taker_of(other)} knows a retry by its key: "
        f"{'under another one' if is_new else 'without it,'} it is a new {noun_of(other)}",
        fix=one_key(other),
        hint=_hint(operation),
    )


def id03(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that no key is used by two operations with different bodies, or by two that the test named.

    - Broken where a key comes again at the same host with another body, in an operation that the test named
      differently, or in two calls of one function, the first of which succeeded.
    - Does not apply where a key comes at two paths with an equal body: whether the service keeps keys by path is not
      known.
    - Why: The service replays the first answer or refuses: the second order is never carried out.
    - Fix: Make a new key for every operation, not for every customer, session or day.
    """
    tally = Tally("ID03")
    by_index = {operation.index: operation for operation in view.operations}
    keyed = 0
    for operation in view.operations:
        first = next((a for a in operation.attempts if a.key and not a.is_read), None)
        if first is None:
            continue
        earlier = by_index.get(-1 if (of := operation.operation.reused_key_of) is None else of)
        before = None if earlier is None else next((a for a in earlier.attempts if a.key == first.key), None)
        if earlier is None or before is None or before.host != first.host:
            keyed += 1
        elif before.body.sha256 != first.body.sha256 or first.key_conflict == MISMATCH:
            tally.accuse(_shared_key(operation, before, first, "body", "with another body"))
        elif _are_named_apart(earlier, operation):
            is_call = not _have_other_names(earlier, operation)
            how = "in another call of the same function" if is_call else "in an operation of another name"
            tally.accuse(_shared_key(operation, before, first, "named", how))
        elif before.target != first.target:
            tally.pass_over(SHARED)
        else:
            keyed += 1
    if keyed > 1 and not tally.findings:
        tally.held = keyed
    return tally.result(
        noun="operation", did="sent no other order under their key", otherwise="fewer than two operations carried a key"
    )


def _are_named_apart(earlier: OperationView, later: OperationView) -> bool:
    """Whether the test told two operations apart; under one name the later may go on with what had failed.

    Two calls of one function have its name, and are two operations where the first had its success.
    """
    first, second = earlier.scope, later.scope
    if first is None or second is None or earlier.operation.scope == later.operation.scope:
        return False
    is_call = first.told is not None and second.told is not None
    return _have_other_names(earlier, later) or (is_call and earlier.has_success)


def _have_other_names(earlier: OperationView, later: OperationView) -> bool:
    return earlier.scope is not None and later.scope is not None and earlier.scope.name != later.scope.name


def _shared_key(operation: OperationView, before: Attempt, first: Attempt, shape: str, how: str) -> Finding:
    return finding(
        f"ID03/{shape}",
        f"key used twice: {operation.request} carries the key of an earlier operation, {how}",
        operation=operation.index,
        marks=[(before.index, "used the key first"), (first.index, "used it again")],
        why="the service answers with what it stored for the first one, or refuses: the second is never carried out"
        if path_of(before) == path_of(first)
        else "services such as Stripe keep one set of keys for all their paths: there the second is never carried out",
        fix="make a new key for every operation",
        hint="one operation sent again on purpose? put both into one chaos.operation" if shape == "named" else None,
    )


def id04(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that no operation has two effects.

    - Counts the effects in the ledger: a committed request that is no read and was answered 2xx or 303. A replayed
      answer adds none, nor does repeating a PUT or DELETE.
    - Does not apply where a redirect led to another path, and all carried the same key: whether the service keeps keys
      by path is not known.
    - Why: The customer is charged twice.
    - Fix: Send a key; where the service keeps none, look whether it was done before you repeat.
    """
    tally = Tally("ID04")
    for operation in view.operations:
        done = [attempt for attempt in operation.attempts if attempt.effects]
        twice = next((attempt for attempt in done if _was_delivered_twice(attempt)), None)
        if len(done) > 1 and _were_sent_elsewhere(operation, done):
            tally.pass_over(ELSEWHERE)
        elif len(done) > 1:
            tally.accuse(_done_again(operation, done))
        elif twice is not None:
            if twice.key or twice.script is not None:
                tally.accuse(_delivered_twice(operation, twice))
            else:
                tally.pass_over("the network delivered a request twice that has no key: no client can help it")
        elif operation.index in view.two_or_one:
            tally.pass_over(ONE_OR_TWO)
        elif _arrived_twice(operation):
            tally.hold()
    return tally.result(
        noun="operation",
        did="reached the service more than once and had one effect at most",
        otherwise="no write reached the service more than once",
    )


def _were_sent_elsewhere(operation: OperationView, done: list[Attempt]) -> bool:
    """Whether redirects led to other paths, all of them with one key."""
    keys, paths = {attempt.key for attempt in done}, {path_of(attempt) for attempt in done}
    return bool(operation.operation.legs) and len(keys) == 1 and None not in keys and len(paths) == len(done)


def _was_delivered_twice(attempt: Attempt) -> bool:
    return attempt.effects > 1 and (attempt.fault or "").split(maxsplit=1)[:1] == ["duplicate"]


def _arrived_twice(operation: OperationView) -> bool:
    arrived = [attempt for attempt in operation.attempts if attempt.reached and not attempt.is_read]
    return len(arrived) > 1 or any((a.fault or "").startswith("duplicate") for a in arrived)


def _done_again(operation: OperationView, done: list[Attempt]) -> Finding:
    why, fix = _why_twice(done)
    names = ["second", "third", "fourth", "fifth"]
    return finding(
        "ID04",
        f"duplicate effect: {operation.request} was carried out {len(done)} times for one operation",
        operation=operation.index,
        marks=[
            (attempt.index, f"{names[place] if place < len(names) else 'one more'} effect")
            for place, attempt in enumerate(done[1:])
        ],
        why=why,
        fix=fix,
        hint=_hint(operation, if_a_read(done[-1])),
    )


def _why_twice(done: list[Attempt]) -> tuple[str, str]:
    keys = {attempt.key for attempt in done}
    last = done[-1]
    taker, noun = taker_of(last), noun_of(last)
    if None in keys:
        return (
            f"the {subject_of(last)} has no {key_of(last)}: the {taker} cannot tell a retry from a new {noun}",
            one_key(last),
        )
    if len(keys) > 1:
        return f"each attempt has a key of its own: to the {taker} each is a new {noun}", one_key(last)
    return (
        f"the {taker} carried out both, though they carry the same key: the key has expired, or keys mean nothing",
        "retry while the key lives, and only where the service keeps keys; otherwise look before repeating",
    )


def _delivered_twice(operation: OperationView, twice: Attempt) -> Finding:
    taker = taker_of(twice)
    return finding(
        "ID04",
        f"duplicate effect: {operation.request} was delivered twice and carried out {counted(twice.effects, 'time')}",
        operation=operation.index,
        marks=[(twice.index, f"{twice.effects} effects")],
        why=f"the {taker} carried out both, though they carry the same key: keys mean nothing to it"
        if twice.key
        else f"the {subject_of(twice)} has no {key_of(twice)}: the {taker} cannot tell a copy from a new"
        f" {noun_of(twice)}",
        fix=f"send a key, to a {taker} that keeps keys",
        hint=if_a_read(twice),
    )
