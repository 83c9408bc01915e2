"""The client's end of a simulated connection: what reading and writing return, raise and cost."""

from __future__ import annotations

import errno
import tracemalloc
from collections.abc import Callable

import pytest

from pytest_retrychaos import Response
from pytest_retrychaos.model import SECOND, Headers
from pytest_retrychaos.transports.channel import Channel
from tests.unit.transports.line import Line, Silence

GET = b"GET /a HTTP/1.1\r\nHost: service.test\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 10\r\n\r\n",
    b"0123456789",
)


def opened(script: str | None = None, body: bytes = ANSWER[1], timeout: float | None = 5) -> tuple[Line, Channel]:
    """A line whose GET /a is answered with a body, and a connection on it."""
    line = Line(script)
    line.service.route("GET", "/a", lambda _: Response(200, Headers(), body))
    return line, line.channel(timeout)


def drain(channel: Channel, limit: int = 65_536) -> bytes:
    """Read until the end."""
    parts = []
    while part := channel.receive(limit):
        parts.append(part)
    return b"".join(parts)


# reading


def test_a_read_returns_all_that_is_there_up_to_its_limit() -> None:
    """Header block and body run together, as in a real socket's buffer."""
    _, channel = opened()
    channel.send(GET)

    assert channel.receive(65_536) == b"".join(ANSWER)


@pytest.mark.parametrize("limit", [1, 7, len(ANSWER[0]), len(ANSWER[0]) + 1])
def test_small_reads_lose_nothing(limit: int) -> None:
    """Byte by byte or across the header block's end; the attempt ends with the last byte."""
    line, channel = opened()
    channel.send(GET)
    wanted, parts = len(b"".join(ANSWER)), b""

    while len(parts) < wanted:
        assert line.sheets[0].ended_ns is None
        part = channel.receive(limit)
        assert len(part) <= limit
        parts += part

    assert parts == b"".join(ANSWER)
    assert line.sheets[0].ended_ns == 0


def test_the_headers_moment_is_when_their_last_byte_was_read() -> None:
    """Not earlier; the body's is its own."""
    line, channel = opened()
    channel.send(GET)
    sheet = line.sheets[0]

    channel.receive(len(ANSWER[0]) - 1)
    assert sheet.headers_ns is None
    line.now_ns = 1
    channel.receive(1)
    assert (sheet.headers_ns, sheet.last_byte_ns) == (1, None)
    line.now_ns = 2
    channel.receive(100)

    assert (sheet.headers_ns, sheet.last_byte_ns) == (1, 2)


@pytest.mark.parametrize("limit", [3, len(ANSWER[0]) + 3, 65_536])
def test_peeking_takes_nothing(limit: int) -> None:
    """However often: the bytes stay, and the client has not seen the answer."""
    line, channel = opened()
    channel.send(GET)

    looked = [channel.receive(limit, peek=True) for _ in range(3)]

    assert looked == [b"".join(ANSWER)[:limit]] * 3
    assert line.sheets[0].headers_ns is None
    assert channel.receive(65_536) == b"".join(ANSWER)


def test_peeking_at_the_end_reports_nothing() -> None:
    """As a pool does that looks whether a connection is still open."""
    line, channel = opened("eof")
    channel.send(GET)

    assert channel.receive(1, peek=True) == b""
    assert line.sheets[0].error is None
    assert channel.receive(1) == b""
    assert line.sheets[0].error == "EOF: the connection ended without an answer"


def test_the_end_stays_the_end() -> None:
    """Every further read returns nothing, and costs nothing."""
    line, channel = opened("eof")
    channel.send(GET)

    assert [channel.receive(10) for _ in range(3)] == [b"", b"", b""]
    assert line.now_ns == 0


def test_a_read_of_nothing_returns_at_once() -> None:
    """As CPython's does, whatever is or is not there; a negative one is an error."""
    line, channel = opened("timeout")
    channel.send(GET)

    assert channel.receive(0) == b""
    assert line.now_ns == 0
    with pytest.raises(ValueError, match="negative buffersize in recv"):
        channel.receive(-1)


# waiting


def test_silence_costs_the_clients_own_timeout() -> None:
    """A TimeoutError, as a socket raises it; the attempt ends with it."""
    line, channel = opened("timeout")
    channel.send(GET)

    with pytest.raises(TimeoutError, match=r"^timed out$"):
        channel.receive(10)

    assert line.now_ns == 5 * SECOND
    assert line.sheets[0].error == "TimeoutError: timed out"
    assert line.sheets[0].timeout_ns == 5 * SECOND


def test_silence_without_a_timeout_is_told_at_once() -> None:
    """It would be for ever; no time passes."""
    line, channel = opened("timeout", timeout=None)
    channel.send(GET)

    with pytest.raises(Silence, match=r"^service\.test$"):
        channel.receive(10)

    assert line.now_ns == 0
    assert line.sheets[0].was_silent


def test_reading_before_anything_was_sent_is_silence_too() -> None:
    """There is no attempt to blame for it."""
    line, channel = opened()

    with pytest.raises(TimeoutError):
        channel.receive(10)

    assert line.sheets == []


@pytest.mark.parametrize("script", ["timeout", "slow=3s", "slow=3s before-commit"])
def test_a_zero_timeout_never_waits(script: str) -> None:
    """BlockingIOError with EAGAIN; the attempt goes on."""
    line, channel = opened(script, timeout=0)
    channel.send(GET)

    with pytest.raises(BlockingIOError) as raised:
        channel.receive(10)

    assert raised.value.errno == errno.EAGAIN
    assert line.now_ns == 0
    assert line.sheets[0].error is None


@pytest.mark.parametrize("script", ["slow=3s", "slow=3s before-commit"])
def test_a_late_answer_is_readable_from_its_time_on(script: str) -> None:
    """A client that polls sees it at exactly that moment."""
    line, channel = opened(script, timeout=0)
    channel.send(GET)

    assert not channel.is_readable
    line.now_ns = 3 * SECOND - 1
    assert not channel.is_readable
    line.now_ns = 3 * SECOND

    assert channel.is_readable
    assert channel.receive(15) == b"HTTP/1.1 200 OK"


def test_a_late_answer_costs_its_wait() -> None:
    """Time passes up to it and no further."""
    line, channel = opened("slow=3s")
    channel.send(GET)

    assert channel.receive(15) == b"HTTP/1.1 200 OK"
    assert line.now_ns == 3 * SECOND


def test_an_answer_at_the_very_end_of_the_timeout_arrives() -> None:
    """Five seconds are not more than five seconds."""
    _, channel = opened("slow=5s")
    channel.send(GET)

    assert channel.receive(15) == b"HTTP/1.1 200 OK"


def test_after_a_timeout_the_answer_can_still_be_read() -> None:
    """A client that goes on waiting on the same connection gets it; the attempt had failed for it."""
    line, channel = opened("slow=8s")
    channel.send(GET)
    with pytest.raises(TimeoutError):
        channel.receive(15)

    assert channel.receive(15) == b"HTTP/1.1 200 OK"
    assert line.now_ns == 8 * SECOND
    assert line.sheets[0].failed


def test_a_dripping_body_is_a_wait_for_each_piece() -> None:
    """The timeout is for a read, not for the whole: 40 s in pieces of 4 s pass with a timeout of 5 s."""
    line, channel = opened("drip=40s")
    channel.send(GET)
    channel.receive(65_536)
    moments = []

    for _ in range(10):
        part = channel.receive(65_536)
        moments.append((part, line.now_ns // SECOND))

    assert moments == [(b"%d" % number, 4 * (number + 1)) for number in range(10)]
    assert line.sheets[0].last_byte_ns == 40 * SECOND


def test_pieces_that_came_meanwhile_are_read_one_by_one_without_a_wait() -> None:
    """A client that slept finds them there."""
    line, channel = opened("drip=40s")
    channel.send(GET)
    line.now_ns = 60 * SECOND

    parts = [channel.receive(65_536) for _ in range(11)]

    assert b"".join(parts[1:]) == b"0123456789"
    assert line.now_ns == 60 * SECOND


def test_a_drip_slower_than_the_timeout_fails_between_pieces() -> None:
    """The client has had the headers."""
    line, channel = opened("drip=100s")
    channel.send(GET)
    channel.receive(65_536)

    with pytest.raises(TimeoutError):
        channel.receive(65_536)

    assert line.now_ns == 5 * SECOND
    assert line.sheets[0].headers_ns == 0


# ends


def test_a_reset_is_raised_once_and_then_the_connection_is_broken() -> None:
    """ECONNRESET for the read, then the end; EPIPE for a write."""
    line, channel = opened("reset")
    channel.send(GET)

    with pytest.raises(ConnectionResetError) as raised:
        channel.receive(10)
    assert raised.value.errno == errno.ECONNRESET
    assert channel.receive(10) == b""
    with pytest.raises(BrokenPipeError) as broken:
        channel.send(GET)

    assert broken.value.errno == errno.EPIPE
    assert len(line.sheets) == 1
    assert line.sheets[0].error == "ConnectionResetError: [Errno 104] Connection reset by peer"


def test_a_write_after_the_servers_end_is_taken_and_not_read() -> None:
    """A real one is, too, the first time."""
    line, channel = opened("eof")
    channel.send(GET)
    channel.receive(10)

    assert channel.send(GET) == len(GET)
    assert len(line.sheets) == 1
    assert channel.receive(10) == b""


def test_a_truncated_answer_ends_before_it_is_whole() -> None:
    """Half of the body, then the end, which is when the attempt ends."""
    line, channel = opened("truncate")
    channel.send(GET)

    assert drain(channel) == ANSWER[0] + b"01234"
    assert line.sheets[0].error == "EOF: the connection ended before the answer was whole"
    assert line.sheets[0].last_byte_ns is None


def test_an_idle_connection_that_was_dropped_reads_as_ended() -> None:
    """Readable, and at its end; what is written to it is noted."""
    line, channel = opened()
    channel.send(GET)
    channel.receive(65_536)
    assert not channel.is_readable

    channel.drop_idle()

    assert channel.is_readable
    channel.send(GET)
    assert channel.receive(10) == b""
    assert [sheet.reached for sheet in line.sheets] == [True, False]
    assert line.sheets[1].error == "EOF: the connection ended without an answer"


def test_a_body_sent_on_after_the_end_was_seen_is_no_error() -> None:
    """The client had written the head to a dropped connection, read its end, and writes its body all the same."""
    line, channel = opened()
    channel.send(GET)
    channel.receive(65_536)
    channel.drop_idle()
    channel.send(b"POST /b HTTP/1.1\r\nHost: service.test\r\nContent-Length: 3\r\n\r\n")
    assert channel.receive(10) == b""

    channel.send(b"abc")
    channel.close()

    assert line.sheets[1].kept_body.start == b"abc"


def test_a_connection_in_use_is_not_dropped() -> None:
    """The answer that is on its way arrives."""
    _, channel = opened("slow=1s")
    channel.send(GET[:5])
    channel.drop_idle()
    channel.send(GET[5:])

    assert channel.receive(15) == b"HTTP/1.1 200 OK"


# closing


@pytest.mark.parametrize(
    "act",
    [
        lambda channel: channel.receive(1),
        lambda channel: channel.send(b"x"),
        lambda channel: channel.shut_down(reading=True, writing=True),
    ],
)
def test_a_closed_connection_is_a_bad_descriptor(act: Callable[[Channel], object]) -> None:
    """EBADF, for reading and for writing, whatever was there to read."""
    _, channel = opened()
    channel.send(GET)
    channel.close()
    channel.close()

    with pytest.raises(OSError, match="Bad file descriptor") as raised:
        act(channel)

    assert raised.value.errno == errno.EBADF


def test_closing_while_the_service_is_silent_is_a_timeout() -> None:
    """Some clients end a wait so; with a part of the answer read it is a cut."""
    silent, waiting = opened("timeout")
    waiting.send(GET)
    waiting.close()
    partly, reading = opened()
    reading.send(GET)
    reading.receive(len(ANSWER[0]))
    reading.close()

    assert silent.sheets[0].error == "timeout: closed by the client while the service was silent"
    assert (silent.sheets[0].cut, partly.sheets[0].cut) == (False, True)


def test_closing_after_the_whole_answer_is_no_failure() -> None:
    """Nothing was cut."""
    line, channel = opened()
    channel.send(GET)
    channel.receive(65_536)
    channel.close()

    assert not line.sheets[0].failed
    assert not line.sheets[0].cut


# writing


def test_nothing_is_written_after_the_clients_own_end() -> None:
    """EPIPE, as the kernel says; what the server answers is still read."""
    _, channel = opened()
    channel.send(GET)
    channel.shut_down(reading=False, writing=True)
    channel.shut_down(reading=False, writing=True)

    with pytest.raises(BrokenPipeError):
        channel.send(b"x")

    assert drain(channel) == b"".join(ANSWER)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_written(kind: Callable[[bytes], bytes]) -> None:
    """And its length is returned; nothing written is nothing sent."""
    _, channel = opened()

    assert channel.send(b"") == 0
    assert channel.send(kind(GET)) == len(GET)
    assert channel.receive(15) == b"HTTP/1.1 200 OK"


def test_a_buffer_may_be_reused_after_it_was_written() -> None:
    """What was sent does not change with it."""
    line, channel = opened()
    buffer = bytearray(b"POST /b HTTP/1.1\r\nHost: service.test\r\nContent-Length: 3\r\n\r\nabc")
    channel.send(memoryview(buffer)[:-1])
    buffer[-3:] = b"xyz"
    channel.send(b"c")

    assert line.sheets[0].kept_body.start == b"abc"


def test_two_answers_are_read_in_order() -> None:
    """Pipelined requests: each attempt ends when its own answer was read."""
    line, channel = opened("503, ok")
    channel.send(GET + GET)
    first = channel.receive(12)

    assert first == b"HTTP/1.1 503"
    assert drain_to(channel, b"0123456789").endswith(b"0123456789")
    assert [sheet.status for sheet in line.sheets] == [503, 200]
    assert all(sheet.ended_ns == 0 for sheet in line.sheets)


def drain_to(channel: Channel, last: bytes) -> bytes:
    """Read until these bytes have come."""
    content = b""
    while not content.endswith(last):
        content += channel.receive(7)
    return content


# cost


def test_reading_a_large_body_in_small_pieces_is_linear() -> None:
    """No read copies what it leaves: it takes little more memory than it gives."""
    _, channel = opened(body=b"x" * 10_000_000)
    channel.send(GET)
    channel.receive(1024)

    tracemalloc.start()
    try:
        for _ in range(100):
            channel.receive(1024)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 100_000
