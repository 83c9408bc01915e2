"""The service as a whole: keys, effects, replays, reservations and settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_retrychaos.model import Effect
from pytest_retrychaos.service import Reservation

PAY = {"amount": 1000}


def test_keyed_request_is_carried_out_once(bench):
    """The second request under a key gets the first answer, marked, and has no effect."""
    first = bench("POST", "/payments", PAY, key="k")
    again = bench("POST", "/payments", PAY, key="k")

    assert (first.committed, first.effects, first.replayed, first.key) == (True, 1, False, "k")
    assert (again.committed, again.effects, again.replayed, again.key) == (False, 0, True, "k")
    assert (again.response.status, again.response.body) == (201, first.response.body)
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.response.headers
    assert len(bench.service.effects) == 1


def test_request_without_a_key_is_carried_out_each_time(bench):
    """Nothing tells two equal payments without a key apart from a retry."""
    assert [bench("POST", "/payments", PAY).effects for _ in range(2)] == [1, 1]


def test_ledger_says_what_was_done(bench):
    """An effect names attempt, request, key, body and virtual time."""
    bench("GET", "/payments")
    bench.advance(2.5)
    bench("POST", "/payments?x=1", PAY, key="k")

    assert bench.service.effects == (
        Effect(1, 2, "POST", "api.test", "/payments?x=1", "k", b'{"amount": 1000}', 2_500_000_000),
    )


def test_key_with_another_body_is_refused(bench):
    """The refusal says so, and leaves the first payment as it is."""
    bench("POST", "/payments", PAY, key="k")

    refused = bench("POST", "/payments", {"amount": 2}, key="k")

    assert (refused.response.status, refused.committed, refused.effects) == (422, False, 0)
    assert json.loads(refused.response.body)["error"]["code"] == "idempotency_key_reused"


def test_key_is_one_key_at_every_host(bench):
    """A retry at a second host of the service is the same request."""
    bench("POST", "/payments", PAY, key="k", host="a.test")

    assert bench("POST", "/payments", PAY, key="k", host="b.test").replayed


@pytest.mark.parametrize(
    ("scope", "replayed"),
    [
        ("endpoint", [False, True, True]),
        ("host", [422, False, True]),
        ("credentials", [422, False, False]),
        ("everywhere", [422, True, True]),
    ],
)
def test_scope_says_within_what_a_key_is_one(bench, scope, replayed):
    """Another path, another host, other credentials: the scope says whether the key is the same one."""
    bench.service.idempotency = replace(bench.service.idempotency, scope=scope)
    bench("POST", "/payments", PAY, key="k", Authorization="a")

    path = bench("POST", "/refunds", PAY, key="k", Authorization="a")
    host = bench("POST", "/payments", PAY, key="k", Authorization="a", host="b.test")
    login = bench("POST", "/payments", PAY, key="k", Authorization="b")

    found = [path.replayed if path.committed else path.response.status, host.replayed, login.replayed]
    assert found == replayed


def test_what_tells_accounts_apart_is_no_cookie(bench):
    """A token does; a cookie that a server set with the failed answer does not."""
    bench.service.idempotency = replace(bench.service.idempotency, scope="credentials")
    bench("POST", "/payments", PAY, key="k", **{"X-Auth-Token": "a"})

    other = bench("POST", "/payments", PAY, key="k", **{"X-Auth-Token": "b"})
    again = bench("POST", "/payments", PAY, key="k", **{"X-Auth-Token": "a", "Cookie": "node=2"})

    assert (other.replayed, again.replayed) == (False, True)


def test_key_expires_on_virtual_time(bench):
    """After a day the key is new, and is kept anew."""
    bench("POST", "/payments", PAY, key="k")
    bench.advance(86_400)

    assert [bench("POST", "/payments", PAY, key="k").effects for _ in range(2)] == [1, 0]


def test_failure_is_replayed_or_not_as_set(bench):
    """Whether a 500 is kept for the key is a setting."""
    answers = iter([(500, {}), (201, {}), (500, {}), (201, {})])
    bench.service.route("POST", "/payments", lambda _: next(answers))

    kept = [bench("POST", "/payments", PAY, key="a").response.status for _ in range(2)]
    next(answers)
    bench.service.idempotency = replace(bench.service.idempotency, stored="not-5xx")
    free = [bench("POST", "/payments", PAY, key="b").response.status for _ in range(2)]

    assert (kept, free) == ([500, 500], [500, 201])


def test_answer_that_turns_away_is_never_kept(bench):
    """A handler's own 429 says that nothing was done: the key is free for the retry."""
    answers = iter([(429, {}), (201, {})])
    bench.service.route("POST", "/payments", lambda _: next(answers))

    assert [bench("POST", "/payments", PAY, key="k").response.status for _ in range(2)] == [429, 201]


def test_unreadable_request_is_not_kept(bench):
    """What failed before it was carried out leaves the key free, but for its payload."""
    bench("POST", "/payments", b"{", media="application/json", key="k")

    assert bench("POST", "/payments", PAY, key="k").response.status == 201


def test_read_ignores_its_key(bench):
    """A GET is carried out whatever its key."""
    bench("POST", "/payments", PAY, key="k")

    assert bench("GET", "/payments", key="k").replayed is False


@pytest.mark.parametrize(("status", "effects"), [(200, 1), (204, 1), (303, 1), (302, 0), (400, 0), (404, 0), (500, 0)])
def test_own_answer_decides_whether_there_is_an_effect(bench, status, effects):
    """A 2xx or 303 says that something was done."""
    bench.service.route("POST", "/x", lambda _: (status, None))

    assert bench("POST", "/x").effects == effects


@pytest.mark.parametrize(
    ("method", "effect", "effects", "is_read"),
    [("POST", None, 1, False), ("POST", False, 0, True), ("GET", None, 0, True), ("GET", True, 1, False)],
)
def test_route_may_say_whether_it_writes(bench, method, effect, effects, is_read):
    """effect= overrides what the method says."""
    bench.service.route(method, "/x", lambda _: {}, effect=effect)
    answer = bench(method, "/x")

    assert (answer.effects, answer.is_read) == (effects, is_read)


def test_is_read_knows_routes_and_protocols(bench, ask):
    """A request is asked about before it is handled."""
    bench.service.route("POST", "/quotes", lambda _: {}, effect=False)

    assert bench.service.answering.traits(ask("POST", "/quotes")).is_read
    assert bench.service.answering.traits(ask("POST", "/orders/_search")).is_read
    assert not bench.service.answering.traits(ask("POST", "/orders")).is_read


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_repeated_idempotent_write_has_one_effect(bench, method):
    """PUT, DELETE and a merging PATCH say the same again, at whichever host."""
    bench.service.route(method, "/x/{id}", lambda _: {})

    effects = [bench(method, "/x/1", {"a": 1, "b": 2}).effects]
    effects += [bench(method, "/x/1", {"b": 2, "a": 1}, host="b.test").effects]
    effects += [bench(method, "/x/1", {"a": 2}).effects, bench(method, "/x/2", {"a": 2}).effects]

    assert effects == [1, 0, 1, 1]


def test_idempotent_write_counts_after_another_write(bench):
    """A PUT after something else was written at its path, or above it, is no repetition."""
    for method in ("PUT", "DELETE", "POST"):
        bench.service.route(method, "/x", lambda _: {})
        bench.service.route(method, "/x/{id}", lambda _: {})

    sent = [("PUT", "/x/1"), ("POST", "/x/1"), ("PUT", "/x/1"), ("DELETE", "/x"), ("PUT", "/x/1")]

    assert [bench(method, path, {"a": 1}).effects for method, path in sent] == [1, 1, 1, 1, 1]


def test_creating_beside_it_makes_no_repetition_new(bench):
    """A POST to the collection says nothing about a PUT to one of its members."""
    sent = [("PUT", "/x/1"), ("POST", "/x"), ("PUT", "/x/1")]

    assert [bench(method, path, {"a": 1}).effects for method, path in sent] == [1, 1, 0]


def test_json_patch_counts_each_time(bench):
    """A JSON Patch may append: it is no merge."""
    bench.service.route("PATCH", "/x", lambda _: {})

    sent = [bench("PATCH", "/x", b"[]", media="application/json-patch+json").effects for _ in range(2)]
    assert sent == [1, 1]


def test_store_knows_what_changed(bench):
    """Deleting what was created again is an effect of its own."""
    sent = [("POST", "/x", {"id": "1"}), ("DELETE", "/x/1", b"")] * 2

    assert [bench(*request).effects for request in sent] == [1, 1, 1, 1]


def test_key_is_in_flight_between_reserve_and_complete(bench, ask):
    """Meanwhile the same request is told so; afterwards it is replayed."""
    request = ask("POST", "/payments", PAY, key="k")

    reservation = bench.service.answering.reserve(request, attempt=1)
    meanwhile = bench("POST", "/payments", PAY, key="k")
    assert isinstance(reservation, Reservation)
    done = bench.service.answering.complete(reservation)

    assert (meanwhile.response.status, meanwhile.committed) == (409, False)
    assert (done.response.status, done.effects) == (201, 1)
    assert bench("POST", "/payments", PAY, key="k").replayed


def test_released_reservation_was_never_carried_out(bench, ask):
    """Giving up frees the key."""
    reservation = bench.service.answering.reserve(ask("POST", "/payments", PAY, key="k"), attempt=1)
    bench.service.answering.release(reservation)

    assert bench.service.effects == ()
    assert bench("POST", "/payments", PAY, key="k").effects == 1
    with pytest.raises(RuntimeError, match=r"^this reservation was completed or released already"):
        bench.service.answering.complete(reservation)


def test_reserve_answers_at_once_where_the_layer_does(bench, ask):
    """A replay needs no reservation."""
    bench("POST", "/payments", PAY, key="k")

    assert bench.service.answering.reserve(ask("POST", "/payments", PAY, key="k"), attempt=2).replayed


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None, True])
def test_bad_latency_is_refused(bench, seconds):
    """Latency is a number of seconds."""
    with pytest.raises(ValueError, match=r"^service\.latency = .*: latency is a number of seconds, 0 or more$"):
        bench.service.latency = seconds


def test_latency_is_kept_in_nanoseconds(bench):
    """Seconds at the edge, whole nanoseconds inside."""
    bench.service.latency = 0.25

    assert (bench.service.latency, bench.service.latency_ns) == (0.25, 250_000_000)


def test_bad_idempotency_is_refused(bench):
    """Settings are an Idempotency."""
    with pytest.raises(TypeError, match=r"^service\.idempotency = \{\}: give an Idempotency, such as"):
        bench.service.idempotency = {}


def test_settings_are_not_changed_in_place(bench):
    """It is said how they are changed, and which there are."""
    with pytest.raises(AttributeError) as caught:
        bench.service.idempotency.lifetime = 60
    assert str(caught.value) == (
        "service.idempotency.lifetime = 60: settings are not changed in place: "
        "service.idempotency = dataclasses.replace(service.idempotency, lifetime=60)"
    )
    with pytest.raises(AttributeError, match=r"\.mismach: there is no such setting, did you mean 'mismatch'\? The set"):
        bench.service.idempotency.mismach = 400


def test_a_setting_that_is_none_is_refused(bench):
    """A slip of the pen would change nothing."""
    with pytest.raises(AttributeError, match="latncy"):
        bench.service.latncy = 2


@pytest.mark.parametrize("database", [7, ""])
def test_bad_database_is_refused(make_bench, database):
    """The store is a path."""
    with pytest.raises(TypeError) as caught:
        make_bench(database=database)

    assert str(caught.value) == (f"database={database!r}: give the path of a file, or None to keep all in memory")


def test_a_write_that_repeats_nothing_by_post_has_one_effect(bench, ask):
    """DynamoDB puts a whole item by POST: sent again, it leaves everything as it is."""
    item = {"TableName": "t", "Item": {"id": {"S": "1"}}}
    put = ask("POST", "/", item, **{"X-Amz-Target": "DynamoDB_20120810.PutItem"})

    answers = [bench.service.answering.handle(put, attempt=number) for number in (1, 2)]

    assert bench.service.answering.traits(put).is_guarded
    assert [answer.effects for answer in answers] == [1, 0]


def test_a_route_counts_as_used_though_its_request_was_never_carried_out(bench, ask):
    """A fault may strike every request that it takes."""
    bench.service.route("POST", "/charges", lambda _: {})

    bench.service.answering.traits(ask("POST", "/charges"))

    assert bench.service.unused_routes == ()
