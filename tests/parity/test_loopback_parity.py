"""The loopback server and the simulation: one script, and a client cannot tell which of them it met."""

from __future__ import annotations

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.model import Headers, Response
from tests.parity.async_clients import ASYNC_CLIENTS
from tests.parity.clients import CLIENTS, Client
from tests.parity.test_parity import Seen, _observed, _simulated, authority, own_settings

__all__ = ["authority", "own_settings"]

FAULTS = ("503", "404", "timeout", "reset", "eof", "stale", "truncate", "garbage", "slow=0.02", "drip=0.05")
"""Those that strike once there is a connection; `refuse` costs a second here, see test_loopback_clients.py."""

BLOCKING = ("requests", "requests-retrying", "urllib3", "urllib3-204", "httpx", "urllib.request", "http.client")

CASES = [
    pytest.param(client, fault, scheme, id=f"{client.name}-{fault}-{scheme}")
    for client in (*(client for client in CLIENTS if client.name in BLOCKING), *ASYNC_CLIENTS)
    for fault in client.only or FAULTS
    for scheme in (client.schemes[:1] if fault == "timeout" else client.schemes)
]


@pytest.mark.parametrize(("client", "fault", "scheme"), CASES)
def test_a_client_cannot_tell_the_simulation_from_the_loopback_server(client, fault, scheme, authority, own_settings):
    """Same exceptions, same end, same number of attempts."""
    simulated = _simulated(client, fault, scheme, authority, always=False)

    assert _on_loopback(client, fault, scheme) == simulated


def _on_loopback(client: Client, fault: str, scheme: str) -> Seen:
    answer = client.answer
    with Chaos(fault, strict=False, transport="loopback") as chaos:
        chaos.service.route(
            client.method, client.path, lambda _: Response(answer.status, Headers(answer.headers), answer.body)
        )
        file = chaos.ca_file if scheme == "https" else None
        url = chaos.url.replace("http", scheme)
        chain, status = _observed(client, url, file, fault)
        return Seen(chain, status, len(chaos.attempts))
