"""Which script decides on an attempt, and which scripts are refused where they are set."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_retrychaos import Chaos, ScriptError, reset, status
from pytest_retrychaos.exchange import Board
from pytest_retrychaos.exchange.board import ActiveScript
from tests.unit.record.wire import send


def meet(board: Board, host: str = "api.test", method: str = "POST", path: str = "/payments") -> str:
    """Let one request meet its step, as the exchange does."""
    active = board.for_request(host, method, path)
    return "none" if active is None else str(active.progress.take()[1])


def fired(*scripts: ActiveScript) -> list[list[int]]:
    return [script.fired for script in scripts]


# the most specific decides


def test_the_most_specific_script_decides_and_only_it_advances() -> None:
    """Host and route come before route, route before host, host before the general one."""
    board = Board()
    general = board.set("500 x9")
    host = board.set("501 x9", host="api.test")
    route = board.set("502 x9", route="POST /payments")
    both = board.set("503 x9", route="POST /payments", host="api.test")

    met = [
        meet(board),
        meet(board, host="other.test"),
        meet(board, path="/refunds"),
        meet(board, host="other.test", path="/refunds"),
    ]

    assert met == ["503", "502", "501", "500"]
    assert fired(general, host, route, both) == [[1], [1], [1], [1]]


def test_a_more_specific_script_decides_when_it_was_set_first() -> None:
    """Rank counts, not the order of setting."""
    board = Board()
    board.set("503", route="POST /payments")
    general = board.set("500")

    assert meet(board) == "503"
    assert general.fired == [0]


def test_a_route_decides_before_a_host() -> None:
    """Where both match and no script has both."""
    board = Board()
    board.set("502", route="POST /payments")
    host = board.set("501", host="api.test")

    assert meet(board) == "502"
    assert host.fired == [0]


def test_a_finished_specific_script_still_decides_ok() -> None:
    """After its last step it says ok; the general one does not take over."""
    board = Board()
    board.set("500 x9")
    board.set("503", host="api.test")

    assert [meet(board), meet(board), meet(board)] == ["503", "ok", "ok"]


def test_of_two_equally_specific_scripts_the_later_one_decides() -> None:
    """A pattern and a path both match; the one set last is meant."""
    board = Board()
    board.set("500", route="GET /payments/{id}")
    board.set("503", route="GET /payments/7")

    assert meet(board, method="GET", path="/payments/7") == "503"
    assert meet(board, method="GET", path="/payments/8") == "500"


@pytest.mark.parametrize(
    ("route", "path", "matches"),
    [
        ("POST /payments", "/payments", True),
        ("post /payments", "/payments", True),
        ("GET /payments", "/payments", False),
        ("POST /payments", "/payments/", False),
        ("POST /payments", "/v1/payments", False),
        ("POST /payments/{id}", "/payments/7", True),
        ("POST /payments/{id}", "/payments/", False),
        ("POST /payments/{id}", "/payments/7/refunds", False),
        ("POST /payments/{id}/refunds", "/payments/7/refunds", True),
        ("POST /files/*", "/files/a/b", True),
        ("POST /a.b", "/axb", False),
        ("POST /a+b(c)", "/a+b(c)", True),
    ],
)
def test_a_route_is_a_method_and_a_path_with_places(route: str, path: str, matches: bool) -> None:
    """A place in braces is one segment, a star is anything, the rest is literal."""
    board = Board()
    board.set("503", route=route)

    assert (board.for_request("api.test", "POST", path) is not None) is matches


def test_a_host_matches_in_any_case() -> None:
    """Host names have no case (RFC 9110, 4.2.3)."""
    board = Board()
    board.set("503", host="API.Test")

    assert meet(board) == "503"


def test_a_host_script_strikes_on_every_port(chaos: Chaos) -> None:
    """Another port is the same host, also where the client writes it in capitals."""
    chaos.script("503 x2", host="api.test")

    assert send(host="api.test:8080") == 503
    assert send(host="API.TEST") == 503
    assert send(host="other.test") == 201


def test_a_host_script_strikes_an_ipv6_address(chaos: Chaos) -> None:
    """An address is matched with and without its brackets."""
    chaos.script("refuse, 503", host="2001:db8::1")

    assert [send(host="[2001:db8::1]") for _ in range(3)] == [None, 503, 201]


def test_while_connecting_no_route_is_known() -> None:
    """Scripts of the host or of every request decide on connecting; route scripts do not."""
    board = Board()
    board.set("503", route="POST /payments")

    assert board.for_host("api.test") is None

    general = board.set("refuse")
    host = board.set("dns", host="api.test")

    assert board.for_host("api.test") is host
    assert board.for_host("other.test") is general


# replacing


@pytest.mark.parametrize(
    ("spec", "met", "left"),
    [
        ("503", 0, "503"),
        ("503 x3", 1, "503 x2"),
        ("503 x3, timeout, ok", 2, "503, timeout"),
        ("ok, reset after-commit x2", 1, "reset after-commit x2"),
    ],
)
def test_a_script_with_steps_left_is_not_replaced(spec: str, met: int, left: str) -> None:
    """The error says which steps are left and what to do; the earlier script stays in force."""
    board = Board()
    board.set(spec)
    for _ in range(met):
        meet(board)

    with pytest.raises(ValueError, match="still has steps left") as raised:
        board.set("500")

    assert str(raised.value) == (
        f"the script for every request still has steps left: {left}. Let the code meet them first, "
        "or bind the new one to a route or a host of its own"
    )
    assert len(board.open) == 1
    assert board.open[0].has_steps_left


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ({"route": "POST /payments"}, "POST /payments"),
        ({"host": "api.test"}, "every request at api.test"),
        ({"route": "post /payments", "host": "Api.test"}, "POST /payments at api.test"),
    ],
)
def test_the_error_names_what_the_script_is_bound_to(where: dict[str, str], name: str) -> None:
    """Route and host stand in it as they are compared."""
    board = Board()
    board.set("503", **where)

    with pytest.raises(ValueError, match=re.escape(f"the script for {name} still has steps left: 503. ")):
        board.set("500", **where)


@pytest.mark.parametrize("spec", ["ok x5", "503*", "ok"])
def test_a_script_that_owes_nothing_is_replaced(spec: str) -> None:
    """A plain ok and a step for ever owe nothing."""
    board = Board()
    earlier = board.set(spec)

    board.set("500")

    assert earlier.is_closed
    assert meet(board) == "500"


def test_a_script_is_replaced_once_it_is_used_up() -> None:
    """The new one begins at its first step, and both stay on record."""
    board = Board()
    board.set("503")
    meet(board)

    board.set("500, 502")

    assert [meet(board), meet(board), meet(board)] == ["500", "502", "ok"]
    assert [(one.number, one.is_closed) for one in board.scripts] == [(0, True), (1, False)]


def test_another_binding_is_no_replacement() -> None:
    """A script for a route stands beside the general one, whatever is left of that."""
    board = Board()
    board.set("503 x5")

    board.set("500", route="POST /payments")

    assert len(board.open) == 2


# phases


def test_a_phase_ends_with_its_block(chaos: Chaos) -> None:
    """What was left of it no longer strikes, and the route is free for the next one."""
    with chaos.script("503 x5", route="POST /payments", strict=False):
        assert send() == 503
    assert send() == 201

    with chaos.script("500", route="POST /payments"):
        assert send() == 500
    assert [script.closed for script in chaos.trace.scripts] == [True, True]


def test_a_phase_ends_when_its_block_fails(chaos: Chaos) -> None:
    """An exception passes through it."""
    with pytest.raises(KeyError), chaos.script("503*"):
        raise KeyError
    assert send() == 201


def test_the_general_script_goes_on_after_a_phase_for_a_route(chaos: Chaos) -> None:
    """It has not advanced meanwhile."""
    chaos.script("500, 502")

    assert send() == 500
    with chaos.script("503*", route="POST /payments"):
        assert [send(), send()] == [503, 503]
    assert send() == 502


# what is refused where it is written


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"route": "/payments"},
            "route='/payments' is no route: write method and path, without a query, as in route='POST /payments'",
        ),
        (
            {"route": "POST payments"},
            "route='POST payments' is no route: write method and path, without a query, as in route='POST /payments'",
        ),
        (
            {"route": "GET h.example/x"},
            ("route='GET h.example/x' names a host, which is an argument of its own: route='GET /x', host='h.example'"),
        ),
        (
            {"route": "GET h.example:8080/x/{id}?page=2"},
            (
                "route='GET h.example:8080/x/{id}?page=2' names a host, which is an argument of its own: "
                "route='GET /x/{id}', host='h.example'"
            ),
        ),
        (
            {"route": "GET /payments?page=2"},
            (
                "route='GET /payments?page=2' is no route: write method and path, without a query, "
                "as in route='POST /payments'"
            ),
        ),
        (
            {"route": ("POST", "/payments")},
            (
                "route=('POST', '/payments') is no route: write method and path, without a query, "
                "as in route='POST /payments'"
            ),
        ),
        *(
            (
                {"route": route},
                f"route={route!r}: braces come in pairs around a name, as in route='GET /payments/{{id}}'",
            )
            for route in ("POST /a/{id", "POST /a/id}", "POST /a/{}", "POST /a/{{id}}", "POST /a/{b-c}")
        ),
        (
            {"host": "https://api.test"},
            "host='https://api.test' is no host name: write it without scheme, port and path, as in host='api.test'",
        ),
        (
            {"host": "api.test:8080"},
            "host='api.test:8080' is no host name: write it without scheme, port and path, as in host='api.test'",
        ),
        ({"host": ""}, "host='' is no host name: write it without scheme, port and path, as in host='api.test'"),
        ({"host": 7}, "host=7 is no host name: write it without scheme, port and path, as in host='api.test'"),
        ({"per": "attempt"}, "per='attempt' is unknown: it is one of service, operation"),
    ],
)
def test_a_bad_binding_is_refused(arguments: dict[str, Any], text: str) -> None:
    """The error names value, rule and way out, and nothing is set."""
    board = Board()

    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        board.set("503", **arguments)

    assert board.scripts == []


@pytest.mark.parametrize("fault", ["refuse", "dns", "connect-timeout", "tls", "down=30s"])
def test_a_step_that_strikes_at_connecting_cannot_be_bound_to_a_path(fault: str) -> None:
    """No path is known yet."""
    with pytest.raises(ValueError, match="cannot be bound") as raised:
        Board().set(f"ok, {fault}", route="POST /payments", host="api.test")

    assert str(raised.value) == (
        f"`{fault}` cannot be bound to POST /payments at api.test: it strikes while connecting, when no path is "
        "known. Bind it to a host (host=…) or to every request"
    )


@pytest.mark.parametrize("fault", ["refuse", "dns", "connect-timeout", "tls", "down=30s"])
def test_a_step_that_strikes_at_connecting_cannot_stand_per_operation(fault: str) -> None:
    """Outside a scope no operation is known yet; within one it is."""
    with pytest.raises(ValueError, match="cannot stand in") as raised:
        Board().set(fault, per="operation")

    assert str(raised.value) == (
        f"`{fault}` cannot stand in a script with per='operation': while connecting, no operation is known. "
        "Set the script inside `with chaos.operation(…):`, or use per='service'"
    )
    assert Board().set(fault, per="operation", in_scope=True).has_steps_left


def test_an_outage_that_answers_may_be_bound_to_a_path() -> None:
    """It strikes when the request has arrived."""
    assert Board().set("down=30s:503", route="POST /payments").has_steps_left


def test_a_bad_script_leaves_the_earlier_one() -> None:
    """It is refused before anything changes."""
    board = Board()
    board.set("503*")

    with pytest.raises(ScriptError):
        board.set("50x")

    assert meet(board) == "503"


def test_constructors_are_as_good_as_text() -> None:
    """A list of steps is a script."""
    board = Board()

    active = board.set([status(503, retry_after=2) * 2, reset(after_commit=True)])

    assert str(active.script) == "503 retry-after=2 x2, reset after-commit"


# the record


def test_the_record_tells_how_often_each_step_struck() -> None:
    """Each step with its count, how often it fired, and whether it is a fault."""
    board = Board()
    active = board.set("503 x2, ok, 500*", route="POST /payments", strict=False)
    for _ in range(3):
        meet(board)

    record = active.record()

    assert (record.where, record.per, record.strict, record.closed) == ("POST /payments", "service", False, False)
    assert [(step.text, step.wanted, step.fired, step.is_fault) for step in record.steps] == [
        ("503", 2, 2, True),
        ("ok", 1, 1, False),
        ("500", None, 0, True),
    ]


# per operation


def test_every_operation_meets_a_script_from_its_first_step(chaos: Chaos) -> None:
    """Two payments that take turns each get 503, 502, and then their answer."""
    chaos.script("503, 502", per="operation")

    statuses = [send(body=f'{{"amount":{amount}}}', key=str(amount)) for _ in range(3) for amount in (1, 2)]

    assert statuses == [503, 503, 502, 502, 201, 201]
    assert [[attempt.status for attempt in operation.attempts] for operation in chaos.operations] == [
        [503, 502, 201],
        [503, 502, 201],
    ]


def test_operations_within_one_scope_each_meet_the_script(chaos: Chaos) -> None:
    """Two identities in one scope are two operations."""
    chaos.script("503", per="operation")

    with chaos.operation("checkout"):
        statuses = [send(path) for path in ("/orders", "/orders", "/payments", "/payments")]

    assert statuses == [503, 201, 503, 201]
    assert [operation.name for operation in chaos.operations] == ["checkout", "checkout/2"]


def test_a_step_at_connecting_strikes_each_scope_once(chaos: Chaos) -> None:
    """The reconnect after a later step is the same operation: it is not refused again."""
    with chaos.operation("first"):
        chaos.script("refuse, 503, dns", per="operation")
        first = [send("/a", host="api.test") for _ in range(4)]
    with chaos.operation("second"):
        second = [send("/b", host="api.test") for _ in range(4)]

    assert first == [None, 503, None, 201]
    assert second == [None, 503, None, 201]
    assert [[attempt.fault for attempt in operation.attempts] for operation in chaos.operations] == [
        ["refuse", "503", "dns", None],
        ["refuse", "503", "dns", None],
    ]


def test_per_operation_owes_its_steps_until_some_operation_met_them() -> None:
    """Strikes are counted over all operations."""
    board = Board()
    active = board.set("503, 502", per="operation")
    active.of(1).take()
    active.of(2).take()

    assert active.fired == [2, 0]
    assert active.has_steps_left

    active.of(1).take()

    assert not active.has_steps_left
