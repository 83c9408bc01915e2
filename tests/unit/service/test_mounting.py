"""What can be mounted, how its interface is told, and what counts as its effects."""

from __future__ import annotations

import functools

import pytest

from pytest_retrychaos.service.handlers import HandlerError


def wsgi(environ, start_response):
    """Answer 200, or what the query says."""
    start_response(f"{environ['QUERY_STRING'] or '200'} Fine", [])
    return [b"wsgi"]


async def asgi(scope, receive, send):
    """Answer."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})


def asgi_plain(scope, receive, send):
    """Answer by an awaitable."""
    return asgi(scope, receive, send)


class AsgiObject:
    async def __call__(self, scope, receive, send):
        await asgi(scope, receive, send)


class WsgiObject:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)

    def method(self, environ, start_response):
        return wsgi(environ, start_response)


class WsgiClass:
    """PEP 3333 has this as an example: the class is the app, its instance the answer."""

    def __init__(self, environ, start_response):
        start_response(f"200 {environ['REQUEST_METHOD']}", [])

    def __iter__(self):
        yield b"wsgi"


def bound(prefix, environ, start_response):
    return wsgi(environ, start_response)


async def bound_async(prefix, scope, receive, send):
    await asgi(scope, receive, send)


def anything(*args):
    """Answer by either interface."""
    return asgi(*args) if len(args) == 3 else wsgi(*args)


async def anything_async(*args):
    await asgi(*args)


APPS = {
    "a WSGI function": (wsgi, b"wsgi"),
    "a WSGI object": (WsgiObject(), b"wsgi"),
    "a WSGI method": (WsgiObject().method, b"wsgi"),
    "a WSGI class": (WsgiClass, b"wsgi"),
    "a WSGI partial": (functools.partial(bound, "/v1"), b"wsgi"),
    "an ASGI coroutine function": (asgi, b"asgi"),
    "an ASGI object": (AsgiObject(), b"asgi"),
    "an ASGI function": (asgi_plain, b"asgi"),
    "an ASGI partial": (functools.partial(bound_async, "/v1"), b"asgi"),
    "an ASGI coroutine function of any arguments": (anything_async, b"asgi"),
}


@pytest.mark.parametrize(("app", "content"), APPS.values(), ids=APPS)
def test_interface_is_told_by_the_signature(bench, app, content):
    """Functions, objects, methods, partials and PEP 3333's class."""
    bench.service.mount(app)

    answer = bench("GET", "/x")

    assert answer.error is None
    assert answer.response.body == content


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_interface_is_said_where_the_signature_does_not_tell(bench, kind):
    """An app of any arguments is refused without kind=."""
    with pytest.raises(TypeError, match=r"^mount\(anything\): its signature does not tell: say kind='wsgi' or"):
        bench.service.mount(anything)

    bench.service.mount(anything, kind=kind)

    assert bench("GET", "/x").response.body == kind.encode()


async def handler(request):
    """Answer as a route's handler."""


def asgi2(scope):
    """Give what takes receive and send."""


def told_of_one(one):
    """Count by something unknown."""


class Asgi2:
    def __init__(self, scope):
        pass


class Factory:
    async def __call__(self, scope, receive, send):
        await asgi(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (7, "mount(7): it cannot be called."),
        (handler, "mount(handler): it is async and takes 1 arguments."),
        (Asgi2, "mount(Asgi2): it is a class: make an instance of it, or call the function that makes the app."),
        (Factory, "mount(Factory): it is a class: make an instance of it, or call the function that makes the app."),
        (asgi2, "it takes one argument, as ASGI 2 apps and handlers do: an ASGI 2 app can be wrapped"),
        (lambda: wsgi, "its signature does not tell: say kind='wsgi' or kind='asgi'."),
    ],
)
def test_what_is_no_app_is_refused(bench, app, why):
    """It is named, with the reason and with what an app is."""
    with pytest.raises(TypeError) as caught:
        bench.service.mount(app)

    assert why in str(caught.value)
    assert str(caught.value).endswith(
        ". An app is a WSGI callable that takes (environ, start_response), or an ASGI one that takes"
        " (scope, receive, send)"
    )


def test_bad_mount_is_refused(bench):
    """Each bad argument is named with the way out."""
    mount = bench.service.mount
    with pytest.raises(ValueError, match=r"^mount\(kind='cgi'\): use 'wsgi', 'asgi', or leave it out"):
        mount(wsgi, kind="cgi")
    with pytest.raises(TypeError, match=r"^mount\(7\): it cannot be called"):
        mount(7, kind="wsgi")
    with pytest.raises(ValueError, match=r"^mount\(idempotency='theirs'\): use 'ours'"):
        mount(wsgi, idempotency="theirs")
    for routes in (None, ["POST /payments"]):
        with pytest.raises(ValueError, match=r"^mount\(idempotency='own'\) needs effects=: a function of \(request"):
            mount(wsgi, idempotency="own", effects=routes)
    for effects in (3, ["POST /x", 3], {"POST /x": 3}):
        with pytest.raises(TypeError, match=r"^mount\(effects=.*3.*\): give routes such as \['POST /payments'\], a"):
            mount(wsgi, effects=effects)
    with pytest.raises(TypeError, match=r"^mount\(effects=<function .*>\) takes \(one\): give routes such as"):
        mount(wsgi, effects=told_of_one)
    with pytest.raises(ValueError, match=r"^route path 'payments': a path begins with a slash"):
        mount(wsgi, effects=["POST payments"])
    for seconds in (0, -1, True, "5", float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"^mount\(answer_within=.*\): give real seconds, more than 0"):
            mount(asgi, answer_within=seconds)
    mount(wsgi)
    with pytest.raises(ValueError, match=r"^mount: an app is mounted already"):
        mount(wsgi)


# effects


def effects_of(bench, *requests):
    """Send requests and count the effects of each."""
    return [bench(*request).effects for request in requests]


def test_effects_go_by_method_and_answer(bench):
    """A write that is answered 2xx or 303 has one."""
    bench.service.mount(wsgi)

    sent = [("POST", "/x"), ("GET", "/x"), ("POST", "/x?303"), ("POST", "/x?302"), ("POST", "/x?404")]

    assert effects_of(bench, *sent) == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("routes", [["POST /payments", "GET /next/{queue}"], ("POST  /payments", "get /next/{queue}")])
def test_routes_alone_have_effects(bench, routes):
    """What they leave out is a read, whatever its method; what they name is none, whatever its method."""
    bench.service.mount(wsgi, effects=routes)

    answers = [bench("POST", "/payments"), bench("POST", "/search"), bench("GET", "/next/a"), bench("GET", "/x")]

    assert [answer.effects for answer in answers] == [1, 0, 1, 0]
    assert [answer.is_read for answer in answers] == [False, True, False, True]


def test_routes_may_each_have_a_function(bench):
    """What they leave out is a read; what they name had an effect where the function says so."""

    def is_new(request, response):
        return response.status == 201

    bench.service.mount(wsgi, idempotency="own", effects={"POST /payments": is_new})

    sent = [("POST", "/payments?201"), ("POST", "/payments?200"), ("POST", "/search?201")]
    answers = [bench(*request, key="k") for request in sent]

    assert [answer.effects for answer in answers] == [1, 0, 0]
    assert [answer.is_read for answer in answers] == [False, False, True]


def test_one_route_needs_no_list(bench):
    """And none at all says that nothing has an effect."""
    bench.service.mount(wsgi, effects="POST /payments")

    assert effects_of(bench, ("POST", "/payments"), ("POST", "/search")) == [1, 0]


def test_a_route_of_the_service_comes_before_those_of_the_app(bench):
    """The app's routes say nothing of a request that it does not get."""
    bench.service.mount(wsgi, effects=[])
    bench.service.route("POST", "/own", lambda _: {})

    assert effects_of(bench, ("POST", "/own"), ("POST", "/payments")) == [1, 0]


def test_a_function_of_request_and_answer_says_what_had_an_effect(bench):
    """Whether, or how often; its word is final."""

    def effects(request, response):
        return 2 if request.path == "/transfers" else response.status == 201

    bench.service.mount(wsgi, effects=effects)

    sent = [("POST", "/x?201"), ("POST", "/x?200"), ("POST", "/transfers"), ("PUT", "/x?201"), ("PUT", "/x?201")]

    assert effects_of(bench, *sent) == [1, 0, 2, 1, 1]


def test_app_with_its_own_keys_may_mark_its_replays(bench):
    """With idempotency="own" every request reaches the app, and its answer tells a replay from an effect."""
    seen = []

    def app(environ, start_response):
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        start_response("201 Created", [("Idempotent-Replayed", "true")] if key in seen else [])
        seen.append(key)
        return [b"{}"]

    def is_new(request, response):
        return "idempotent-replayed" not in response.headers

    bench.service.mount(app, idempotency="own", effects=is_new)

    answers = [bench("POST", "/x", {"a": 1}, key=key) for key in ("a", "a", "b")]

    assert seen == ["a", "a", "b"]
    assert [(answer.effects, answer.replayed) for answer in answers] == [(1, False), (0, False), (1, False)]


@pytest.mark.parametrize("told", [None, "yes", -1])
def test_a_function_that_says_something_else_is_at_fault(bench, told):
    """It is the test's own mistake, and named."""

    def effects(request, response):
        return told

    bench.service.mount(wsgi, effects=effects)

    answer = bench("POST", "/x")

    assert isinstance(answer.error, HandlerError)
    assert str(answer.error) == f"effects= said {told!r}: it says True, False, or how many effects there were"
