"""Fault classes, routes and the matrix made of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.laws.ends import Endings
from pytest_retrychaos.report.asked import omitted, route
from pytest_retrychaos.report.coverage import Scope, coverage, missing, script_line
from pytest_retrychaos.report.document import FAULT_CLASSES, NOWHERE, CellRecord, TestRecord
from pytest_retrychaos.report.faultclass import SCRIPTS, fault_class
from pytest_retrychaos.report.recording import Test, record
from pytest_retrychaos.report.routes import folded, route_of
from tests.unit.report.documents import BROKEN


def send(script: str, method: str = "POST", times: int = 2) -> Chaos:
    """Send a request so often, whatever comes of it."""
    with Chaos(script, strict=False) as chaos, requests.Session() as session:
        for _ in range(times):
            with contextlib.suppress(requests.RequestException):
                session.request(method, f"{chaos.url}/payments", json={"amount": 1}, timeout=5)
    return chaos


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("timeout", "lost-before-commit"),
        ("reset", "lost-before-commit"),
        ("eof", "lost-before-commit"),
        ("timeout after-commit", "lost-after-commit"),
        ("502 after-commit", "lost-after-commit"),
        ("refuse", "not-sent"),
        ("connect-timeout", "not-sent"),
        ("dns", "not-sent"),
        ("503", "turned-away"),
        ("425", "turned-away"),
        ("503 retry-after=2", "turned-away-retry-after"),
        ("429 retry-after=date+2s", "turned-away-retry-after"),
        ("403 retry-after=2", "turned-away-retry-after"),
        ("500", "server-error"),
        ("504", "server-error"),
        ("422", "permanent"),
        ("409", None),
        ("409 retry-after=2", None),
        ("408", None),
        ("truncate", "damaged"),
        ("garbage", "damaged"),
        ("slow=60s", "too-slow"),
        ("drip=60s", "too-slow"),
        ("slow=1s", None),
        ("down=30s", "outage"),
        ("down=30s:503", "outage"),
        ("ok", None),
        ("201", None),
        ("duplicate", None),
    ],
)
def test_an_attempts_class_is_what_the_client_met(script: str, found: str | None) -> None:
    """Not what the script meant: an answer that is late and still in time is no fault of any class."""
    first = send(script).attempts[0]

    assert fault_class(first, Endings()) == found


def test_a_stale_connection_is_a_class_of_its_own() -> None:
    """It strikes a connection that was used before."""
    chaos = send("ok, stale, ok")

    assert [fault_class(attempt, Endings()) for attempt in chaos.attempts][:2] == [None, "stale"]


def test_of_a_read_nothing_is_lost_after_commit() -> None:
    """It commits nothing."""
    assert fault_class(send("reset after-commit", "GET").attempts[0], Endings()) == "lost-before-commit"


def test_a_limit_that_the_service_keeps_turns_away() -> None:
    """No script asked for it, and the client meets it all the same."""
    with Chaos() as chaos:
        chaos.service.limit("1/s")
        for _ in range(2):
            requests.post(f"{chaos.url}/payments", json={}, timeout=5)

    assert fault_class(chaos.attempts[1], Endings()) == "turned-away-retry-after"


@pytest.mark.parametrize("fault", FAULT_CLASSES)
def test_the_script_of_a_class_strikes_in_it(fault: str) -> None:
    """What is listed as missing is judged once it is pasted."""
    chaos = send(SCRIPTS[fault])

    assert fault in [fault_class(attempt, Endings()) for attempt in chaos.attempts]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/payments", "/payments"),
        ("/payments/17", "/payments/{id}"),
        ("/payments/pay_e4e92ae02be47ebb4fdf5150/refunds", "/payments/{id}/refunds"),
        ("/v1/charges/ch_3P2xYz", "/v1/charges/{id}"),
        ("/orders/550e8400-e29b-41d4-a716-446655440000", "/orders/{id}"),
        ("/days/2030-01-01", "/days/{id}"),
        ("/blobs/3f9a2c1d", "/blobs/{id}"),
        ("/orders/17.json", "/orders/{id}"),
        ("/v2/users/alice", "/v2/users/alice"),
        ("/api-v2/users/user-1", "/api-v2/users/{id}"),
        ("/oauth2/token", "/oauth2/token"),
        ("/feedback", "/feedback"),
        ("/", "/"),
    ],
)
def test_ids_in_paths_are_folded(path: str, route: str) -> None:
    """A version is none, nor is a word that could be written in hex."""
    assert folded(path) == route


def test_a_declared_route_is_named_as_it_was_declared() -> None:
    """And another host than the service's own stands before the path."""
    with Chaos() as chaos:
        chaos.service.route("GET", "/users/{name}", lambda request: {"name": request.params["name"]})
        requests.get(f"{chaos.url}/users/alice", timeout=5)
        requests.get("https://api.example.com/users/17", timeout=5)
    from pytest_retrychaos.report.declared import declared_by

    declared = declared_by(chaos.service.answering.router)

    assert [route_of(attempt, declared) for attempt in chaos.attempts] == ["GET /users/{name}", "GET /users/{name}"]
    assert route_of(chaos.attempts[1]) == "GET api.example.com/users/{id}"


def test_a_secret_in_a_path_is_no_part_of_its_route() -> None:
    """Its mark would be another one in each run."""
    assert folded("/hooks/sk_live_abcdefghijkl/events") == "/hooks/{secret}/events"
    assert len(route_of(send("ok").attempts[0], lambda _: "POST /" + "a" * 1000) or "") == 200


@pytest.mark.parametrize(
    ("declared", "route"),
    [
        ("POST /hooks/sk_live_abcdefghijkl/{event}", "POST /hooks/{secret}/{event}"),
        ("POST sk_live_abcdefghijkl.example:8080/a", "POST {secret}:8080/a"),
        ("POST sk_live_ABCdefghijkl.example:8080/a", "POST {secret}:8080/a"),
        ("POST auth:8080/tokens/{token}", "POST auth:8080/tokens/{token}"),
        ("POST /oauth/token", "POST /oauth/token"),
    ],
)
def test_a_secret_in_what_was_declared_is_no_part_of_its_route(declared: str, route: str) -> None:
    """A baseline, which is kept with the code, and every report have the route."""
    assert route_of(send("ok").attempts[0], lambda _: declared) == route


@pytest.mark.parametrize(("host", "shown"), [("sk_live_abcdefghijkl.example", "{secret}"), ("auth:8080", "auth:8080")])
def test_a_secret_in_a_host_is_no_part_of_its_route(host: str, shown: str) -> None:
    """A port is none."""
    with Chaos("ok") as chaos:
        requests.get(f"http://{host}/a", timeout=5)

    assert route_of(chaos.attempts[0]) == f"GET {shown}/a"


def test_a_function_has_no_connection_that_could_be_stale() -> None:
    """Every other class can strike its calls."""
    found = coverage(cells(("CALL charge", False, "permanent", 1, 1)))

    assert [cell.fault for cell in found.rows[0].cells] == [fault for fault in FAULT_CLASSES if fault != "stale"]


def test_a_function_can_be_declared_and_omitted() -> None:
    """By the name that the matrix lists it under."""
    with Chaos("503, ok", strict=False) as chaos:
        call = chaos.faulty(charge)
        with contextlib.suppress(Exception):
            call()
    (cell,) = record(
        Test("a.py::test_it", "a.py", 3), chaos.trace, (), declared=lambda _: None, judges_by_assert=True, draws=False
    ).cells
    name = f"CALL {charge.__qualname__}"
    tests = cells((cell.route, False, "turned-away", 1, 1), ("POST /a", False, "turned-away", 1, 1))

    assert cell.route == name
    assert [row.route for row in coverage(tests, Scope((route(name, "--route"),))).rows] == [name]
    assert [row.route for row in coverage(tests, Scope((), (omitted(name, "--omit"),))).rows] == ["POST /a"]
    left = coverage(tests, Scope((), (omitted(f"{name} outage", "--omit"), "POST /a")))
    assert [one.fault for one in left.rows[0].cells] == [one for one in FAULT_CLASSES if one not in ("stale", "outage")]


def charge() -> None:
    """Stand for a function that is called over no HTTP."""


@pytest.mark.parametrize("text", ["CALL", "charge", "GET health", "CALL a b", "/health"])
def test_what_is_no_route_is_refused(text: str) -> None:
    """With the way to write one."""
    with pytest.raises(pytest.UsageError, match=r"^--route: .* is no route: write method and path"):
        route(text, "--route")


def test_an_attempt_that_was_not_sent_has_the_route_of_its_operation() -> None:
    """No path is known when a connection is refused; the retry shows it."""
    chaos = send("refuse, ok")
    found = record(
        Test("a.py::test_it", "a.py", 3),
        chaos.trace,
        (),
        declared=lambda _: None,
        judges_by_assert=True,
        draws=False,
    )

    assert found.cells == (
        CellRecord("POST /payments", False, NOWHERE, 0, 0),
        CellRecord("POST /payments", False, "not-sent", 1, 1),
    )


def cells(*rows: tuple[str, bool, str, int, int]) -> list[TestRecord]:
    """Make tests, each with one cell."""
    return [replace(BROKEN, cells=(CellRecord(*row),)) for row in rows]


def test_a_cell_counts_where_a_fault_fired_and_was_judged() -> None:
    """One that only fired is missing, and so is every other class that applies to the route."""
    found = coverage(
        cells(("POST /a", False, "stale", 2, 1), ("POST /a", False, "permanent", 1, 0), ("GET /b", True, NOWHERE, 0, 0))
    )

    assert (found.judged, found.applicable) == (1, 21)
    assert [row.route for row in found.rows] == ["POST /a", "GET /b"]
    assert "lost-after-commit" not in [cell.fault for cell in found.rows[1].cells]
    assert len(list(missing(found))) == 20
    (permanent,) = [cell for cell in found.rows[0].cells if cell.fault == "permanent"]
    assert (permanent.fired, permanent.judged) == (1, 0)
    assert permanent.script == 'chaos.script("422, ok", route="POST /a")'


def test_a_cell_is_of_the_tests_that_judged_it() -> None:
    """One in which it only fired is none of them; one write makes its route no read, whatever came after."""
    found = coverage(
        cells(
            ("POST /a", False, "stale", 1, 1),
            ("POST /a", True, "stale", 2, 2),
            ("POST /a", True, "stale", 1, 0),
        )
    )

    (row,) = found.rows
    (stale,) = [cell for cell in row.cells if cell.fault == "stale"]
    assert (stale.fired, stale.judged, stale.tests) == (4, 3, 2)
    assert not row.is_read


def test_what_is_omitted_is_not_in_the_matrix() -> None:
    """A class, a route, a cell; a route that is left with no cell goes."""
    rows = cells(("POST /a", False, "stale", 1, 1), ("GET /health", True, "stale", 1, 1))
    found = coverage(rows, Scope((), ("stale", "GET /health", "POST /a outage")))

    assert [row.route for row in found.rows] == ["POST /a"]
    left = [cell.fault for cell in found.rows[0].cells]
    assert left == [fault for fault in FAULT_CLASSES if fault not in ("stale", "outage")]


def test_a_declared_row_is_the_route_whole() -> None:
    """What only begins like it is another route, and is left out."""
    found = coverage(cells(("POST /a/{id}/refunds", False, "stale", 1, 1)), Scope(("POST /a/{id}",)))

    assert (found.judged, [row.route for row in found.rows]) == (0, ["POST /a/{id}"])


@pytest.mark.parametrize("routes", [("POST /orders/{id}", "POST /orders/{id}:cancel"), ("POST /{any}", "POST /v{n}")])
@pytest.mark.parametrize("turned", [False, True])
def test_of_declared_rows_with_as_many_gaps_the_one_that_says_more_counts(
    routes: tuple[str, str], turned: bool
) -> None:
    """A verb behind an id is a route of its own, wherever it stands in the list."""
    called = routes[1].replace("{id}", "17").replace("{n}", "1")
    cell = CellRecord(called, False, "turned-away", 1, 1)

    found = coverage([replace(BROKEN, cells=(cell,))], Scope(routes[::-1] if turned else routes))

    assert [row.route for row in found.rows if any(one.fired for one in row.cells)] == [routes[1]]


@pytest.mark.parametrize("routes", [("GET /users/{id}", "GET /users/me"), ("GET /users/me", "GET /users/{id}")])
def test_of_declared_rows_the_exactest_counts(routes: tuple[str, ...]) -> None:
    """In whatever order they are declared."""
    cells = tuple([CellRecord(f"GET /users/{one}", True, "turned-away", 1, 1) for one in ("me", "{id}", "{id}")])

    found = coverage([replace(BROKEN, cells=cells)], Scope(routes))

    fired = {row.route: sum(cell.fired for cell in row.cells) for row in found.rows}
    assert fired == {"GET /users/me": 1, "GET /users/{id}": 2}


def test_a_declared_route_that_was_never_called_is_a_read_by_its_method() -> None:
    """Of which nothing can be lost after commit."""
    found = coverage([], Scope(("GET /a", "POST /a")))

    assert [("lost-after-commit" in [cell.fault for cell in row.cells]) for row in found.rows] == [False, True]


def test_declared_rows_are_the_whole_matrix() -> None:
    """What was seen is counted under the row that it matches, whatever its parameter is called."""
    scope = Scope(("POST /a/{number}", "GET /never"), ("stale", "GET /never outage"))
    found = coverage(cells(("POST /a/{id}", False, "permanent", 1, 1), ("GET /b", True, "permanent", 1, 1)), scope)

    assert [row.route for row in found.rows] == ["POST /a/{number}", "GET /never"]
    assert (found.judged, found.applicable) == (1, 10 + 8)


def test_a_script_line_names_route_and_host_where_they_can_be_bound() -> None:
    """A step that strikes before a connection is made is bound to no path."""
    assert script_line("POST api.test/v1/a", "permanent") == (
        'chaos.script("422, ok", route="POST /v1/a", host="api.test")'
    )
    assert script_line("POST [::1]:8080/a", "permanent") == 'chaos.script("422, ok", route="POST /a", host="::1")'
    assert script_line("POST /a", "not-sent") == 'chaos.script("refuse, ok")'
    assert script_line("CALL charge", "permanent") == 'chaos.script("422, ok")'
