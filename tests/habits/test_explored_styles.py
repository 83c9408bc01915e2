"""Exploring finds what is wrong in clients of every style, by the shortest script; and nothing in right ones."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from examples.payments import wrong
from pytest_retrychaos.engine import Retry, fixed
from pytest_retrychaos.engine.requests import RetryAdapter
from tests.unit.fuzz.exploring import explore, shortest

KEY = {"Idempotency-Key": "order-7"}
PASSES = (requests.ConnectionError, requests.Timeout)


def post(url: str, body: dict[str, Any], **more: Any) -> requests.Response:
    """Send a payment with a key, and raise what is no success."""
    answer = requests.post(f"{url}/payments", json=body, **{"headers": KEY, "timeout": 10, **more})
    answer.raise_for_status()
    return answer


# Hand-made loops: what a retry sends


def _looped(send: Callable[[int], requests.Response]) -> Any:
    """Try three times, after one second, whatever passes."""
    for retry in range(3):
        try:
            return send(retry).json()
        except (*PASSES, requests.HTTPError) as error:
            if retry == 2 or (error.response is not None and error.response.status_code != 503):
                raise
        time.sleep(1)
    return None


def other_header(url: str, **body: Any) -> Any:
    """Ask for another form of the answer."""
    forms = ("application/json", "text/html", "text/html")
    return _looped(lambda retry: post(url, body, headers={**KEY, "Accept": forms[retry]}))


def no_credentials(url: str, **body: Any) -> Any:
    """Forget who it is."""
    return _looped(lambda retry: post(url, body, headers=KEY if retry else {**KEY, "Authorization": "Bearer t"}))


def no_more_key(url: str, **body: Any) -> Any:
    """Forget the key."""
    return _looped(lambda retry: post(url, body, headers={} if retry else KEY))


# Hand-made loops: what they believe


def believes_in_half_an_answer(url: str, **body: Any) -> Any:
    """Take an answer that cannot be read for one that says nothing."""
    try:
        return _looped(lambda _: post(url, body))
    except requests.exceptions.ChunkedEncodingError:
        return {"status": "succeeded"}


def believes_in_the_best(url: str, **body: Any) -> Any:
    """Tell of a success, whatever came."""
    try:
        return _looped(lambda _: post(url, body))
    except requests.RequestException:
        return {"status": "succeeded"}


def waits_too_long(url: str, **body: Any) -> Any:
    """Take the seconds of a date for minutes."""
    for _ in range(3):
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if answer.status_code != 503:
            break
        date = parsedate_to_datetime(answer.headers["Retry-After"])
        time.sleep(60 * max(0, date.timestamp() - time.time()))
    return answer.json()


def waits_for_years(url: str, **body: Any) -> Any:
    """Do whatever the server says."""
    for _ in range(3):
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    return answer.json()


def counts_on_a_body(url: str, **body: Any) -> Any:
    """Look a thing up in an error that need not have it."""
    for _ in range(3):
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if answer.status_code != 503:
            break
        time.sleep({"2": 2}[answer.headers.get("Retry-After", "")])
    return answer.json()


def haggles(url: str, **body: Any) -> Any:
    """Ask for less where it failed, by the same key."""
    try:
        return post(url, body).json()
    except requests.HTTPError:
        time.sleep(1)
        return post(url, {**body, "amount": 1}).json()


def follows_by_get(url: str, **body: Any) -> Any:
    """Go where it is sent, and leave there what it brought."""
    answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10, allow_redirects=False)
    if answer.status_code == 307:
        answer = requests.get(f"{url}{answer.headers['Location']}", headers=KEY, timeout=10)
    return answer.json()


# Decorators


def retried(function: Callable[..., Any]) -> Callable[..., Any]:
    """Try three times, after one second, whatever is raised."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for _ in range(2):
            try:
                return function(*args, **kwargs)
            except requests.RequestException:
                time.sleep(1)
        return function(*args, **kwargs)

    return call


@retried
def decorated(url: str, **body: Any) -> Any:
    """Pay, by a decorator of one's own, without a key."""
    return post(url, body, headers={}).json()


@tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(1))
def by_tenacity(url: str, **body: Any) -> Any:
    """Pay, by tenacity, without a key."""
    return post(url, body, headers={}).json()


# Adapters and layers


def in_an_adapter(url: str, **body: Any) -> Any:
    """Let urllib3 repeat all, at once, whatever the server asks."""
    retries = urllib3.Retry(
        3, allowed_methods=None, status_forcelist=[503], respect_retry_after_header=False, raise_on_status=False
    )
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        return session.post(f"{url}/payments", json=body, timeout=10).json()


def in_layers(url: str, **body: Any) -> Any:
    """Retry in two layers, each of which is moderate."""
    retries = urllib3.Retry(5, allowed_methods=None, status_forcelist=[503], backoff_factor=1)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        pay = Retry(attempts=6, backoff=fixed(1), on=requests.RequestException).call
        return pay(session.post, f"{url}/payments", json=body, headers=KEY, timeout=10).json()


def in_a_flow(url: str, **body: Any) -> Any:
    """Log in, pay, and read it back; the one in the middle is wrong."""
    requests.post(f"{url}/sessions", json={"user": "u"}, headers={"Idempotency-Key": "login"}, timeout=10)
    payment = decorated(url, **body)
    return requests.get(f"{url}/payments/{payment['id']}", timeout=10).json()


# Event loops


async def sleeps_in_its_loop(url: str, **body: Any) -> Any:
    """Stop everything else while it waits."""
    async with httpx.AsyncClient(verify=False) as client:
        for _ in range(3):
            answer = await client.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
            if answer.status_code != 503:
                break
            time.sleep(2)
        return answer.raise_for_status().json()


async def new_key_in_a_loop(url: str, **body: Any) -> Any:
    """Make a key for each attempt."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        for number in range(3):
            try:
                headers = {"Idempotency-Key": f"order-7-{number}"}
                async with session.post(f"{url}/payments", json=body, headers=headers) as answer:
                    if answer.status != 503:
                        return await answer.json()
            except aiohttp.ClientError:
                if number == 2:
                    raise
            await asyncio.sleep(2)
        return None


WRONG: list[tuple[Any, list[str], dict[str, str]]] = [
    (other_header, ["503"], {"RT04/headers": "503"}),
    (no_credentials, ["503"], {"RT04/credentials": "503"}),
    (no_more_key, ["503", "reset"], {"ID01": "reset", "ID02/dropped": "503"}),
    (believes_in_half_an_answer, ["503", "truncate"], {"RT09/truncate": "truncate"}),
    (believes_in_the_best, ["503", "reset"], {"ID05/false-success": "503 *", "RT05": "503 *"}),
    (waits_too_long, ["503 retry-after=date+30s"], {"BK04/late": "503 retry-after=date+30s"}),
    (waits_for_years, ["503 retry-after=2", '503 retry-after="1e8"'], {"BK04/huge": '503 retry-after="1e8"'}),
    (counts_on_a_body, ["503 retry-after=2", "503"], {"RT06/KeyError": "503"}),
    (haggles, ["503"], {"ID03/body": "503"}),
    (follows_by_get, ['307 header="Location: /moved"'], {"RT04/method": '307 header="Location: /moved"'}),
    (
        wrong.gives_up_at_once,
        ["429", "connect-timeout"],
        {"RT01/429": "429", "RT01/connect-timeout": "connect-timeout"},
    ),
    (wrong.new_key_for_one_in_flight, ["slow=30s before-commit"], {"ID06/new-key": "slow=30s before-commit"}),
    (
        decorated,
        ["503 retry-after=2", "500", "400", "timeout", "reset", "refuse", "reset after-commit"],
        {"BK04/early": "503 retry-after=2", "ID01": "500", "ID04": "reset after-commit", "RT02/400": "400"},
    ),
    (
        by_tenacity,
        ["503 retry-after=2", "500", "400", "timeout", "reset", "refuse", "reset after-commit"],
        {"BK04/early": "503 retry-after=2", "ID01": "500", "ID04": "reset after-commit", "RT02/400": "400"},
    ),
    (
        in_an_adapter,
        ["503", "503 retry-after=2", "reset", "timeout after-commit"],
        {
            "BK01": "503 *",
            "BK04/early": "503 retry-after=2",
            "ID01": "reset",
            "ID04": "timeout after-commit",
        },
    ),
    (in_layers, ["503"], {"BK01": "503 *", "RT03": "503 *"}),
    (
        in_a_flow,
        ["400", "reset after-commit"],
        {
            "ID01": "ok, reset after-commit",
            "ID04": "ok, reset after-commit",
            "RT01/reset": "reset after-commit",
            "RT02/400": "ok, 400",
        },
    ),
    (sleeps_in_its_loop, ["503"], {"BK06": "503"}),
    (new_key_in_a_loop, ["503", "reset after-commit"], {"ID02/new-key": "503", "ID04": "reset after-commit"}),
]


@pytest.mark.parametrize(("client", "faults", "found"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_client_of_any_style_is_found_by_its_shortest_script(client, faults, found):
    """At up to two choices."""
    assert shortest(explore(client, faults=faults)) == found


def right_by_decorator(url: str, **body: Any) -> Any:
    """Pay by the engine."""
    return Retry()(post)(url, body).json()


def right_in_an_adapter(url: str, **body: Any) -> Any:
    """Pay through the engine's adapter."""
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(Retry()))
        answer = session.post(f"{url}/payments", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()


def right_in_layers(url: str, **body: Any) -> Any:
    """Retry in two layers that know of each other: connecting below, all else above."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=urllib3.Retry(connect=1, total=1, other=0, status=0, read=0)))
        return Retry().call(_paid, session, url, body).json()


def _paid(session: requests.Session, url: str, body: dict[str, Any]) -> requests.Response:
    answer = session.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
    answer.raise_for_status()
    return answer


def right_in_a_flow(url: str, **body: Any) -> Any:
    """Log in, pay, and read it back."""
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(Retry()))
        for path, sent in (("sessions", {"user": "u"}), ("payments", body)):
            answer = session.post(f"{url}/{path}", json=sent, timeout=10)
            answer.raise_for_status()
        back = session.get(f"{url}/payments/{answer.json()['id']}", timeout=10)
        back.raise_for_status()
        return back.json()


async def right_in_a_loop(url: str, **body: Any) -> Any:
    """Pay by the engine around aiohttp."""

    async def pay() -> Any:
        async with session.post(f"{url}/payments", json=body, headers=KEY, raise_for_status=True) as answer:
            return await answer.json()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        return await Retry().call_async(pay)


@pytest.mark.parametrize(
    ("client", "depth"),
    [
        (right_by_decorator, 1),
        (right_in_an_adapter, 1),
        (right_in_layers, 1),
        (right_in_a_flow, 1),
        (right_in_a_loop, 1),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_right_client_of_any_style_is_accused_of_nothing(client, depth):
    """By any fault of the vocabulary; two of them: test_a_right_client_is_accused_of_nothing, and the adapters' own."""
    assert shortest(explore(client, depth=depth)) == {}


def impatient(url: str, **body: Any) -> Any:
    """Send again what took its time, though it was answered."""
    for _ in range(2):
        began = time.time()
        answer = requests.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
        if time.time() - began < 1:
            break
    return answer.json()


async def goes_on(url: str, **body: Any) -> Any:
    """Take a cancellation for a failure."""
    async with httpx.AsyncClient(verify=False) as client:
        for number in range(3):
            try:
                answer = await client.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
                if answer.status_code != 503:
                    break
            except (httpx.HTTPError, asyncio.CancelledError):
                if number == 2:
                    raise
            await asyncio.sleep(2)
        return answer.json()


async def reads(url: str, **_: Any) -> Any:
    """Give up at once, and say that it is there."""
    async with httpx.AsyncClient(verify=False) as client:
        try:
            return (await client.get(f"{url}/orders", timeout=10)).raise_for_status().json()
        except httpx.HTTPError:
            return {"status": "succeeded"}


async def sends_again_what_it_does_not_find(url: str, **body: Any) -> Any:
    """Look, when cancelled, whether it is paid, and pay if not."""
    async with httpx.AsyncClient(verify=False) as client:
        try:
            return (await client.post(f"{url}/payments", json=body, headers=KEY, timeout=10)).json()
        except asyncio.CancelledError:
            if not (await client.get(f"{url}/payments", timeout=10)).json():
                await client.post(f"{url}/payments", json=body, headers=KEY, timeout=10)
            raise


@pytest.mark.parametrize(
    ("client", "faults", "left_out"),
    [
        (impatient, ["timeout", "timeout after-commit", "slow=2s", "slow=30s"], {"slower than the client's timeout"}),
        (in_an_adapter, ["503", "refuse", "down=30s"], set()),
        (wrong.gives_up_at_once, ["503", "refuse", "down=30s"], {"nobody came during the outage"}),
        (goes_on, ["timeout", "timeout after-commit", "eof after-commit"], {"cancelled before the answer"}),
        (sends_again_what_it_does_not_find, ["refuse", "reset", "eof", "truncate"], {"cancelled before the answer"}),
        (reads, ["timeout", "reset", "reset after-commit"], {"nothing to commit"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_reduction_loses_nothing(client, faults, left_out):
    """What is left out for a reason would have broken the same laws, by the same scripts."""
    reduced, whole = explore(client, faults=faults), explore(client, faults=faults, reduces=False)

    assert shortest(reduced) == shortest(whole) != {}
    assert left_out <= set(reduced.left_out)
