"""What the end of a call tells about the health of the service that was called.

Laws of this module:
1. ``True`` is a failure of the service, ``False`` shows it in health, ``None`` tells nothing about it.
2. An answer about the request is a sign of health, however unwelcome: 4xx refusals, 409, 501 and 505.
3. What ends the program or the task or was made of its cancellation, what another open circuit refused, and a mistake
   of the code itself (see `MISTAKES`): these tell nothing.
4. Any other exception is a failure, also one that nobody knows: a breaker that never opens on a driver's own errors
   would protect nobody.
"""

from __future__ import annotations

from pytest_retrychaos.engine.answers import answer_in_result, status_in_result
from pytest_retrychaos.engine.circuit import CircuitOpen
from pytest_retrychaos.engine.classify import answer_in_chain, classify_answer, is_not_of_the_service
from pytest_retrychaos.engine.failures import HOPELESS, failure_of_error, plain_failure
from pytest_retrychaos.engine.loops import is_being_cancelled
from pytest_retrychaos.engine.unknown import OutcomeUnknown

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pytest_retrychaos.engine.classify import Kind

    Judge = Callable[[Any], bool]  # Any: it is handed the value returned or the exception raised
    On = type[Exception] | tuple[type[Exception], ...] | Judge | None

ABOUT_THE_REQUEST = HOPELESS | {409}
"""Transient or ambiguous for this request, yet given by a service that works. A customer whose name is taken gets
a 409; five of them are no outage."""


MISTAKES = (
    ArithmeticError, AssertionError, AttributeError, BufferError, ImportError, LookupError, NameError,
    NotImplementedError, RecursionError, ReferenceError, StopAsyncIteration, StopIteration, SyntaxError, TypeError,
    ValueError, Warning,
)  # fmt: skip
"""Of Python's own exceptions, those by which code says that it, or what it was given, is wrong."""


def check_on(on: object) -> None:
    """Raise `TypeError` or `ValueError` for what cannot say which calls failed."""
    if on is None or (callable(on) and not isinstance(on, type)):
        return
    types = on if isinstance(on, tuple) else (on,)
    if not types:
        raise ValueError("on=(): it names no exception, so no circuit would ever open; leave on out for the default")
    for one in types:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise TypeError(
                f"on={on!r}: it has to be an exception type, a tuple of them, or a function of what a call ended in"
            )
        if not issubclass(one, Exception):
            raise ValueError(
                f"on={on!r}: {one.__name__} ends a program or cancels a task, and tells nothing about a service; "
                "name subclasses of Exception"
            )


def error_tells(error: BaseException, on: On) -> bool | None:
    """Judge by the exception that a call raised."""
    if not isinstance(error, Exception) or isinstance(error, CircuitOpen):
        return None
    if on is None or isinstance(on, (type, tuple)):
        plain = plain_failure(error, on)
        if plain is not None:
            return plain.is_retryable if on is not None else _of_kind(plain.kind, error)
    failed = _judged(error, on)
    return None if failed and is_being_cancelled(error) else failed


def _judged(error: Exception, on: On) -> bool | None:
    if isinstance(error, ExceptionGroup) and (on is None or isinstance(on, (type, tuple))):
        return _judged_group(error, on)
    if isinstance(on, (type, tuple)):
        return isinstance(error, on)
    if on is not None:
        return _asked(on, error)
    if isinstance(error, OutcomeUnknown) and error.answer is not None:
        return result_tells(error.answer, None)  # unknown is the outcome; the service has answered
    kind = failure_of_error(error, None).kind
    if kind is None or not kind.is_transient:
        return _of_kind(kind, error)
    answer = answer_in_chain(error)
    return answer is None or answer.status not in ABOUT_THE_REQUEST


def _of_kind(kind: Kind | None, error: Exception) -> bool | None:
    if kind is None:
        return None if isinstance(error, MISTAKES) or is_not_of_the_service(error) else True
    return kind.is_transient


def result_tells(result: object, on: On) -> bool:
    """Judge by the value that a call returned."""
    if isinstance(on, (type, tuple)):
        return False
    if on is not None:
        return _asked(on, result)
    status = status_in_result(result)
    if status is None or status < 400:  # the headers of a success are not looked at
        return False
    answer = answer_in_result(result)
    return answer is not None and answer.status not in ABOUT_THE_REQUEST and classify_answer(answer).is_transient


def _judged_group(
    group: ExceptionGroup[Exception], on: type[Exception] | tuple[type[Exception], ...] | None
) -> bool | None:
    """Judge by the members: one failure is a failure, and one sign of health is one where there is no failure."""
    verdicts = {error_tells(one, on) for one in group.exceptions}
    if verdicts == {None}:
        return None
    return True in verdicts or (on is not None and isinstance(group, on))


def _asked(judge: Judge, outcome: object) -> bool:
    verdict = judge(outcome)
    if not isinstance(verdict, bool):
        raise TypeError(
            f"on={judge!r} returned {verdict!r}: it has to return True (it failed) or False; wrap the value in bool()"
        )
    return verdict
