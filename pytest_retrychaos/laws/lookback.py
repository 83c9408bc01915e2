"""What else the client did about a failure than to repeat the request: it looked, split it, or had asked twice."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from pytest_retrychaos.laws.ends import is_unsafe, path_of
from pytest_retrychaos.laws.tally import TWO_OPERATIONS
from pytest_retrychaos.volatile import is_volatile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_retrychaos.laws.view import OperationView, Retry, View
    from pytest_retrychaos.trace import Attempt

ASSERTIONS: Final = frozenset({"assertion", "client_assertion"})
"""Fields that say by a signed token who asks, or for whom (RFC 7521, 4)."""

_FIGURE: Final = re.compile(
    rb"\b((?:page_?)?size|first|last|limit|count|top|take|rows|(?:max|page|per|batch)_?\w*|from|offset|skip|start|page)"
    rb'("?\s*:\s*)\d+',
    re.IGNORECASE,
)
"""A number that says which part of a list is asked for, in JSON and in a query's text in it: ``orders(first: 100)``."""

LOOK_AHEAD: Final = 50
"""How many later attempts are searched for one that goes on."""


def distinct(attempts: Iterable[Attempt]) -> set[object]:
    """Give the requests of attempts, each once; one with another key is another."""
    return {(one.method, one.target, one.body.sha256, one.key) for one in attempts}


def looked(view: View, failed: Attempt, *, until: int | None = None) -> bool:
    """Tell whether the client asked the service, after a failure, what had become of the request.

    That is a read at the request's path or below, or of what it acts on (``/orders/7`` for ``/orders/7/capture``), by
    the same lineage or one that is related to it, in the same scope.
    ``until`` is the index of the attempt before which it has to have been answered; without it, asking is enough.
    """
    return any(
        later.is_read and later.host == failed.host and _is_about(later, failed) and not (until and later.failed)
        for later in _later(view, failed, until)
    )


def was_hedged(view: View, failed: Attempt) -> bool:
    """Tell whether an equal request was under way beside this one: sent meanwhile, or before it and with success."""
    ended = failed.ended_ns
    if ended is None:
        return False
    before, after = _equal(view, failed)
    if any(one.began_ns <= ended for one in after):
        return True  # one that began at its end and did not join it had been sent before
    return any(not one.failed and (one.ended_ns is None or one.ended_ns > ended) for one in before)


def was_passed_on(view: View, failed: Attempt) -> bool:
    """Tell whether an equal request came later from somebody else: a worker that took the item up again, perhaps."""
    ended = failed.ended_ns or 0
    return any(one.lineage != failed.lineage and one.began_ns >= ended for one in _equal(view, failed)[1])


def _equal(view: View, failed: Attempt) -> tuple[list[Attempt], list[Attempt]]:
    """List the equal requests of other operations around a failed one: those before it, and those after."""
    equal = view.equal_to(failed)
    place = bisect_left(equal, failed.index, key=lambda one: one.index)
    around = equal[max(0, place - LOOK_AHEAD) : place], equal[place + 1 : place + 1 + LOOK_AHEAD]
    before, after = ([one for one in some if one.operation != failed.operation] for some in around)
    return before, after


def may_begin_another(operation: OperationView, retry: Retry) -> bool:
    """Tell whether what was not sent may have been another request: nothing of its operation was sent after it."""
    later = (one for one in operation.attempts if one.was_sent and one.index > retry.attempt.index)
    return not retry.attempt.was_sent and retry.led_by.was_sent and next(later, None) is None


def was_refused_afterwards(view: View, failed: Attempt) -> bool:
    """Tell whether a connection to the same host failed later that may have been its own retry.

    It belongs to no request, or it was the next thing that its lineage did, whatever request came after that.
    """
    nearby = view.trace.attempts[failed.index : failed.index + LOOK_AHEAD]
    own = (one for one in nearby if one.scope == failed.scope and view.trace.are_related(one.lineage, failed.lineage))
    following = next(own, None)
    if following is not None and not following.was_sent and following.host == failed.host:
        again = (one for one in nearby if one.operation == following.operation and one.index > following.index)
        after = next(again, None)
        # Where a wait came after it and none before, it is of what was sent then.
        is_of_the_next = after is not None and after.began_ns > (following.ended_ns or 0)
        if not is_of_the_next or following.began_ns > (failed.ended_ns or 0):
            return True
    unsent = view.unsent.get((failed.host, failed.scope), ())
    place = bisect_left(unsent, failed.index, key=lambda one: one.index)
    later = unsent[place : place + LOOK_AHEAD]
    return any(view.trace.are_related(one.lineage, failed.lineage) for one in later)


def was_sent_with_more(view: View, failed: Attempt) -> bool:
    """Tell whether what failed went into a later request of the same method and path: a batch that had grown."""
    items = _items(failed)
    return bool(items) and any(items < more for more in _items_at_its_place(view, failed))


def was_sent_in_parts(view: View, failed: Attempt) -> bool:
    """Tell whether all that failed went into later, smaller requests of the same method and path: halves of a batch."""
    items = _items(failed)
    parts = [part for part in _items_at_its_place(view, failed) if part < items]
    return len(parts) > 1 and items <= sum(parts, Counter())


def differs_in_numbers(failed: Attempt, later: Attempt) -> bool:
    """Tell whether two bodies differ in the numbers of a page alone: another, or a smaller one, of a read by POST."""
    items = [_items(one, holds_figures=False) for one in (failed, later)]
    return bool(items[0]) and items[0] == items[1] and failed.body.sha256 != later.body.sha256


def _items_at_its_place(view: View, failed: Attempt) -> list[Counter[object]]:
    place = (failed.method, failed.host, path_of(failed))
    later = (one for one in _later(view, failed, None) if (one.method, one.host, path_of(one)) == place)
    return [_items(one) for one in later]


def _items(attempt: Attempt, *, holds_figures: bool = True) -> Counter[object]:
    """Count what a body consists of: of JSON its values, of any other text its lines.

    Without figures it does not matter which part of a list is asked for.
    """
    if not attempt.body.is_whole:
        return Counter()
    text = attempt.body.start if holds_figures else _FIGURE.sub(rb"\g<1>\g<2>0", attempt.body.start)
    try:
        return Counter(_values(json.loads(text)))
    except (ValueError, RecursionError):
        return Counter(text.splitlines())


def _values(value: object, *place: str) -> Iterator[object]:
    """List each value with its place; the items of a list have one place."""
    if isinstance(value, dict):
        names = [name for name in value if not is_volatile(name)]
        yield place, *names
        for name in names:
            yield from _values(value[name], *place, name)
    elif isinstance(value, list):
        yield from ((place, json.dumps(item, sort_keys=True)) for item in value)
        if not value:
            yield place, "[]"
    else:
        yield place, json.dumps(value)


def was_signed_anew(view: View, failed: Attempt) -> bool:
    """Tell whether the next request is the same but for an assertion, whose ``jti`` is taken once (RFC 7523, 3)."""
    later = next(_later(view, failed, None), None)
    if later is None or (later.method, later.host, later.target) != (failed.method, failed.host, failed.target):
        return False
    old, new = ({**_fields(one)} for one in (failed, later))
    is_asserted = not ASSERTIONS.isdisjoint(old)
    for name in ASSERTIONS:
        old.pop(name, None)
        new.pop(name, None)
    return is_asserted and old == new


def _fields(attempt: Attempt) -> Mapping[str, object]:
    """Give the fields of a JSON object or a form."""
    try:
        value = json.loads(attempt.body.start)
    except (ValueError, RecursionError):
        value = dict(parse_qsl(attempt.body.start.decode("latin-1"), keep_blank_values=True))
    return value if isinstance(value, dict) else {}


def was_asked_elsewhere(view: View, failed: Attempt) -> bool:
    """Tell whether the next request is the same read at another host: at a mirror, whose paths may differ."""
    later = next(_later(view, failed, None), None)
    return (
        later is not None
        and failed.is_read
        and (later.method, later.host != failed.host) == (failed.method, True)
        and _file_of(later) == _file_of(failed) != ""
    )


def _file_of(attempt: Attempt) -> str:
    return (attempt.target or "").rpartition("/")[2]  # with its query


def two_operations(operation: OperationView, retry: Retry) -> str | None:
    """Say what would settle it where a retry may be another operation: an unsafe request with no key in common."""
    is_known = operation.scope is not None or (retry.attempt.key and retry.attempt.key == retry.led_by.key)
    return None if is_known or not is_unsafe(retry.attempt) else TWO_OPERATIONS


def _later(view: View, failed: Attempt, until: int | None) -> Iterator[Attempt]:
    end = failed.index + LOOK_AHEAD if until is None else min(until - 1, failed.index + LOOK_AHEAD)
    for later in view.trace.attempts[failed.index : end]:
        if later.scope == failed.scope and view.trace.are_related(later.lineage, failed.lineage) and later.was_sent:
            yield later


def _is_about(later: Attempt, failed: Attempt) -> bool:
    path, asked = path_of(failed).rstrip("/"), path_of(later)
    above = path.rpartition("/")[0]
    return asked == path or asked.startswith(path + "/") or (asked == above and above.count("/") > 1)
