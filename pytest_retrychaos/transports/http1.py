"""HTTP/1.1 as a server speaks it, sans-I/O: bytes in, actions out.

Laws of this module:
1. It holds no socket, reads no clock but for ``Date``, and decides nothing: faults come as outcomes.
2. One `Conversation` a connection. `receive` takes what the client wrote and returns what the server does.
3. An answer's header block and the end of its body carry their ticket, so that a driver can tell the attempt
   when the client has seen them.
4. The parser is httptools, by measurement against h11: see benchmarks/RESULTS.md.
5. What a real server would refuse (limits, syntax) is refused with the status a real server gives.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit

import httptools

from pytest_retrychaos.model import Headers, Outcome, Request, Response, Wire
from pytest_retrychaos.transports.actions import Action, End, Moment, Postponed, Send, Wait
from pytest_retrychaos.transports.heads import Field, Heads
from pytest_retrychaos.transports.proxies import tunnel_text
from pytest_retrychaos.transports.rendering import GARBAGE, can_have_body, cut, pieces, render
from pytest_retrychaos.transports.seam import Exchange, Ticket

P = ParamSpec("P")

LONGEST_TARGET = 8190
"""Bytes of a request target: Apache's LimitRequestLine; nginx's large_client_header_buffers is 8k too."""

LONGEST_HEAD = 65_536
"""Bytes of a request's head: gunicorn and Node's --max-http-header-size lie between 8k and 64k."""

_HOST = re.compile(r"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?", re.ASCII)
"""What may stand in ``Host``: uri-host [":" port] (RFC 9110, 7.2; RFC 3986, 3.2.2)."""


_OTHER_PROTOCOL = re.compile(rb"[^A-Za-z\r\n\x16]|[A-Za-z]{1,7}[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""How what is no HTTP may begin: a PostgreSQL, Redis, SOCKS or AMQP client. A method is letters, and what begins with
0x16 is TLS, to which a plain server answers 400.
"""


def _kept(callback: Callable[Concatenate[Conversation, P], None]) -> Callable[Concatenate[Conversation, P], None]:
    """Keep what a callback raises: the parser's own error shows what the client is handling meanwhile, if it is."""

    def kept(conversation: Conversation, /, *arguments: P.args, **named: P.kwargs) -> None:
        try:
            callback(conversation, *arguments, **named)
        except BaseException as error:
            conversation._raised = error
            raise

    return kept


class Conversation:
    """The server's side of one connection."""

    def __init__(self, exchange: Exchange, host: str, scheme: str) -> None:
        self._exchange = exchange
        self.host = host
        self.scheme = scheme
        self.ticket: Ticket | None = None
        """The attempt whose answer the client is waiting for."""
        self.served = 0
        self._reading: Ticket | None = None  # the attempt whose request has begun and not arrived whole
        self._dropped = False
        self._is_deaf = False  # nothing after what came can be understood, or will be read
        self._is_postponed = False
        self._is_last = False  # the client sends no more requests
        self._is_fresh = True  # nothing has come yet
        self.is_idle = True
        self.is_over = False
        """The server has ended the connection, or will once its actions are carried out."""
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._fields: list[Field] = []
        self._heads = Heads()
        self._body: list[bytes] = []
        self._head: Request | None = None
        self._head_size = 0
        self._came = 0  # bytes, at last
        self._announced: int | None = None
        self._offer: Headers | None = None  # the head of a request that offers h2c, until it is parsed again
        self._out: list[Action] = []
        self._raised: BaseException | None = None  # by what the parser called

    @property
    def is_reading(self) -> bool:
        """Whether a request has begun and not arrived whole."""
        return self._reading is not None

    # what a driver calls

    def receive(self, data: bytes) -> list[Action]:
        """Take bytes that the client wrote and return what the server does about them."""
        if self._is_deaf or (self.is_over and not self._dropped):
            return []
        self.is_idle = False
        if self._is_fresh:
            self._is_fresh = False
            self._check_protocol(data)
        self._came = len(data)
        if self._head is None:
            self._head_size += len(data)
        self._out = []
        try:
            self._parse(data)
            if self._head is None and self._head_size > LONGEST_HEAD:
                raise _Rejected(431)
        except _Rejected as rejected:
            self._is_deaf = True
            if not self.is_over:
                self._reject(rejected.status)
        except _Unread:
            self._is_deaf = True
        except BaseException:
            self._is_deaf = True
            raise
        return self._out

    def _check_protocol(self, data: bytes) -> None:
        if _OTHER_PROTOCOL.match(data):
            self._is_deaf = True
            raise self._exchange.refuse(
                f"a protocol other than HTTP ({self.host} was sent {data[:8]!r} first) cannot be simulated: wrap the "
                "call with chaos.faulty, or point the client at a real server on loopback"
            )

    def _parse(self, data: bytes) -> None:
        again = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offered:  # h2c, which a server need not take up (RFC 9110, 7.8)
            again = self._head_without_offer() + data[offered.args[0] :]
        except httptools.HttpParserCallbackError:
            raised, self._raised = self._raised, None
            if raised is not None:
                raise raised from None
            raise
        except httptools.HttpParserError:
            raise _Rejected(400) from None
        if again:
            self._parser = httptools.HttpRequestParser(self)
            self._url, self._fields = b"", []
            self._parse(again)

    def resolve(self, ticket: Ticket) -> list[Action]:
        """Render a postponed answer, whose time has come."""
        assert self._head is not None
        self._is_postponed = False
        return self._render(self._exchange.decided(ticket), ticket, self._head)

    def drop(self) -> bool:
        """Close the connection if it is idle; what the client still writes to it is never read."""
        if not self.is_idle or self.is_over:
            return False
        self.is_over = self._dropped = True
        return True

    def client_gave_up(self) -> None:
        """Note that the client waits no longer: of a request that has begun, what came so far is recorded.

        The connection stays as it is: should the rest come after all, the request is carried out.
        """
        if self._reading is not None:
            self._exchange.cut_short(self._reading, b"".join(self._body), self._announced)

    def client_ended(self) -> list[Action]:
        """Note that the client sends no more, though it still reads; return what the server does about it.

        A request that can never become whole is refused (RFC 9112, 8: a server may answer before it closes; Node's
        does, with 400). One that did is still answered, and then the connection is closed.
        """
        self._is_last = True
        self._out = []
        if self.is_over:
            return []
        if self._reading is not None or (self._head is None and self._url):
            self._is_deaf = True
            self._reject(400)
        elif self.is_idle:
            self.is_over = True
            self._out.append(End.EOF)
        return self._out

    def client_closed(self) -> None:
        """Note that the client closed the connection."""
        self.client_gave_up()
        self._reading = None
        self.is_over = True

    # what the parser calls

    @_kept
    def on_message_begin(self) -> None:
        if self._is_postponed:
            raise self._exchange.refuse(
                "a request sent while the one before it on the same connection waits for `slow … before-commit` "
                "cannot be simulated: wait for its answer, or use another connection"
            )
        if self._head is not None or (self.is_over and not self._dropped):
            raise _Unread  # the request before it was met with silence, or ended the connection

    @_kept
    def on_url(self, url: bytes) -> None:
        if self._parser.get_method() == b"PRI":
            raise self._exchange.refuse(
                "HTTP/2 by prior knowledge cannot be simulated: let the client negotiate "
                "(the service offers HTTP/1.1), or point it at a real server on loopback"
            )
        self._url += url
        if len(self._url) > LONGEST_TARGET:
            raise _Rejected(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    @_kept
    def on_headers_complete(self) -> None:
        if self._came + self._head_size > LONGEST_HEAD // 2 and self._is_too_long():
            raise _Rejected(431)
        method = self._parser.get_method().decode("ascii")
        headers, self._offer = self._offer or self._heads.read(self._fields), None
        if method == "CONNECT":
            raise self._exchange.refuse(tunnel_text(self._url.decode("latin-1"), self.host))
        present = headers.by_name
        if "upgrade" in present and present["upgrade"].lower() != "h2c":
            raise self._exchange.refuse(
                f"an upgrade to {present['upgrade']!r} cannot be simulated: "
                "point the client at a real server on loopback"
            )
        if self._parser.should_upgrade():  # a body that follows would be taken for the other protocol's
            self._offer = headers
            return
        self._head = head = self._request(method, headers)
        if "content-length" in present:
            self._announced = int(present["content-length"])
        if self._dropped:
            self.ticket = self._reading = self._exchange.found_closed(head)
            return
        if not self._names_its_host(headers):
            raise _Rejected(400)
        self.ticket = self._reading = self._exchange.arriving(head, reused=self.served > 0)
        if "expect" in present and present["expect"].lower() == "100-continue":
            self._out.append(Send(b"HTTP/1.1 100 Continue\r\n\r\n"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    @_kept
    def on_message_complete(self) -> None:
        if self._offer is not None:
            return
        ticket, self._reading = self._reading, None
        assert self._head is not None
        assert ticket is not None
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if self._dropped:
            self._exchange.cut_short(ticket, body, None)
            return
        outcome = self._exchange.arrived(ticket, body)
        if outcome is None:
            self._is_postponed = True
            self._out.append(Postponed(ticket))
            return
        self._out += self._render(outcome, ticket, self._head)

    # inside

    def _head_without_offer(self) -> bytes:
        """Write the head that was parsed anew, without the offer of another protocol."""
        parser, fields = self._parser, [field for field in self._fields if field[0].lower() != b"upgrade"]
        lines = [b"%b %b HTTP/%b" % (parser.get_method(), self._url, parser.get_http_version().encode())]
        return b"\r\n".join([*lines, *[b"%b: %b" % field for field in fields], b"", b""])

    def _is_too_long(self) -> bool:
        """Whether a head is longer than is read, each of its fields written with a blank."""
        size = sum([len(name) + len(value) + len(b": \r\n") for name, value in self._fields])
        return len(self._url) + size > LONGEST_HEAD

    def _names_its_host(self, headers: Headers) -> bool:
        """Whether ``Host`` is there as it has to be: once, and a host (RFC 9112, 3.2)."""
        host = headers.by_name.get("host")
        if host is None:
            return self._parser.get_http_version() < "1.1"
        is_once = len(headers.pairs) == len(headers.by_name) or len(headers.all("host")) == 1
        return is_once and _is_host(host)

    def _request(self, method: str, headers: Headers) -> Request:
        target, host = self._url.decode("latin-1"), headers.by_name.get("host") or self.host
        if not target.startswith(("/", "*")):  # absolute form, as sent to a proxy
            try:
                parts = urlsplit(target)
            except ValueError:  # brackets with no address between them
                raise _Rejected(400) from None
            host = parts.netloc or host
            target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        usual = ":443" if self.scheme == "https" else ":80"
        return Request(method, host.removesuffix(usual), target, headers, scheme=self.scheme)

    def _reject(self, status: int) -> None:
        """Answer a request that cannot be taken, and close; one that had begun is the same attempt."""
        head = self._head
        if head is None:
            method = self._parser.get_method() if self._url else b"GET"
            target = (self._url or b"/").decode("latin-1")[:200]
            head = self._head = Request(method.decode("ascii"), self.host, target, scheme=self.scheme)
        begun, self._reading = self._reading, None
        self.ticket = self._exchange.malformed(head, status, begun, b"".join(self._body), self._announced)
        self._out += self._render(Outcome(Wire.ANSWER, Response(status)), self.ticket, head, close=True)

    def _render(self, outcome: Outcome, ticket: Ticket, head: Request, *, close: bool = False) -> list[Action]:
        actions: list[Action] = [Wait(outcome.delay_ns)] if outcome.delay_ns else []
        if outcome.response is None:
            return actions + self._unanswered(outcome.wire, ticket)
        close = close or self._is_last or not self._exchange.keeps_alive or not self._keeps_alive()
        block, body = render(outcome.response, head, wall_ns=self._exchange.wall_ns(), close=close)
        truncated = outcome.wire is _TRUNCATED
        if truncated:
            block, body = cut(block, body, bodiless=not can_have_body(outcome.response, head))
        actions += pieces(block, body, outcome.spread_ns, ticket, whole=not truncated)
        self._finish(head, close=close or truncated)
        if self.is_over:
            actions.append(End.EOF)
        return actions

    def _unanswered(self, wire: Wire, ticket: Ticket) -> list[Action]:
        """Stay silent, end the connection, or send what is no answer."""
        if wire is Wire.SILENCE:
            return []
        self.is_over = True
        if wire is Wire.GARBAGE:
            return [Send(GARBAGE, ticket, Moment.HEADERS), End.EOF]
        return [_ENDS[wire]]

    def _keeps_alive(self) -> bool:
        try:
            return bool(self._parser.should_keep_alive())
        except httptools.HttpParserError:  # the parser gave up: so does the server
            return False

    def _finish(self, head: Request, *, close: bool) -> None:
        self.served += 1
        self.is_idle = True
        self._head = None
        self._url = b""
        self._fields = []
        self._body = []
        self._head_size = 0
        self._announced = None
        if close or self._exchange.wants_idle_closed(head.host):
            self.is_over = self._dropped = True


@functools.lru_cache(maxsize=64)
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


class _Rejected(Exception):
    """What came is refused with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Unread(Exception):
    """What came is never read."""


_TRUNCATED = Wire.TRUNCATED
_ENDS = {Wire.RESET: End.RESET, Wire.EOF: End.EOF}
