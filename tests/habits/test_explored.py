"""What exploring finds in wrong clients, without one script written by hand; and right ones, which it accuses not."""

from __future__ import annotations

import contextlib
import time

import pytest
import requests

from examples.payments import wrong
from examples.payments.client import PaymentClient
from pytest_retrychaos.engine import Retry
from tests.unit.fuzz.exploring import explore, shortest

UNRETRIED = {
    "RT01/502": "502", "RT01/504": "504", "RT01/eof": "eof", "RT01/refuse": "refuse", "RT01/reset": "reset",
    "RT01/timeout": "timeout",
}  # fmt: skip
"""Of a client that retries 503 alone, and sends a key."""

LOST = {shape: fault for shape, fault in UNRETRIED.items() if not fault.isdigit()}
"""Of one that retries every 5xx."""

REFUSED = {"RT02/400": "400", "RT02/401": "401", "RT02/403": "403", "RT02/404": "404", "RT02/422": "422"}
"""Of a client that retries whatever is no success."""

FOUND = {
    wrong.new_key_per_attempt: {
        "BK04/early": "503 retry-after=2",
        "ID02/new-key": "503",
        "ID04": "reset after-commit",
        "ID05/false-failure": "reset after-commit *",
        "RT01/timeout": "timeout",
    },
    wrong.no_key: {
        "BK04/early": "503 retry-after=2",
        "ID01": "500",
        "ID04": "reset after-commit",
        "ID05/false-failure": "reset after-commit *",
    },
    wrong.ignores_retry_after: {"BK04/early": "503 retry-after=2", **UNRETRIED},
    wrong.crashes_on_a_date: {"RT06/ValueError": "503 retry-after=date+30s", **UNRETRIED},
    wrong.retries_a_bad_request: {"BK04/early": "503 retry-after=2", **LOST, **REFUSED},
    wrong.hot_loop: {"BK01": "503 *", "BK04/early": "503 retry-after=2", **LOST},
    wrong.gives_up_at_once: {"RT01/503": "503", **UNRETRIED},
    wrong.loses_the_body: {"BK04/early": "503 retry-after=2", "RT04/body": "503", **UNRETRIED},
    wrong.no_timeout: {
        "BK07": "timeout",
        "ID05/false-failure": "502 after-commit",
        "RT01/502": "502",
        "RT01/503": "503",
        "RT01/504": "504",
    },
    wrong.sends_a_success_again: {
        "RT01/503": "503",
        "RT06/ValueError": "503 retry-after=date+30s",
        "RT07": "201 retry-after=1",
        **UNRETRIED,
    },
}  # fmt: skip


@pytest.mark.parametrize("client", FOUND, ids=lambda client: client.__name__)
def test_a_wrong_client_is_found_with_its_shortest_script(client):
    """One fault brings each of these out."""
    assert shortest(explore(client, depth=1)) == dict(sorted(FOUND[client].items()))


def test_a_client_without_a_maximum_is_found_by_a_fault_that_stays():
    """The run is ended after 2 000 attempts."""
    assert shortest(explore(wrong.never_stops, depth=1, faults=["503"])) == {"RT03": "503 *"}


def forgets_the_doubt(url: str, **body: object) -> object:
    """Tells its caller of the last failure alone, whatever came before."""
    for retry in range(3):
        try:
            return requests.post(
                f"{url}/payments", json=body, headers={"Idempotency-Key": "order-7"}, timeout=10
            ).json()
        except requests.RequestException as error:
            last = error
            time.sleep(2**retry)
    raise last


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("404", {"RT02/404": "ok, 404", "RT03": "ok, 404 *"}),  # to the read that comes before it is an answer
        ("reset", {"ID01": "ok, reset", "RT03": "ok, reset *"}),  # which ends the read, too
    ],
)
def test_a_fault_that_stays_may_begin_at_any_request(fault, found):
    """What comes before may not be passed under it: it ends there."""

    def stubborn(url: str, **payment: object) -> None:
        requests.get(f"{url}/rates", timeout=5)
        for wait in range(30):
            with contextlib.suppress(requests.ConnectionError):
                if requests.post(f"{url}/payments", json=payment, timeout=5).ok:
                    return
            time.sleep(wait)

    explored = shortest(explore(stubborn, depth=1, faults=[fault]))
    assert {shape: script for shape, script in explored.items() if script != fault} == found


def test_a_mistake_that_takes_two_faults_is_found():
    """The charge was made, and what the caller hears is that no connection was."""
    found = explore(forgets_the_doubt, faults=["503", "reset after-commit", "down=30s"])

    assert shortest(found) == {"ID05/false-failure": "reset after-commit, down=30s"}


def in_three_requests(url: str, **body: object) -> object:
    """Logs in, charges, and reads the payment back; what is wrong is in the middle."""
    requests.post(f"{url}/sessions", json={"user": "u"}, headers={"Idempotency-Key": "login"}, timeout=10)
    payment = Retry(on=requests.RequestException).call(_charge_without_key, url, body)
    return requests.get(f"{url}/payments/{payment['id']}", timeout=10).json()


def _charge_without_key(url: str, body: dict[str, object]) -> dict[str, object]:
    answer: dict[str, object] = requests.post(f"{url}/payments", json=body, timeout=10).json()
    return answer


def test_the_place_of_a_fault_in_a_longer_flow_is_found():
    """The first request is answered; the second is the one."""
    found = explore(in_three_requests, depth=1, faults=["reset after-commit"])

    assert shortest(found)["ID04"] == "ok, reset after-commit"


def pays(url: str, **body: object) -> object:
    """Pay by the client that is right."""
    return PaymentClient(url).charge(**body)


def reads(url: str, **_: object) -> object:
    """Read by the engine."""
    return Retry().call(requests.get, f"{url}/orders", timeout=10)


def test_a_right_client_is_accused_of_nothing():
    """At two faults, wherever they strike, and under each fault for ever."""
    found = explore(pays)

    assert shortest(found) == {}
    assert (found.runs, found.missed, found.is_cut) == (432, 0, False)
    assert dict(found.left_out) == {"nothing to commit": 20}


@pytest.mark.parametrize(
    ("client", "depth"),
    [*((client, 1) for client in FOUND), (wrong.no_key, 2), (reads, 2), (in_three_requests, 1)],
    ids=lambda value: value if isinstance(value, int) else value.__name__,
)
def test_reduction_loses_nothing(client, depth):
    """What is left out as equivalent would have found the same, by the same scripts."""
    reduced, whole = explore(client, depth=depth), explore(client, depth=depth, reduces=False)

    assert shortest(reduced) == shortest(whole)
    assert reduced.runs + reduced.left_out.total() <= whole.runs
    assert whole.left_out.total() == 0
