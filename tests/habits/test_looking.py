"""Right habits around an unsafe request: looking before repeating, hedging, polling on, failing over. And one wrong."""

from __future__ import annotations

import select
import socket
import time

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken

NETWORK = (requests.ConnectionError, requests.Timeout)


def pay_looking(url: str) -> dict[str, object] | None:
    """Pay under a number of its own; after a failure look whether it is there before paying again."""
    for _ in range(3):
        try:
            answer = requests.post(f"{url}/payments", json={"id": "order-7", "amount": 5}, timeout=5)
            if answer.ok:
                return answer.json()
        except NETWORK:
            pass
        time.sleep(1)
        found = requests.get(f"{url}/payments/order-7", timeout=5)
        if found.ok:
            return found.json()
    return None


@pytest.mark.parametrize("script", ["reset after-commit, ok", "reset, ok", "503 after-commit, ok", "500, ok"])
def test_looking_before_repeating_needs_no_key(chaos: Chaos, script: str) -> None:
    """The service is asked what became of the first payment, so that there is never a second."""
    requests.post(f"{chaos.url}/payments", json={"id": "order-6", "amount": 5}, timeout=5)
    chaos.script(script)

    paid = pay_looking(chaos.url)

    assert paid is not None
    assert len(chaos.ledger) == 2
    assert {"ID01", "RT01"}.isdisjoint(chaos.verify().codes)


def job(url: str) -> object:
    """Order a job and ask how it goes; what goes wrong with asking is told."""
    accepted = requests.post(f"{url}/jobs", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)
    accepted.raise_for_status()
    asked = requests.get(f"{url}/jobs/1", timeout=5)
    asked.raise_for_status()
    return asked.json()


@pytest.mark.chaos("ok, 403")
def test_a_failed_question_after_a_success_is_no_false_failure(chaos: Chaos) -> None:
    """The caller was told of the question, and knows of the job by its answer."""
    with pytest.raises(requests.HTTPError):
        chaos.call(job, chaos.url)

    chaos.verify()


def charge(url: str) -> None:
    """Charge with a key, and raise the last answer's error."""
    for wait in (1, 2, 0):
        answer = requests.post(f"{url}/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)
        if answer.ok:
            return
        time.sleep(wait)
    answer.raise_for_status()


@pytest.mark.chaos("503 after-commit x3")
def test_believing_a_503_is_no_false_failure(chaos: Chaos) -> None:
    """A service that says it did nothing, and did, is not the client's fault."""
    with pytest.raises(requests.HTTPError):
        chaos.call(charge, chaos.url)

    verdict = chaos.verify()

    assert "ID05" in [result.code for result in verdict.does_not_apply]


@pytest.mark.chaos("slow=5s, ok")
def test_a_hedged_read_is_not_given_up(chaos: Chaos) -> None:
    """The same question is put once more while the first waits, and the first answer counts."""

    def ask() -> socket.socket:
        sock = socket.create_connection(("service.test", 80), timeout=3)
        sock.sendall(b"GET /items HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n\r\n")
        return sock

    first = ask()
    assert select.select([first], [], [], 1) == ([], [], [])
    second = ask()
    assert second.recv(4096).startswith(b"HTTP/1.1 200")
    time.sleep(0.1)
    first.close()
    second.close()

    assert "RT01" not in chaos.verify().codes


def test_a_signature_of_its_own_may_change_with_its_date(chaos: Chaos) -> None:
    """Whatever the fields are called that date and sign an attempt, they are no other request."""
    chaos.script("503, ok")
    for _ in range(2):
        stamp = str(int(time.time()))
        headers = {"X-Acme-Date": stamp, "X-Acme-Sig": f"sig-{stamp}", "Idempotency-Key": "k1"}
        requests.post(f"{chaos.url}/payments", json={"n": 1}, headers=headers, timeout=5)
        time.sleep(2)

    chaos.verify()


@pytest.mark.chaos("503 x6")
def test_going_round_the_hosts_without_a_pause_is_told(chaos: Chaos) -> None:
    """The first time round is failover; from the second on each host is hit again at once."""
    for _ in range(2):
        for host in ("a", "b", "c"):
            requests.post(f"http://{host}.test/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)

    with pytest.raises(LawsBroken, match="BK01 no wait: POST /payments was sent again at once"):
        chaos.verify(only=["BK01"])


@pytest.mark.chaos("503 x6")
def test_a_pause_before_the_next_round_of_hosts_is_enough(chaos: Chaos) -> None:
    """What counts is the time since the same host was asked."""
    for _ in range(2):
        for host in ("a", "b", "c"):
            requests.post(f"http://{host}.test/payments", json={"n": 1}, headers={"Idempotency-Key": "k1"}, timeout=5)
        time.sleep(1)

    chaos.verify(only=["BK01"])


@pytest.mark.chaos("reset after-commit x2, 409, ok", strict=False)
def test_a_queue_that_another_message_ends_has_given_up_nothing(chaos: Chaos) -> None:
    """What failed before was to be delivered again, had the loop gone on."""

    def deliver() -> None:
        queue = [1, 2, 3]
        while queue:
            message = queue.pop(0)
            headers = {"Idempotency-Key": f"message-{message}"}
            try:
                answer = requests.post(f"{chaos.url}/payments", json={"m": message}, headers=headers, timeout=5)
                answer.raise_for_status()
            except requests.ConnectionError:
                queue.append(message)
                time.sleep(1)

    with pytest.raises(requests.HTTPError):
        chaos.call(deliver)

    chaos.verify()
