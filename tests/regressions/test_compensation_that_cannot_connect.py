"""A saga whose step is refused or given up, and whose compensation then meets an outage: two operations of one call."""

from __future__ import annotations

import contextlib
import time

import pytest
import requests

from pytest_retrychaos import LawsBroken

PASSING = (429, 500, 502, 503, 504)


def send(url: str, path: str, key: str) -> None:
    """Send one step: four attempts, with waits between."""
    for wait in (1, 2, 4, None):
        try:
            answer = requests.post(f"{url}/{path}", json={"order": 7}, headers={"Idempotency-Key": key}, timeout=5)
        except requests.ConnectionError:
            if wait is None:
                raise
        else:
            if wait is None or answer.status_code not in PASSING:
                answer.raise_for_status()
                return
        time.sleep(wait)


def ship(url: str) -> None:
    """Charge; where that fails, cancel what may have been charged."""
    try:
        send(url, "charges", "charge-7")
    except requests.RequestException:
        send(url, "cancellations", "cancel-7")


@pytest.mark.chaos("400, down=30s", "403, refuse x4", "503 x4, down=30s", "reset x4, refuse x4")
def test_a_compensation_in_an_outage_is_no_retry_of_the_step(chaos):
    """It never got through, so that nothing says whose it was: the step was sent as often as was right."""
    with pytest.raises(requests.ConnectionError):
        chaos.call(ship, chaos.url)

    chaos.verify(attempts=4)
    assert len(chaos.operations[0].attempts) in (1, 4)


def send_whatever_comes(url: str, times: int) -> None:
    """Send the same charge again and again, whatever the answer was."""
    for _ in range(times):
        with contextlib.suppress(requests.ConnectionError):
            requests.post(f"{url}/charges", json={}, headers={"Idempotency-Key": "charge-7"}, timeout=5)
        time.sleep(1)


@pytest.mark.chaos("400, refuse, ok")
def test_who_sends_again_what_was_refused_is_found_behind_a_refused_connection(chaos):
    """The request that got through in the end tells."""
    send_whatever_comes(chaos.url, 3)

    with pytest.raises(LawsBroken, match=r"^RT02 .* after 400"):
        chaos.verify()


@pytest.mark.chaos("400, refuse x2")
def test_whether_a_refusal_was_followed_by_a_retry_is_not_said_where_nothing_got_through(chaos):
    """It is neither accused nor said to have held."""
    send_whatever_comes(chaos.url, 3)

    assert "RT02" in [result.code for result in chaos.verify().does_not_apply]
