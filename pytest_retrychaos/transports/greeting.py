"""What a TLS greeting gets on the simulated network: leave to go on in plain text, or an alert.

A client that does not block speaks TLS through memory buffers, and nothing tells whose connection they belong
to. So its own engine writes a real greeting: a real peer answers it as ever, a simulated one by these.
"""

from __future__ import annotations

import ssl

GREETING = 0x16
"""The first byte of a handshake record (RFC 8446, 5.1); no HTTP request begins with it."""

GO_ON_IN_PLAIN = b"\x15retrychaos: go on in plain text\n"
"""No server says that: its second byte is no version of TLS."""

ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""A fatal alert, handshake_failure (RFC 8446, 6), as a server says it before anything is agreed."""

_HANDSHAKE_FAILURE = (
    int(ssl.SSLErrorNumber.SSL_ERROR_SSL),
    "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure (_ssl.c:1006)",
)


def handshake_failure() -> ssl.SSLError:
    """Make the error of a server that answers the greeting with an alert."""
    error = ssl.SSLError(*_HANDSHAKE_FAILURE)
    error.library, error.reason = "SSL", "SSLV3_ALERT_HANDSHAKE_FAILURE"
    return error
