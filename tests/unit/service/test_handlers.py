"""What handlers return, and what becomes of what is no answer."""

from __future__ import annotations

import pytest

from pytest_retrychaos.model import Headers, Response
from pytest_retrychaos.service.handlers import HandlerError, as_response

JSON = [("Content-Type", "application/json")]


@pytest.mark.parametrize(
    ("returned", "status", "headers", "body"),
    [
        ({"a": 1}, 200, JSON, b'{"a": 1}'),
        ([1, "x", None], 200, JSON, b'[1, "x", null]'),
        ("text", 200, JSON, b'"text"'),
        (None, 200, JSON, b"null"),
        ((201, {"id": 1}), 201, JSON, b'{"id": 1}'),
        ((204, None), 204, [], b""),
        ((404, None, {"X-Why": "gone"}), 404, [("X-Why", "gone")], b""),
        ((429, {}, {"Retry-After": "2"}), 429, [*JSON, ("Retry-After", "2")], b"{}"),
        ((200, {}, [("content-type", "a/b")]), 200, [("content-type", "a/b")], b"{}"),
        (Response(202, Headers({"A": "b"}), b"raw"), 202, [("A", "b")], b"raw"),
        (Response.text("née"), 200, [("Content-Type", "text/plain; charset=utf-8")], "née".encode()),
        (Response.text(b"\0", 203, {"content-type": "a/b"}), 203, [("content-type", "a/b")], b"\0"),
    ],
)
def test_answer_is_made_of_what_was_returned(returned, status, headers, body):
    """Each form that a handler may return becomes an answer."""
    response = as_response(returned, "h")

    assert (response.status, list(response.headers.pairs), response.body) == (status, headers, body)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((99, {}), "the status 99: a status is a whole number from 200 to 599"),
        ((True, {}), "the status True: a status is a whole number from 200 to 599"),
        (("201", {}), "the status '201': a status is a whole number from 200 to 599"),
        (Response(600), "the status 600: a status is a whole number from 200 to 599"),
        ((204, {}), "(204, {}): a 204 has no body; return (204, None)"),
        (
            (200, {}, {"A": "b\r\nC: d"}),
            "the header A: 'b\\r\\nC: d': a value is a str without CR, LF or NUL",
        ),
        (
            (200, {}, {"A B": "c"}),
            "the header name 'A B': a name is letters, digits and !#$%&'*+.^_`|~-",
        ),
        ((200, {}, {"A": 5}), "the header A: 5: a value is a str without CR, LF or NUL"),
        ((200, {}, {"A": "€"}), "the header A: '€': a value is Latin-1 text"),
        ((200, {}, "A: b"), "the headers 'A: b': headers are a mapping, or pairs of name and value"),
        (
            Response(200, {"A": "b"}),
            "a Response with headers {'A': 'b'}: make it by Response.json or Response.text",
        ),
        (Response(200, body="text"), "a Response with the body 'text': the body is bytes"),
        (
            (1, 2, 3, 4),
            (
                "(1, 2, 3, 4): a tuple has two or three parts; return a Response, a JSON value,"
                " (status, value) or (status, value, headers)"
            ),
        ),
    ],
)
def test_what_is_no_answer_is_named(returned, message):
    """A bad answer names handler, value and rule."""
    with pytest.raises(HandlerError) as caught:
        as_response(returned, "pay")

    assert str(caught.value) == f"handler pay returned {message}"


@pytest.mark.parametrize("returned", [b"raw", {1, 2}, object(), float("nan")])
def test_value_that_is_no_json_is_named(returned):
    """Only JSON values can be sent as they are."""
    with pytest.raises(HandlerError, match=r"^handler pay returned .*: not JSON \(.*\); return a Response"):
        as_response(returned, "pay")


def test_coroutine_is_refused(bench):
    """An async handler is named with the way out."""

    async def pay(request):
        return {}

    bench.service.route("POST", "/payments", pay)
    answer = bench("POST", "/payments")

    assert str(answer.error) == (
        "handler test_coroutine_is_refused.pay returned a coroutine:"
        " a handler is a plain function; write def, not async def"
    )


def test_handler_that_raises_is_a_500_without_insides(bench):
    """The client sees a plain 500; what was raised is handed on, and nothing is committed or kept."""
    calls = []

    def pay(request):
        calls.append(request)
        if len(calls) == 1:
            raise KeyError("secret")
        return 201, {}

    bench.service.route("POST", "/payments", pay)
    failed = bench("POST", "/payments", key="k")
    again = bench("POST", "/payments", key="k")

    assert failed.response.status == 500
    assert b"secret" not in failed.response.body
    assert repr(failed.error) == "KeyError('secret')"
    assert (failed.committed, failed.effects) == (False, 0)
    assert (again.response.status, again.effects, again.replayed) == (201, 1, False)


def test_interrupt_in_a_handler_passes_through(bench):
    """What ends the test is not the service's to catch; the key is free afterwards."""

    def pay(request):
        raise KeyboardInterrupt

    bench.service.route("POST", "/payments", pay)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bench("POST", "/payments", key="k")


def test_handler_may_call_the_service(bench):
    """A handler's own request to the service is a request like any other."""
    bench.service.route("POST", "/orders", lambda _: (201, {"paid": pay().effects}))

    def pay():
        return bench("POST", "/payments", {"amount": 5})

    answer = bench("POST", "/orders")

    assert answer.response.body == b'{"paid": 1}'
    assert [effect.target for effect in bench.service.effects] == ["/payments", "/orders"]


@pytest.mark.parametrize("length", ["5", "300", "abc"])
def test_a_length_that_is_not_the_bodys_is_refused(bench, length):
    """As of headers taken over from a recorded answer: the client would wait for the rest, and be blamed for that."""
    bench.service.route("GET", "/rates", lambda _: (200, {}, {"content-length": length}))

    assert str(bench("GET", "/rates").error).endswith(
        f"returned a Content-Length of {length!r} and a body of 2 bytes: leave it out, the length is added; "
        "`truncate` is the fault that breaks it"
    )


def test_a_length_that_is_the_bodys_is_kept(bench):
    """Under HEAD, and with an answer that has no body, it is that of another one."""
    bench.service.route("GET", "/rates", lambda _: (200, {}, {"Content-Length": "2"}))
    bench.service.route("HEAD", "/sizes", lambda _: (200, None, {"Content-Length": "300"}))
    bench.service.route("GET", "/sizes", lambda _: (304, None, {"Content-Length": "300"}))

    answers = [bench("GET", "/rates"), bench("HEAD", "/sizes"), bench("GET", "/sizes")]

    assert [answer.response.headers["content-length"] for answer in answers] == ["2", "300", "300"]
