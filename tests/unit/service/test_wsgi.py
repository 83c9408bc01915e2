"""Mounted WSGI apps."""

from __future__ import annotations

import asyncio
import json

import pytest

from pytest_retrychaos.service.handlers import HandlerError


def echo(environ, start_response):
    """Answer with what arrived."""
    names = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_X_A", "SERVER_NAME"]
    seen = {name: environ.get(name) for name in [*names, "SERVER_PORT", "wsgi.url_scheme"]}
    seen["body"] = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
    start_response("201 Created", [("Content-Type", "application/json"), ("Content-Length", "1")])
    return [json.dumps(seen).encode()]


def test_app_sees_the_request(bench):
    """The environ says what PEP 3333 asks for; the transport's headers are left to the transport."""
    bench.service.mount(echo)
    answer = bench("POST", "/caf%C3%A9?x=1", {"a": 1}, X_A="b", host="shop.test:8080")

    assert json.loads(answer.response.body) == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/cafÃ©",
        "QUERY_STRING": "x=1",
        "CONTENT_TYPE": "application/json",
        "HTTP_X_A": "b",
        "SERVER_NAME": "shop.test",
        "SERVER_PORT": "8080",
        "wsgi.url_scheme": "http",
        "body": '{"a": 1}',
    }
    assert answer.response.headers.pairs == (("Content-Type", "application/json"),)
    assert (answer.response.status, answer.effects) == (201, 1)


def test_route_comes_before_the_app(bench):
    """A route takes what it names, the app the rest."""
    bench.service.mount(echo)
    bench.service.route("GET", "/health", lambda _: "ok")

    assert bench("GET", "/health").response.body == b'"ok"'
    assert bench("GET", "/other").response.status == 201


def test_our_layer_stands_before_the_app(bench):
    """With idempotency="ours" the app sees a keyed request once."""
    bench.service.mount(echo)

    assert [bench("POST", "/x", {"a": 1}, key="k").replayed for _ in range(2)] == [False, True]


def test_app_with_its_own_keys_counts_its_effects(bench):
    """With idempotency="own" the app's count tells a replay from an effect."""
    done = []

    def app(environ, start_response):
        if environ["HTTP_IDEMPOTENCY_KEY"] not in done:
            done.append(environ["HTTP_IDEMPOTENCY_KEY"])
        start_response("201 Created", [])
        return [b"{}"]

    bench.service.mount(app, idempotency="own", effects=lambda: len(done))

    answers = [bench("POST", "/x", {"a": 1}, key=key) for key in ("a", "a", "b")]

    assert [(answer.effects, answer.replayed) for answer in answers] == [(1, False), (0, False), (1, False)]


def test_flask_like_app_with_write_and_close(bench):
    """The write callable works, and the answer is closed."""
    closed = []

    class Pieces(list):
        def close(self):
            closed.append(True)

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        return Pieces([b"b", b"c"])

    bench.service.mount(app)

    assert bench("GET", "/x").response.body == b"abc"
    assert closed == [True]


def test_error_answer_replaces_the_first(bench):
    """start_response with exc_info replaces what was begun."""

    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("502 Bad Gateway", [], (None, None, None))
        return [b""]

    bench.service.mount(app)

    assert bench("GET", "/x").response.status == 502


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        ([], "handler app never called start_response"),
        (["200 OK", "200 OK"], "handler app: start_response was called twice"),
        (["OK"], "handler app gave the status 'OK': write '200 OK'"),
        ([b"200 OK"], "handler app gave the status b'200 OK': write '200 OK'"),
        ([200], "handler app gave the status 200: write '200 OK'"),
        (["²⁰⁰ OK"], "handler app gave the status '²⁰⁰ OK': write '200 OK'"),
    ],
)
def test_app_that_breaks_the_protocol_is_at_fault(bench, begin, message):
    """A broken app is a handler's fault, by name."""

    def app(environ, start_response):
        for status in begin:
            start_response(status, [])
        return []

    app.__qualname__ = "app"
    bench.service.mount(app)
    answer = bench("GET", "/x")

    assert answer.response.status == 500
    assert isinstance(answer.error, HandlerError)
    assert str(answer.error) == message


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([(b"X-Id", "1")], "returned the header name b'X-Id': a name is letters, digits and !#$%&'*+.^_`|~-"),
        ([(5, "1")], "returned the header name 5: a name is letters, digits and !#$%&'*+.^_`|~-"),
        ([("X-Id",)], "returned the headers [('X-Id',)]: headers are a mapping, or pairs of name and value"),
        (None, "returned the headers None: headers are a mapping, or pairs of name and value"),
    ],
)
def test_app_whose_headers_are_none_is_told_so(bench, headers, message):
    """The fault is named with the header, as that of a handler is."""

    def app(environ, start_response):
        start_response("200 OK", headers)
        return []

    app.__qualname__ = "app"
    bench.service.mount(app)

    assert str(bench("GET", "/x").error) == f"handler app {message}"


def test_app_that_gives_its_headers_in_lists_is_understood(bench):
    """PEP 3333 has tuples; real servers take any pair."""

    def app(environ, start_response):
        start_response("200 OK", [["X-Id", "1"]])
        return []

    bench.service.mount(app)

    assert bench("GET", "/x").response.headers["x-id"] == "1"


def test_length_of_an_answer_to_head_is_the_apps(bench):
    """Nothing else knows how long the body would be."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "17")])
        return []

    bench.service.mount(app)

    assert bench("HEAD", "/x").response.headers.pairs == (("Content-Length", "17"),)
    assert bench("GET", "/x").response.headers.pairs == ()


def test_the_clients_event_loop_is_hidden_from_the_app(bench):
    """Frameworks refuse to block where a loop runs; the client finds its loop again, whatever the app did."""
    seen = []

    def app(environ, start_response):
        try:
            seen.append(asyncio.get_running_loop())
        except RuntimeError as error:
            seen.append(str(error))
        raise OSError("in the app")

    async def client():
        answer = bench("GET", "/x")
        return asyncio.get_running_loop(), repr(answer.error)

    bench.service.mount(app)
    loop, error = asyncio.run(client())

    assert seen == ["no running event loop"]
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert error == "OSError('in the app')"


def test_count_that_goes_backwards_is_a_fault(bench):
    """The app's count of effects only grows."""
    counts = iter([2, 1])
    bench.service.mount(echo, effects=lambda: next(counts))

    assert str(bench("POST", "/x").error).startswith("the app's effects= went backwards")
