"""Right habits of clients that read: polls, logins, pages, downloads, caches. None of them is accused."""

from __future__ import annotations

import contextlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from pytest_retrychaos import Chaos


def get(url: str, *, tries: int = 4, **options: Any) -> requests.Response:
    """Ask, and ask again after a failure that passes, waiting longer each time or as long as asked."""
    for number in range(tries):
        wait = 2.0**number
        try:
            answer = requests.get(url, timeout=5, **options)
        except requests.RequestException:
            if number == tries - 1:
                raise
        else:
            if answer.status_code not in (429, 502, 503, 504):
                return answer
            wait = max(wait, float(answer.headers.get("Retry-After", 0)))
        if number < tries - 1:
            time.sleep(wait)
    return answer


def test_a_login_refresh_on_401(chaos: Chaos) -> None:
    """A token has run out: log in again, and ask once more with the new one."""
    chaos.script("401, ok", route="GET /me")

    def client() -> int:
        for token in ("old", "new"):
            answer = requests.get(chaos.url + "/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
            if answer.status_code != 401:
                return answer.status_code
            form = {"grant_type": "refresh_token", "refresh_token": "r"}
            requests.post(chaos.url + "/oauth/token", data=form, timeout=5)
        return 401

    assert chaos.call(client) == 200
    chaos.verify()


def test_a_login_refresh_on_the_services_own_401(chaos: Chaos) -> None:
    """The same where the service itself looks at the token."""
    chaos.service.route("GET", "/me", lambda request: (200 if "new" in request.headers["authorization"] else 401, {}))

    def client() -> int:
        for token in ("old", "new"):
            answer = requests.get(chaos.url + "/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
            if answer.status_code != 401:
                return answer.status_code
            requests.post(chaos.url + "/oauth/token", data={"grant_type": "client_credentials"}, timeout=5)
        return 401

    assert client() == 200
    chaos.verify()


def test_a_poll_on_404(chaos: Chaos) -> None:
    """Until what was made elsewhere is there."""
    count = itertools.count()
    chaos.service.route("GET", "/reports/7", lambda _: (200 if next(count) == 40 else 404, {}))

    def client() -> None:
        while requests.get(chaos.url + "/reports/7", timeout=5).status_code == 404:
            time.sleep(0.5)

    client()
    chaos.verify()


def test_a_poll_on_202_with_retry_after(chaos: Chaos) -> None:
    """Each answer is a success that says when to look again."""
    count = itertools.count()
    chaos.service.route("GET", "/jobs/7", lambda _: (200 if next(count) == 5 else 202, {}, {"Retry-After": "3"}))

    def client() -> None:
        while requests.get(chaos.url + "/jobs/7", timeout=5).status_code == 202:
            time.sleep(3)

    client()
    chaos.verify()


def test_a_poll_by_post_on_202_with_retry_after(chaos: Chaos) -> None:
    """Submit once, then look at the place that the answer names."""
    count = itertools.count()
    chaos.service.route("POST", "/exports", lambda _: (202, {}, {"Location": "/exports/7", "Retry-After": "1"}))
    chaos.service.route("GET", "/exports/7", lambda _: (200 if next(count) == 3 else 202, {}, {"Retry-After": "1"}))

    def client() -> None:
        answer = requests.post(chaos.url + "/exports", json={"format": "csv"}, timeout=5)
        while answer.status_code == 202:
            time.sleep(float(answer.headers["Retry-After"]))
            answer = requests.get(chaos.url + "/exports/7", timeout=5)

    client()
    chaos.verify()


def test_pagination_by_a_cursor_in_the_query(chaos: Chaos) -> None:
    """A page that fails is asked for again, then the next one."""
    chaos.service.route("GET", "/items", lambda request: {"next": int(request.query.get("cursor", 0)) + 1})
    chaos.script("ok, 503, ok, reset, ok, ok")

    def client() -> None:
        cursor = 0
        while cursor < 4:
            cursor = get(f"{chaos.url}/items?cursor={cursor}").json()["next"]

    client()
    chaos.verify()


def test_pagination_by_a_cursor_in_the_body(chaos: Chaos) -> None:
    """Reads that travel by POST, the first without a cursor; after a page that fails for good it begins anew."""
    chaos.service.route("POST", "/search", lambda request: {"next": request.json().get("cursor", 0) + 1}, effect=False)
    chaos.script("ok, 503, ok, 503 x3, ok")

    def page(cursor: int) -> dict[str, Any] | None:
        body = {"q": "x", **({"cursor": cursor} if cursor else {})}
        for number in range(3):
            answer = requests.post(chaos.url + "/search", json=body, timeout=5)
            if answer.ok:
                return dict(answer.json())
            time.sleep(2.0**number)
        return None

    def client() -> None:
        cursor = 0
        while cursor < 3:
            found = page(cursor)
            cursor = found["next"] if found else 0

    client()
    chaos.verify()


def test_a_graphql_query_is_retried(chaos: Chaos) -> None:
    """A read by POST needs no key."""
    chaos.script("timeout, 502, ok")
    query = {"query": "query Me($id: ID!) { user(id: $id) { name } }", "variables": {"id": "7"}}

    def client() -> None:
        for number in range(3):
            try:
                if requests.post(chaos.url + "/graphql", json=query, timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(2.0**number)

    client()
    chaos.verify()


def test_an_oauth_token_fetch_is_retried(chaos: Chaos) -> None:
    """A token more does no harm."""
    chaos.script("reset after-commit, 503, ok")

    def client() -> None:
        for number in range(3):
            try:
                form = {"grant_type": "client_credentials", "scope": "read"}
                if requests.post(chaos.url + "/oauth/token", data=form, timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(2.0**number)

    client()
    chaos.verify()


def test_a_date_in_retry_after_is_obeyed(chaos: Chaos) -> None:
    """With the service's own Date to reckon by."""
    from email.utils import parsedate_to_datetime

    chaos.script("429 retry-after=date+90s, ok")

    def client() -> None:
        answer = requests.get(chaos.url, timeout=5)
        if answer.status_code == 429:
            until = parsedate_to_datetime(answer.headers["Retry-After"])
            time.sleep((until - parsedate_to_datetime(answer.headers["Date"])).total_seconds())
            requests.get(chaos.url, timeout=5)

    client()
    chaos.verify()


def test_giving_up_where_the_server_asks_for_too_long(chaos: Chaos) -> None:
    """An hour is more than this caller has."""
    chaos.script("503 retry-after=3600")

    def client() -> int:
        answer = requests.get(chaos.url, timeout=5)
        return answer.status_code

    assert chaos.call(client) == 503
    chaos.verify()


def test_a_breaker_stops_after_some_failures(chaos: Chaos) -> None:
    """Five operations fail with one retry each; those after them are not even tried."""
    chaos.script("503*")
    failures = 0

    def client(number: int) -> str:
        nonlocal failures
        if failures >= 5:
            return "not tried"
        for wait in (1, 0):
            if requests.get(f"{chaos.url}/items/{number}", timeout=5).ok:
                return "found"
            time.sleep(wait)
        failures += 1
        return "failed"

    assert [client(number) for number in range(8)] == ["failed"] * 5 + ["not tried"] * 3
    chaos.verify()


def test_a_spent_retry_budget_ends_later_operations_at_once(chaos: Chaos) -> None:
    """The first operation used up what retries there were."""
    chaos.script("503*")
    budget = 3

    def client(number: int) -> None:
        nonlocal budget
        while not requests.get(f"{chaos.url}/items/{number}", timeout=5).ok and budget:
            budget -= 1
            time.sleep(2)

    for number in range(4):
        client(number)
    chaos.verify()


def test_head_then_get(chaos: Chaos) -> None:
    """Look at the size first; each is retried by itself."""
    chaos.script("503, ok, reset, ok")

    def client() -> None:
        for method in ("HEAD", "GET"):
            for number in range(3):
                try:
                    if requests.request(method, chaos.url + "/file", timeout=5).ok:
                        break
                except requests.RequestException:
                    pass
                time.sleep(2.0**number)

    client()
    chaos.verify()


def test_a_token_asked_for_with_an_assertion_signed_anew(chaos: Chaos) -> None:
    """A server takes its `jti` once (RFC 7523, 3): every attempt has an assertion of its own."""
    chaos.service.route("POST", "/token", effect=False)(lambda _: {"access_token": "t"})
    chaos.script("503, reset, ok")

    for number in range(4):
        assertion = ".".join(("eyJhbGciOiJIUzI1NiJ9", f"eyJqdGkiOiI{number}In0", f"c2lnbmVk{number}"))
        form = {"grant_type": "client_credentials", "client_assertion": assertion}
        try:
            requests.post(f"{chaos.url}/token", data=form, timeout=5).raise_for_status()
            break
        except requests.RequestException:
            time.sleep(2.0**number)

    chaos.verify()


def test_a_resumed_download(chaos: Chaos) -> None:
    """The rest of a body that broke off is asked for by Range."""
    content = bytes(range(200)) * 10
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}

    def handler(request: Any) -> Any:
        from pytest_retrychaos.model import Headers, Response

        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        return Response(206 if start else 200, Headers(headers), content[start:])

    chaos.service.route("GET", "/file", handler)
    chaos.script("truncate, truncate, ok")
    found = b""

    def client() -> None:
        nonlocal found
        for number in range(5):
            fields = {"Range": f"bytes={len(found)}-"} if found else {}
            try:
                with requests.get(chaos.url + "/file", headers=fields, stream=True, timeout=5) as answer:
                    for piece in answer.iter_content(100):
                        found += piece
                return
            except requests.RequestException:
                time.sleep(2.0**number)

    client()
    assert found == content
    chaos.verify()


def test_a_cache_fallback_when_the_service_is_down(chaos: Chaos) -> None:
    """The caller gets what was read before, and that is no claim of success."""
    cache: dict[str, Any] = {}

    def client() -> Any:
        for number in range(3):
            try:
                answer = requests.get(chaos.url + "/rates", timeout=5)
                if answer.ok:
                    cache["rates"] = answer.json()
                    return cache["rates"]
            except requests.RequestException:
                pass
            time.sleep(2.0**number)
        return cache["rates"]

    fresh = chaos.call(client)
    chaos.script("503, refuse, timeout")
    assert chaos.call(client) == fresh
    chaos.verify()


def test_a_health_check_that_waits_for_a_server(chaos: Chaos) -> None:
    """Refused until it is up, then not ready, then well."""
    chaos.script("refuse x30, 503 x2, ok")

    def client() -> None:
        while True:
            try:
                if requests.get(chaos.url + "/healthz", timeout=1).ok:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(1)

    client()
    chaos.verify()


def test_a_health_check_in_the_test_itself(chaos: Chaos) -> None:
    """The same loop, written out in the test."""
    chaos.script("refuse x30, 503 x2, ok")

    for _ in range(60):
        try:
            if requests.get(chaos.url + "/healthz", timeout=1).ok:
                break
        except requests.ConnectionError:
            pass
        time.sleep(1)

    chaos.verify()


def test_failover_to_a_second_host(chaos: Chaos) -> None:
    """At once, and back to the first after both were tried."""
    chaos.script("503, reset, ok")

    def client() -> None:
        for number, host in enumerate(itertools.cycle(["eu.api.test", "us.api.test"])):
            try:
                if requests.get(f"https://{host}/items", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if number % 2:
                time.sleep(2)

    client()
    chaos.verify()


def test_failover_from_a_host_that_cannot_be_reached(chaos: Chaos) -> None:
    """Nothing was sent to the first."""
    chaos.script("refuse", host="eu.api.test")

    def client() -> int:
        try:
            return requests.get("https://eu.api.test/items", timeout=5).status_code
        except requests.ConnectionError:
            return requests.get("https://us.api.test/items", timeout=5).status_code

    assert client() == 200
    chaos.verify()


def test_a_conditional_read(chaos: Chaos) -> None:
    """304 is a success."""
    chaos.service.route(
        "GET",
        "/doc",
        lambda request: (304, None) if request.headers.get("if-none-match") == '"1"' else (200, {}, {"ETag": '"1"'}),
    )
    chaos.script("503, ok, 503, ok")

    def client() -> None:
        tag = get(chaos.url + "/doc").headers["ETag"]
        assert get(chaos.url + "/doc", headers={"If-None-Match": tag}).status_code == 304

    client()
    chaos.verify()


def test_a_permanent_failure_is_told_at_once(chaos: Chaos) -> None:
    """No retry, and the caller learns of it."""
    chaos.script("404")

    def client() -> dict[str, Any]:
        answer = get(chaos.url + "/items/7")
        answer.raise_for_status()
        return dict(answer.json())

    with pytest.raises(requests.HTTPError):
        chaos.call(client)
    chaos.verify()


def test_a_redirect_is_followed_and_retried_from_the_start(chaos: Chaos) -> None:
    """A leg that fails leads back to the first address."""
    chaos.service.route("GET", "/latest", lambda _: (302, {}, {"Location": "/v7"}))
    chaos.script("503, ok", route="GET /v7")

    def client() -> None:
        assert get(chaos.url + "/latest").ok

    client()
    chaos.verify()


def test_a_long_poll(chaos: Chaos) -> None:
    """Silence until the client's own timeout is its normal end; it asks again at once."""
    chaos.script("timeout x40, ok")

    def client() -> None:
        while True:
            try:
                requests.get(chaos.url + "/events", timeout=30)
                return
            except requests.ReadTimeout:
                continue

    client()
    chaos.verify()


def test_equal_questions_one_after_the_other(chaos: Chaos) -> None:
    """The price is looked up for each item, and one look-up fails for good."""
    chaos.script("ok x2, 503 x4, ok")

    def client() -> None:
        for _ in range(5):
            get(chaos.url + "/rates/usd")
            time.sleep(1)

    client()
    chaos.verify()


def test_a_crawler_that_skips_what_it_cannot_get(chaos: Chaos) -> None:
    """Each page is tried four times; a page that is gone is asked for once."""
    chaos.script("503 x4, 404, reset, ok, 410, ok, 429 retry-after=20, ok")

    def client() -> None:
        for number in range(6):
            get(f"{chaos.url}/pages/{number}")

    client()
    chaos.verify()


@pytest.mark.parametrize("header", ["Authorization", "X-Session-Id", "vmware-api-session-id", "CST"])
@pytest.mark.parametrize("is_fixed", [True, False], ids=["one token", "new tokens"])
def test_a_login_that_the_test_answers_itself(chaos: Chaos, header: str, is_fixed: bool) -> None:
    """Its token may be the same each time: whether a real one would be is not known."""
    number = itertools.count(1)
    chaos.service.route("POST", "/login", lambda _: {"token": f"token-{1 if is_fixed else next(number)}"}, effect=False)
    chaos.script("ok, 401, ok")

    def login() -> dict[str, str]:
        return {header: requests.post(chaos.url + "/login", timeout=5).json()["token"]}

    def client() -> int:
        answer = requests.get(chaos.url + "/me", headers=login(), timeout=5)
        if answer.status_code == 401:
            answer = requests.get(chaos.url + "/me", headers=login(), timeout=5)
        return answer.status_code

    assert client() == 200
    chaos.verify()


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "SEARCH", "QUERY"])
def test_a_safe_method_of_another_standard(chaos: Chaos, method: str) -> None:
    """It may be sent again without a key."""
    chaos.service.route(method, "/calendar", lambda _: {"events": []})
    chaos.script("reset after-commit, ok")

    def client() -> int:
        for _ in range(2):
            with contextlib.suppress(requests.ConnectionError):
                return requests.request(method, chaos.url + "/calendar", timeout=5).status_code
            time.sleep(1)
        return 0

    assert client() == 200
    chaos.verify()


@pytest.mark.parametrize("script", ["503, refuse", "reset, connect-timeout", "429 retry-after=2, refuse", "503, dns"])
def test_a_batch_whose_retry_cannot_be_sent(chaos: Chaos, script: str) -> None:
    """The next item comes right after it: whose attempt it was, the trace does not tell."""
    chaos.script(script)

    def fetch(item: int) -> int:
        for number in range(2):
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.get(f"{chaos.url}/items/{item}", timeout=5)
                if answer.ok:
                    return answer.status_code
            if number == 0:
                time.sleep(10)
        return 0

    def client() -> list[int]:
        return [fetch(item) for item in range(3)]

    assert chaos.call(client) == [0, 200, 200]
    chaos.verify()


@pytest.mark.parametrize(
    "script", ["429 retry-after=90, refuse", "429 retry-after=90, refuse x2", "503 retry-after=90, down=30s"]
)
def test_one_that_gives_up_before_another_that_is_refused(chaos: Chaos, script: str) -> None:
    """It need not wait for what the first was told; nothing more is sent that would show which it is."""
    chaos.script(script, strict=False)

    def client() -> None:
        requests.get(f"{chaos.url}/a", timeout=5)
        for _ in range(2):
            with contextlib.suppress(requests.ConnectionError):
                requests.put(f"{chaos.url}/b", timeout=5)
                break

    chaos.call(client)
    chaos.verify(ignore=("RT01",))


def test_workers_of_one_call_that_cannot_connect_are_told_apart(chaos: Chaos) -> None:
    """Each waits between its own tries, and is on a thread of its own."""
    chaos.script("down=30s")

    def fetch(item: int) -> None:
        for _ in range(4):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{chaos.url}/items/{item}", timeout=5)
                break
            time.sleep(3)

    def client() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fetch, range(2)))

    chaos.call(client)
    chaos.verify()
