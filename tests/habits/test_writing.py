"""Right habits of clients that write: batches, conditional writes, uploads, webhooks, signatures. None is accused."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import time
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from pytest_retrychaos import Chaos

PASSING = (408, 409, 429, 500, 502, 503, 504)


def send(
    method: str,
    url: str,
    *,
    tries: int = 4,
    fields: Callable[[], dict[str, str]] = dict,
    **options: Any,
) -> requests.Response:
    """Send with headers made anew for each attempt; try again after a failure that passes."""
    for number in range(tries):
        wait = 2.0**number
        try:
            answer = requests.request(method, url, headers=fields(), timeout=5, **options)
        except requests.RequestException:
            if number == tries - 1:
                raise
        else:
            if answer.status_code not in PASSING:
                return answer
            wait = max(wait, float(answer.headers.get("Retry-After", 0)))
        if number < tries - 1:
            time.sleep(wait)
    return answer


def keyed() -> Callable[[], dict[str, str]]:
    """One key for all attempts of an operation."""
    key = str(uuid.uuid4())
    return lambda: {"Idempotency-Key": key}


@pytest.mark.chaos(
    "503 x2, reset after-commit, ok", "ok, 402, ok", "timeout after-commit, 503 x3, ok", "429 retry-after=9, ok"
)
def test_a_batch_that_goes_on_after_one_fails_for_good(chaos: Chaos) -> None:
    """Twenty customers, each named in its body, with equal amounts."""
    failed = []

    def client() -> None:
        for number in range(20):
            body = {"customer": f"c{number}", "amount": 1000}
            try:
                send("POST", chaos.url + "/charges", json=body, fields=keyed()).raise_for_status()
            except requests.RequestException:
                failed.append(number)

    client()
    chaos.verify()


@pytest.mark.chaos("ok x3, 503 x4, ok", "ok x3, refuse x4, ok", "refuse, ok, 400, ok")
def test_a_batch_without_keys_that_repeats_only_what_was_turned_away(chaos: Chaos) -> None:
    """After a 503 or a refused connection nothing was done; the loop is in the test itself."""
    for number in range(20):
        body = {"customer": f"c{number}", "amount": 1000}
        for wait in (1, 2, 4, 0):
            try:
                if requests.post(chaos.url + "/charges", json=body, timeout=5).status_code != 503:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(wait)

    chaos.verify()


def test_customers_of_a_batch_that_cannot_be_reached_at_all(chaos: Chaos) -> None:
    """Each is called once, in a loop of the test, and left for tomorrow."""
    chaos.script("refuse x20")
    left = []

    for number in range(20):
        try:
            requests.post(chaos.url + "/charges", json={"customer": number}, timeout=5)
        except requests.ConnectionError:
            left.append(number)

    assert len(left) == 20
    chaos.verify()


def test_a_conditional_write_is_retried(chaos: Chaos) -> None:
    """``If-Match`` makes it safe; a 412 on the retry says that the first one was carried out."""
    requests.put(chaos.url + "/docs/1", json={"n": 1}, timeout=5)
    tag = requests.get(chaos.url + "/docs/1", timeout=5).headers["ETag"]
    chaos.script("503, reset after-commit, ok")

    def client() -> int:
        return send("PATCH", chaos.url + "/docs/1", json={"n": 2}, fields=lambda: {"If-Match": tag}).status_code

    assert client() == 412
    chaos.verify()


@pytest.mark.parametrize("status", [409, 412])
@pytest.mark.parametrize("own", [True, False])
def test_a_read_modify_write_loop(chaos: Chaos, status: int, own: bool) -> None:
    """Someone else was faster: read again and write what follows from that, under the new tag."""
    requests.put(chaos.url + "/docs/1", json={"done": []}, timeout=5)
    if own:
        calls = itertools.count()
        chaos.service.route("PUT", "/docs/1", lambda _: (status if next(calls) < 2 else 200, {}))
    else:
        chaos.script(f"{status} x2, ok", route="PUT /docs/1")
    versions = itertools.count(1)

    def client() -> None:
        for number in range(5):
            found = requests.get(chaos.url + "/docs/1", timeout=5)
            tag = f'"{next(versions)}"'
            body = {"done": [*found.json()["done"], 7]}
            answer = requests.put(chaos.url + "/docs/1", json=body, headers={"If-Match": tag}, timeout=5)
            if answer.status_code != status:
                return
            time.sleep(2.0**number)

    client()
    chaos.verify()


@pytest.mark.chaos("ok, 503, ok", "ok, reset after-commit, ok", "timeout, ok", "ok, reset, 503, ok")
def test_a_resumed_upload(chaos: Chaos) -> None:
    """Pieces by Content-Range; after a failure the service says how much it has, and the rest follows."""
    kept = bytearray()

    def handler(request: Any) -> Any:
        start = request.headers["content-range"].removeprefix("bytes ").partition("-")[0]
        if start != "*/30":
            assert int(start) <= len(kept)
            kept[int(start) :] = request.body
        if len(kept) == 30:
            return 200, {}
        return 308, {}, {"Range": f"bytes=0-{len(kept) - 1}"} if kept else {}

    chaos.service.route("PUT", "/upload/7", handler)
    content = bytes(range(30))

    def put(span: str, body: bytes) -> requests.Response:
        fields = {"Content-Range": f"bytes {span}/30"}
        return requests.put(chaos.url + "/upload/7", data=body, headers=fields, timeout=5)

    def client() -> None:
        start = wait = 0
        while start < 30:
            time.sleep(wait)
            wait = wait * 2
            try:
                answer = put(f"{start}-{start + 9}", content[start : start + 10])
                if answer.status_code == 200:
                    return
                if answer.status_code != 308:
                    raise requests.ConnectionError
                start, wait = start + 10, 0
            except requests.RequestException:
                wait = wait or 1
                time.sleep(wait)
                told = put("*", b"")
                start = int(told.headers["Range"].partition("-")[2]) + 1 if "Range" in told.headers else 0

    client()
    assert bytes(kept) == content
    chaos.verify()


@pytest.mark.parametrize("script", ["ok, 503, ok", "ok, reset after-commit, ok", "ok, timeout, ok"])
def test_an_upload_resumed_by_offset(chaos: Chaos, script: str) -> None:
    """tus: HEAD says how much the service has, PATCH sends what follows."""
    kept = bytearray()

    def patch(request: Any) -> Any:
        if int(request.headers["upload-offset"]) != len(kept):
            return 409, {}
        kept.extend(request.body)
        return 204, None

    chaos.service.route("PATCH", "/files/7", patch)
    chaos.service.route("HEAD", "/files/7", lambda _: (200, None, {"Upload-Offset": str(len(kept))}))
    chaos.script(script, route="PATCH /files/7")
    content = bytes(range(30))

    def client() -> None:
        offset = 0
        while offset < 30:
            fields = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            piece = content[offset : offset + 10]
            try:
                if requests.patch(chaos.url + "/files/7", data=piece, headers=fields, timeout=5).status_code == 204:
                    offset += 10
                    continue
            except requests.RequestException:
                pass
            time.sleep(2)
            offset = int(requests.head(chaos.url + "/files/7", timeout=5).headers["Upload-Offset"])

    client()
    assert bytes(kept) == content
    chaos.verify()


@pytest.mark.parametrize("script", ["503, ok", "reset after-commit, ok", "timeout, 502, ok"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_idempotent_method_is_retried_without_a_key(chaos: Chaos, method: str, script: str) -> None:
    """Repeating it does nothing more."""
    for number in (1, 2):
        requests.put(f"{chaos.url}/docs/{number}", json={"n": 1}, timeout=5)
    chaos.script(script)

    def client() -> int:
        return send(method, chaos.url + "/docs/2", json={"n": 2} if method == "PUT" else None).status_code

    client()
    chaos.verify()


def test_a_delete_whose_retry_finds_nothing(chaos: Chaos) -> None:
    """404 after a lost answer is as good as 204."""
    requests.put(chaos.url + "/docs/1", json={"n": 1}, timeout=5)
    requests.put(chaos.url + "/docs/2", json={"n": 1}, timeout=5)
    chaos.script("reset after-commit, ok")

    def client() -> bool:
        return send("DELETE", chaos.url + "/docs/1").status_code in (204, 404)

    assert chaos.call(client)
    chaos.verify()


@pytest.mark.chaos("503, timeout after-commit, ok", "500, reset, ok")
@pytest.mark.parametrize("name", ["Idempotency-Key", "Webhook-Id"])
def test_a_webhook_with_a_signature_for_each_attempt(chaos: Chaos, name: str) -> None:
    """The event has one id, in the header of Standard Webhooks or a key's; time, signature and number are made anew."""
    body = json.dumps({"id": "evt_1", "type": "paid"})
    attempts = itertools.count(1)

    def fields() -> dict[str, str]:
        at = str(int(time.time()))
        signature = hmac.new(b"secret", f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            name: "evt_1",
            "Webhook-Timestamp": at,
            "Webhook-Signature": f"v1,{signature}",
            "X-Delivery-Attempt": str(next(attempts)),
        }

    send("POST", "https://customer.test/hooks", data=body, fields=fields)
    chaos.verify()


@pytest.mark.chaos("503, timeout, ok", "500, 429 retry-after=7, ok")
def test_requests_signed_anew_for_each_attempt(chaos: Chaos) -> None:
    """AWS Signature 4: another date, another signature."""

    def fields() -> dict[str, str]:
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        signature = hashlib.sha256(at.encode()).hexdigest()
        return {
            "X-Amz-Date": at,
            "Authorization": f"AWS4-HMAC-SHA256 Credential=AK/{at[:8]}/r/s/aws4_request, Signature={signature}",
            "X-Amz-Target": "DynamoDB_20120810.PutItem",
            "Content-Type": "application/x-amz-json-1.0",
            "amz-sdk-invocation-id": str(uuid.uuid4()),
        }

    body = json.dumps({"ClientRequestToken": "token-1", "Item": {"id": "7"}})
    send("POST", "https://dynamodb.test/", data=body, fields=fields)
    chaos.verify()


def test_boto3_with_its_own_retries(chaos: Chaos) -> None:
    """Its standard mode, unmodified."""
    import boto3
    from botocore.config import Config

    chaos.script("503, 500, ok")
    chaos.service.route("PUT", "/{bucket}/{key}", lambda _: (200, None, {"ETag": '"1"'}))
    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AK",
        aws_secret_access_key="SK",
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}, s3={"addressing_style": "path"}),
    )

    client.put_object(Bucket="bucket", Key="key", Body=b"content")
    client.close()

    chaos.verify()


def test_stripe_with_its_own_retries(chaos: Chaos) -> None:
    """It makes a key for each operation and keeps it."""
    import stripe

    chaos.service.profile = "stripe"
    chaos.script("503, timeout after-commit, ok")
    client = stripe.StripeClient("sk_test_1", max_network_retries=4)

    def charge() -> str:
        return str(client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}).id)

    chaos.call(charge)
    chaos.verify()


def test_a_user_who_tries_again(chaos: Chaos) -> None:
    """The client gave up; the test presses the button once more, from another line."""
    chaos.script("503 x4, ok")

    def client() -> bool:
        return send("POST", chaos.url + "/charges", json={"amount": 1000}, fields=keyed()).ok

    assert not client()
    assert client()
    chaos.verify()


def test_a_deliberate_second_order(chaos: Chaos) -> None:
    """Two equal orders, both carried out, each with its own key."""
    chaos.script("503, ok, timeout after-commit, ok")

    def client() -> None:
        for _ in range(2):
            send("POST", chaos.url + "/orders", json={"sku": "a"}, fields=keyed())

    client()
    assert len(chaos.ledger) == 2
    chaos.verify()


@pytest.mark.parametrize("script", ["413, ok", "503, ok", "503 x2, ok", "ok, 429 retry-after=1, ok"])
@pytest.mark.parametrize("form", ["list", "object", "lines"])
def test_a_bulk_is_split_after_a_failure(chaos: Chaos, script: str, form: str) -> None:
    """The bulk that failed is not sent again, but its halves are."""
    chaos.script(script)

    def client(items: list[str]) -> None:
        body = {"list": items, "object": {"to": "all", "items": items}, "lines": "\n".join(items)}[form]
        content = {"data" if form == "lines" else "json": body}
        answer = send("POST", chaos.url + "/bulk", tries=1, fields=keyed(), **content)
        if answer.status_code in (413, 429, 503):
            time.sleep(1)
            client(items[: len(items) // 2])
            client(items[len(items) // 2 :])

    client(["a", "b", "c", "d"])
    client(["e", "f", "g", "h"])
    chaos.verify()


def test_a_parameter_that_was_refused_is_left_out(chaos: Chaos) -> None:
    """A request put right is no retry."""
    chaos.script("400, ok")

    def client() -> None:
        body = {"model": "m", "prompt": "p", "seed": 7}
        if send("POST", chaos.url + "/complete", json=body, fields=keyed()).status_code == 400:
            del body["seed"]
            send("POST", chaos.url + "/complete", json=body, fields=keyed())

    client()
    chaos.verify()


def test_looking_before_repeating(chaos: Chaos) -> None:
    """Without keys: after a lost answer the client asks whether the order is there, and does not send it again."""
    chaos.script("reset after-commit, ok", route="POST /orders")

    def client() -> str:
        order = {"id": "o-7", "sku": "a"}
        try:
            requests.post(chaos.url + "/orders", json=order, timeout=5)
        except requests.RequestException:
            time.sleep(1)
            found = requests.get(chaos.url + "/orders/o-7", timeout=5)
            return "there" if found.ok else "unknown"
        return "made"

    assert chaos.call(client) == "there"
    chaos.verify()


def test_an_unsafe_request_without_a_key_is_left_alone(chaos: Chaos) -> None:
    """The caller is told, and decides."""
    chaos.script("timeout")

    def client() -> None:
        requests.post(chaos.url + "/charges", json={"amount": 5}, timeout=5)

    with pytest.raises(requests.ReadTimeout):
        chaos.call(client)
    chaos.verify()


def test_a_file_that_is_rewound_before_each_attempt(chaos: Chaos) -> None:
    """A multipart form, with a boundary of its own for each attempt."""
    import io

    chaos.script("503, ok")
    file = io.BytesIO(b"content")

    key = keyed()

    def client() -> None:
        for number in range(3):
            file.seek(0)
            if requests.post(chaos.url + "/files", files={"file": file}, headers=key(), timeout=5).ok:
                return
            time.sleep(2.0**number)

    client()
    chaos.verify()


def test_a_nonce_and_a_time_in_the_body_of_each_attempt(chaos: Chaos) -> None:
    """A signed form, as exchanges and banks ask for."""
    chaos.script("503, 429 retry-after=5, ok")

    def client() -> None:
        key = str(uuid.uuid4())
        for number in range(3):
            form = {"amount": "5", "nonce": uuid.uuid4().hex, "timestamp": str(int(time.time() * 1000))}
            answer = requests.post(chaos.url + "/orders", data=form, headers={"Idempotency-Key": key}, timeout=5)
            if answer.ok:
                return
            time.sleep(max(2.0**number, float(answer.headers.get("Retry-After", 0))))

    client()
    chaos.verify()


def test_a_message_with_a_header_of_its_own_for_each_attempt(chaos: Chaos) -> None:
    """As banks and brokers ask for it; the order's own number says which one is meant."""
    chaos.script("503, timeout, ok", route="PUT /messages/{id}")

    def client() -> None:
        payment = {"id": "o-7", "amount": 5}
        for number in range(3):
            header = {"from": "shop", "request_id": uuid.uuid4().hex, "sent_at": time.time()}
            message = {"envelope": {"header": header}, "payment": payment}
            with contextlib.suppress(requests.Timeout):
                if requests.put(chaos.url + "/messages/o-7", json=message, timeout=5).ok:
                    return
            time.sleep(2.0**number)

    client()
    chaos.verify()


SOAP = "<e:Envelope><e:Header><wsu:Created>{time}</wsu:Created><a:MessageID>{nonce}</a:MessageID></e:Header>{body}"
SIGNED: dict[str, tuple[str, Callable[[str, str], str]]] = {
    "SOAP": ("text/xml", lambda when, nonce: SOAP.format(time=when, nonce=nonce, body="<Pay>7</Pay></e:Envelope>")),
    "form": ("application/x-www-form-urlencoded", lambda when, nonce: f"trade=o-7&timestamp={when}&sign={nonce}"),
    "csrf": ("application/x-www-form-urlencoded", lambda _, nonce: f"amount=7&csrf_token={nonce}"),
    "JWS": (
        "application/jose+json",
        lambda when, nonce: json.dumps({"protected": when, "payload": "7", "signature": nonce}),
    ),
}


@pytest.mark.parametrize("form", SIGNED)
def test_a_body_that_is_signed_anew_for_each_attempt(chaos: Chaos, form: str) -> None:
    """Its time, its nonce and its signature differ; what it asks for does not."""
    kind, body = SIGNED[form]
    chaos.script("503 x2, ok")

    def client() -> None:
        for number in range(3):
            content = body(str(time.time()), uuid.uuid4().hex)
            if requests.post(chaos.url + "/pay", data=content, headers={"Content-Type": kind}, timeout=5).ok:
                return
            time.sleep(2.0**number)

    client()
    chaos.verify()


def test_urllib_request_with_a_plain_loop(chaos: Chaos) -> None:
    """No library at all."""
    chaos.script("503 retry-after=3, eof after-commit, ok")

    def client() -> int:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
        request = urllib.request.Request(chaos.url + "/charges", b'{"amount":5}', headers)
        for number in range(4):
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                time.sleep(max(2.0**number, float(error.headers.get("Retry-After", 0))))
                error.close()
            except OSError:
                time.sleep(2.0**number)
        return 0

    assert chaos.call(client) == 201
    chaos.verify()


def test_a_hedged_request(chaos: Chaos) -> None:
    """Two connections, one key, the first answer counts."""
    import http.client

    chaos.service.latency = 0.05
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}

    def client() -> int:
        connections = [http.client.HTTPConnection(host, timeout=5) for host in ("a.test", "b.test")]
        for connection in connections:
            connection.request("POST", "/charges", b'{"amount":5}', headers)
        status = connections[0].getresponse().status
        for connection in connections:
            connection.close()
        return status

    client()
    chaos.verify()
    assert [attempt.cut for attempt in chaos.attempts] == [False, True]


def test_a_message_to_two_receivers(chaos: Chaos) -> None:
    """The same body to different hosts, both of which take it."""
    chaos.script("503, ok, ok")

    def client() -> None:
        for host in ("a.test", "b.test"):
            send("POST", f"https://{host}/hooks", json={"id": "evt_1"}, fields=keyed())

    client()
    chaos.verify()


@pytest.mark.chaos("refuse x12, ok", "503 x12, ok", "refuse x4, 503 x4, refuse x4, ok")
def test_a_batch_within_one_call_that_goes_on_at_once(chaos: Chaos) -> None:
    """Each customer is given up after four attempts with waits between them, and the next one begins at once."""

    def client() -> None:
        for number in range(6):
            try:
                send("POST", chaos.url + "/charges", json={"customer": number, "amount": 5}, fields=keyed())
            except requests.ConnectionError:
                continue

    client()
    chaos.verify()


def test_a_compensation_after_a_failure(chaos: Chaos) -> None:
    """The second step fails for good, and the first one is undone."""
    chaos.script("503 x4", route="POST /shipments")

    def client() -> None:
        order = send("POST", chaos.url + "/payments", json={"amount": 5}, fields=keyed())
        if not send("POST", chaos.url + "/shipments", json={"sku": "a"}, fields=keyed()).ok:
            send("POST", f"{chaos.url}/payments/{order.json()['id']}/refunds", json={"amount": 5}, fields=keyed())

    client()
    chaos.verify()
