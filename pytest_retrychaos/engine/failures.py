"""Judge how an attempt ended: is it a failure, of which kind, and does the policy retry it?

Laws of this module:
1. Only an `Exception` is judged. Cancellation, ``KeyboardInterrupt`` and every other ``BaseException`` never get here.
2. A group of exceptions is as its members: retried if each of them would be. Of their kinds the gravest counts, of
   the waits that servers asked for the longest.
3. What an open circuit refused is not retried, whatever the policy is on: another attempt would meet it again.
   Nor is an `OutcomeUnknown`: a retry layer inside has done what could be done.
4. Apart from that, a policy's own judge (``on=`` as a function) has the last word, and its word has to be clear.
"""

from __future__ import annotations

import functools

from pytest_retrychaos.engine import arguments, hints
from pytest_retrychaos.engine.answers import ATTRIBUTES, Answer, answer_in_result, declares, status_in_result
from pytest_retrychaos.engine.callables import Misused
from pytest_retrychaos.engine.circuit import CircuitOpen
from pytest_retrychaos.engine.classify import (
    CONNECTING_NAMES,
    Kind,
    classify_answer,
    classify_bare,
    classify_chain,
    connects,
    is_bare,
    kinds_of,
    lower_fields,
    with_answers,
)
from pytest_retrychaos.engine.unknown import OutcomeUnknown
from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Judge = Callable[[Any], bool | float]  # Any: it is handed the value returned or the exception raised
    On = type[Exception] | tuple[type[Exception], ...] | Judge | None
    Choice = tuple["Failure", "Failure", "Failure"]

HOPELESS = frozenset({501, 505})
"""Answers that are ambiguous but will not change: Not Implemented, HTTP Version Not Supported (RFC 9110, 15.6)."""

BARE = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset})
"""Types whose values are no answers, since they can have no attributes."""

_FINAL = (CircuitOpen, OutcomeUnknown)
"""Never retried, whatever a policy is on."""

_GRAVEST = (Kind.REFUSED, Kind.AMBIGUOUS, Kind.TURNED_AWAY, Kind.NOT_SENT)
"""The kinds, from the one that says least good about sending again."""


@value
class Failure:
    """How an attempt failed."""

    kind: Kind | None
    """``None`` where only the policy's ``on`` knows it."""
    is_retryable: bool
    headers: tuple[tuple[str, str], ...] = ()
    """Of the answer, where there was one."""
    delay: float = 0.0
    """The least wait in seconds that the policy's own judge asked for."""
    members: tuple[Failure, ...] = ()
    """Of a group of exceptions, each on its own."""


_BARE_FAILURES = {(kind, retried): Failure(kind, retried) for kind in (None, *Kind) for retried in (False, True)}
"""Most failures are one of these: values need not be made anew."""

_PLAIN: dict[type, tuple[Choice, Choice] | None] = {}
"""What an exception of a type comes to that holds nothing but its text: raised while connecting, and elsewhere."""

_MOST_TYPES = 512
_TEXT = frozenset({str, int})
_STR = (BaseException.__str__, OSError.__str__)
_INSIDE = (*ATTRIBUTES, "reason", "kwargs", "__getattr__", "__getattribute__", "__class__", "__traceback__")
"""Where a type may keep more than the text, or make it up."""


def plain_failure(error: Exception, on: On) -> Failure | None:
    """Judge an exception that holds nothing but its text, as most do; ``None`` for any other.

    It is `failure_of_error` for those, in a fraction of its time. ``on`` is no judge.
    """
    try:
        known = _PLAIN[type(error)]
    except KeyError:
        known = _look_at(type(error))
    if known is None or error.__cause__ is not None or error.__context__ is not None or error.__dict__:
        return None
    args = error.args
    if args and (type(args[0]) is not str or len(args) > 1) and not holds_text(error):
        return None
    connecting, choice = known
    if connecting is not choice:
        caught = error.__traceback__
        step = None if caught is None else caught.tb_next  # the first frame is the one that caught it
        while step is not None:  # `runs_through_connect` written out: the call takes a tenth as long as all of this
            if step.tb_frame.f_code.co_name in CONNECTING_NAMES and connects(step.tb_frame):
                choice = connecting
                break
            step = step.tb_next
    return choice[2] if on is None else choice[isinstance(error, on)]  # type: ignore[arg-type]  # it is no function


def retried_plainly(kind: type[Exception], on: On) -> tuple[Failure, Failure] | tuple[None, None]:
    """Tell what `plain_failure` makes of exceptions of a type, raised while connecting and elsewhere.

    Nothing where the policy does not retry them, or where more than the type is to be looked at.
    """
    known = _PLAIN[kind] if kind in _PLAIN else _look_at(kind)
    types = () if on is None else on if isinstance(on, tuple) else (on,)
    if known is None or any(type(one) is not type for one in types):  # of another metaclass: it may ask the exception
        return None, None
    column = 2 if on is None else issubclass(kind, on)  # type: ignore[arg-type]  # it is no function
    connecting, elsewhere = known[0][column], known[1][column]
    return (connecting, elsewhere) if connecting.is_retryable and elsewhere.is_retryable else (None, None)


def holds_text(error: Exception) -> bool:
    """Tell whether an exception was given text and numbers, and says just that.

    An OSError may name a file, and its attributes, which its text is made of, are writable.
    """
    args = error.args
    for one in args:  # all() would cost as much as all the rest
        if type(one) not in _TEXT:
            return False
    if not isinstance(error, OSError):
        return getattr(error, "filename", None) is None
    return error.filename is None and (len(args) < 2 or (error.errno is args[0] and error.strerror is args[1]))


def _look_at(kind: type[Exception]) -> tuple[Choice, Choice] | None:
    """Tell, once for a type, whether its exceptions may hold nothing but their text, and what they come to then."""
    kinds = kinds_of(kind)
    known = None
    is_simple = kind.__str__ in _STR and not declares(kind, _INSIDE)
    if kinds is not None and is_simple and not issubclass(kind, (*_FINAL, Misused, ExceptionGroup)):
        connecting, elsewhere = map(_choice, kinds)
        known = (elsewhere if kinds[0] is kinds[1] else connecting), elsewhere
    if len(_PLAIN) < _MOST_TYPES:
        _PLAIN[kind] = known
    return known


def _choice(kind: Kind | None) -> Choice:
    """Give what a kind comes to where a policy does not name its type, where it does, and by default."""
    no, yes = _BARE_FAILURES[kind, False], _BARE_FAILURES[kind, True]
    return no, yes, yes if _is_transient(kind, None) else no


def failure_of_error(error: Exception, on: On) -> Failure:
    """Judge an exception that ended an attempt."""
    if isinstance(error, _FINAL):
        return Failure(Kind.AMBIGUOUS if isinstance(error, OutcomeUnknown) else None, is_retryable=False)
    if isinstance(error, ExceptionGroup):
        if any(isinstance(one, _FINAL) for one in _leaves(error)):
            return _failure_of_group(error, None)
        if is_no_judge(on):
            return _failure_of_group(error, on)
    if is_bare(error):  # as most are: nothing to walk through
        answer, kind = None, classify_bare(error) if isinstance(error, OSError) else None
    else:
        chain = with_answers(error)
        answer = next((found for _, found in chain if found is not None), None)
        kind = None if _broke_on_its_own(error) else classify_chain(chain)
    headers = () if answer is None else answer.headers
    if on is None or isinstance(on, (type, tuple)):
        is_retryable = _is_transient(kind, answer) if on is None else isinstance(error, on)
        return Failure(kind, is_retryable, headers) if headers else _BARE_FAILURES[kind, is_retryable]
    wanted, delay = _asked_judge(on, error)
    return Failure(kind, wanted, headers, delay)


def failure_of_result(result: object, on: On) -> Failure | None:
    """Judge a value that an attempt returned; ``None`` where it is what the caller wants."""
    if isinstance(on, (type, tuple)):
        return None
    if on is None:
        status = status_in_result(result)
        if status is None or 100 <= status < 400:  # the headers of a success are not looked at
            return None
    wanted, delay = (False, 0.0) if on is None else _asked_judge(on, result)
    if on is not None and not wanted:
        return None
    answer = answer_in_result(result)
    kind = None if answer is None else classify_answer(answer)
    if on is None and not _is_transient(kind, answer):
        return None
    return Failure(kind, True, () if answer is None else answer.headers, delay)


def failure_of(outcome: object, on: On) -> Failure | None:
    """Judge what an attempt ended in, the exception raised or the value returned."""
    return failure_of_error(outcome, on) if isinstance(outcome, Exception) else failure_of_result(outcome, on)


def narrowed(on: On, rule: Callable[[Failure, object], bool]) -> Judge:
    """Make a judge that retries what ``on`` does, where the rule agrees; it is given failure and outcome."""
    return functools.partial(_judge, on, rule)  # unlike a closure it can be pickled, where on and rule can


def _judge(on: On, rule: Callable[[Failure, object], bool], outcome: object) -> bool | float:
    failure = failure_of(outcome, on)
    if failure is None or not failure.is_retryable or not rule(failure, outcome):
        return False
    return failure.delay or True


def is_no_judge(on: On) -> bool:
    """Tell whether ``on`` is the default or names types: then values that cannot be answers are never retried."""
    return on is None or isinstance(on, (type, tuple))


def is_transient(outcome: object) -> bool:
    """Tell what a policy without ``on=`` would retry: an exception, or a response that was returned.

    For judges that add to it: ``Retry(on=lambda outcome: is_transient(outcome) or outcome == "pending")``.
    """
    if isinstance(outcome, BaseException):
        return isinstance(outcome, Exception) and failure_of_error(outcome, None).is_retryable
    return type(outcome) not in BARE and failure_of_result(outcome, None) is not None


def check_on(on: object) -> None:
    """Check the argument ``on=`` of a policy."""
    types = on if isinstance(on, tuple) else (on,) if isinstance(on, type) else ()
    if on == ():
        raise ValueError("on=(): it names no exception, so nothing would be retried; write attempts=1 for that")
    for one in types:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise TypeError(f"on={on!r}: {one!r} is no exception type")
        if not issubclass(one, Exception):
            raise ValueError(
                f"on={on!r}: {one.__name__} ends a program or cancels a task and is never retried; "
                "name subclasses of Exception"
            )
    if on is not None and not types and not callable(on):
        raise TypeError(
            f"on={on!r}: it has to be an exception type, a tuple of them, or a function of what an attempt ended in"
        )


def _failure_of_group(group: ExceptionGroup[Exception], on: On) -> Failure:
    if isinstance(on, (type, tuple)) and isinstance(group, on):
        return Failure(None, is_retryable=True)
    members = [failure_of_error(one, on) for one in _leaves(group)]
    kinds = {one.kind for one in members}
    kind = None if None in kinds else next((kind for kind in _GRAVEST if kind in kinds), None)
    return Failure(kind, all(one.is_retryable for one in members), members=tuple(members))


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for one in group.exceptions:
        if isinstance(one, ExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _is_transient(kind: Kind | None, answer: Answer | None) -> bool:
    if kind is None or not kind.is_transient:
        return False
    if answer is None:
        return True
    hint = hints.should_retry(lower_fields(answer.headers))
    return answer.status not in HOPELESS if hint is None else hint


def _asked_judge(on: Judge, outcome: object) -> tuple[bool, float]:
    """Give a judge's verdict, and the least wait in seconds that it asked for."""
    verdict = on(outcome)
    if isinstance(verdict, bool):
        return verdict, 0.0
    try:
        return True, arguments.seconds("a delay", verdict, above_zero=True)  # 0 could be meant as no
    except (TypeError, ValueError):
        raise TypeError(
            f"on={on!r} returned {verdict!r}: it has to return True (retry), False, or, to retry, the least wait in "
            "seconds, above 0; wrap another value in bool()"
        ) from None


def _broke_on_its_own(error: BaseException) -> bool:
    """Tell whether plain code broke while a failure was being handled: a KeyError is no timeout, though one is
    its context. With ``raise … from timeout`` the code says that it is."""
    is_plain = type(error).__module__ == "builtins" and not isinstance(error, OSError)
    return is_plain and error.__cause__ is None
