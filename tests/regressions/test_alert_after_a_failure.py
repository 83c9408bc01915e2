"""Who gives up on one request, sends another one because of that, and tells the caller of the first."""

from __future__ import annotations

import pytest
import requests

from pytest_retrychaos import LawsBroken


class NoReport(Exception):
    """Nothing could be fetched."""


def fetch(url: str) -> object:
    """Fetch a report, or let somebody know that there is none."""
    try:
        answer = requests.get(f"{url}/report", timeout=5)
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as error:
        headers = {"Idempotency-Key": "alert-1"}
        requests.post(f"{url}/alerts", json={"no": "report"}, headers=headers, timeout=5).raise_for_status()
        raise NoReport from error


def charge(url: str) -> object:
    """Charge, and take what it cannot read for a failure."""
    requests.get(f"{url}/rates", timeout=5)
    headers = {"Idempotency-Key": "charge-1"}
    answer = requests.post(f"{url}/payments", json={}, headers=headers, timeout=5)
    return answer.json()["no such field"]


@pytest.mark.chaos("404, ok", "400, ok", "refuse, ok", "timeout, ok")
def test_an_alert_is_no_failure_of_its_own(chaos):
    """It was carried out, and the caller was told of the report."""
    with pytest.raises(NoReport):
        chaos.call(fetch, chaos.url)

    assert "another request of the scope failed" in chaos.verify(ignore=["RT01"]).of("ID05").reason


def test_what_was_carried_out_after_a_success_is_still_told(chaos):
    """Nothing failed but the code itself."""
    with pytest.raises(KeyError):
        chaos.call(charge, chaos.url)

    with pytest.raises(LawsBroken, match="ID05"):
        chaos.verify(ignore=["RT06"])
