"""The engine's adapters: every law holds for them under every fault, and they take care of keys and bodies."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pickle

import aiohttp
import httpx
import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import OutcomeUnknown, Retry, fixed
from pytest_retrychaos.engine.aiohttp import retry_middleware
from pytest_retrychaos.engine.httpx import AsyncRetryTransport, RetryTransport
from pytest_retrychaos.engine.requests import RetryAdapter
from tests.clients.adapters import CLIENTS, FORMS, POLICY, VOCABULARY, judged
from tests.unit.fuzz.exploring import explore_test, shortest

PAYMENT = {"json": {"amount": 1000, "currency": "USD"}}
FEW = ("503 retry-after=2", "429 retry-after=90", "timeout", "reset after-commit", "refuse", "eof", "down=30s", "404")
IS_LONG = bool(os.environ.get("RETRYCHAOS_LONG"))


@pytest.fixture(params=CLIENTS)
def send(request):
    """Send through each client."""
    return CLIENTS[request.param]


@pytest.fixture(params=[*CLIENTS, *FORMS])
def send_by_any(request):
    """Send through each client, and through each form of the engine around one."""
    return (CLIENTS | FORMS)[request.param]


@pytest.mark.parametrize("fault", VOCABULARY)
def test_every_law_holds_for_a_payment_under_each_fault(send_by_any, fault):
    """With a key that the engine made."""
    judged(fault, send_by_any, "POST", **PAYMENT)


@pytest.mark.parametrize("fault", VOCABULARY)
def test_every_law_holds_for_a_read_under_each_fault(send_by_any, fault):
    """Without a key."""
    judged(fault, send_by_any, "GET")


@pytest.mark.parametrize("fault", VOCABULARY)
def test_every_law_holds_for_a_payment_without_a_key(send, fault):
    """It is sent again only where nothing was done."""
    judged(fault, send, "POST", key_header=None, **PAYMENT)


@pytest.mark.timeout(7200 if IS_LONG else 120)
@pytest.mark.parametrize("name", [*CLIENTS, *FORMS])
def test_every_law_holds_in_every_history(name):
    """Three choices from the whole vocabulary in the long run, two from the main faults else; cancellation included."""
    send = (CLIENTS | FORMS)[name]
    loop = "trio" if "trio" in name else "asyncio" if "async" in name or name == "aiohttp" else None

    def test(chaos: Chaos) -> None:
        with contextlib.suppress(Exception):  # what the last attempt ended in: the laws say whether that is right
            send(chaos, "POST", POLICY, **PAYMENT)
        chaos.verify(POLICY, ignore=("NV01",))

    faults, depth = ("default", 3) if IS_LONG else (FEW, 2)
    found = explore_test(test, depth=depth, faults=faults, most=10**6, loop=loop)

    assert shortest(found) == {}
    assert not found.is_cut
    assert found.runs > (3000 if IS_LONG else 60)


def test_a_payment_gets_one_key_for_all_its_attempts(send):
    """And the next one another."""
    with Chaos("503, reset after-commit, ok, ok") as chaos:
        assert send(chaos, "POST", **PAYMENT) == 201
        assert send(chaos, "POST", **PAYMENT) == 201
        keys = [one.headers.get("Idempotency-Key") for one in chaos.attempts]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(len(key) == 36 for key in keys)


def test_the_callers_own_key_is_kept(send):
    """Whatever its case."""
    with Chaos("503, ok") as chaos:
        send(chaos, "POST", headers={"idempotency-key": "mine"}, **PAYMENT)
        assert [one.headers.get("Idempotency-Key") for one in chaos.attempts] == ["mine", "mine"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_repeated_gets_no_key(send, method):
    """It needs none."""
    with Chaos("reset, ok", strict=False) as chaos:
        send(chaos, method)
        assert [one.headers.get("Idempotency-Key") for one in chaos.attempts] == [None, None]


def test_a_guarded_write_gets_no_key_and_is_retried(send):
    """Its precondition fails once it was carried out."""
    with Chaos("reset, ok") as chaos:
        send(chaos, "PATCH", headers={"If-Match": '"1"'}, **PAYMENT)
        assert [one.headers.get("Idempotency-Key") for one in chaos.attempts] == [None, None]


@pytest.mark.parametrize(("fault", "attempts"), [("reset", 1), ("500", 1), ("503", 2), ("refuse", 2), ("429", 2)])
def test_without_keys_a_payment_is_sent_again_only_where_nothing_was_done(send, fault, attempts):
    """``key_header=None`` is for a service that knows no keys."""
    with Chaos(f"{fault}, ok", strict=False) as chaos:
        try:
            send(chaos, "POST", key_header=None, **PAYMENT)
        except Exception:
            assert fault == "reset"
        chaos.assert_attempts(attempts)


def body_of(send, script, **more):
    """Send a body under a script; give what arrived, and the notes of what was raised."""
    notes = []
    with Chaos(script, strict=False) as chaos:
        try:
            send(chaos, "POST", **more)
        except Exception as error:
            notes = getattr(error, "__notes__", [])
        return [one.body.start for one in chaos.attempts], notes


@pytest.mark.parametrize("name", ["requests", "aiohttp"])
def test_a_file_is_rewound_to_where_it_stood(name):
    """Not to its beginning."""
    file = io.BytesIO(b"header" + b"x" * 70_000)
    file.seek(6)
    with Chaos("503, reset, ok") as chaos:
        CLIENTS[name](chaos, "POST", data=file)
        assert [one.body.size for one in chaos.attempts] == [70_000] * 3
        chaos.verify(POLICY)


def test_a_file_is_rewound_for_httpx(tmp_path):
    """As the whole body; httpx announces the length of the whole file, wherever that stands."""
    path = tmp_path / "upload"
    path.write_bytes(b"x" * 70_000)
    with path.open("rb") as file, Chaos("503, reset, refuse, ok") as chaos:
        CLIENTS["httpx"](chaos, "POST", content=file)
        assert [one.body.size for one in chaos.attempts] == [70_000, 70_000, 0, 70_000]
        chaos.verify(POLICY)


def test_a_form_with_a_file_is_sent_again_whole(send, request):
    """Each client makes the form in its own way."""
    form = (
        {"data": {"file": io.BytesIO(b"receipt")}}
        if "aiohttp" in request.node.name
        else {"files": {"file": b"receipt"}}
    )
    bodies, _ = body_of(send, "503, ok", **form)
    assert len(bodies) == 2
    assert all(b"receipt" in body for body in bodies)


def generator():
    """A body that can be read once."""
    yield b"part one, "
    yield b"part two"


async def async_generator():
    """The same for async clients."""
    yield b"part one, "
    yield b"part two"


ONCE = {
    "requests": lambda: {"data": generator()},
    "httpx": lambda: {"content": generator()},
    "httpx-asyncio": lambda: {"content": async_generator()},
    "httpx-trio": lambda: {"content": async_generator()},
    "aiohttp": lambda: {"data": async_generator()},
}


@pytest.mark.parametrize("name", ONCE)
def test_a_body_that_can_be_read_once_is_sent_once_and_the_error_says_so(name):
    """An empty or half body would be worse than none."""
    bodies, notes = body_of(CLIENTS[name], "reset, ok", **ONCE[name]())
    assert len(bodies) == 1
    assert [note for note in notes if "the body is a stream that can be read only once" in note]


def test_the_time_that_is_left_cuts_the_attempts_own_limit(send):
    """The operation ends within its budget, the attempt in flight counted."""
    policy = Retry(attempts=5, backoff=fixed(1), timeout=8)
    with Chaos("timeout*") as chaos:
        with pytest.raises(Exception, match=r"(?i)time|^$"):
            send(chaos, "GET", policy)
        assert chaos.clock.elapsed == pytest.approx(8, abs=0.01)
        chaos.assert_attempts(2)
        chaos.verify(policy)


@pytest.mark.parametrize("body", ["", "busy" * 50_000], ids=["short", "long"])
def test_a_failed_answer_that_drips_is_read_no_longer_than_there_is_time(send, body):
    """No part is late for the client's own limit, and all of them would last twice the budget."""
    policy = Retry(attempts=5, backoff=fixed(1), timeout=10)
    with Chaos("drip=20s*") as chaos:
        chaos.service.route("GET", "/payments", lambda _: (503, {"error": body}))
        with contextlib.suppress(Exception):
            send(chaos, "GET", policy)
        assert 4 <= chaos.clock.elapsed <= 10.01
        assert len(chaos.attempts) > 1
        chaos.verify(policy)


def test_a_failed_answer_that_drips_in_time_is_read_whole(send):
    """Then its connection is free for the next attempt, and the time that it took is no wait of the policy."""
    policy = Retry(attempts=5, backoff=fixed(1), timeout=60)
    with Chaos("drip=2s, stale, ok") as chaos:
        answers = iter([(503, {"error": "busy"})])
        chaos.service.route("GET", "/payments", lambda _: next(answers, []))
        assert send(chaos, "GET", policy) == 200
        chaos.assert_attempts(3)
        chaos.verify(policy)


def test_reading_a_failed_answer_leaves_the_connection_its_time_limit():
    """A large body is sent over it next, in another operation."""
    with Chaos('503 body="busy"') as chaos, requests.Session() as session:
        adapter = RetryAdapter(Retry(attempts=1, timeout=10))
        session.mount("http://", adapter)
        session.get(f"{chaos.url}/payments", timeout=7)
        (key,) = adapter.poolmanager.pools.keys()
        assert adapter.poolmanager.pools[key]._get_conn().sock.gettimeout() == 7


def test_a_failed_answer_frees_its_connection(send):
    """The next attempt goes over the same one, however long the answer: only such a one can be stale."""
    with Chaos(f'503 body="{"busy" * 100_000}", stale, ok') as chaos:
        send(chaos, "GET")
        chaos.assert_attempts(3)


def test_the_last_answer_can_be_read():
    """When the policy gives up, the caller gets it whole."""
    with Chaos('503 body="busy" x4'), requests.Session() as session:
        session.mount("http://", RetryAdapter(POLICY))
        assert session.get("http://service.test/", timeout=5).text == "busy"
    with Chaos('503 body="busy" x4'), httpx.Client(transport=RetryTransport(POLICY)) as client:
        response = client.get("http://service.test/")
        assert response.text == "busy"
        assert response.elapsed.total_seconds() >= 0

    async def main():
        middlewares = [retry_middleware(POLICY)]
        async with (
            aiohttp.ClientSession(middlewares=middlewares) as session,
            session.get("http://service.test") as answer,
        ):
            return await answer.text()

    with Chaos('503 body="busy" x4'):
        assert asyncio.run(main()) == "busy"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_of_what_may_have_been_done_is_an_unknown_outcome(send, status):
    """The first attempt was carried out, and its answer lost; who hears 400 would pay again."""
    with Chaos(f"timeout after-commit, {status}") as chaos:
        with pytest.raises(
            OutcomeUnknown, match=f"the last answer was {status}, but an earlier attempt may have"
        ) as caught:
            send(chaos, "POST", **PAYMENT)
        chaos.verify(POLICY)
    answer = caught.value.answer
    assert getattr(answer, "status_code", None) or answer.status == status


def test_an_unknown_outcome_leaves_the_request_its_time_limits():
    """It is what the caller may send again, with the same key; and the refusal is an answer as any other."""
    cutting = RetryTransport(POLICY.__replace__(timeout=9))
    with Chaos("timeout after-commit, 400") as chaos, httpx.Client(transport=cutting, timeout=5) as client:
        request = client.build_request("POST", f"{chaos.url}/payments", json={"amount": 5})
        with pytest.raises(OutcomeUnknown) as caught:
            client.send(request)
    assert request.extensions["timeout"] == {"connect": 5, "read": 5, "write": 5, "pool": 5}
    assert caught.value.answer.request is request


def test_a_refusal_of_a_read_is_the_answer(send):
    """Nobody asks whether it was carried out."""
    with Chaos("timeout, 404") as chaos:
        assert send(chaos, "GET") == 404


def test_a_request_object_sent_twice_is_two_operations():
    """Each gets a key of its own, and its time limits stay what they were."""
    cutting = RetryTransport(POLICY.__replace__(timeout=4))
    with Chaos("503, ok") as chaos, httpx.Client(transport=cutting, timeout=5) as client:
        request = client.build_request("POST", f"{chaos.url}/payments", json={"amount": 5})
        limits = dict(request.extensions["timeout"])
        client.send(request)
        client.send(request)
        keys = [one.headers.get("Idempotency-Key") for one in chaos.attempts]
    assert keys[0] == keys[1] != keys[2]
    assert request.extensions["timeout"] == limits
    with Chaos("503, ok") as chaos, requests.Session() as session:
        session.mount("http://", RetryAdapter(POLICY))
        prepared = requests.Request("POST", f"{chaos.url}/payments", json={"amount": 5}).prepare()
        session.send(prepared, timeout=5)
        session.send(prepared, timeout=5)
        keys = [one.headers.get("Idempotency-Key") for one in chaos.attempts]
    assert keys[0] == keys[1] != keys[2]


def test_a_request_object_sent_again_after_a_failure_is_the_same_operation():
    """A retry layer outside, or a user who presses the button again, must not pay twice."""
    twice = POLICY.__replace__(attempts=2)
    with Chaos("reset after-commit x2, ok") as chaos, httpx.Client(transport=RetryTransport(twice)) as client:
        request = client.build_request("POST", f"{chaos.url}/payments", json={"amount": 5})
        with pytest.raises(httpx.TransportError):
            client.send(request)
        assert client.send(request).status_code == 201
        assert len(chaos.ledger) == 1
    with Chaos("reset after-commit x2, ok") as chaos, requests.Session() as session:
        session.mount("http://", RetryAdapter(twice))
        prepared = requests.Request("POST", f"{chaos.url}/payments", json={"amount": 5}).prepare()
        with pytest.raises(requests.ConnectionError):
            session.send(prepared, timeout=5)
        assert session.send(prepared, timeout=5).status_code == 201
        assert len(chaos.ledger) == 1


def test_a_login_on_the_way_keeps_the_key():
    """httpx sends the same request object again once it knows the server's challenge."""
    challenge = r'401 header="WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\""'
    with Chaos(f"{challenge}, 503, ok") as chaos:
        with httpx.Client(transport=RetryTransport(POLICY), auth=httpx.DigestAuth("me", "secret")) as client:
            client.post(f"{chaos.url}/payments", json={"amount": 5})
        chaos.verify()


def test_a_redirected_payment_keeps_its_key(send):
    """307 is the same request elsewhere."""
    with Chaos('307 header="Location: /payments/new", 308 header="Location: /payments/newer", 503, ok') as chaos:
        more = {"follow_redirects": True} if "httpx" in send_name(send) else {}
        send(chaos, "POST", **PAYMENT, **more)
        keys = [one.headers.get("Idempotency-Key") for one in chaos.attempts]
        chaos.verify(POLICY)
    assert len(keys) == 4
    assert len(set(keys)) == 1


def send_name(send):
    """Name a client by how it sends."""
    return next(name for name, one in CLIENTS.items() if one is send)


@pytest.mark.parametrize(
    "then",
    [
        ("POST", "/payments/new", {"amount": 7}),
        ("POST", "/payments", {"amount": 5}),
        ("PATCH", "/payments/new", {"amount": 5}),
    ],
    ids=["another body", "another place", "another method"],
)
def test_a_redirect_that_was_not_followed_lends_its_key_to_nobody(then):
    """Only the same request at the place that was named is the same operation."""
    method, path, body = then

    async def main(url):
        async with aiohttp.ClientSession(middlewares=[retry_middleware(POLICY)]) as session:
            await session.post(f"{url}/payments", json={"amount": 5}, allow_redirects=False)
            await session.request(method, f"{url}{path}", json=body)

    with Chaos('307 header="Location: /payments/new", ok') as chaos:
        asyncio.run(main(chaos.url))
        first, second = (one.headers.get("Idempotency-Key") for one in chaos.attempts)
    assert first != second


def test_an_adapter_survives_pickling():
    """Sessions are handed to other processes."""
    adapter = pickle.loads(pickle.dumps(RetryAdapter(Retry(attempts=7), key_header="X-Key")))
    assert adapter._resending.policy == Retry(attempts=7)
    assert adapter._resending.key_header == "X-Key"


def test_a_second_retry_layer_is_refused():
    """The layers would multiply."""
    with pytest.raises(TypeError, match="max_retries=3: two layers would multiply; the policy retries"):
        RetryAdapter(max_retries=3)


@pytest.mark.parametrize("make", [RetryAdapter, RetryTransport, AsyncRetryTransport, retry_middleware])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"retry": 3}, r"retry=3: it has to be a policy, such as Retry\(attempts=5\)"),
        ({"key_header": ""}, "key_header='': it has to be the name of a header; None sends no key"),
        ({"key_header": 5}, "key_header=5: it has to be the name of a header"),
    ],
)
def test_a_bad_argument_is_refused_where_the_adapter_is_made(make, arguments, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(TypeError, match=text):
        make(**arguments)


@pytest.mark.parametrize("key_header", ["Idempotency-Key", None])
@pytest.mark.parametrize("script", ["timeout *", "503, timeout *", "slow=9s *"])
def test_aiohttps_own_total_limit_ends_all_attempts(script, key_header):
    """Where it comes in an attempt, aiohttp tells a plain `TimeoutError`, and would send nothing any more."""

    async def send(url):
        middleware = retry_middleware(POLICY.__replace__(attempts=9), key_header=key_header)
        async with aiohttp.ClientSession(middlewares=[middleware]) as session:
            await session.put(url, timeout=aiohttp.ClientTimeout(total=8))

    with Chaos(script, strict=False) as chaos:
        with pytest.raises(TimeoutError) as ended:
            chaos.call(asyncio.run, send(f"{chaos.url}/slow"))
        assert chaos.clock.elapsed == 8
        assert any("ClientTimeout.total has passed" in note for note in ended.value.__notes__)
        chaos.verify(ignore=["RT01"])  # of a first attempt that took all of it


def test_a_cancelled_request_is_not_sent_again():
    """Neither by aiohttp nor by httpx."""

    async def by_aiohttp(url):
        async with (
            aiohttp.ClientSession(middlewares=[retry_middleware(POLICY)]) as session,
            session.get(url, timeout=aiohttp.ClientTimeout(total=100)) as response,
        ):
            return response.status

    async def by_httpx(url):
        async with httpx.AsyncClient(transport=AsyncRetryTransport(POLICY), timeout=100) as client:
            return (await client.get(url)).status_code

    async def cancelled(send, url):
        task = asyncio.create_task(send(url))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for send in (by_aiohttp, by_httpx):
        with Chaos("timeout, ok", strict=False) as chaos:
            asyncio.run(cancelled(send, f"{chaos.url}/slow"))
            chaos.assert_attempts(1)
