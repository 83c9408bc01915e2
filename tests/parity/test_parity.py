"""The simulated network against a real server on loopback: every client, every fault that a server can make.

Compared are the exception's type chain, the status at the end, and how many attempts the client's own retry
layer made. A difference that is meant is in `DIFFERENCES`, with its reason; it fails once it is gone.
"""

from __future__ import annotations

import ssl
from collections import deque
from dataclasses import dataclass
from urllib.error import HTTPError

import pytest
import trustme

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine.classify import exception_chain
from pytest_retrychaos.model import Headers, Response
from tests.parity.async_clients import ASYNC_CLIENTS
from tests.parity.clients import CLIENTS, Client
from tests.parity.server import Connects, LoopbackServer, Plan

FAULTS = (
    "503",
    "500",
    "404",
    "timeout",
    "reset",
    "eof",
    "stale",
    "truncate",
    "garbage",
    "slow=0.02",
    "slow=0.5",
    "drip=0.05",
    "refuse",
)

TIMEOUT = 0.2
"""Real seconds that a client waits for an answer, where that is to be too short."""

PATIENCE = 20.0
"""The same elsewhere: a busy machine may take its time."""

WAITED_FOR = ("timeout", "slow=0.5")
"""For these the client waits in vain. They cost real time: they are not met in every combination."""

WAITED_IN = (("timeout", "http", "once"), ("timeout", "http", "always"), ("timeout", "https", "once"))

CASES = [
    pytest.param(client, fault, scheme, lasting, id=f"{client.name}-{fault}-{scheme}-{lasting}")
    for client in (*CLIENTS, *ASYNC_CLIENTS)
    for fault in client.only or FAULTS
    for scheme in client.schemes
    for lasting in ("once", "always")
    if fault not in WAITED_FOR or (fault, scheme, lasting) in (*WAITED_IN, ("slow=0.5", "http", "once"))
]

DIFFERENCES: dict[tuple[str, str], str] = {}
"""(client, fault) → why simulation and reality differ. The aim is none."""


Authority = tuple[ssl.SSLContext, str]
"""The server's TLS context, and the file of the authority that its certificate comes from."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client made of a fault."""

    chain: tuple[str, ...]
    """Types of the exception and of those inside it, outermost first; empty where there was none."""
    status: int | None
    attempts: int


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority for 127.0.0.1, as (server context, file of the authority)."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)


@pytest.fixture
def own_settings(monkeypatch):
    """Keep the machine's settings out, and let a client whose waits are no setting wait for next to nothing."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # a thread beside each upload
    import stripe
    from botocore.retries.standard import ExponentialBackoff

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.001)
    monkeypatch.setattr(stripe, "ca_bundle_path", stripe.ca_bundle_path)


@pytest.mark.parametrize(("client", "fault", "scheme", "lasting"), CASES)
def test_a_client_cannot_tell_the_simulation_from_a_real_server(
    client, fault, scheme, lasting, authority, own_settings
):
    """Same exceptions, same end, same number of attempts."""
    always = lasting == "always"
    real = _for_real(client, fault, scheme, authority, always=always)

    simulated = _simulated(client, fault, scheme, authority, always=always)

    if (client.name, fault) in DIFFERENCES:
        assert simulated != real, "this difference is gone: take it out of DIFFERENCES"
        pytest.xfail(DIFFERENCES[client.name, fault])
    assert simulated == real


def _for_real(client: Client, fault: str, scheme: str, authority: Authority, *, always: bool) -> Seen:
    context, file = authority if scheme == "https" else (None, None)
    server = LoopbackServer(client.answer, Plan(deque([fault]), always), context)
    try:
        connects = Connects(server)
        with connects.counted():
            chain, status = _observed(client, server.url, file, fault)
        return Seen(chain, status, server.requests + connects.refused)
    finally:
        server.close()


def _simulated(client: Client, fault: str, scheme: str, authority: Authority, *, always: bool) -> Seen:
    answer = client.answer
    with Chaos(f"{fault}{'*' if always else ''}", strict=False) as chaos:
        chaos.service.route(
            client.method,
            client.path,
            lambda _: Response(answer.status, Headers(answer.headers), answer.body),
        )
        file = authority[1] if scheme == "https" else None
        chain, status = _observed(client, f"{scheme}://service.test", file, fault)
        return Seen(chain, status, len(chaos.attempts))


def _observed(client: Client, base: str, file: str | None, fault: str) -> tuple[tuple[str, ...], int | None]:
    limit = TIMEOUT if fault in WAITED_FOR else PATIENCE
    try:
        return (), client.carry_out(base, limit, file, times=2 if fault == "stale" else 1)
    except Exception as error:
        inside = exception_chain(error)
        if isinstance(error, HTTPError):
            error.close()
        return tuple(f"{type(one).__module__}.{type(one).__qualname__}" for one in inside), None
