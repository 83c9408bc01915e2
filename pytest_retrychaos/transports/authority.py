"""The loopback server's certificate, made when it is first asked for, by an authority of this run alone."""

from __future__ import annotations

import functools
import ssl
import tempfile
from pathlib import Path

from pytest_retrychaos.clock.errors import Unsupported

NAMES = ("localhost", "127.0.0.1", "::1", "service.test")
"""Whom the certificate is for, beside the host that the server was told to listen on."""


class Authority:
    """A certificate authority and the one certificate that it has issued."""

    def __init__(self, host: str) -> None:
        self._names = tuple(dict.fromkeys((*NAMES, host)))
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """The server's side of TLS; it offers HTTP/1.1."""
        try:
            import trustme
        except ImportError:
            raise Unsupported(
                "HTTPS on transport='loopback' needs the package trustme, which makes the certificate: "
                "python -m pip install 'pytest-retrychaos[https]'"
            ) from None
        authority = trustme.CA(organization_name="pytest-retrychaos")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        authority.issue_cert(*self._names).configure_cert(context)
        self._directory = tempfile.TemporaryDirectory(prefix="retrychaos-")
        authority.cert_pem.write_to_path(str(self._file))
        return context

    @property
    def file(self) -> str:
        """The authority's certificate, as a file in PEM form."""
        assert self.context
        return str(self._file)

    @property
    def _file(self) -> Path:
        assert self._directory is not None
        return Path(self._directory.name, "ca.pem")

    def close(self) -> None:
        """Remove the file."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
            del self.context
