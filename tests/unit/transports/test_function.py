"""Functions that meet the script call by call."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.transports.function import BrokenAnswerError, StatusError
from pytest_retrychaos.views import LawsBroken


@pytest.fixture
def run() -> Iterator[Chaos]:
    with Chaos() as chaos:
        yield chaos


class Queue:
    """What a test would wrap: it notes its calls and returns their number."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def put(
        self,
        item: object,
        *,
        timeout: float | None = None,  # noqa: ARG002 - read by whoever wraps it
        idempotency_key: str | None = None,  # noqa: ARG002 - the same
        **more: object,  # noqa: ARG002 - tells one call from another
    ) -> int:
        """Put an item in."""
        self.calls.append(item)
        return len(self.calls)


class BusyError(Exception):
    """An error of the caller's own."""


# what a fault raises


@pytest.mark.parametrize(
    ("step", "expected", "number"),
    [
        ("timeout", TimeoutError, None),
        ("reset", ConnectionResetError, 104),
        ("eof", ConnectionAbortedError, 103),
        ("refuse", ConnectionRefusedError, 111),
        ("dns", socket.gaierror, socket.EAI_NONAME),
        ("connect-timeout", TimeoutError, 110),
        ("tls", ssl.SSLError, 1),
        ("truncate", BrokenAnswerError, None),
        ("garbage", BrokenAnswerError, None),
        ("down=3s", ConnectionRefusedError, 111),
        ("503", StatusError, None),
        ("302", StatusError, None),
    ],
)
def test_a_fault_raises_the_systems_error(run: Chaos, step: str, expected: type[Exception], number: int | None) -> None:
    """Each fault is the exception that a plain socket would give, with its number."""
    run.script(step)
    with pytest.raises(expected) as caught:
        run.faulty(Queue().put)(1)
    assert type(caught.value) is expected
    assert getattr(caught.value, "errno", None) == number


def test_a_status_error_has_status_headers_and_seconds(run: Chaos) -> None:
    """A scripted status tells what a client would read from an answer."""
    run.script('503 retry-after=date+2s header="X-Zone: b"')
    with pytest.raises(StatusError, match="503 Service Unavailable") as caught:
        run.faulty(Queue().put)(1)
    assert (caught.value.status, caught.value.retry_after) == (503, 2.0)
    assert caught.value.headers["x-zone"] == "b"


def test_a_status_without_a_name_is_unknown(run: Chaos) -> None:
    """Status 599 has no phrase, and asks for no wait."""
    run.script("599")
    with pytest.raises(StatusError, match="599 Unknown") as caught:
        run.faulty(Queue().put)(1)
    assert caught.value.retry_after is None


@pytest.mark.parametrize("source", [BusyError, BusyError("busy"), lambda: BusyError("busy")])
@pytest.mark.parametrize(
    ("word", "step"), [("timeout", "timeout"), ("503", "503"), ("5xx", "502"), ("refuse", "down=2s")]
)
def test_the_callers_own_errors_stand_for_faults(run: Chaos, source: Any, word: str, step: str) -> None:
    """A class, an instance or a function, under a fault's word, a status or a class of statuses."""
    run.script(step)
    with pytest.raises(BusyError):
        run.faulty(Queue().put, errors={word: source})(1)


def test_a_status_wins_over_its_class(run: Chaos) -> None:
    """`503` is more exact than `5xx`."""
    run.script("503, 500")
    put = run.faulty(Queue().put, errors={"5xx": BusyError, "503": LookupError})
    with pytest.raises(LookupError):
        put(1)
    with pytest.raises(BusyError):
        put(1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("timeot", "errors={'timeot': …} names no fault that raises, did you mean 'timeout'?"),
        ("ok", "errors={'ok': …} names no fault that raises"),
        ("200", "errors={'200': …} names no fault that raises"),
        (503, "errors={503: …} names no fault that raises, did you mean '503'?"),
    ],
)
def test_a_word_that_is_no_fault_is_refused(run: Chaos, word: Any, message: str) -> None:
    """The nearest valid word is named, and the words there are."""
    with pytest.raises(ValueError, match="The words are timeout, reset, eof, refuse") as caught:
        run.faulty(Queue().put, errors={word: BusyError})
    assert str(caught.value).startswith(message)


def test_a_source_that_makes_no_exception_is_refused(run: Chaos) -> None:
    """What is neither an exception nor callable is refused at once; what makes none, when it strikes."""
    with pytest.raises(TypeError, match=r"errors\['reset'\] = 'boom': give an exception"):
        run.faulty(Queue().put, errors={"reset": "boom"})  # type: ignore[dict-item]  # what is refused
    run.script("reset", strict=False)
    with pytest.raises(TypeError, match=r"errors\['reset'\] made None, which is no exception"):
        run.faulty(Queue().put, errors={"reset": lambda: None})(1)  # type: ignore[dict-item,return-value]  # the same


# time


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [({"timeout": 5}, 5), ({"timeout_s": 2.5}, 2.5), ({"timeout_ms": 1500}, 1.5), ({}, 0), ({"timeout": "soon"}, 0)],
)
def test_a_timeout_costs_the_calls_own(run: Chaos, arguments: dict[str, Any], seconds: float) -> None:
    """Silence lasts as long as the call's own `timeout` says, and no time where it says nothing."""
    run.script("timeout")
    with pytest.raises(TimeoutError):
        run.faulty(Queue().put)(1, **arguments)
    assert run.clock.elapsed == seconds


def test_a_default_timeout_counts(run: Chaos) -> None:
    """A parameter's default is a deadline as well."""

    def fetch(name: str, timeout: float = 4.0) -> str:
        return name

    run.script("timeout")
    with pytest.raises(TimeoutError):
        run.faulty(fetch)("x")
    assert run.clock.elapsed == 4


@pytest.mark.parametrize(("step", "calls"), [("slow=3s", 1), ("drip=3s", 1), ("slow=3s before-commit", 1)])
def test_a_slow_call_takes_its_time(run: Chaos, step: str, calls: int) -> None:
    """The value comes after three virtual seconds."""
    queue = Queue()
    run.script(step)
    assert run.faulty(queue.put)(1, timeout=5) == 1
    assert (run.clock.elapsed, len(queue.calls)) == (3, calls)


@pytest.mark.parametrize(("step", "calls"), [("slow=9s", 1), ("drip=9s", 1), ("slow=9s before-commit", 0)])
def test_a_call_slower_than_its_timeout_times_out(run: Chaos, step: str, calls: int) -> None:
    """The deadline ends the wait; whether the function was called is the step's business."""
    queue = Queue()
    run.script(step)
    with pytest.raises(TimeoutError):
        run.faulty(queue.put)(1, timeout=5)
    assert (run.clock.elapsed, len(queue.calls)) == (5, calls)


def test_a_postponed_call_is_made_in_the_end(run: Chaos) -> None:
    """`slow before-commit` beyond the deadline still calls the function once its time has come."""
    queue = Queue()
    run.script("slow=9s before-commit")
    with pytest.raises(TimeoutError):
        run.faulty(queue.put)(1, timeout=5)
    run.clock.advance(4)
    assert len(run.ledger) == 1
    assert queue.calls == [1]


# effects and the trace


def test_a_call_is_an_attempt_in_the_trace(run: Chaos) -> None:
    """Method, host, target and body tell which call it was."""
    assert run.faulty(Queue().put)(1, colour="red") == 1
    (only,) = run.attempts
    assert (only.method, only.host, only.target) == ("CALL", "Queue.put", "/Queue.put")
    assert only.body.start == b'{"colour":"red","item":1}'
    assert (only.status, only.committed, only.effects) == (200, True, 1)


@pytest.mark.parametrize(
    ("step", "calls", "effects"),
    [("reset", 0, 0), ("reset after-commit", 1, 1), ("503", 0, 0), ("503 after-commit", 1, 1), ("garbage", 1, 1)],
)
def test_the_function_is_called_where_the_service_would_take_effect(
    run: Chaos, step: str, calls: int, effects: int
) -> None:
    """After commit the function ran, and its effect is in the ledger."""
    queue = Queue()
    run.script(step)
    with pytest.raises((OSError, StatusError, BrokenAnswerError)):
        run.faulty(queue.put)(1)
    assert (len(queue.calls), len(run.ledger)) == (calls, effects)


def test_duplicate_calls_twice_and_returns_the_first_value(run: Chaos) -> None:
    """Two calls, two effects, one value."""
    queue = Queue()
    run.script("duplicate")
    assert run.faulty(queue.put)(1) == 1
    assert (len(queue.calls), len(run.ledger)) == (2, 2)


def test_a_2xx_step_gives_the_value(run: Chaos) -> None:
    """A success under another status is a success."""
    run.script("202 retry-after=3")
    assert run.faulty(Queue().put)(1) == 1
    assert run.attempts[0].status == 202


def test_what_the_function_raises_is_raised_itself(run: Chaos) -> None:
    """Its own exception reaches the caller; nothing was done, and it is kept in the trace."""
    error = KeyError("missing")

    def fetch(name: str) -> str:
        raise error

    with pytest.raises(KeyError) as caught:
        run.faulty(fetch)("x")
    assert caught.value is error
    (only,) = run.attempts
    assert (only.error, only.status, only.committed) == ("KeyError: 'missing'", None, False)
    assert run.ledger == ()


def test_a_retry_without_key_after_commit_breaks_id04(run: Chaos) -> None:
    """The laws judge calls as they judge requests."""
    run.script("reset after-commit, ok")
    put = run.faulty(Queue().put)
    for _ in range(2):
        try:
            put(7)
        except ConnectionResetError:
            continue
    assert [one.joined for one in run.attempts] == ["began", "retry"]
    with pytest.raises(LawsBroken, match="ID04"):
        run.verify(only=("ID04",))


def test_what_a_finding_says_of_a_call_is_said_in_a_functions_words(run: Chaos) -> None:
    """No header, no request, no service: what is given to the function, and the route that declares it a read."""
    run.script("reset after-commit, ok")
    put = run.faulty(Queue().put)
    for _ in range(2):
        with contextlib.suppress(ConnectionResetError):
            put(7)
    with pytest.raises(LawsBroken) as caught:
        run.verify(only=("ID",))
    assert str(caught.value) == (
        "ID01, ID04 broken: 2 findings\n"
        "\n"
        "ID01 no idempotency key: CALL /Queue.put was sent again after reset without a key\n"
        "  t+0.00s  #1  CALL /Queue.put  key –   committed, then the response was lost   (reset after-commit)\n"
        "  t+0.00s  #2  CALL /Queue.put  key –   200, committed                          ◄ sent again without a key\n"
        "  why   after reset the call may have been carried out, and the function cannot tell a retry from a new call\n"
        "  fix   make one key per operation, outside the retry loop, and give it to every call as idempotency_key=…\n"
        "  again @pytest.mark.chaos(seed=0)  # the test sets the script itself\n"
        "  or    two operations? name them with chaos.operation\n"
        '  or    if this is a read: chaos.service.route("CALL", "/Queue.put", Queue.put, effect=False)\n'
        "\n"
        "ID04 duplicate effect: CALL /Queue.put was carried out 2 times for one operation\n"
        "  t+0.00s  #1  CALL /Queue.put  key –   committed, then the response was lost   (reset after-commit)\n"
        "  t+0.00s  #2  CALL /Queue.put  key –   200, committed                          ◄ second effect\n"
        "  why   the call has no idempotency_key: the function cannot tell a retry from a new call\n"
        "  fix   make one key per operation, outside the retry loop, and give it to every call as idempotency_key=…\n"
        "  again @pytest.mark.chaos(seed=0)  # the test sets the script itself\n"
        "  or    two operations? name them with chaos.operation\n"
        '  or    if this is a read: chaos.service.route("CALL", "/Queue.put", Queue.put, effect=False)'
    )


def test_a_function_can_be_declared_a_read(run: Chaos) -> None:
    """As the finding says."""
    queue = Queue()
    run.service.route("CALL", "/Queue.put", queue.put, effect=False)
    run.script("reset after-commit, ok")
    put = run.faulty(queue.put)
    for _ in range(2):
        with contextlib.suppress(ConnectionResetError):
            put(7)
    assert (queue.calls, run.ledger) == ([7, 7], ())
    assert run.verify().ok


def test_functions_that_cannot_be_reached_are_not_one_operation(run: Chaos) -> None:
    """Each is refused once, and the next is another one; the one that is called again waits for no other."""
    run.script("refuse x6, ok")

    def work() -> None:
        for number in range(6):

            def send() -> None:
                """Do nothing."""

            send.__qualname__ = f"send_{number}"
            with contextlib.suppress(ConnectionRefusedError):
                run.faulty(send)()
        run.faulty(send)()

    run.call(work)
    assert [len(operation.attempts) for operation in run.operations] == [1, 1, 1, 1, 1, 2]
    assert run.verify().ok


def test_a_key_given_again_returns_the_value_without_a_second_call(run: Chaos) -> None:
    """`idempotency_key` is remembered: the lost value is what the second call returns."""
    queue = Queue()
    run.script("reset after-commit, ok")
    with pytest.raises(ConnectionResetError):
        run.faulty(queue.put)(7, idempotency_key="k1")
    assert run.faulty(queue.put)(7, idempotency_key="k1") == 1
    assert (queue.calls, len(run.ledger)) == ([7], 1)
    assert [(one.key, one.key_carrier, one.replayed) for one in run.attempts] == [
        ("k1", "Idempotency-Key", False),
        ("k1", "Idempotency-Key", True),
    ]
    run.verify(only=("ID",))


def test_a_key_with_other_arguments_is_a_status_error(run: Chaos) -> None:
    """The layer refuses a key whose payload has changed."""
    put = run.faulty(Queue().put)
    put(7, idempotency_key="k1")
    with pytest.raises(StatusError) as caught:
        put(8, idempotency_key="k1")
    assert caught.value.status == 422


def test_the_settings_of_the_service_stay_as_they_were(run: Chaos) -> None:
    """Calls have their keys looked at without a change of `service.idempotency`."""
    before = run.service.idempotency
    run.faulty(Queue().put)(7, idempotency_key="k1")
    assert run.service.idempotency is before


def test_a_naive_service_knows_no_keys(run: Chaos) -> None:
    """With the profile `naive` every call is made."""
    run.service.profile = "naive"
    queue = Queue()
    for _ in range(2):
        run.faulty(queue.put)(7, idempotency_key="k1")
    assert (len(queue.calls), len(run.ledger)) == (2, 2)


def test_a_value_of_an_earlier_run_is_refused_by_name(tmp_path: Any) -> None:
    """A store file keeps keys, but no Python values."""
    for expected in (1, None):
        with Chaos(database=tmp_path / "store.db") as chaos:
            put = chaos.faulty(Queue().put)
            if expected is not None:
                assert put(7, idempotency_key="k1") == expected
                continue
            with pytest.raises(Refused, match="returned in an earlier run"):
                put(7, idempotency_key="k1")


def test_a_script_can_be_bound_to_a_function(run: Chaos) -> None:
    """The route is `CALL /` and the qualified name."""
    run.script("503", route="CALL /Queue.put")
    run.faulty(len)("abc")
    with pytest.raises(StatusError):
        run.faulty(Queue().put)(1)


# identity


@dataclasses.dataclass
class Order:
    number: int
    lines: tuple[str, ...] = ()


class Plain:
    """An object whose repr has its address."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda put: put(item=1), lambda put: put(1)),
        (lambda put: put(1, a=2, b=3), lambda put: put(1, b=3, a=2)),
        (lambda put: put(1, timeout=5), lambda put: put(1, timeout=4.2)),
        (lambda put: put(1, request_id="r-1"), lambda put: put(1, request_id="r-2")),
        (lambda put: put(Order(7, ("a",))), lambda put: put(Order(7, ("a",)))),
        (lambda put: put(Plain()), lambda put: put(Plain())),
        (lambda put: put({"b", "a", "c"}), lambda put: put({"c", "b", "a"})),
        (lambda put: put({1: "x", "y": 2}), lambda put: put({"y": 2, 1: "x"})),
        (lambda put: put(b"\x00"), lambda put: put(bytearray(1))),
    ],
    ids=["name", "order", "timeout", "volatile", "dataclass", "address", "set", "mapping", "bytes"],
)
def test_equal_calls_are_one_request(run: Chaos, one: Callable[[Any], object], other: Callable[[Any], object]) -> None:
    """Keyword order, deadlines, volatile arguments and addresses make no difference."""
    put = run.faulty(Queue().put)
    one(put)
    other(put)
    first, second = run.attempts
    assert first.body == second.body


@pytest.mark.parametrize("other", [2, "1", 1.5, None, Order(1), [1], {"item": 1}])
def test_different_arguments_are_another_request(run: Chaos, other: object) -> None:
    """A value of another type or content is another call."""
    put = run.faulty(Queue().put)
    put(1)
    put(other)
    first, second = run.attempts
    assert first.body != second.body


def test_a_value_nested_without_end_is_written_as_far_as_it_goes(run: Chaos) -> None:
    """A list that holds itself does not hang, and its call is made."""
    endless: list[object] = []
    endless.append(endless)
    assert run.faulty(len)(endless) == 1


def test_arguments_that_do_not_fit_raise_the_functions_own_error(run: Chaos) -> None:
    """A wrong call fails as it would have failed."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'item'"):
        run.faulty(Queue().put)()  # type: ignore[call-arg]  # what fails


# what is wrapped


def test_the_wrapped_function_keeps_name_text_and_signature(run: Chaos) -> None:
    """It looks like the function that it wraps."""
    put = run.faulty(Queue.put)
    assert (put.__name__, put.__doc__) == ("put", "Put an item in.")
    assert inspect.signature(put) == inspect.signature(Queue.put)


def test_it_works_as_a_method(run: Chaos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put in a class, it gets its instance."""
    monkeypatch.setattr(Queue, "put", run.faulty(Queue.put))
    run.script("503, ok")
    queue = Queue()
    with pytest.raises(StatusError):
        queue.put(1)
    assert queue.put(1) == 1


@pytest.mark.parametrize(
    ("fn", "target"),
    [
        (len, "/len"),
        (functools.partial(sorted, reverse=True), "/sorted"),
        (Order, "/Order"),
        (lambda _: 0, "/<lambda>"),
    ],
)
def test_any_plain_callable_can_be_wrapped(run: Chaos, fn: Callable[[Any], object], target: str) -> None:
    """Built-ins, partials, classes and lambdas are named as their author would."""
    run.faulty(fn)([1])
    assert (run.attempts[0].target or "").replace("test_any_plain_callable_can_be_wrapped.", "") == target


async def pause() -> None:
    """Do nothing, later."""


def count() -> Iterator[int]:
    yield 1


async def count_slowly() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (count, "a generator function"),
        (count_slowly, "an async generator function"),
    ],
)
def test_a_function_that_does_nothing_when_called_is_refused(run: Chaos, fn: Any, kind: str) -> None:
    """Generator functions are refused by name, with the way out."""
    with pytest.raises(TypeError, match=rf"this is {kind}, .* wrap the plain function inside"):
        run.faulty(fn)


def test_a_function_that_returns_an_awaitable_is_refused_when_called(run: Chaos) -> None:
    """A plain function that hands out a coroutine has not done its work yet."""
    with pytest.raises(TypeError, match="it returned an awaitable"):
        run.faulty(lambda: pause())()
    assert run.ledger == ()


def test_what_is_no_function_is_refused(run: Chaos) -> None:
    """A value cannot meet a script."""
    with pytest.raises(TypeError, match=r"chaos.faulty\(3\): give a function"):
        run.faulty(3)  # type: ignore[arg-type]  # what is refused


class _Needy(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (5, "errors=5: give a mapping of words to errors"),
        ({"timeout": _Needy}, "a class that needs arguments in a lambda"),
        ({"timeout": int}, "give an exception, its class, or a function of nothing"),
        ({"timeout": lambda code: _Needy(code)}, "give an exception, its class, or a function of nothing"),
    ],
)
def test_errors_that_could_not_be_made_are_refused_when_they_are_given(errors, told):
    """Raised into the client they would look like its own."""
    with Chaos() as chaos, pytest.raises(TypeError, match=re.escape(told)):
        chaos.faulty(len, errors=errors)
