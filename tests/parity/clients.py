"""Every client of the parity tests, unmodified, with its own retry layer on and its waits as short as it allows."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.parity.server import Answer

Call = Callable[[], int]
"""Carries out one operation and returns the status that the client ended with."""

Built = tuple[Call, Callable[[], None]]
"""A client that was made: what calls, and what closes it."""

JSON = (("Content-Type", "application/json"),)


PAID = Answer(201, JSON, b'{"id": "pay_1", "status": "succeeded"}')


@dataclass(frozen=True, slots=True)
class Client:
    """How a client is built for an address, and what the service answers it."""

    name: str
    build: Callable[[str, float, str | None], Built]
    """From base URL, timeout in seconds, and the file of the certificate authority (real TLS only)."""
    method: str = "POST"
    path: str = "/payments"
    answer: Answer = PAID
    only: tuple[str, ...] = ()
    """The faults that matter for it; empty: all."""
    schemes: tuple[str, ...] = ("http", "https")

    def carry_out(self, base: str, timeout: float, authority: str | None, *, times: int) -> int:
        """Make the client, carry the operation out so many times, and return the last status."""
        call, close = self.build(base, timeout, authority)
        try:
            return [call() for _ in range(times)][-1]
        finally:
            close()


def trusting(authority: str | None) -> ssl.SSLContext:
    """Give the context for a client that wants one, TLS or not; without, it reads no bundle: that takes 25 ms."""
    return ssl.create_default_context(cafile=authority) if authority else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _requests(base: str, timeout: float, authority: str | None) -> Built:
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    retries = urllib3.Retry(2, backoff_factor=0, status_forcelist=[503], allowed_methods=None)
    session.mount(base, HTTPAdapter(max_retries=retries))
    session.verify = authority or True
    return lambda: session.post(f"{base}/payments", json={"amount": 1}, timeout=timeout).status_code, session.close


def _requests_plain(base: str, timeout: float, authority: str | None) -> Built:
    import requests

    session = requests.Session()
    session.verify = authority or True
    return lambda: session.post(f"{base}/payments", json={"amount": 1}, timeout=timeout).status_code, session.close


def _urllib3(base: str, timeout: float, authority: str | None) -> Built:
    import urllib3

    retries = urllib3.Retry(2, backoff_factor=0, status_forcelist=[503], allowed_methods=None)
    pool = urllib3.PoolManager(retries=retries, ca_certs=authority)
    return lambda: pool.request("POST", f"{base}/payments", json={"amount": 1}, timeout=timeout).status, pool.clear


def _urllib_request(base: str, timeout: float, authority: str | None) -> Built:
    import urllib.request

    context = ssl.create_default_context(cafile=authority) if base.startswith("https") else None

    def call() -> int:
        request = urllib.request.Request(f"{base}/payments", data=b'{"amount": 1}', method="POST")
        with urllib.request.urlopen(request, timeout=timeout, context=context) as response:
            response.read()
            return response.status

    return call, _nothing


def _http_client(base: str, timeout: float, authority: str | None) -> Built:
    import http.client

    where = urlsplit(base)
    if where.scheme == "https":
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)

    def call() -> int:
        connection.request("POST", "/payments", b'{"amount": 1}')
        response = connection.getresponse()
        response.read()
        return response.status

    return call, connection.close


def _httpx(base: str, timeout: float, authority: str | None) -> Built:
    import httpx

    client = httpx.Client(transport=httpx.HTTPTransport(retries=1, verify=trusting(authority)), timeout=timeout)
    return lambda: client.post(f"{base}/payments", json={"amount": 1}).status_code, client.close


@functools.cache
def _aws_session() -> object:
    """Load boto3's models once; clients are made anew for each case."""
    import boto3

    return boto3.session.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")


def _boto3(service: str, call: Callable[[object], dict]) -> Callable[[str, float, str | None], Built]:
    def build(base: str, timeout: float, authority: str | None) -> Built:
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": 3}
        config = Config(connect_timeout=timeout, read_timeout=timeout, retries=retries)
        client = _aws_session().client(service, endpoint_url=base, verify=authority, config=config)
        return lambda: call(client)["ResponseMetadata"]["HTTPStatusCode"], client.close

    return build


def _stripe(base: str, timeout: float, authority: str | None) -> Built:
    import stripe

    http = stripe.RequestsClient(timeout=timeout)
    client = stripe.StripeClient("sk_test_key", base_addresses={"api": base}, http_client=http, max_network_retries=2)

    def call() -> int:
        stripe.ca_bundle_path = authority or stripe.ca_bundle_path
        return client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}).last_response.code

    return call, http.close


def _google_storage(act: Callable[..., object]) -> Callable[[str, float, str | None], Built]:
    def build(base: str, timeout: float, authority: str | None) -> Built:
        from google.api_core.retry import Retry
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage
        from google.cloud.storage.retry import DEFAULT_RETRY

        client = storage.Client("project", AnonymousCredentials(), client_options={"api_endpoint": base})
        client._http.verify = authority or True
        failures: list[Exception] = []

        def is_retried(error: Exception) -> bool:
            failures.append(error)  # its own limit is a time, so that the count would depend on the machine
            return len(failures) < 3 and DEFAULT_RETRY._predicate(error)

        def call() -> int:
            failures.clear()
            act(client, timeout=timeout, retry=Retry(is_retried, initial=0.001, maximum=0.001))
            return 200

        return call, client.close

    return build


def _upload(client: object, **options: object) -> None:
    client.bucket("bucket").blob("name").upload_from_string(b"content", **options)


def _nothing() -> None:
    """Close nothing: the client keeps no connection."""


CLIENTS = (
    Client("requests", _requests_plain),
    Client("requests-retrying", _requests),
    Client("urllib3", _urllib3),
    Client("urllib3-empty-200", _urllib3, answer=Answer(200), only=("truncate",)),
    Client("urllib3-204", _urllib3, answer=Answer(204), only=("truncate",)),
    Client("httpx-204", _httpx, answer=Answer(204), only=("truncate",)),
    Client("urllib.request", _urllib_request),
    Client("http.client", _http_client),
    Client("httpx", _httpx),
    Client(
        "boto3-s3-put",
        _boto3("s3", lambda client: client.put_object(Bucket="bucket", Key="key", Body=b"content")),
        "PUT",
        "/bucket/key",
        Answer(200, (("ETag", '"1"'),)),
    ),
    Client(
        "boto3-s3-get",
        _boto3("s3", lambda client: _read(client.get_object(Bucket="bucket", Key="key"))),
        "GET",
        "/bucket/key",
        Answer(200, (("ETag", '"1"'),), b"content"),
    ),
    Client(
        "boto3-dynamodb",
        _boto3("dynamodb", lambda client: client.put_item(TableName="table", Item={"id": {"S": "1"}})),
        "POST",
        "/",
        Answer(200, (("Content-Type", "application/x-amz-json-1.0"),), b"{}"),
    ),
    Client(
        "stripe",
        _stripe,
        "POST",
        "/v1/payment_intents",
        Answer(200, JSON, b'{"id": "pi_1", "object": "payment_intent"}'),
    ),
    Client(
        "google-storage-get",
        _google_storage(lambda client, **options: client.get_bucket("bucket", **options)),
        "GET",
        "/storage/v1/b/bucket",
        Answer(200, JSON, b'{"name": "bucket", "kind": "storage#bucket"}'),
    ),
    Client(
        "google-storage-upload",
        _google_storage(_upload),
        "POST",
        "/upload/storage/v1/b/bucket/o",
        Answer(200, JSON, b'{"name": "name", "bucket": "bucket"}'),
    ),
)


def _read(answer: dict) -> dict:
    answer["Body"].read()
    return answer
