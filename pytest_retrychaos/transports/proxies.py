"""Proxies in the environment: put away while a run lasts, and named where one was put there meanwhile."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from pytest_retrychaos import redact

VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy"})
"""In lower case: clients read either spelling."""


_LEADING = VARIABLES - {"no_proxy"}


class HiddenProxies:
    """The proxy variables that were set before, out of the clients' sight."""

    def __init__(self) -> None:
        self._hidden: dict[str, str] = {}

    def hide(self) -> None:
        """Take them out of the environment."""
        for name in list(os.environ):
            if name.lower() in VARIABLES:
                self._hidden[name] = os.environ.pop(name)

    def restore(self) -> None:
        """Put them back."""
        os.environ.update(self._hidden)
        self._hidden.clear()


def way_out_text(host: str, port: int) -> str | None:
    """Say that a connection on this machine goes to a proxy that was put there meanwhile, if it does."""
    hosts = {host, "localhost", "0.0.0.0"} if host.startswith(("127.", "::1")) else {host}
    name = next(
        (one for one in os.environ if one.lower() in _LEADING and _place_of(os.environ[one], port) in hosts), None
    )
    if name is None:
        return None
    value = redact.current().text(os.environ[name])
    return (
        f"a connection to {host}:{port}, the proxy of {name}={value!r}, would let requests out past the simulated "
        "network: it was put into the environment after chaos began. Take it out for this test; what is set before "
        "chaos begins is ignored"
    )


def tunnel_text(target: str, proxy: str) -> str:
    """Say that a tunnel through a proxy cannot be simulated, and who led the client there."""
    hide = redact.current().text
    text = hide(f"a proxy tunnel to {target} through {proxy} cannot be simulated")
    name = next((name for name, value in os.environ.items() if _names(name, value, proxy)), None)
    if name is None:
        return f"{text}: call the service itself, without a proxy"
    value = hide(os.environ[name])
    return (
        f"{text}: {name}={value!r} was put into the environment after chaos began. Take it out for this "
        "test; what is set before chaos begins is ignored"
    )


def _place_of(value: str, port: int) -> str | None:
    """Give the host of a proxy, written as a URL or without its scheme, if it listens on a port."""
    try:
        parts = urlsplit(value if "://" in value else f"//{value}")
        return parts.hostname if parts.port == port else None
    except ValueError:
        return None


def _names(variable: str, value: str, proxy: str) -> bool:
    return variable.lower() in _LEADING and proxy.lower() in value.lower()
