"""RT04: a retry is the same request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_retrychaos.laws.headers import MAY_DIFFER, may_differ

NOT_APPLIED = ("does not apply",)


@pytest.mark.parametrize("relation", ["same", "volatile"])
def test_rt04_is_held_when_the_same_request_is_sent_again(run, ruling, relation):
    """To the byte, or but for volatile fields."""
    assert ruling(run().send("503").wait(1).again(body_relation=relation), "RT04") == ("held",)


@pytest.mark.parametrize(("relation", "content"), [("rest", b""), ("rest", b'{"am'), ("different", b"{}")])
def test_rt04_is_broken_when_the_body_differs(run, ruling, relation, content):
    """A consumed stream, or another body."""
    one = run().send("503").wait(1).again(body_relation=relation, content=content)

    assert ruling(one, "RT04") == ("broken", "RT04/body")


def test_rt04_is_broken_when_the_method_differs(run, ruling):
    """A POST that comes back as a GET."""
    assert ruling(run().send("503").wait(1).again(method="GET"), "RT04") == ("broken", "RT04/method")


def test_rt04_is_broken_when_the_path_differs(run, ruling):
    """Another address is another request."""
    assert ruling(run().send("503").wait(1).again(target="/payment"), "RT04") == ("broken", "RT04/path")


def test_rt04_leaves_the_query_to_the_joining(run, ruling):
    """Attempts are joined by their query, volatile fields aside: a nonce may be new."""
    assert ruling(run().send("503", target="/pay?nonce=1").wait(1).again(target="/pay?nonce=2"), "RT04") == ("held",)


def test_rt04_looks_past_volatile_values_in_headers(run, ruling):
    """The boundary of a form is new on every attempt."""
    one = run().send("503", headers={"Content-Type": "multipart/form-data; boundary=aaa111"}, volatile=("aaa111",))
    again = {"Content-Type": "multipart/form-data; boundary=bbb222"}

    assert ruling(one.wait(1).again(headers=again, volatile=("bbb222",)), "RT04") == ("held",)


def test_rt04_looks_past_volatile_values_by_their_numbers(run, ruling):
    """Read from JSON, the id that stays is V1 and the tenth nonce V11: taken out first, V1 would leave a digit."""
    one = run()
    for number in range(1, 11):
        nonce = f"nonce-{number:02}"
        one.send("503", headers={"X-Part": nonce}, volatile=("stays-the-same", nonce)).wait(1)

    assert ruling(one, "RT04") == ("held",)


def test_rt04_exempts_the_authority(run, ruling):
    """Failover keeps the request."""
    assert ruling(run().send("503").again(host="b.test", headers={"Host": "b.test"}), "RT04") == ("held",)


@pytest.mark.parametrize(
    ("first", "second"),
    [({"Accept": "a"}, {}), ({"Accept": "a"}, {"Accept": "b"}), ({}, {"X-Mode": "1"})],
)
def test_rt04_is_broken_when_a_header_goes_changes_or_comes(run, ruling, first, second):
    """Headers belong to the request."""
    one = run().send("503", headers=first).wait(1).again(headers=second)

    assert ruling(one, "RT04") == ("broken", "RT04/headers")


@pytest.mark.parametrize(
    "name",
    [
        "amz-sdk-request",
        "Amz-Sdk-Invocation-Id",
        "X-Amz-Date",
        "X-Stripe-Client-Telemetry",
        "traceparent",
        "tracestate",
        "X-B3-TraceId",
        "X-Request-Id",
        "Date",
        "x-goog-api-client",
        "X-Retry-Count",
        "x-stainless-retry-count",
        "Connection",
        "Content-Length",
        "Cookie",
        "X-Acme-Attempt",
        "X-Acme-Timestamp",
        "X-Sent",
        "X-Issued-At",
        "X-Acme-Deadline",
        "API-Sign",
        "CB-ACCESS-SIGN",
        "X-MAC",
        "x-fapi-interaction-id",
        "client-request-id",
        "X-Client-Request-Id",
        "x-ms-correlation-request-id",
        "sw8",
        "X-Instana-T",
    ],
)
@pytest.mark.parametrize(("first", "second"), [("1", "2"), (None, "2"), ("1", None)])
def test_rt04_exempts_headers_that_name_attempt_time_trace_connection_or_signature(run, ruling, name, first, second):
    """A right client changes them, adds them, leaves them out."""
    before = {name: first} if first else {}
    after = {name: second} if second else {}

    assert ruling(run().send("503", headers=before).wait(1).again(headers=after), "RT04") == ("held",)


NO_NAMES = ("X-Request-Kind", "X-Order-Request-Id", "X-Device-Mac-Address", "X-Digest-Mode", "X-Interaction-Type")


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "User-Agent", "If-Match", "X-Account", "Prefer", *NO_NAMES])
def test_other_headers_may_not_differ(name):
    """The table is no blank cheque."""
    assert not may_differ(name)


def test_every_exempt_header_has_a_source():
    """The table says who says so, in lower-case names."""
    assert all(source for source in MAY_DIFFER.values())
    assert all(name == name.lower() for name in MAY_DIFFER)


def test_rt04_leaves_the_key_to_id02(run, ruling):
    """A new key is another law's business."""
    assert ruling(run().send("503", key="key-1").wait(1).again(key="key-2"), "RT04") == ("held",)


OLD, NEW = {"Authorization": "Bearer old-token"}, {"Authorization": "Bearer new-token"}


@pytest.mark.parametrize("status", ["401", "403", "407"])
def test_rt04_exempts_credentials_after_a_demand_for_a_login(run, ruling, status):
    """A refreshed token."""
    assert ruling(run().send(status, headers=OLD).again(headers=NEW), "RT04") == ("held",)


@pytest.mark.parametrize("after", [NEW, {}])
def test_rt04_is_broken_when_credentials_change_or_go_otherwise(run, ruling, after):
    """After a 503 nothing asked for others."""
    assert ruling(run().send("503", headers=OLD).again(headers=after), "RT04") == ("broken", "RT04/credentials")


def test_rt04_exempts_credentials_that_another_request_may_have_fetched(run, ruling):
    """A token that ran out during a long wait is fetched anew."""
    one = run().send("503", headers=OLD).wait(3600)
    one.new().send("ok", target="/token", is_read=True)
    one.operations.reverse()
    one.attempts = [replace(attempt, operation=1 - attempt.operation) for attempt in one.attempts]

    assert ruling(one.send("ok", headers=NEW), "RT04") == ("held",)


def test_rt04_goes_on_with_credentials_that_were_fetched(run, ruling):
    """What a token that was fetched is used for next is not asked again whether it may differ from the first."""
    one = run().send("503", headers=OLD).wait(3600)
    one.new().send("ok", target="/token", is_read=True)
    one.operations.reverse()
    one.attempts = [replace(attempt, operation=1 - attempt.operation) for attempt in one.attempts]

    assert ruling(one.send("503", headers=NEW).wait(1).send("ok", headers=NEW), "RT04") == ("held",)


@pytest.mark.parametrize(
    ("first", "second", "extra"),
    [("AWS4-HMAC-SHA256 one", "AWS4-HMAC-SHA256 two", {}), ("sig one", "sig two", {"x-amz-date": "20260101T000000Z"})],
)
def test_rt04_exempts_signed_requests(run, ruling, first, second, extra):
    """A signature covers the time."""
    one = run().send("503", headers={"Authorization": first, **extra}, credentials=None)

    assert ruling(one.again(headers={"Authorization": second, **extra}, credentials=None), "RT04") == ("held",)


@pytest.mark.parametrize("status", ["307", "308"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("held",)),
        ({"method": "GET"}, ("broken", "RT04/method")),
        ({"content": b""}, ("broken", "RT04/body")),
        ({"key": "key-2"}, ("broken", "RT04/key")),
    ],
)
def test_rt04_compares_legs_of_307_and_308(run, ruling, status, change, expected):
    """Method, body and key go along."""
    one = run().send(status, key="key-1", failed=False)

    assert ruling(one.again(**{"target": "/b", "joined": "leg", **change}), "RT04") == expected


@pytest.mark.parametrize("status", ["301", "302", "303"])
def test_rt04_does_not_compare_other_legs(run, ruling, status):
    """There a GET may follow a POST."""
    one = run().send(status, failed=False).send("ok", "GET", "/b", joined="leg", content=b"")

    assert ruling(one, "RT04") == NOT_APPLIED


def test_rt04_does_not_compare_with_what_was_not_sent(run, ruling):
    """A refused connection carried no request."""
    assert ruling(run().send("refuse").wait(1).again("ok"), "RT04") == NOT_APPLIED


def test_rt04_compares_a_retried_leg_with_the_leg(run, ruling):
    """Not with the request that led to it."""
    one = run().send("302", "GET", failed=False).send("503", "GET", "/b", joined="leg").wait(1)

    assert ruling(one.send("ok", "GET", "/b"), "RT04") == ("held",)


def test_rt04_text_says_what_is_missing(run, text):
    """The failure text, whole."""
    one = run("503, ok").send("503").wait(1).again(body_relation="rest", content=b"")

    assert text(one, "RT04") == (
        "RT04 another request: POST /payments was sent again with 0 of 15 bytes of its body\n"
        "  t+0.00s  #1  POST /payments  key –   503\n"
        "  t+1.00s  #2  POST /payments  key –   201, committed   ◄ 0 of 15 bytes of its body\n"
        "  why   a retry asks for the same thing once more: what differs makes it another request,"
        " which the service may refuse or carry out anew\n"
        "  fix   keep the body as bytes, or rewind the stream before every attempt\n"
        '  again @pytest.mark.chaos("503, ok", seed=42)'
    )


@pytest.mark.parametrize(
    ("first", "second", "what", "fix"),
    [
        (
            {"fault": "307", "failed": False},
            {"target": "/b", "joined": "leg", "key": "key-2"},
            "another idempotency key",
            "send the idempotency key on every leg of a redirect too",
        ),
        ({"fault": "503"}, {"target": "/orders"}, "another path", "build the address once, outside the retry loop"),
        (
            {"fault": "503"},
            {"method": "PUT"},
            "PUT instead of POST",
            "keep the method: repeat the request as it was, or follow 307 and 308 with the method they came to",
        ),
    ],
)
def test_rt04_text_says_what_differs(run, text, first, second, what, fix):
    """In the first line, at the attempt, and in what to do."""
    told = text(run().send(**first, key="key-1").wait(1).again(**second), "RT04").splitlines()

    assert told[0] == f"RT04 another request: POST /payments was sent again with {what}"
    assert told[2].endswith(f"◄ {what}")
    assert told[4] == f"  fix   {fix}"
