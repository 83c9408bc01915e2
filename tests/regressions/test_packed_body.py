"""A client that packs its body for each attempt: the time in a gzip header makes other bytes of the same request."""

from __future__ import annotations

import gzip
import json
import time

import pytest
import requests
from elasticsearch import Elasticsearch

from pytest_retrychaos import LawsBroken

ORDER = {"amount": 5000, "idempotency_key": "order-7"}


def send(chaos, value, *, tries=3, pack=gzip.compress, encoding="gzip", **headers):
    """Pack and send a value until it is taken."""
    for attempt in range(tries):
        try:
            answer = requests.post(
                f"{chaos.url}/orders",
                data=pack(json.dumps(value).encode()),
                headers={"Content-Type": "application/json", "Content-Encoding": encoding, **headers},
                timeout=5,
            )
            if answer.status_code < 500:
                return answer
        except requests.ConnectionError:
            pass
        time.sleep(2**attempt)
    return answer


@pytest.mark.chaos("503, reset after-commit, ok")
@pytest.mark.parametrize("key", [{"Idempotency-Key": "order-7"}, {}])
def test_is_taken_for_the_same_request(chaos, key):
    """Which the service understands: it reads fields and key, and answers with what it stored."""
    answer = send(chaos, ORDER, **key)

    assert (answer.status_code, answer.json()["amount"]) == (201, 5000)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert [json.loads(effect.body) for effect in chaos.ledger] == [ORDER]
    first, *others = chaos.attempts
    assert all(other.body.start != first.body.start for other in others)
    assert {one.body.sha256 for one in chaos.attempts} == {first.body.sha256}
    chaos.verify()


def test_another_order_under_its_key_is_still_told(chaos):
    """By the service, and by ID03."""
    send(chaos, ORDER, **{"Idempotency-Key": "order-7"})
    refused = send(chaos, ORDER | {"amount": 1}, **{"Idempotency-Key": "order-7"})

    assert refused.status_code == 422
    with pytest.raises(LawsBroken, match="ID03"):
        chaos.verify()


def test_what_differs_in_a_later_piece_is_another_order(chaos):
    """Log shippers write one gzip after the other into a body: all of them are its content."""
    kept = gzip.compress(b'{"n": 1}\n')
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "order-7"}
    send(chaos, {"n": 2}, pack=lambda content: kept + gzip.compress(content), **headers)
    refused = send(chaos, {"n": 3}, pack=lambda content: kept + gzip.compress(content), **headers)

    assert refused.status_code == 422
    assert [effect.body for effect in chaos.ledger] == [b'{"n": 1}\n{"n": 2}']
    with pytest.raises(LawsBroken, match="ID03"):
        chaos.verify()


@pytest.mark.chaos("timeout, 503, ok")
def test_elasticsearch_packs_each_attempt(chaos):
    """``http_compress``, with its own retries."""
    client = Elasticsearch(
        f"{chaos.url}:80", http_compress=True, request_timeout=5, retry_on_timeout=True, max_retries=3
    )
    chaos.service.route("PUT", "/orders/_doc/{id}", lambda _: (201, {}, {"X-Elastic-Product": "Elasticsearch"}))
    headers = {"Content-Type": "application/json", "Accept": "application/json"}

    client.perform_request("PUT", "/orders/_doc/7", headers=headers, body=ORDER)

    first, second, last = chaos.attempts
    assert first.body.start != second.body.start
    assert first.body.sha256 == second.body.sha256 == last.body.sha256
    assert [json.loads(effect.body) for effect in chaos.ledger] == [ORDER]
    chaos.verify()


def test_what_cannot_be_read_is_refused_by_its_name(chaos):
    """A packing that the service does not know, and one that is broken (RFC 9110, 15.5.16)."""
    unknown = send(chaos, ORDER, encoding="br")
    broken = send(chaos, ORDER, pack=lambda content: gzip.compress(content)[:-9])

    assert (unknown.status_code, broken.status_code) == (415, 415)
    message = "The body cannot be read as Content-Encoding 'br': send gzip, deflate, aws-chunked, or none."
    assert unknown.json()["error"]["message"] == message
    assert not chaos.ledger


def test_handlers_and_files(chaos):
    """A handler reads JSON out of it, and sees what was sent; a file comes back as it was before it was packed."""
    seen = []

    @chaos.service.route("POST", "/orders")
    def create(request):
        seen.append((request.json(), gzip.decompress(request.body)))
        return 201, {}

    send(chaos, ORDER)
    page = b"<p>order 7</p>"
    requests.put(f"{chaos.url}/p", data=gzip.compress(page), headers={"Content-Encoding": "gzip"}, timeout=5)

    assert seen == [(ORDER, json.dumps(ORDER).encode())]
    assert requests.get(f"{chaos.url}/p", timeout=5).content == page


def test_an_id_of_its_own_is_read_out_of_it(chaos):
    """The service knows the order again by it, as in a plain body."""
    chaos.script("reset after-commit, ok")

    assert send(chaos, {"id": "order-7", "amount": 5000}).status_code == 409
    chaos.verify()


def test_a_body_that_was_read_before_is_told(chaos):
    """Nothing is packed the second time: a file at its end, RT04."""
    chaos.script("503, ok")
    pieces = iter([b'{"amount": 10}', b""])

    send(chaos, {}, pack=lambda _: gzip.compress(next(pieces)), **{"Idempotency-Key": "order-7"})

    with pytest.raises(LawsBroken, match="RT04 another request: POST /orders was sent again with"):
        chaos.verify()


def test_a_value_spelled_otherwise_is_told(chaos):
    """10 as 10.0, as in a plain body."""
    chaos.script("503, ok")
    spellings = iter([b'{"amount": 10}', b'{"amount": 10.0}'])

    send(chaos, {}, pack=lambda _: gzip.compress(next(spellings)), **{"Idempotency-Key": "order-7"})

    with pytest.raises(LawsBroken, match="RT04 another request: POST /orders was sent again with a value of its body"):
        chaos.verify()


def pack_or_not(chaos, is_packed):
    """Send once, packed or as it is."""
    named, body = {"Content-Type": "application/json"}, json.dumps(ORDER).encode()
    packed = {"data": gzip.compress(body), "headers": {**named, "Content-Encoding": "gzip"}}
    plain = {"data": body, "headers": named}
    return requests.post(f"{chaos.url}/orders", **packed if is_packed else plain, timeout=5).status_code


@pytest.mark.chaos("415, ok", "503, 415, 503, ok")
def test_who_sends_it_unpacked_after_415_repeats_nothing(chaos):
    """The service does not know the packing: that is what 415 may say (RFC 9110, 15.5.16)."""
    is_packed = True
    while (status := pack_or_not(chaos, is_packed)) != 201:
        is_packed = is_packed and status != 415
        time.sleep(1)

    chaos.verify()


@pytest.mark.parametrize(
    ("status", "then_packed", "law"), [(503, False, "RT04"), (400, False, "RT02"), (415, True, "RT02")]
)
def test_any_other_repetition_is_still_told(chaos, status, then_packed, law):
    """Nothing says that the packing was at fault, or it is the same again."""
    chaos.script(f"{status}, ok")
    for is_packed in (True, then_packed):
        pack_or_not(chaos, is_packed)

    with pytest.raises(LawsBroken, match=law):
        chaos.verify()
