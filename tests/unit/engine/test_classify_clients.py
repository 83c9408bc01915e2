"""Real clients against a real loopback server: what they raise is classified by what happened."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import urllib.request

import botocore.session
import httpx
import pytest
import requests
import urllib3
from azure.core import PipelineClient
from azure.core.rest import HttpRequest
from botocore.config import Config

from pytest_retrychaos.engine import Kind, classify_exception


def by_requests(url):
    """POST by requests."""
    requests.post(url, data=b"x", timeout=0.2)


def by_urllib3(url):
    """POST by urllib3, without its retries."""
    with urllib3.PoolManager(retries=False) as pool:
        pool.request("POST", url, body=b"x", timeout=0.2)


def by_urllib3_with_retries(url):
    """POST by urllib3, given up by its own retry layer."""
    with urllib3.PoolManager(retries=urllib3.Retry(0)) as pool:
        pool.request("POST", url, body=b"x", timeout=0.2)


def by_httpx(url):
    """POST by httpx."""
    with httpx.Client(verify=False, trust_env=False) as client:
        client.post(url, content=b"x", timeout=0.2)


def by_http_client(url):
    """POST by http.client."""
    scheme, _, host = url.rstrip("/").partition("://")
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, timeout=0.2)
    try:
        connection.request("POST", "/", b"x")
        connection.getresponse().read()
    finally:
        connection.close()


def by_urllib(url):
    """POST by urllib."""
    with urllib.request.urlopen(url, data=b"x", timeout=0.2) as answer:
        answer.read()


def by_botocore(url):
    """GET by botocore, without its retries."""
    config = Config(read_timeout=0.2, connect_timeout=0.2, retries={"total_max_attempts": 1})
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=config,
        verify=False,
    )
    client.list_buckets()


def by_azure(url):
    """POST by azure-core, without its retries."""
    with PipelineClient(url, policies=[]) as client:
        request = HttpRequest("POST", url, content=b"x")
        client.send_request(
            request, connection_timeout=0.2, read_timeout=0.2, connection_verify=False
        ).raise_for_status()


CLIENTS = [
    by_requests,
    by_urllib3,
    by_urllib3_with_retries,
    by_httpx,
    by_http_client,
    by_urllib,
    by_botocore,
    by_azure,
]


def read_head(connection):
    """Read a request's head."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = connection.recv(65536)
        if not piece:
            return
        seen += piece


def eof(connection, over):
    """Close with no answer."""
    read_head(connection)


def reset(connection, over):
    """Reset in place of an answer."""
    read_head(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(connection, over):
    """Say nothing until the test is over."""
    read_head(connection)
    over.wait(5)


def truncate(connection, over):
    """Promise more than arrives."""
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")


def garbage(connection, over):
    """Answer what is not HTTP."""
    read_head(connection)
    connection.sendall(b"\x00\x01\x02 not http at all\r\n\r\n")


def plain(connection, over):
    """Answer a TLS hello in the clear."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def mute(connection, over):
    """Never answer a TLS hello."""
    over.wait(5)


@pytest.fixture
def serve(monkeypatch):
    """Serve connections on loopback with a behaviour, until the test is over."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def handle(connection, behave):
        with connection, contextlib.suppress(OSError):  # the client went first
            behave(connection, over)

    def accept(behave):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=handle, args=(connection, behave)))
            threads[-1].start()

    def start(behave, scheme="http"):
        threads.append(threading.Thread(target=accept, args=(behave,)))
        threads[-1].start()
        return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(5)


def kind_of(client, url):
    """Classify what a client raises."""
    try:
        client(url)
    except Exception as error:
        return classify_exception(error)
    raise AssertionError("the client raised nothing")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("behave", [eof, reset, silence, truncate, garbage])
def test_a_request_that_was_sent_is_ambiguous(client, behave, serve):
    """Once it was written, nobody knows."""
    assert kind_of(client, serve(behave)) is Kind.AMBIGUOUS


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refused_connection_is_not_sent(client, serve):
    """Nobody listens on the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert kind_of(client, f"http://127.0.0.1:{port}/") is Kind.NOT_SENT


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("behave", [plain, eof, mute])
def test_a_failed_tls_handshake_is_not_sent(client, behave, serve):
    """Whether the other side speaks no TLS, hangs up or says nothing: no request was written."""
    assert kind_of(client, serve(behave, "https")) is Kind.NOT_SENT


@pytest.mark.parametrize("client", CLIENTS)
def test_a_connect_timeout_is_not_sent(client, serve, monkeypatch):
    """The connection never came about."""

    def late(*_):
        raise TimeoutError("timed out")

    url = serve(eof)
    monkeypatch.setattr(socket.socket, "connect", late)
    try:
        assert kind_of(client, url) is Kind.NOT_SENT
    finally:
        monkeypatch.undo()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_that_is_not_resolved_is_not_sent(client, serve, monkeypatch):
    """There was nobody to send it to."""

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    try:
        assert kind_of(client, "http://no.such.host.example/") is Kind.NOT_SENT
    finally:
        monkeypatch.undo()
