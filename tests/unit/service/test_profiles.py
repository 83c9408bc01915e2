"""The providers' ways."""

from __future__ import annotations

import json

import pytest

PAY = b"amount=1000&currency=usd&metadata[order]=6"
FORM = "application/x-www-form-urlencoded"


def error(answer):
    """Decode an error body."""
    return json.loads(answer.response.body)


def charge(bench, body=PAY, **more):
    """Post a charge as Stripe's SDK does."""
    return bench("POST", "/v1/charges", body, media=FORM, host="api.stripe.com", **more)


def test_unknown_profile_is_refused(bench):
    """The nearest name is offered."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 # the whole message is compared
        bench.service.profile = "strip"

    assert str(caught.value) == (
        "profile 'strip' is not known: use one of default, stripe, ietf, naive; did you mean 'stripe'?"
    )


def test_profile_sets_idempotency(bench):
    """Setting a profile sets its settings."""
    bench.service.profile = "naive"
    assert (bench.service.profile, bench.service.idempotency.enabled) == ("naive", False)

    bench.service.profile = "ietf"
    assert (bench.service.idempotency.missing, bench.service.idempotency.replay_marker) == (400, None)


def test_naive_ignores_keys(make_bench):
    """Without idempotency every request is carried out, the key is on record all the same."""
    bench = make_bench(profile="naive")

    answers = [bench("POST", "/payments", {"a": 1}, key="k") for _ in range(2)]

    assert [(answer.effects, answer.key) for answer in answers] == [(1, "k"), (1, "k")]


def test_stripe_creates_as_stripe_does(make_bench):
    """A charge has Stripe's shape, answers 200, and each answer has a request id of its own."""
    bench = make_bench(profile="stripe")
    answer = charge(bench, key="k")
    made = json.loads(answer.response.body)

    assert answer.response.status == 200
    assert made == {
        "id": made["id"],
        "object": "charge",
        "status": "succeeded",
        "created": 1767225600,
        "amount": 1000,
        "currency": "usd",
        "metadata": {"order": "6"},
    }
    assert made["id"].startswith("ch_")
    assert answer.response.headers["Idempotency-Key"] == "k"
    assert answer.response.headers["Request-Id"].startswith("req_")


def test_stripe_lists_and_deletes_as_stripe_does(make_bench):
    """Lists and deletions have Stripe's shape."""
    bench = make_bench(profile="stripe")
    bench("POST", "/v1/customers", b"id=cus_1&name=Ann", media=FORM)

    listed = json.loads(bench("GET", "/v1/customers").response.body)
    gone = json.loads(bench("DELETE", "/v1/customers/cus_1").response.body)

    assert [item["name"] for item in listed.pop("data")] == ["Ann"]
    assert listed == {"object": "list", "has_more": False, "url": "/v1/customers"}
    assert gone == {"id": "cus_1", "object": "customer", "deleted": True}


def test_stripe_replay_names_the_original_request(make_bench):
    """A replay has its own request id, and the first one's beside it."""
    bench = make_bench(profile="stripe")
    first, again = charge(bench, key="k"), charge(bench, key="k")

    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert again.response.headers["Original-Request"] == first.response.headers["Request-Id"]
    assert again.response.headers["Request-Id"] != first.response.headers["Request-Id"]
    assert again.response.body == first.response.body


@pytest.mark.parametrize("key", ["k-€", "k\r\nX-Other: 1", "k\n"])
def test_stripe_echoes_no_key_that_a_header_cannot_hold(make_bench, key):
    """A field of a body can hold more: its end of a line would begin a header of its own."""
    bench = make_bench(profile="stripe")
    answers = [bench("POST", "/v1/charges", {"request_id": key}) for _ in range(2)]

    assert [one.replayed for one in answers] == [False, True]
    assert [one.response.headers.get("Idempotency-Key") for one in answers] == [None, None]


def test_stripe_refuses_other_parameters(make_bench):
    """Stripe answers 400 with an idempotency_error, also at another endpoint."""
    bench = make_bench(profile="stripe")
    charge(bench, key="k")
    refused = charge(bench, b"amount=5", key="k")

    assert refused.response.status == 400
    assert error(refused) == {
        "error": {
            "type": "idempotency_error",
            "message": "Keys for idempotent requests can only be used with the same parameters they were"
            " first used with. Try using a key other than 'k' if you meant to execute a different request.",
        }
    }
    other = bench("POST", "/v1/refunds", PAY, media=FORM, host="api.stripe.com", key="k")
    assert other.response.status == 400


def test_stripe_tells_of_a_key_in_use(make_bench, ask):
    """While the first request runs Stripe answers 409."""
    bench = make_bench(profile="stripe")
    bench.service.answering.reserve(ask("POST", "/v1/charges", PAY, media=FORM, key="k"), attempt=1)

    refused = bench("POST", "/v1/charges", PAY, media=FORM, key="k")

    assert refused.response.status == 409
    assert error(refused) == {
        "error": {
            "type": "idempotency_error",
            "message": "There is currently another in-progress request using this Idempotent Key (that probably means"
            " you submitted twice, and the other request is still going through): k. Please try again later.",
            "code": "idempotency_key_in_use",
        }
    }


def test_stripe_replays_a_500(make_bench):
    """Stripe saves the result whatever it is, but what came before the layer: 401 and 429."""
    bench = make_bench(profile="stripe")
    statuses = iter([429, 401, 500, 200])
    bench.service.route("POST", "/v1/charges", lambda _: (next(statuses), {}))

    assert [charge(bench, key="k").response.status for _ in range(4)] == [429, 401, 500, 500]


def test_stripe_ignores_keys_on_delete(make_bench):
    """Only POST takes keys at Stripe."""
    bench = make_bench(profile="stripe")
    bench("POST", "/v1/customers", b"id=c", media=FORM)

    statuses = [bench("DELETE", "/v1/customers/c", key="k").response.status for _ in range(2)]

    assert statuses == [200, 404]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", "parameter_missing"),
        (409, "invalid_request_error", None),
        (402, "card_error", "card_declined"),
        (404, "invalid_request_error", "resource_missing"),
        (429, "invalid_request_error", "rate_limit"),
        (500, "api_error", None),
        (503, "api_error", None),
    ],
)
def test_stripe_words_scripted_statuses(make_bench, ask, status, kind, code):
    """A scripted status has Stripe's error body and a request id."""
    shape = make_bench(profile="stripe").service.answering.error_shape(status, ask("POST", "/v1/charges"))
    found = json.loads(shape.body)["error"]

    assert (shape.status, found["type"], found.get("code")) == (status, kind, code)
    assert shape.headers["Request-Id"].startswith("req_")


def test_ietf_words_scripted_statuses(make_bench, ask):
    """A scripted status is a problem document."""
    shape = make_bench(profile="ietf").service.answering.error_shape(503, ask("POST", "/x"))

    assert shape.headers["Content-Type"] == "application/problem+json"
    assert json.loads(shape.body)["title"] == "Service Unavailable"


@pytest.mark.parametrize(("profile", "status"), [("default", 503), ("naive", 400), ("stripe", 302)])
def test_other_statuses_have_no_shape(make_bench, ask, profile, status):
    """Where the profile has no way of its own, there is none."""
    assert make_bench(profile=profile).service.answering.error_shape(status, ask("POST", "/x")) is None


def test_ietf_needs_a_key(make_bench):
    """A POST without a key is a problem, a PUT is not."""
    bench = make_bench(profile="ietf")
    refused = bench("POST", "/payments", {"a": 1})

    assert refused.response.headers["Content-Type"] == "application/problem+json"
    assert error(refused) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "This request needs an Idempotency-Key.",
    }
    assert bench("PUT", "/payments/1", {"a": 1}).response.status == 201


def test_ietf_key_may_be_quoted(make_bench):
    """The draft's key is a quoted string: with quotes and without it is the same key, with no marker."""
    bench = make_bench(profile="ietf")
    bench("POST", "/payments", {"a": 1}, key='"k"')
    again = bench("POST", "/payments", {"a": 1}, key="k")

    assert (again.replayed, "Idempotent-Replayed" in again.response.headers) == (True, False)
    assert bench("POST", "/payments", {"a": 2}, key='"k"').response.status == 422
