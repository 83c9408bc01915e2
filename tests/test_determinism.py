"""The same seed gives the same trace, byte for byte, in any process.

As a script (``python tests/test_determinism.py SEED``) it runs the scenario and prints its trace as JSON.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_retrychaos import Chaos

RUNS = 1000 if os.environ.get("RETRYCHAOS_LONG") else 50
SCRIPT = "503 retry-after=2, reset after-commit, refuse, timeout, 429 retry-after=date+30s, truncate, 500, eof, ok"
GENTLE = "503, 500, ok"
"""For clients that give up sooner."""


def again(once: Callable[[], object]) -> None:
    """Retry with full jitter, a whole second at least."""
    for number in range(10):
        try:
            once()
        except Exception:
            time.sleep(1 + random.uniform(0, 2**number))
        else:
            return


def with_requests() -> None:
    """Headers of every sort, a nonce and a time in a form, a multipart upload."""
    import requests

    session = requests.Session()
    session.auth = ("user", "password")

    def form() -> None:
        fields = {"nonce": uuid.uuid4().hex, "timestamp": str(time.time()), "amount": "5"}
        headers = {
            "X-Request-Id": str(uuid.uuid4()),
            "traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
            "X-Fixed": "é",
        }
        session.post("http://forms.test/forms", data=fields, headers=headers, timeout=5).raise_for_status()

    def upload() -> None:
        session.post("http://forms.test/files", files={"file": b"content"}, timeout=5).raise_for_status()

    again(form)
    again(upload)
    session.close()


def with_httpx() -> None:
    """A key in the body, which a later read finds again, over TLS."""
    import httpx

    key = str(uuid.uuid4())
    with httpx.Client(timeout=5, headers={"Authorization": f"Bearer {uuid.uuid4().hex}"}) as client:
        again(lambda: client.post("https://tags.test/tags", json={"requestId": key, "n": 1}).raise_for_status())
        again(lambda: client.get("https://tags.test/tags", params={"nonce": uuid.uuid4().hex}).raise_for_status())


def with_urllib3() -> None:
    """Its own retries, with its own jitter."""
    import urllib3

    policy = urllib3.Retry(
        8, backoff_factor=0.5, backoff_jitter=1, status_forcelist=[429, 500, 503], allowed_methods=None
    )
    with urllib3.PoolManager(retries=policy, timeout=5) as pool:
        pool.request("PUT", "http://things.test/1", json={"n": 1}, headers={"Cookie": f"session={uuid.uuid4()}"})


def with_boto3() -> None:
    """Signed requests, invocation ids, its own jitter."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "sqs",
        region_name="eu-west-1",
        aws_access_key_id="AK",
        aws_secret_access_key="SK",
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}),
    )
    client.send_message(QueueUrl="https://sqs.eu-west-1.amazonaws.com/1/queue", MessageBody="text")
    client.close()


def with_stripe() -> None:
    """A key that it makes itself, and its own jitter."""
    import stripe

    client = stripe.StripeClient("sk_test_1", max_network_retries=4)
    client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})


def with_urllib() -> None:
    """The standard library alone."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
    request = urllib.request.Request("http://plain.test/plain", b"{}", headers)

    def once() -> None:
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()

    again(once)


CLIENTS = {
    with_requests: ("forms.test", SCRIPT),
    with_httpx: ("tags.test", SCRIPT),
    with_urllib3: ("things.test", SCRIPT),
    with_boto3: ("sqs.eu-west-1.amazonaws.com", GENTLE),
    with_stripe: ("api.stripe.com", GENTLE),
    with_urllib: ("plain.test", SCRIPT),
}


def scenario(seed: int) -> str:
    """Run every client, and give the trace as JSON."""
    with Chaos(name="scenario", seed=seed) as chaos:
        chaos.service.route("POST", "sqs.eu-west-1.amazonaws.com/", lambda _: {"MessageId": "m-1"})
        for client, (host, script) in CLIENTS.items():
            chaos.script(script, host=host)
            chaos.call(client)
        return chaos.trace.to_json()


def in_a_new_process(seed: int, hash_seed: int) -> bytes:
    """Run the scenario under a hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, __file__, str(seed)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def first() -> bytes:
    """The trace of one run with the seed 7."""
    return in_a_new_process(7, 0)


@pytest.mark.timeout(60 + RUNS * 15)
def test_a_trace_is_the_same_in_new_processes(first: bytes) -> None:
    """Byte for byte, whatever the hash seed, the hour, the process and its random numbers."""
    with ThreadPoolExecutor(2) as pool:
        others = list(pool.map(lambda number: in_a_new_process(7, number), range(1, RUNS)))

    assert [number for number, other in enumerate(others, start=1) if other != first] == []


def test_every_client_met_its_faults(first: bytes) -> None:
    """What is compared is not empty: each step fired, and every client was told of success or of nothing."""
    trace = json.loads(first)

    assert [step["text"] for script in trace["scripts"] for step in script["steps"] if not step["fired"]] == []
    assert {host for host, _ in CLIENTS.values()} == {attempt["host"] for attempt in trace["attempts"]}
    assert [scope["told"]["raised"] for scope in trace["scopes"]] == [[]] * len(CLIENTS)


def test_another_seed_gives_other_jitter(first: bytes) -> None:
    """The attempts are the same, their moments are not."""
    one, other = json.loads(first)["attempts"], json.loads(in_a_new_process(8, 0))["attempts"]

    assert [attempt["fault"] for attempt in one] == [attempt["fault"] for attempt in other]
    assert [attempt["began_ns"] for attempt in one] != [attempt["began_ns"] for attempt in other]


if __name__ == "__main__":
    sys.stdout.write(scenario(int(sys.argv[1])))
