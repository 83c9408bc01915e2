"""Real applications behind the faults: Flask, FastAPI, Starlette, Django by both interfaces, and moto's AWS."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.config
import fastapi
import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.exchange.exchange import HandlerFailed

Charges = list[int]
"""What an app has charged: the amounts, in the order in which it was asked."""


def flask_app(charges: Charges) -> Any:
    """Make a Flask app."""
    import flask

    app = flask.Flask("shop")

    @app.post("/payments")
    def pay():
        charges.append(flask.request.get_json()["amount"])
        return {"id": f"pay_{len(charges)}", "amount": charges[-1]}, 201

    return app


def fastapi_app(charges: Charges) -> Any:
    """Make a FastAPI app whose endpoint is a coroutine function."""
    app = fastapi.FastAPI()

    @app.post("/payments", status_code=201)
    async def pay(payment: dict[str, Any]):
        charges.append(payment["amount"])
        return {"id": f"pay_{len(charges)}", "amount": charges[-1]}

    return app


def fastapi_sync_app(charges: Charges) -> Any:
    """Make a FastAPI app whose endpoint is a function, which runs in a pool of threads."""
    app = fastapi.FastAPI()

    @app.post("/payments", status_code=201)
    def pay(payment: dict[str, Any]):
        assert threading.current_thread() is not threading.main_thread()
        charges.append(payment["amount"])
        return {"id": f"pay_{len(charges)}", "amount": charges[-1]}

    return app


def starlette_app(charges: Charges) -> Any:
    """Make a Starlette app that streams its answer, behind a middleware of its own task group."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def pay(request):
        charges.append((await request.json())["amount"])

        async def content():
            yield f'{{"id": "pay_{len(charges)}", '
            yield f'"amount": {charges[-1]}}}'

        return StreamingResponse(content(), 201)

    async def dispatch(request, call_next):
        return await call_next(request)

    return Starlette(
        routes=[Route("/payments", pay, methods=["POST"])],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)],
    )


def django_urls(view: Any) -> None:
    """Set Django up, once in a process, without a project, and let a view answer."""
    import django
    from django.conf import settings
    from django.urls import clear_url_caches, path, set_urlconf

    urls = type("Urls", (), {"urlpatterns": [path("payments", view)]})
    if not settings.configured:
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="for tests", LOGGING_CONFIG=None)
        django.setup()
    settings.ROOT_URLCONF = urls
    clear_url_caches()
    set_urlconf(None)


def django_wsgi_app(charges: Charges) -> Any:
    """Make a Django app of the WSGI kind."""
    import json

    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse

    def pay(request):
        charges.append(json.loads(request.body)["amount"])
        return JsonResponse({"id": f"pay_{len(charges)}", "amount": charges[-1]}, status=201)

    django_urls(pay)
    return get_wsgi_application()


def django_asgi_app(charges: Charges) -> Any:
    """Make a Django app of the ASGI kind."""
    import json

    from django.core.asgi import get_asgi_application
    from django.http import JsonResponse

    async def pay(request):
        charges.append(json.loads(request.body)["amount"])
        return JsonResponse({"id": f"pay_{len(charges)}", "amount": charges[-1]}, status=201)

    django_urls(pay)
    return get_asgi_application()


MAKERS = [flask_app, fastapi_app, fastapi_sync_app, starlette_app, django_wsgi_app, django_asgi_app]
every_app = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


def session() -> requests.Session:
    """Make a client that retries everything three times, a second apart at least."""
    made = requests.Session()
    retries = Retry(3, backoff_factor=1, status_forcelist=[503], allowed_methods=None)
    for scheme in ("http", "https"):
        made.mount(f"{scheme}://", HTTPAdapter(max_retries=retries))
    return made


def pay(url: str, key: str | None = "k1") -> requests.Response:
    """Make one payment of 1000."""
    headers = {} if key is None else {"Idempotency-Key": key}
    with session() as client:
        return client.post(f"{url}/payments", json={"amount": 1000}, headers=headers, timeout=5)


@every_app
@pytest.mark.parametrize("host", ["http://api.example.com", "https://api.example.com"])
def test_an_app_is_asked_once_through_faults(chaos: Chaos, make: Callable[[Charges], Any], host: str) -> None:
    """A 503 never reaches it, a lost answer is replayed by our layer, and the laws hold."""
    charges: Charges = []
    chaos.service.mount(make(charges))
    chaos.script("503 retry-after=2, reset after-commit, ok")

    answer = pay(host)

    assert (answer.status_code, answer.json()) == (201, {"id": "pay_1", "amount": 1000})
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert charges == [1000]
    assert [attempt.committed for attempt in chaos.attempts] == [False, True, False]
    assert len(chaos.ledger) == 1
    chaos.verify()


@every_app
def test_an_app_never_hears_of_a_fault_before_the_commit(chaos: Chaos, make: Callable[[Charges], Any]) -> None:
    """It is called by the attempt that reaches it alone."""
    charges: Charges = []
    chaos.service.mount(make(charges))
    chaos.script("refuse, reset, timeout, ok")

    answer = pay(chaos.url)

    assert answer.json() == {"id": "pay_1", "amount": 1000}
    assert "Idempotent-Replayed" not in answer.headers
    assert charges == [1000]
    chaos.verify()


@every_app
def test_an_app_that_keeps_no_keys_charges_twice(chaos: Chaos, make: Callable[[Charges], Any]) -> None:
    """With ``idempotency="own"`` our layer steps aside, and the second charge is found."""
    charges: Charges = []
    chaos.service.mount(make(charges), idempotency="own", effects=lambda: len(charges))
    chaos.script("reset after-commit, ok")

    pay(chaos.url)

    assert charges == [1000, 1000]
    with pytest.raises(LawsBroken, match="ID04 duplicate effect: POST /payments was carried out 2 times"):
        chaos.verify()


@every_app
def test_an_app_answers_what_a_mock_does_not(make: Callable[[Charges], Any]) -> None:
    """Under ``transport="responses"`` what is registered answers as ever; the app answers without a mock."""
    charges: Charges = []
    with Chaos("503, reset after-commit, ok", transport="responses") as chaos:
        chaos.service.mount(make(charges))
        assert pay(chaos.url).json() == {"id": "pay_1", "amount": 1000}
        with responses.RequestsMock() as mock:
            mock.post(f"{chaos.url}/payments", json={"id": "registered"})
            assert pay(chaos.url, key="k2").json() == {"id": "registered"}
        chaos.verify()

    assert charges == [1000]


@every_app
def test_an_app_gives_one_trace(make: Callable[[Charges], Any]) -> None:
    """Whatever threads it runs in, what happened is the same on every run."""

    def trace() -> str:
        with Chaos("503 x2, drip=1s, ok", seed=5) as chaos:
            chaos.service.mount(make([]))
            for key in ("k1", "k2"):
                pay(chaos.url, key)
            return chaos.trace.to_json()

    assert len({trace() for _ in range(5)}) == 1


# FastAPI


def test_a_fastapi_app_that_keeps_its_own_keys(chaos: Chaos) -> None:
    """Its answer tells a replay from a charge, and nothing is charged twice."""
    app, kept = fastapi.FastAPI(), {}

    @app.post("/payments", status_code=201)
    async def pay_once(payment: dict[str, Any], request: fastapi.Request, response: fastapi.Response):
        key = request.headers["idempotency-key"]
        response.headers["X-Replay"] = str(key in kept)
        return kept.setdefault(key, {"id": f"pay_{len(kept) + 1}", **payment})

    chaos.service.mount(app, idempotency="own", effects=lambda _, response: response.headers.get("X-Replay") == "False")
    chaos.script("reset after-commit, ok")

    answer = pay(chaos.url)

    assert (answer.json(), answer.headers["X-Replay"]) == ({"id": "pay_1", "amount": 1000}, "True")
    assert [attempt.effects for attempt in chaos.attempts] == [1, 0]
    chaos.verify()


def test_a_fastapi_search_by_post_is_a_read(chaos: Chaos) -> None:
    """Routes that have effects leave the rest safe to send again: no law asks for a key."""
    app = fastapi.FastAPI()

    @app.post("/search")
    async def search():
        return []

    chaos.service.mount(app, effects=["POST /payments"])
    chaos.script("reset after-commit, ok")
    session().post(f"{chaos.url}/search", json={"q": "tea"}, timeout=5)

    assert [attempt.status for attempt in chaos.attempts] == [None, 200]
    assert chaos.ledger == ()
    chaos.verify()


def test_a_lifespan_is_around_the_run() -> None:
    """It begins where the app is mounted, its state is there in requests, and it ends with the run."""
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI):
        events.append("startup")
        yield {"pool": "open"}
        events.append("shutdown")

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.get("/pool")
    async def pool(request: fastapi.Request):
        return request.state.pool

    with Chaos() as chaos:
        chaos.service.mount(app)
        assert events == ["startup"]
        assert requests.get(f"{chaos.url}/pool", timeout=5).json() == "open"

    assert events == ["startup", "shutdown"]


def test_a_background_task_is_done_before_the_client_goes_on(chaos: Chaos) -> None:
    """Whether it is a coroutine function or runs in a thread; a lost answer loses none of it."""
    app, sent = fastapi.FastAPI(), []

    async def mail(to: str) -> None:
        sent.append(to)

    @app.post("/orders", status_code=202)
    async def order(tasks: fastapi.BackgroundTasks):
        tasks.add_task(mail, "customer")
        tasks.add_task(sent.append, "warehouse")

    chaos.service.mount(app)
    chaos.script("eof after-commit")
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{chaos.url}/orders", timeout=5)

    assert sent == ["customer", "warehouse"]


@pytest.mark.parametrize("is_async", [True, False], ids=["coroutine", "thread"])
def test_an_app_reads_the_wall_clock_of_the_run(chaos: Chaos, is_async: bool) -> None:
    """What it stamps agrees with what the client reads, though it runs in other threads."""
    app = fastapi.FastAPI()

    async def now():
        return datetime.now(UTC).isoformat()

    app.get("/now")(now if is_async else lambda: datetime.now(UTC).isoformat())
    chaos.service.mount(app)
    time.sleep(3600)

    stamped = requests.get(f"{chaos.url}/now", timeout=5).json()

    assert stamped == "2030-01-01T01:00:00+00:00" == datetime.now(UTC).isoformat()


def test_an_endpoint_that_raises_is_the_apps_fault() -> None:
    """The client gets FastAPI's own 500, and the run tells whose error it was."""
    app = fastapi.FastAPI()

    @app.post("/payments")
    async def pay_badly():
        raise ZeroDivisionError("no rate")

    with Chaos() as chaos:
        chaos.service.mount(app)
        assert requests.post(f"{chaos.url}/payments", timeout=5).text == "Internal Server Error"

        with pytest.raises(
            HandlerFailed,
            match=r"^the handler for POST /payments failed, not the client: ZeroDivisionError: no rate$",
        ):
            chaos.verify()


def test_an_endpoint_that_never_answers_is_named() -> None:
    """With the app, the path and the line."""
    app = fastapi.FastAPI()

    @app.post("/payments")
    async def wait_for_ever():
        await asyncio.Event().wait()

    with Chaos() as chaos:
        chaos.service.mount(app, answer_within=0.3)
        requests.post(f"{chaos.url}/payments", timeout=5)

        with pytest.raises(HandlerFailed) as caught:
            chaos.verify()

    assert "app FastAPI: it has not answered POST /payments within 0.3 s of real time: it is at " in str(caught.value)
    assert "wait_for_ever. If it only takes longer, mount(…, answer_within=seconds)" in str(caught.value)


def test_an_app_cannot_call_out() -> None:
    """A request of its own would leave the simulation: it is refused by name, and the run tells."""
    app = fastapi.FastAPI()

    @app.get("/rates")
    def rates():
        return requests.get("https://rates.example", timeout=5).json()

    with Chaos() as chaos:
        chaos.service.mount(app)
        requests.get(f"{chaos.url}/rates", timeout=5)

        with pytest.raises(Refused, match=r"the thread 'AnyIO worker thread', .* called rates\.example"):
            chaos.verify()


# moto


@pytest.fixture
def aws(chaos: Chaos) -> Callable[[str], Any]:
    """Let moto's server app be AWS, and make clients for it as an application does."""
    from moto.server import DomainDispatcherApplication, create_backend_app

    chaos.service.mount(DomainDispatcherApplication(create_backend_app))
    config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 4})

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    return client


def test_s3_through_faults(chaos: Chaos, aws: Callable[[str], Any]) -> None:
    """A bucket, an object and its length, by moto, at AWS's own addresses."""
    s3 = aws("s3")
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    chaos.script("503, reset after-commit, ok")
    s3.put_object(Bucket="photos", Key="cat.txt", Body=b"meow")
    chaos.script("timeout, truncate, ok")

    assert s3.head_object(Bucket="photos", Key="cat.txt")["ContentLength"] == 4
    assert s3.get_object(Bucket="photos", Key="cat.txt")["Body"].read() == b"meow"
    assert s3.get_object(Bucket="photos", Key="cat.txt")["LastModified"].year == 2030
    assert [attempt.host for attempt in chaos.attempts][1:] == ["photos.s3.eu-west-1.amazonaws.com"] * 8
    assert len(chaos.ledger) == 2


def test_a_message_sent_to_sqs_again_is_there_twice(chaos: Chaos, aws: Callable[[str], Any]) -> None:
    """A standard queue keeps no keys, and botocore retries: moto has two messages, the ledger two effects."""
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    chaos.script("503, reset after-commit, ok")
    sqs.send_message(QueueUrl=queue, MessageBody="resize cat.txt")

    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])

    assert counts["Attributes"] == {"ApproximateNumberOfMessages": "2"}
    with pytest.raises(LawsBroken, match=r"ID04 duplicate effect: POST / was carried out 2 times"):
        chaos.verify()
