"""A redirect that the client follows is a leg of the operation that led to it."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import Chaos
from tests.unit.record.wire import groups, reasons


def moves(chaos: Chaos, status: int, location: str, *, method: str = "POST", path: str = "/old") -> None:
    """Let the service send the client from one path to another address."""
    chaos.service.route(method, path, lambda _: (status, {}, {"Location": location}))


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_a_redirect_that_is_followed_is_a_leg(chaos: Chaos, status: int, method: str) -> None:
    """The client changes the method as it does; the leg belongs to the operation all the same."""
    moves(chaos, status, "/new")

    requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "leg"]
    assert chaos.trace.operations[0].legs == (2,)
    assert [attempt.method for attempt in chaos.attempts] == ["POST", method]


@pytest.mark.parametrize(
    "location",
    [
        "new",
        "/new",
        "//service.test/new",
        "http://service.test/new",
        "http://SERVICE.test:80/new",
        "https://other.test/new",
        "https://other.test:443/new",
        "/sub/../new",
        "/new?a=1&b=x y#part",
        "/n%65w",
        "/n\u00c3\u00a9",  # UTF-8, as it arrives in a header
    ],
)
def test_a_location_is_followed_however_it_is_written(chaos: Chaos, location: str) -> None:
    """Relative, absolute, with the usual port, a fragment, or characters that the client escapes."""
    moves(chaos, 307, location)

    requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)

    assert reasons(chaos) == ["began", "leg"]


def test_several_legs_belong_to_one_operation(chaos: Chaos) -> None:
    """A chain of redirects."""
    moves(chaos, 307, "/newer")
    moves(chaos, 307, "/newest", path="/newer")

    requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)

    assert groups(chaos) == [[1, 2, 3]]
    assert chaos.trace.operations[0].legs == (2, 3)


def test_a_retry_of_the_original_after_a_failed_leg_joins(chaos: Chaos) -> None:
    """The whole way is gone again; the legs are outside the waits."""
    moves(chaos, 307, "/new")
    chaos.script("slow=1s, 503, ok", route="POST /new", strict=False)
    chaos.script("ok, ok", route="POST /old", strict=False)

    def client() -> None:
        for _ in range(3):
            if requests.post(chaos.url + "/old", json={"a": 1}, timeout=0.5).ok:
                return
            time.sleep(2)

    with pytest.raises(requests.ReadTimeout):
        client()
    with chaos.operation("all the way"):
        client()

    assert groups(chaos) == [[1, 2], [3, 4, 5, 6]]
    assert reasons(chaos)[2:] == ["began", "leg", "retry", "leg"]
    assert chaos.operations[1].waits == [2.0]


def test_a_retry_of_the_leg_alone_joins(chaos: Chaos) -> None:
    """An operation has the identities of all its attempts."""
    moves(chaos, 303, "/status")
    chaos.script("503, ok", route="GET /status")

    def client() -> None:
        requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)
        requests.get(chaos.url + "/status", timeout=5)

    client()

    assert groups(chaos) == [[1, 2, 3]]
    assert reasons(chaos) == ["began", "leg", "retry"]


def test_a_redirect_that_is_not_followed_leads_nowhere(chaos: Chaos) -> None:
    """Another request than the one that was pointed to, and a request for it later, are operations of their own."""
    moves(chaos, 307, "/new")

    def client() -> None:
        requests.post(chaos.url + "/old", json={"a": 1}, timeout=5, allow_redirects=False)
        requests.post(chaos.url + "/other", json={"a": 1}, timeout=5)
        requests.post(chaos.url + "/new", json={"a": 1}, timeout=5)

    client()

    assert groups(chaos) == [[1], [2], [3]]


def test_a_redirect_that_the_test_follows_from_another_line_is_no_leg(chaos: Chaos) -> None:
    """The test looked at the answer and asked for something new."""
    moves(chaos, 303, "/status")

    requests.post(chaos.url + "/old", json={"a": 1}, timeout=5, allow_redirects=False)
    requests.get(chaos.url + "/status", timeout=5)

    assert groups(chaos) == [[1], [2]]


def test_a_location_without_a_redirect_is_no_leg(chaos: Chaos) -> None:
    """A 201 says where the new thing is."""
    chaos.service.route("POST", "/old", lambda _: (201, {}, {"Location": "/new"}))

    def client() -> None:
        requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)
        requests.get(chaos.url + "/new", timeout=5)

    client()

    assert groups(chaos) == [[1], [2]]


def test_a_scripted_redirect_is_followed_too(chaos: Chaos) -> None:
    """The leg meets a step of its own."""
    chaos.script('307 header="Location: /new", 503, ok')

    def client() -> None:
        requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)
        requests.post(chaos.url + "/old", json={"a": 1}, timeout=5)

    client()

    assert groups(chaos) == [[1, 2, 3]]
    assert [attempt.fault for attempt in chaos.attempts][1:] == ["503", "ok"]


def test_a_redirect_is_no_success_of_a_key(chaos: Chaos) -> None:
    """The operation goes on until an answer comes that leads nowhere else."""
    moves(chaos, 307, "/new")
    chaos.script("503, ok", route="POST /new")

    def client() -> None:
        for _ in range(2):
            requests.post(chaos.url + "/old", json={"a": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    client()

    assert groups(chaos) == [[1, 2, 3, 4]]
    assert reasons(chaos) == ["began", "leg", "key", "leg"]
