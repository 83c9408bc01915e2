"""Mounted ASGI apps: what they are told, what their messages become, and what is their own fault."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from pytest_retrychaos.service.backstage import PlainThreads
from pytest_retrychaos.service.handlers import HandlerError


def app_of(serve):
    """Make an app that has no lifespan, as many have none."""

    async def app(scope, receive, send):
        assert scope["type"] == "http", "this app serves HTTP alone"
        await serve(scope, receive, send)

    return app


def answering(*messages):
    """Make an app that reads its request and sends these messages."""

    async def serve(scope, receive, send):
        await receive()
        for message in messages:
            await send(message)

    return app_of(serve)


def start(status=200, *headers):
    """Begin an answer."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content=b"", **more):
    """Go on with an answer."""
    return {"type": "http.response.body", "body": content, **more}


def test_app_sees_the_request(bench):
    """The scope has every key of the specification, and the body comes whole."""
    seen = {}

    async def serve(scope, receive, send):
        seen.update(scope, received=await receive())
        await send(start(201))
        await send(body())

    bench.service.mount(app_of(serve))
    bench("post", "/caf%C3%A9%2F?x=1&y=%20", {"a": 1}, X_A="caf\xe9", host="shop.test:8080")

    assert seen == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/café/",
        "raw_path": b"/caf%C3%A9%2F",
        "query_string": b"x=1&y=%20",
        "root_path": "",
        "headers": [(b"host", b"shop.test:8080"), (b"x-a", b"caf\xe9"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 50000),
        "server": ("shop.test", 8080),
        "state": {},
        "extensions": {},
        "received": {"type": "http.request", "body": b'{"a": 1}', "more_body": False},
    }


@pytest.mark.parametrize(
    ("host", "server"),
    [("a.test", ("a.test", 80)), ("[::1]:81", ("[::1]", 81)), ("[::1]", ("[::1]", 80)), ("::1", ("::1", 80))],
)
def test_server_is_told_from_the_host(bench, host, server):
    """A port is what follows the last colon of a name, or of an address in brackets."""
    servers = []

    async def serve(scope, receive, send):
        servers.append(scope["server"])
        await send(start())
        await send(body())

    bench.service.mount(app_of(serve))
    bench("GET", "/x", host=host)

    assert servers == [server]


def test_an_answer_in_pieces_is_one(bench):
    """Chunks are joined, fields repeat as sent, and the transport's own fields are left to it."""
    fields = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=\xe9"), (b"content-length", b"3"), (b"date", b"never")]
    bench.service.mount(
        answering(start(201, *fields), body(b"a", more_body=True), body(b"b", more_body=True), body(b"c"))
    )

    response = bench("POST", "/x").response

    assert (response.status, response.body) == (201, b"abc")
    assert response.headers.pairs == (("Set-Cookie", "a=1"), ("set-cookie", "b=é"))


def test_length_of_an_answer_to_head_is_the_apps(bench):
    """Nothing else knows how long the body would be."""
    bench.service.mount(answering(start(200, (b"content-length", b"17")), body()))

    assert bench("HEAD", "/x").response.headers["content-length"] == "17"


def test_body_may_be_left_out(bench):
    """A body message without a body ends the answer, and one without headers has none."""
    bench.service.mount(answering({"type": "http.response.start", "status": 204}, {"type": "http.response.body"}))

    response = bench("DELETE", "/x").response

    assert (response.status, response.headers.pairs, response.body) == (204, (), b"")


def test_the_client_leaves_after_the_answer(bench):
    """A second receive() waits for the end of the answer and then says http.disconnect."""
    heard = []

    async def serve(scope, receive, send):
        await receive()
        leaving = asyncio.create_task(receive())
        await asyncio.sleep(0)
        heard.append(leaving.done())
        await send(start())
        await send(body())
        heard.append(await leaving)

    bench.service.mount(app_of(serve))

    assert bench("GET", "/x").error is None
    assert heard == [False, {"type": "http.disconnect"}]


def test_work_that_an_answer_left_behind_is_done_before_the_client_goes_on(bench):
    """A task made by the app runs until it waits for something."""
    done = []

    async def work():
        for step in range(900):  # long enough to be seen unfinished by a client that does not wait for it
            await asyncio.sleep(0)
            done.append(sum(range(step)))
        await asyncio.Event().wait()

    async def serve(scope, receive, send):
        tasks.append(asyncio.create_task(work()))
        await send(start(202))
        await send(body())

    tasks: list[asyncio.Task[None]] = []
    bench.service.mount(app_of(serve))
    bench("POST", "/jobs")

    assert len(done) == 900


def test_executor_has_the_context_of_the_caller(bench):
    """What a context variable says in a coroutine it says in run_in_executor too."""
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    async def serve(scope, receive, send):
        tenant.set("acme")
        seen.append(await asyncio.get_running_loop().run_in_executor(None, tenant.get))
        await send(start())
        await send(body())

    bench.service.mount(app_of(serve))
    bench("GET", "/x")

    assert seen == ["acme"]


def test_our_layer_stands_before_the_app(bench):
    """A keyed request that is repeated is answered without the app."""
    calls = []

    async def serve(scope, receive, send):
        calls.append(scope["path"])
        await send(start(201))
        await send(body(b"{}"))

    bench.service.mount(app_of(serve))

    answers = [bench("POST", "/x", {"a": 1}, key="k") for _ in range(2)]

    assert [(answer.effects, answer.replayed) for answer in answers] == [(1, False), (0, True)]
    assert calls == ["/x"]


# lifespan


def living(events, state=None, **failing):
    """Make an app with a lifespan, that fails in one of its phases where told so."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            events.append(dict(scope["state"]))
            await send(start())
            await send(body())
            return
        for phase in ("startup", "shutdown"):
            message = await receive()
            assert message == {"type": f"lifespan.{phase}"}
            if phase in failing:
                await send({"type": f"lifespan.{phase}.failed", "message": failing[phase]})
                return
            scope["state"].update(state or {})
            events.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})

    return app


def test_app_starts_up_when_mounted_and_shuts_down_with_the_service(make_bench):
    """Its lifespan is around all requests, and what it keeps in its state they are given."""
    bench, events = make_bench(), []
    bench.service.mount(living(events, {"pool": 7}))
    assert events == ["startup"]

    bench("GET", "/x")
    bench.service.close()

    assert events == ["startup", {"pool": 7}, "shutdown"]


def test_a_request_cannot_change_the_state_of_others(bench):
    """Each is given a copy."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        seen.append(dict(scope["state"]))
        scope["state"]["user"] = 1
        await send(start())
        await send(body())

    seen = []
    bench.service.mount(app)
    bench("GET", "/x")
    bench("GET", "/x")

    assert seen == [{}, {}]


def test_a_startup_that_fails_is_told_where_the_app_is_mounted(bench):
    """With the app's own words."""
    with pytest.raises(HandlerError) as caught:
        bench.service.mount(living([], startup="no database"))

    assert str(caught.value).endswith("living.app: its lifespan's startup failed: no database")


def test_a_startup_that_raises_after_saying_so_has_its_error_as_cause(bench):
    """As Starlette does: its message is a traceback, the error says more."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback …"})
        for _ in range(9):
            await asyncio.sleep(0)
        raise OSError("no database")

    with pytest.raises(HandlerError, match="its lifespan's startup failed: OSError: no database") as caught:
        bench.service.mount(app)

    assert isinstance(caught.value.__cause__, OSError)


def test_a_shutdown_that_fails_is_told_at_the_end(make_bench):
    """The service is closed all the same."""
    bench = make_bench()
    bench.service.mount(living([], shutdown="still busy"))

    with pytest.raises(HandlerError, match="its lifespan's shutdown failed: still busy"):
        bench.service.close()


def test_a_lifespan_that_died_meanwhile_is_told_at_the_end(make_bench):
    """Nobody else would hear of it."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise OSError("gone")

    bench = make_bench()
    bench.service.mount(app)

    with pytest.raises(HandlerError, match="its lifespan's shutdown failed: OSError: gone"):
        bench.service.close()


def test_an_app_without_a_lifespan_serves_all_the_same(make_bench):
    """Whether it raises or returns: the specification lets it."""

    async def silent(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            await send(body())

    for app in (silent, answering(start(), body())):
        bench = make_bench()
        bench.service.mount(app)
        assert bench("GET", "/x").response.status == 200


def test_threads_end_with_the_service(make_bench):
    """Also that of a startup that failed."""
    bench = make_bench()
    with pytest.raises(HandlerError):
        bench.service.mount(living([], startup="no"))
    bench.service.mount(living([]))
    assert any(thread.name.startswith("chaos app") for thread in threading.enumerate())
    bench.service.close()
    for thread in threading.enumerate():
        if thread.name.startswith("chaos app"):
            thread.join(5)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("chaos app")]


# what is the app's own fault


async def _raise_early(scope, receive, send):
    raise OSError("early")


async def _raise_in_the_middle(scope, receive, send):
    await send(start(201))
    await send(body(b"half", more_body=True))
    raise OSError("in the middle")


async def _exit(scope, receive, send):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("serve", "kind", "message"),
    [
        (_raise_early, OSError, "early"),
        (_raise_in_the_middle, OSError, "in the middle"),
        (_exit, HandlerError, "raised SystemExit: 3"),
    ],
)
def test_an_app_that_raises_before_its_answer_is_whole_is_at_fault(bench, serve, kind, message):
    """The client gets a 500, nothing is committed, and the error is kept."""
    bench.service.mount(app_of(serve))

    answer = bench("POST", "/x")

    assert (answer.response.status, answer.committed, answer.effects) == (500, False, 0)
    assert isinstance(answer.error, kind)
    assert str(answer.error).endswith(message)


def test_an_app_that_raises_after_its_answer_is_at_fault_and_has_answered(bench):
    """As with a background task, or a framework that answers 500 and raises on: the client has the answer."""

    async def serve(scope, receive, send):
        await send(start(201))
        await send(body(b"done"))
        raise OSError("late")

    bench.service.mount(app_of(serve))

    answer = bench("POST", "/x")

    assert (answer.response.status, answer.response.body, answer.committed, answer.effects) == (201, b"done", True, 1)
    assert repr(answer.error) == "OSError('late')"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "returned without an answer: it sent no 'http.response.start'"),
        ([start()], "returned without the end of its answer: the last body has more_body=False"),
        ([start(), body(b"a", more_body=True)], "without the end of its answer: the last body has more_body=False"),
        ([body()], "the app sent 'http.response.body' where ASGI expects 'http.response.start'"),
        ([start(), start()], "the app sent 'http.response.start' where ASGI expects 'http.response.body'"),
        ([{"type": "websocket.accept"}], "the app sent 'websocket.accept' where ASGI expects 'http.response.start'"),
        ([start("200"), body()], "returned the status '200': a status is a whole number from 200 to 599"),
        ([start(200, ("a", "b")), body()], "sent the headers [('a', 'b')]: they are pairs of bytes"),
        ([start(200, (b"a b", b"c")), body()], "a name is letters, digits and !#$%&'*+.^_`|~-"),
    ],
)
def test_app_that_breaks_the_protocol_is_at_fault(bench, messages, message):
    """Each mistake is named."""
    bench.service.mount(answering(*messages))

    answer = bench("GET", "/x")

    assert answer.response.status == 500
    assert isinstance(answer.error, HandlerError)
    assert message in str(answer.error)


def test_what_is_sent_after_the_answer_is_a_fault_that_leaves_the_answer(bench):
    """The client has it already."""
    bench.service.mount(answering(start(201), body(), body(b"more")))

    answer = bench("POST", "/x")

    assert answer.response.status == 201
    assert str(answer.error) == "the app sent 'http.response.body' where ASGI expects nothing: the answer is complete"


def test_an_app_that_is_not_awaitable_is_at_fault(bench):
    """It takes what an ASGI app takes, and returns nothing to wait for."""

    def app(scope, receive, send):
        return None

    bench.service.mount(app)

    assert str(bench("GET", "/x").error).endswith("app returned None: an ASGI app returns an awaitable")


@pytest.mark.parametrize(
    ("sent", "progress"),
    [
        ([], "it has not answered POST /slow"),
        ([start()], "it began and has not ended its answer to POST /slow"),
        ([start(), body()], "it answered, and still runs (a background task?), for POST /slow"),
    ],
)
def test_an_app_that_never_ends_is_named_with_the_path_and_the_line(bench, sent, progress):
    """The wait is bounded, and the app goes on serving others."""

    async def serve(scope, receive, send):
        if scope["path"] != "/slow":
            sent[:] = [start(), body()]
        for message in sent:
            await send(message)
        if scope["path"] == "/slow":
            await asyncio.Event().wait()

    bench.service.mount(app_of(serve), answer_within=0.2)

    answer = bench("POST", "/slow?x=1")

    assert answer.response.status == 500
    text = str(answer.error)
    assert f"app_of.app: {progress} within 0.2 s of real time: it is at " in text
    assert "test_asgi.py:" in text
    assert text.endswith("serve. If it only takes longer, mount(…, answer_within=seconds)")
    assert bench("GET", "/quick").response.status == 200


class NotedWaits(PlainThreads):
    """Threads whose waits are noted."""

    def __init__(self):
        self.waits = []

    def wait(self, lock, seconds):
        self.waits.append(seconds)
        return super().wait(lock, seconds)


def test_an_app_that_blocks_its_loop_is_named_and_not_waited_for_twice(make_bench):
    """Nothing can cancel it: later requests and the end are told so, at once."""
    backstage, freed = NotedWaits(), threading.Event()
    bench = make_bench(backstage=backstage)

    async def serve(scope, receive, send):
        freed.wait()

    bench.service.mount(app_of(serve), answer_within=0.2)
    backstage.waits.clear()

    first, second = str(bench("GET", "/first").error), str(bench("GET", "/second").error)

    assert "has not answered GET /first" in first
    assert "serve. If" in first
    assert "has not answered GET /second" in second
    assert backstage.waits == [0.2, 0.2, 0]  # the answer, the end of what was cancelled, and no more
    try:
        with pytest.raises(HandlerError, match=r"its thread did not end with the run: it is at .* serve; let what"):
            bench.service.close()
    finally:
        freed.set()


def test_a_startup_that_never_ends_is_named(bench):
    """Where the app is mounted."""

    async def app(scope, receive, send):
        await asyncio.Event().wait()

    with pytest.raises(HandlerError, match=r"app: its lifespan's startup has not ended within 0\.2 s of real time"):
        bench.service.mount(app, answer_within=0.2)


def test_a_body_stays_as_it_is(bench):
    """Its bytes are the client's, whatever they mean."""
    bench.service.mount(answering(start(), body(json.dumps({"a": "é"}, ensure_ascii=False).encode())))

    assert bench("GET", "/x").response.body == b'{"a": "\xc3\xa9"}'
