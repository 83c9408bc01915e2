"""Exceptions of Python and of HTTP clients by name: what each says about the request. Nothing is imported.

A name covers its subclasses, but for those that have a row of their own. Sources are the modules named, in the
releases of 2026, and what they raise where: a read timeout follows a sent request, a connect timeout precedes it.
"""

from __future__ import annotations

from collections.abc import Iterator

_NOT_SENT = {
    "builtins": "ConnectionRefusedError",
    "socket": "gaierror herror",
    "ssl": "SSLCertVerificationError",
    "urllib3.exceptions": "ConnectTimeoutError NewConnectionError NameResolutionError ProxyError EmptyPoolError",
    "requests.exceptions": "ConnectTimeout ProxyError",
    "httpx": "ConnectError ConnectTimeout PoolTimeout ProxyError",
    "httpcore": "ConnectError ConnectTimeout PoolTimeout ProxyError ConnectionNotAvailable",
    "botocore.exceptions": "ConnectTimeoutError EndpointConnectionError ProxyConnectionError",
    "aiohttp.client_exceptions": "ClientConnectorError ClientConnectorCertificateError ConnectionTimeoutError",
}

_AMBIGUOUS = {
    "builtins": "ConnectionError ConnectionResetError ConnectionAbortedError BrokenPipeError TimeoutError",
    "pytest_retrychaos.engine.unknown": "OutcomeUnknown",
    "ssl": "SSLError SSLEOFError SSLZeroReturnError SSLSyscallError",
    "http.client": "HTTPException RemoteDisconnected IncompleteRead BadStatusLine LineTooLong UnknownProtocol",
    "urllib.error": "ContentTooShortError",
    "urllib3.exceptions": "ReadTimeoutError IncompleteRead InvalidChunkLength ResponseNotChunked DecodeError "
    "ResponseError HeaderParsingError",
    "requests.exceptions": "ReadTimeout ChunkedEncodingError ContentDecodingError",
    "httpx": "ReadTimeout WriteTimeout ReadError WriteError CloseError RemoteProtocolError DecodingError",
    "httpcore": "ReadTimeout WriteTimeout ReadError WriteError RemoteProtocolError",
    "botocore.exceptions": "ReadTimeoutError ConnectionClosedError ResponseStreamingError IncompleteReadError",
    "aiohttp.client_exceptions": "ServerDisconnectedError ServerTimeoutError ClientOSError ClientPayloadError",
    "aiohttp.http_exceptions": "HttpProcessingError",
    "trio": "TooSlowError",
}

_WRAPPERS = {
    "urllib3.exceptions": "MaxRetryError ProtocolError SSLError TimeoutError",
    "requests.exceptions": "ConnectionError Timeout SSLError RetryError",
    "httpx": "TransportError TimeoutException NetworkError ProtocolError",
    "httpcore": "TimeoutException NetworkError ProtocolError",
    "botocore.exceptions": "HTTPClientError ConnectionError SSLError",
    "aiohttp.client_exceptions": "ClientConnectionError",
    "stripe._error": "APIConnectionError",
    "google.auth.exceptions": "TransportError",
    "google.api_core.exceptions": "RetryError",
}
"""What is inside says more; with nothing known inside, the request may have been sent."""

_OWN_MISTAKES = {
    "http.client": "InvalidURL ImproperConnectionState NotConnected",
    "httpx": "UnsupportedProtocol LocalProtocolError",
    "httpcore": "UnsupportedProtocol LocalProtocolError",
}
"""A client used wrongly, under a base class of the network's: no failure of the service."""

_OPEN_CIRCUITS = {
    "pytest_retrychaos.engine.circuit": "CircuitOpen",
    "pybreaker": "CircuitBreakerError",
    "circuitbreaker": "CircuitBreakerError",
    "purgatory.domain.model": "OpenedState",
    "aiobreaker.state": "CircuitBreakerError",
    "hyx.circuitbreaker.exceptions": "BreakerFailing",
    "httpware.errors": "CircuitOpenError",
}
"""A breaker refused, and asked nothing of the service: another attempt would meet it again."""

CONNECTING = frozenset(
    {
        ("socket", "create_connection"),
        ("socket", "getaddrinfo"),
        ("ssl", "do_handshake"),
        ("http.client", "connect"),
        ("urllib3.connection", "connect"),
        ("urllib3.connection", "_new_conn"),
        ("urllib3.util.connection", "create_connection"),
    }
)
"""Functions that run before a request is written. A traceback through one of them shows that nothing was sent,
where the type alone does not: a reset or a timeout during a TLS handshake."""


_SUCCESSORS = {"httpx": "httpx2", "httpcore": "httpcore2"}
"""Their exceptions have the same names, and say the same."""


def _names(table: dict[str, str]) -> Iterator[str]:
    for module, types in table.items():
        for place in (module, _SUCCESSORS.get(module, module)):
            yield from (f"{place}.{name}" for name in types.split())


NOT_SENT = frozenset(_names(_NOT_SENT))
AMBIGUOUS = frozenset(_names(_AMBIGUOUS))
WRAPPERS = frozenset(_names(_WRAPPERS))
NOT_OF_THE_SERVICE = frozenset(_names(_OWN_MISTAKES)) | frozenset(_names(_OPEN_CIRCUITS))
ALL = NOT_SENT | AMBIGUOUS | WRAPPERS | NOT_OF_THE_SERVICE
