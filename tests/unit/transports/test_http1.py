"""The server's side of a connection: bytes in, actions out."""

from __future__ import annotations

import contextlib
import itertools
import re
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_retrychaos import Response
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.model import SECOND, Headers
from pytest_retrychaos.transports.actions import Action, Moment, Send
from pytest_retrychaos.transports.http1 import Conversation
from tests.unit.transports.line import Line, head, sent, shown

GET = b"GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n"
POST = (
    b"POST /payments HTTP/1.1\r\nHost: service.test\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    b'{"amount":1}'
)
OK, CREATED, BAD = b"HTTP/1.1 200 OK", b"HTTP/1.1 201 Created", b"HTTP/1.1 400 Bad Request"


def talk(line: Line, *pieces: bytes) -> list[Action]:
    """Send pieces on one connection; all that the server does."""
    conversation = line.conversation()
    return [action for piece in pieces for action in conversation.receive(piece)]


def write(conversation: Conversation, raw: bytes, size: int) -> None:
    """Write in pieces of one size."""
    for start in range(0, len(raw), size):
        conversation.receive(raw[start : start + size])


def fixed(line: Line, body: bytes = b"hello", status: int = 200, **fields: str) -> Line:
    """Let every GET of /a be answered with the same."""
    headers = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    line.service.route("GET", "/a", lambda _: Response(status, headers, body))
    line.service.route("HEAD", "/a", lambda _: Response(status, headers, body))
    return line


# one request


def test_an_answer_has_a_length_and_a_date() -> None:
    """Header block and body come apart, and carry the moments at which the client has seen them."""
    line = fixed(Line(), X_Own="yes")

    block, body = talk(line, GET)

    assert isinstance(block, Send)
    assert isinstance(body, Send)
    assert head(bytes(block.data)) == [
        "HTTP/1.1 200 OK",
        "X-Own: yes",
        "Date: Thu, 01 Jan 2026 00:00:00 GMT",
        "Content-Length: 5",
    ]
    assert (block.moment, body.data, body.moment) == (Moment.HEADERS, b"hello", Moment.ALL)
    assert block.ticket is body.ticket is line.sheets[0]


def test_an_empty_answer_is_seen_whole_with_its_headers() -> None:
    """There is no second piece to wait for."""
    (block,) = talk(fixed(Line(), b""), GET)

    assert isinstance(block, Send)
    assert block.moment == Moment.HEADERS | Moment.ALL
    assert "Content-Length: 0" in head(bytes(block.data))


def test_the_services_own_date_and_length_are_kept() -> None:
    """Nothing is said twice."""
    actions = talk(fixed(Line(), date="Mon, 01 Jan 2024 00:00:00 GMT", content_length="5"), GET)

    assert head(sent(actions)) == ["HTTP/1.1 200 OK", "date: Mon, 01 Jan 2024 00:00:00 GMT", "content-length: 5"]


def test_a_status_without_a_name_is_unknown() -> None:
    """A status line needs some reason."""
    assert shown(talk(Line("599"), GET)) == [b"HTTP/1.1 599 Unknown"]


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", 200, "Content-Length: 5"), ("GET", 204, None), ("GET", 304, None), ("HEAD", 304, None)],
)
def test_an_answer_that_can_have_no_body_has_none(method: str, status: int, length: str | None) -> None:
    """HEAD tells the length of what GET would send; 204 and 304 tell none."""
    actions = talk(fixed(Line(), status=status), GET.replace(b"GET", method.encode()))

    answer = sent(actions)
    assert answer.endswith(b"\r\n\r\n")
    assert [line for line in head(answer) if line.startswith("Content-Length")] == ([length] if length else [])


@pytest.mark.parametrize(
    ("raw", "host", "target"),
    [
        (b"GET http://api.test/x?y=1 HTTP/1.1\r\nHost: proxy.test\r\n\r\n", "api.test", "/x?y=1"),
        (b"GET http://api.test HTTP/1.1\r\nHost: service.test\r\n\r\n", "api.test", "/"),
        (b"GET http://api.test:80/x HTTP/1.1\r\nHost: service.test\r\n\r\n", "api.test", "/x"),
        (b"GET http://api.test:8080/x HTTP/1.1\r\nHost: service.test\r\n\r\n", "api.test:8080", "/x"),
        (b"GET /x HTTP/1.1\r\nHost: api.test:80\r\n\r\n", "api.test", "/x"),
        (b"GET /x HTTP/1.0\r\n\r\n", "service.test", "/x"),
        (b"GET //x HTTP/1.1\r\nHost: api.test\r\n\r\n", "api.test", "//x"),
        (b"OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n", "api.test", "*"),
        (b"GET /x?a=%5B HTTP/1.1\r\nhOsT: api.test\r\n\r\n", "api.test", "/x?a=%5B"),
        (b"\r\nGET /x HTTP/1.1\r\nHost: api.test\r\n\r\n", "api.test", "/x"),
    ],
)
def test_a_target_names_host_and_path(raw: bytes, host: str, target: str) -> None:
    """In absolute form the target names the host; else the Host field does, or the connection."""
    line = Line()
    talk(line, raw)

    assert [(sheet.host, sheet.target) for sheet in line.sheets] == [(host, target)]


# bodies


def test_a_chunked_body_is_put_together() -> None:
    """Chunk sizes, extensions and trailers are no part of it."""
    line = Line()
    raw = (
        b"POST /payments HTTP/1.1\r\nHost: service.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"4;ext=1\r\nabcd\r\nA\r\nefghijklmn\r\n0\r\nX-Sum: 9\r\n\r\n"
    )

    actions = talk(line, raw + GET)

    assert [sheet.kept_body.start for sheet in line.sheets] == [b"abcdefghijklmn", b""]
    assert "X-Sum" not in line.sheets[0].headers
    assert "X-Sum" not in line.sheets[1].headers
    assert shown(actions)[0] == CREATED


def test_a_request_is_carried_out_once_its_body_is_whole() -> None:
    """Until then the server is silent, as a real one would be."""
    line = Line()
    conversation = line.conversation()

    assert conversation.receive(POST[:-1]) == []
    assert line.service.effects == ()
    assert shown(conversation.receive(POST[-1:]))[0] == CREATED
    assert len(line.service.effects) == 1


def test_a_client_that_expects_100_is_told_to_go_on() -> None:
    """Once, when the head has arrived; the final answer follows the body."""
    line = Line()
    conversation = line.conversation()
    begin, _, body = POST.partition(b"\r\n\r\n")

    go_on = conversation.receive(begin + b"\r\nExpect: 100-Continue\r\n\r\n")
    answer = conversation.receive(body)

    assert shown(go_on) == [b"HTTP/1.1 100 Continue"]
    assert isinstance(go_on[0], Send)
    assert (go_on[0].ticket, go_on[0].moment) == (None, Moment.NOTHING)
    assert shown(answer)[0] == CREATED


def test_a_request_cut_short_is_told_to_the_exchange() -> None:
    """With what came, and what was announced."""
    line = Line()
    conversation = line.conversation()
    conversation.receive(POST[:-5])

    conversation.client_closed()
    conversation.client_closed()

    body = line.sheets[0].kept_body
    assert (body.start, body.announced) == (POST[:-5].partition(b"\r\n\r\n")[2], 12)
    assert line.sheets[0].operation is not None


@pytest.mark.parametrize("cut", [len(POST) - 5, len(POST) - 12])
def test_a_request_that_can_never_become_whole_is_answered_400(cut: int) -> None:
    """The client ended its side in the body: the service does nothing, says so, and closes; what came is recorded."""
    line = Line()
    conversation = line.conversation()
    conversation.receive(POST[:cut])

    actions = conversation.client_ended()
    conversation.client_closed()

    assert shown(actions) == [BAD, "eof"]
    assert line.service.effects == ()
    (sheet,) = line.sheets
    assert (sheet.kept_body.start, sheet.kept_body.announced, sheet.status) == (POST[len(POST) - 12 : cut], 12, 400)


def test_a_head_that_can_never_become_whole_is_answered_400() -> None:
    """As one attempt, with what could be read of it."""
    line = Line()
    conversation = line.conversation()
    conversation.receive(b"GET /a HTTP/1.1\r\nHo")

    assert shown(conversation.client_ended()) == [BAD, "eof"]
    assert [(sheet.method, sheet.target) for sheet in line.sheets] == [("GET", "/a")]


def test_a_whole_request_is_answered_though_the_client_has_ended() -> None:
    """Half a connection is enough for the answer; then the server closes too."""
    line = Line("slow=3s before-commit")
    conversation = line.conversation()

    assert shown(conversation.receive(POST)) == ["postponed"]
    assert conversation.client_ended() == []
    line.now_ns = 3 * SECOND
    assert shown(conversation.resolve(line.sheets[0]))[:1] == [CREATED]
    assert conversation.is_over


def test_an_idle_connection_ends_with_the_client() -> None:
    """There is nothing to answer."""
    line = fixed(Line())
    conversation = line.conversation()
    conversation.receive(GET)

    assert shown(conversation.client_ended()) == ["eof"]
    assert conversation.client_ended() == []
    assert len(line.sheets) == 1


# one after the other


def test_two_requests_in_one_write_are_answered_in_order() -> None:
    """Pipelining: each is an attempt, the second on a connection that has served."""
    line = Line("503, stale")

    actions = talk(line, POST + GET)

    assert shown(actions) == [b"HTTP/1.1 503 Service Unavailable", "eof"]
    assert [(sheet.method, sheet.fault) for sheet in line.sheets] == [("POST", "503"), ("GET", "stale")]


@pytest.mark.parametrize("fault", ["timeout", "reset", "eof", "garbage"])
def test_what_follows_a_request_that_ended_the_connection_is_not_read(fault: str) -> None:
    """In the same write or a later one: a server answers in order or not at all."""
    line = Line(fault)
    conversation = line.conversation()

    first = conversation.receive(POST + POST)

    assert conversation.receive(POST) == []
    assert len(first) == {"timeout": 0, "garbage": 2}.get(fault, 1)
    assert [sheet.target for sheet in line.sheets] == ["/payments"]
    assert len(line.service.effects) == (fault == "garbage")


@pytest.mark.parametrize(
    ("version", "field", "stays"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: keep-alive\r\n", True),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive\r\n", True),
    ],
)
def test_the_connection_lasts_as_long_as_the_client_wants(version: str, field: str, stays: bool) -> None:
    """What is written behind the end is never read, and no attempt."""
    line = fixed(Line())
    conversation = line.conversation()

    actions = conversation.receive(f"GET /a HTTP/{version}\r\nHost: api.test\r\n{field}\r\n".encode())

    assert shown(actions) == ([OK, b"hello"] if stays else [OK, b"hello", "eof"])
    assert ("Connection: close" in head(sent(actions))) is not stays
    assert conversation.is_over is not stays
    assert bool(conversation.receive(GET)) is stays
    assert len(line.sheets) == 1 + stays


def test_an_empty_line_between_requests_is_passed_over() -> None:
    """Old clients sent one after a body (RFC 9112, 2.2)."""
    line = Line()

    talk(line, POST + b"\r\n", GET)

    assert [sheet.target for sheet in line.sheets] == ["/payments", "/a"]


def test_a_request_behind_a_postponed_one_is_refused_by_name() -> None:
    """Its answer would have to wait for the first."""
    line = Line("slow=3s before-commit")
    text = (
        "a request sent while the one before it on the same connection waits for `slow … before-commit` cannot be "
        "simulated: wait for its answer, or use another connection"
    )

    with pytest.raises(Refused, match=f"^{re.escape(text)}$"):
        talk(line, POST + GET)


def test_a_postponed_answer_is_rendered_when_its_time_has_come() -> None:
    """Until then there is one action: the postponement; afterwards the connection goes on."""
    line = Line("slow=3s before-commit")
    conversation = line.conversation()
    (postponed,) = conversation.receive(POST)
    line.now_ns = 3 * SECOND

    answer = conversation.resolve(line.sheets[0])

    assert shown([postponed]) == ["postponed"]
    assert shown(answer)[0] == CREATED
    assert shown(conversation.receive(GET))[0] == OK


# dropped while idle


def test_a_request_on_a_dropped_connection_is_noted_and_not_read() -> None:
    """The attempt is there, with its body, and the service knows nothing of it."""
    line = fixed(Line())
    conversation = line.conversation()
    conversation.receive(GET)

    assert conversation.drop()
    assert not conversation.drop()
    assert conversation.receive(POST[:-3]) == []
    assert conversation.receive(POST[-3:]) == []
    assert [(sheet.target, sheet.reached) for sheet in line.sheets] == [("/a", True), ("/payments", False)]
    assert line.sheets[1].kept_body.size == 12


def test_a_connection_in_use_is_not_dropped() -> None:
    """A request has begun, if only its first byte."""
    conversation = Line().conversation()
    conversation.receive(b"P")

    assert not conversation.drop()


# faults


def test_a_slow_answer_waits_before_its_first_byte() -> None:
    """The wait is the first action."""
    assert shown(talk(fixed(Line("slow=3s")), GET)) == [3.0, OK, b"hello"]


def test_a_dripping_body_comes_in_ten_pieces_over_the_time() -> None:
    """Waits add up to the nanosecond; pieces add up to the body; the last one ends it."""
    line = fixed(Line("drip=1s"), b"0123456789abcdefghijklmno")

    actions = talk(line, GET)

    assert shown(actions)[:5] == [OK, 0.1, b"01", 0.1, b"234"]
    waits, sends = actions[1::2], actions[2::2]
    assert sum(wait.ns for wait in waits) == SECOND  # type: ignore[union-attr]  # every second one is a Wait
    assert sent(sends) == b"0123456789abcdefghijklmno"
    assert [piece.moment for piece in sends] == [Moment.NOTHING] * 9 + [Moment.ALL]  # type: ignore[union-attr]  # a Send


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (3, 3), (9, 9), (10, 10), (11, 10), (1000, 10)])
def test_a_short_body_drips_byte_by_byte(size: int, count: int) -> None:
    """As many pieces as there are bytes, and the time is the same; 7 ns are not divisible by any of it."""
    actions = talk(fixed(Line("drip=7ms"), b"x" * size), GET)

    waits = [part for part in shown(actions) if isinstance(part, float)]
    assert len(waits) == count
    assert sum(waits) == pytest.approx(0.007)


def test_half_of_a_body_arrives_when_it_is_truncated() -> None:
    """The head promises all of it; then the connection ends."""
    actions = talk(fixed(Line("truncate")), GET)

    assert shown(actions) == [OK, b"he", "eof"]
    assert "Content-Length: 5" in head(sent(actions))
    assert actions[1].moment == Moment.NOTHING  # type: ignore[union-attr]  # a Send


@pytest.mark.parametrize("name", ["Content-Length", "content-length"])
def test_an_empty_body_is_truncated_by_promising_a_byte(name: str) -> None:
    """However the service wrote its length."""
    line = Line("truncate")
    line.service.route("GET", "/a", lambda _: Response(200, Headers([(name, "0")])))

    actions = talk(line, GET)

    assert f"{name}: 1" in head(sent(actions))
    assert shown(actions)[-1] == "eof"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_an_answer_that_can_have_no_body_is_cut_in_its_status_line(method: bytes, status: int) -> None:
    """There is nothing else that could be missing."""
    actions = talk(fixed(Line("truncate"), status=status), GET.replace(b"GET", method))

    assert shown(actions) == [b"HTTP/1.1 %d" % (status // 100), "eof"]


def test_a_chunked_answer_is_truncated_within_its_chunks() -> None:
    """The last chunk never comes."""
    actions = talk(fixed(Line("truncate"), b"x" * 100, Transfer_Encoding="chunked"), GET)

    assert b"0\r\n\r\n" not in sent(actions)


def test_a_chunked_answer_is_written_in_chunks() -> None:
    """Where the service asks for it, without a length."""
    answer = sent(talk(fixed(Line(), b"x" * 70_000, Transfer_Encoding="chunked"), GET))

    block, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length" not in block
    assert body == b"10000\r\n" + b"x" * 65_536 + b"\r\n1170\r\n" + b"x" * 4_464 + b"\r\n0\r\n\r\n"


# limits and nonsense


LONG = {
    "target": (b"GET /" + b"a" * 8_190 + b" HTTP/1.1\r\nHost: service.test\r\n\r\n", b"HTTP/1.1 414 URI Too Long"),
    "header": (
        b"GET /a HTTP/1.1\r\nHost: service.test\r\nX: " + b"a" * 66_000 + b"\r\n\r\n",
        b"HTTP/1.1 431 Request Header Fields Too Large",
    ),
    "headers": (
        b"GET /a HTTP/1.1\r\nHost: service.test\r\n"
        + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(140))
        + b"\r\n",
        b"HTTP/1.1 431 Request Header Fields Too Large",
    ),
    "unfinished": (
        b"GET /a HTTP/1.1\r\nHost: service.test\r\nX: " + b"a" * 66_000,
        b"HTTP/1.1 431 Request Header Fields Too Large",
    ),
    "longest target": (b"GET /" + b"a" * 8_189 + b" HTTP/1.1\r\nHost: service.test\r\n\r\n", OK),
    "long headers": (b"GET /a HTTP/1.1\r\nHost: service.test\r\nX: " + b"a" * 65_000 + b"\r\n\r\n", OK),
}


@pytest.mark.parametrize("size", [1_000_000, 5_000, 4_096, 100])
@pytest.mark.parametrize("case", LONG)
def test_limits_hold_however_the_head_is_split(case: str, size: int) -> None:
    """A head over the limits is refused as one attempt, and the connection ends; one within them is served."""
    raw, expected = LONG[case]
    line = Line()

    actions = talk(line, *[raw[start : start + size] for start in range(0, len(raw), size)])

    assert shown(actions)[0] == expected
    assert (shown(actions)[-1] == "eof") is (expected != OK)
    assert len(line.sheets) == 1


def test_a_large_body_behind_the_heads_last_byte_is_no_large_head() -> None:
    """Only the head counts, wherever the cut falls."""
    raw = b"POST /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    cut = raw.index(b"\n\r\n") + 2

    assert shown(talk(Line(), raw[:cut], raw[cut:]))[0] == CREATED


@pytest.mark.parametrize(
    ("raw", "method", "target"),
    [
        (b"\x16\x03\x01\x02\x00", "GET", "/"),
        (b"hello\r\n\r\n", "GET", "/"),
        (b"PUT /a HTTP/9.9\r\n\r\n", "PUT", "/a"),
        (b"POST /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: abc\r\n\r\n", "POST", "/a"),
        (b"POST /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: 99999999999999999999999\r\n\r\n", "POST", "/a"),
        (b"POST /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "POST", "/a"),
        (
            b"POST /a HTTP/1.1\r\nHost: service.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST",
            "/a",
        ),
        (b"POST /a HTTP/1.1\r\nHost: service.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "POST", "/a"),
        (b"GET /a HTTP/1.1\r\nHost: service.test\r\nna me: x\r\n\r\n", "GET", "/a"),
        (b"GET http://[ HTTP/1.1\r\nHost: service.test\r\n\r\n", "GET", "http://["),
        (b"GET http://[x]/ HTTP/1.1\r\nHost: service.test\r\n\r\n", "GET", "http://[x]/"),
    ],
)
def test_what_is_no_request_is_answered_400(raw: bytes, method: str, target: str) -> None:
    """As one attempt, with what could be read of it; nothing after it is read."""
    line = Line()
    conversation = line.conversation()

    actions = conversation.receive(raw)

    assert shown(actions) == [BAD, "eof"]
    assert "Connection: close" in head(sent(actions))
    assert [(sheet.method, sheet.target, sheet.status) for sheet in line.sheets] == [(method, target, 400)]
    assert line.sheets[0].operation is not None
    assert conversation.receive(GET) == []
    conversation.client_closed()


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"X-Host: api.test\r\n",
        b"Host: api.test\r\nHost: api.test\r\n",
        b"Host: api.test/path\r\n",
        b"Host: a b\r\n",
        b"Host: [::1\r\n",
        b"Host: \xe4.test\r\n",
    ],
)
def test_a_request_that_names_no_host_is_answered_400(fields: bytes) -> None:
    """A server has to (RFC 9112, 3.2): without the field, with two, or where it is no host; nothing is done."""
    line = Line()

    actions = talk(line, b"POST /a HTTP/1.1\r\n" + fields + b"X-Id: 7\r\nContent-Length: 0\r\n\r\n")

    assert shown(actions) == [BAD, "eof"]
    assert [(sheet.method, sheet.target, sheet.headers["x-id"]) for sheet in line.sheets] == [("POST", "/a", "7")]
    assert line.service.effects == ()


@pytest.mark.parametrize("host", [b"api.test:8080", b"[2001:db8::1]:443", b"192.0.2.1", b"my_service", b"", b"a:"])
def test_whatever_may_stand_in_host_is_taken(host: bytes) -> None:
    """Names, addresses, ports, and nothing at all where the target has no authority (RFC 9110, 7.2)."""
    actions = talk(fixed(Line()), b"GET /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")

    assert shown(actions) == [OK, b"hello"]


def test_nonsense_behind_a_request_is_an_attempt_of_its_own() -> None:
    """The first is answered as if nothing came after it."""
    line = fixed(Line())

    actions = talk(line, GET + b"\x00\x01\x02")

    assert shown(actions) == [OK, b"hello", BAD, "eof"]
    assert [sheet.status for sheet in line.sheets] == [200, 400]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            (
                "HTTP/2 by prior knowledge cannot be simulated: let the client negotiate "
                "(the service offers HTTP/1.1), or point it at a real server on loopback"
            ),
        ),
        (
            b"GET /chat HTTP/1.1\r\nHost: service.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "an upgrade to 'websocket' cannot be simulated: point the client at a real server on loopback",
        ),
        (
            b"GET /chat HTTP/1.1\r\nHost: service.test\r\nUpgrade: websocket\r\n\r\n",
            "an upgrade to 'websocket' cannot be simulated: point the client at a real server on loopback",
        ),
        (
            b"CONNECT api.test:443 HTTP/1.1\r\nHost: service.test\r\n\r\n",
            (
                "a proxy tunnel to api.test:443 through service.test cannot be simulated: "
                "call the service itself, without a proxy"
            ),
        ),
    ],
)
@pytest.mark.parametrize("size", [1_000, 8, 1])
def test_another_protocol_is_refused_by_name(raw: bytes, text: str, size: int) -> None:
    """In whatever pieces it comes; the error is kept, and the connection can be closed."""
    line = Line()
    conversation = line.conversation()

    with pytest.raises(Refused, match=f"^{re.escape(text)}$"):
        write(conversation, raw, size)

    assert conversation.receive(GET) == []
    conversation.client_closed()
    assert [str(problem) for problem in line.exchange.problems] == [text]


def test_an_offer_of_h2c_is_not_taken_up() -> None:
    """A server may go on in HTTP/1.1 (RFC 9110, 7.8), and the connection lasts."""
    line = fixed(Line())
    offer = GET.replace(
        b"Host", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\nHost"
    )

    actions = talk(line, offer + GET, GET)

    assert shown(actions) == [OK, b"hello"] * 3


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_that_offers_h2c_keeps_its_body(size: int) -> None:
    """Java's own client offers it with each request to http://, a POST too, and so does ``curl --http2``."""
    line = Line()
    offer = b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\nHost"
    chunked = POST.replace(b"Content-Length: 12", b"Transfer-Encoding: chunked").replace(b"{", b"c\r\n{")
    chunked += b"\r\n0\r\n\r\n"

    write(line.conversation(), POST.replace(b"Host", offer) + chunked.replace(b"Host", offer) + POST, size)

    assert [sheet.status for sheet in line.sheets] == [201, 201, 201]
    assert [effect.body for effect in line.service.effects] == [b'{"amount":1}'] * 3
    assert [sheet.headers.get("upgrade") for sheet in line.sheets] == ["h2c", "h2c", None]


def test_a_connection_can_be_closed_after_the_exchange_refused_its_request() -> None:
    """As when `tls` meets plain http."""
    line = Line("tls")
    conversation = line.conversation()

    with pytest.raises(Refused, match="`tls` cannot strike"):
        conversation.receive(GET)

    conversation.client_closed()
    assert line.sheets[0].operation is not None


# in any split


REQUESTS = st.lists(
    st.sampled_from(
        [
            GET,
            POST,
            POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n", 1),
            POST.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 1),
            GET.replace(b"GET", b"HEAD"),
            (
                b"POST /b HTTP/1.1\r\nHost: service.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
            ),
            b"PUT /c/1 HTTP/1.1\r\nHost: service.test\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n",
            b"GET http://other.test/x HTTP/1.1\r\nHost: service.test\r\n\r\n",
            b"GET /old HTTP/1.0\r\n\r\n",
            b"DELETE /c/1 HTTP/1.1\r\nHost: service.test\r\nConnection: close\r\n\r\n",
        ]
    ),
    min_size=1,
    max_size=4,
)
SCRIPTS = st.sampled_from(
    ["ok", "503, 429", "timeout", "reset", "truncate", "garbage", "slow=1s", "ok, drip=1s", "duplicate", "stale"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=REQUESTS, script=SCRIPTS, cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_a_stream_gives_the_same_attempts_and_answers(
    requests: list[bytes], script: str, cuts: list[int]
) -> None:
    """Where writes end is no matter."""
    raw = b"".join(requests)
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    pieces = [raw[start:stop] for start, stop in itertools.pairwise(places)]
    whole, split = Line(script), Line(script)

    in_one, in_pieces = talk(whole, raw), talk(split, *pieces)

    assert sent(in_pieces) == sent(in_one)
    assert [part for part in shown(in_pieces) if not isinstance(part, bytes)] == [
        part for part in shown(in_one) if not isinstance(part, bytes)
    ]
    assert split.arrived == whole.arrived
    assert [sheet.fault for sheet in split.sheets] == [sheet.fault for sheet in whole.sheets]


NONSENSE = st.binary(max_size=200) | st.tuples(
    st.sampled_from(
        [
            GET,
            POST,
            b"GET ",
            b"POST /a HTTP/1.1\r\nHost: service.test\r\n",
            b"POST /a HTTP/1.1\r\nHost: service.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]
    ),
    st.binary(max_size=60),
    st.sampled_from([b"", GET, b"\r\n\r\n", b" HTTP/1.1\r\nHost: service.test\r\n\r\n", b"0\r\n\r\n"]),
).map(b"".join)
TARGETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).map(
    lambda text: b"GET %s HTTP/1.1\r\nHost: service.test\r\n\r\n" % text.encode()
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=NONSENSE | TARGETS, cut=st.integers(1, 200))
def test_nonsense_never_raises(raw: bytes, cut: int) -> None:
    """Whatever comes is served, refused with a status, refused by name, or waited for; every attempt has a place."""
    line = Line()
    conversation = line.conversation()

    with contextlib.suppress(Refused):
        write(conversation, raw, cut)
    conversation.client_closed()

    assert all(sheet.operation is not None for sheet in line.sheets)


# cost


def test_reading_a_body_is_linear() -> None:
    """No piece copies what came before it: it takes little more memory than it brings."""
    conversation = fixed(Line()).conversation()
    conversation.receive(b"PUT /c/1 HTTP/1.1\r\nHost: service.test\r\nContent-Length: 10000000\r\n\r\n")
    conversation.receive(b"x" * 5_000_000)

    tracemalloc.start()
    try:
        for _ in range(100):
            conversation.receive(b"x" * 1024)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 1_000_000


def test_what_arrived_is_recorded_as_it_was_written() -> None:
    """Method, host, target and body, as the client wrote them."""
    line = Line()
    talk(line, POST + GET)

    assert line.arrived == [
        ("POST", "service.test", "/payments", b'{"amount":1}'),
        ("GET", "api.test", "/a", b""),
    ]
