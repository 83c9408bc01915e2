"""Which handler takes a request, and what a route may be."""

from __future__ import annotations

import pytest


def nothing(request):
    """Answer null."""


def test_path_parameters_arrive_by_name(bench):
    """A parameter stands for one segment and comes decoded."""
    bench.service.route("GET", "/users/{user}/files/{file}", lambda request: dict(request.params))

    assert bench("GET", "/users/7/files/a%2Fb?x=1").response.body == b'{"user": "7", "file": "a/b"}'


def test_route_as_decorator_gives_the_function_back(bench):
    """Without a handler, route is a decorator."""

    @bench.service.route("post", "/jobs")
    def start(request):
        return 202, {"job": request.json()["n"]}

    answer = bench("POST", "/jobs", {"n": 5})

    assert callable(start)
    assert (answer.response.status, answer.response.body) == (202, b'{"job": 5}')


def test_most_specific_route_wins(bench):
    """A host comes before no host, fewer parameters before more, the later before the earlier."""
    add = bench.service.route
    add("GET", "/a/{x}", lambda _: "parameter")
    add("GET", "/a/b", lambda _: "first")
    add("GET", "/a/b", lambda _: "second")
    add("GET", "api.stripe.com/a/{x}", lambda _: "host")

    assert bench("GET", "/a/b", host="other.test").response.body == b'"second"'
    assert bench("GET", "/a/c", host="other.test").response.body == b'"parameter"'
    assert bench("GET", "/a/b", host="API.stripe.com:443").response.body == b'"host"'


def test_route_with_a_port_takes_that_port_alone(bench):
    """A port in the route is part of the host."""
    bench.service.route("GET", "db:9200/x", lambda _: "here")

    assert bench("GET", "/x", host="db:9200").response.body == b'"here"'
    assert bench("GET", "/x", host="db").response.body == b"[]"


def test_head_is_taken_by_the_get_route(bench):
    """A handler for GET answers HEAD too."""
    bench.service.route("GET", "/x", lambda _: (202, None))

    assert bench("HEAD", "/x").response.status == 202


def test_literal_characters_are_no_pattern(bench):
    """A dot in a path is a dot."""
    bench.service.route("GET", "/a.b", lambda _: "dot")

    assert bench("GET", "/a.b").response.body == b'"dot"'
    assert bench("GET", "/axb").response.body == b"[]"


def test_request_that_no_route_takes_falls_to_the_store(bench):
    """Another method or path is the store's."""
    bench.service.route("POST", "/payments", nothing)

    assert bench("GET", "/payments").response.body == b"[]"
    assert bench.service.unused_routes == ("POST /payments",)


def test_unused_routes_are_named(bench):
    """A route that took a request is used."""
    bench.service.route("POST", "/payments", nothing)
    bench.service.route("GET", "api.test/x/{id}", nothing)
    bench("POST", "/payments")

    assert bench.service.unused_routes == ("GET api.test/x/{id}",)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "POST /payments",
            "/x",
            "route method 'POST /payments': a method is one word; write route('POST', '/payments', handler)",
        ),
        ("", "/x", "route method '': a method is one word; write route('POST', '/payments', handler)"),
        ("GET", "payments", "route path 'payments': a path begins with a slash; write '/payments'"),
        (
            "GET",
            "https://api.test/x",
            "route path 'https://api.test/x': leave the scheme out; write 'api.test/x'",
        ),
        ("GET", "api.test", "route path 'api.test': a host needs a path after it; write 'api.test/'"),
        (
            "GET",
            "/x?a=1",
            "route path '/x?a=1': a path has no query, fragment or blank; read request.query",
        ),
        (
            "GET",
            "/x/{id",
            "route path '/x/{id': braces come in pairs around a name, as in '/payments/{id}'",
        ),
        (
            "GET",
            "/x/{a-b}",
            "route path '/x/{a-b}': the parameter 'a-b' is no name; use letters, digits and _",
        ),
        (
            "GET",
            "/x/{id}/y/{id}",
            "route path '/x/{id}/y/{id}': the parameter 'id' stands there twice; name each once",
        ),
    ],
)
def test_bad_route_is_refused(bench, method, path, message):
    """A route that could never be right says why, also as a decorator."""
    for arguments in ((method, path, nothing), (method, path)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 # the whole message is compared
            bench.service.route(*arguments)
        assert str(caught.value) == message


WAYS = (
    "use True, False, a function of (request, response) that says whether there was an effect, or None to go by "
    "method and answer"
)


@pytest.mark.parametrize(
    ("path", "handler", "effect", "message"),
    [
        (None, nothing, None, "route path None: a path is a str such as '/payments/{id}'"),
        ("/x", 201, None, "route handler 201: a handler is a function that takes the request"),
        *[
            (
                "/x",
                nothing,
                effect,
                f"route effect={effect!r}: {WAYS}",
            )
            for effect in ("no", 2, nothing)
        ],
    ],
)
def test_argument_of_a_wrong_type_is_refused(bench, path, handler, effect, message):
    """Arguments of a wrong type are named with the rule."""
    with pytest.raises(TypeError) as caught:
        bench.service.route("GET", path, handler, effect=effect)

    assert str(caught.value) == message


@pytest.mark.parametrize(("told", "count"), [(True, 1), (False, 0), (0, 0), (3, 3)])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_function_says_what_had_an_effect(bench, told, count, method):
    """It sees the request and its answer."""
    seen = []

    def effect(request, response):
        seen.append((request.target, response.body))
        return told

    bench.service.route(method, "/graphql", lambda _: {"errors": []}, effect=effect)

    answer = bench(method, "/graphql")

    assert seen == [("/graphql", b'{"errors": []}')]
    assert (answer.effects, len(bench.service.effects)) == (count, count)


def test_a_function_that_says_something_else_is_at_fault(bench):
    """It is the test's own mistake, and named."""
    bench.service.route("POST", "/x", nothing, effect=lambda *_: "yes")

    answer = bench("POST", "/x")

    assert str(answer.error) == "effect= said 'yes': it says True, False, or how many effects there were"
