"""What becomes of an attempt: whether the service took effect, what the client sees, and what it cost."""

from __future__ import annotations

import dataclasses
import http.client
import re
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from pytest_retrychaos import Chaos, Response
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.exchange.exchange import HandlerFailed
from pytest_retrychaos.faults.vocabulary import Kind
from pytest_retrychaos.text import timeline
from tests.unit.record.wire import JSON, send

BODY = b'{"amount":1}'
URL = "http://service.test/payments"


def by_http_client(scheme: str, warm: bool) -> object:
    """Send one POST with a timeout of 5 s; what http.client shows of the answer."""
    connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = connect("service.test", timeout=5)
    try:
        if warm:
            connection.request("GET", "/up")
            connection.getresponse().read()
        connection.request("POST", "/payments", BODY, JSON)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def by_requests(scheme: str, warm: bool) -> object:
    """Send one POST with a timeout of 5 s; what requests shows of the answer."""
    with requests.Session() as session:
        try:
            if warm:
                session.get(f"{scheme}://service.test/up", timeout=5)
            return session.post(f"{scheme}://service.test/payments", BODY, headers=JSON, timeout=5).status_code
        except requests.RequestException as error:
            return type(error).__name__


FAULT_TABLE = [
    # script, committed, effects, what http.client and requests show, seconds that it cost
    ("ok", True, 1, 201, 201, 0),
    ("200", True, 1, 200, 200, 0),
    ("202", True, 1, 202, 202, 0),
    ("204", True, 1, 204, 204, 0),
    ("201 retry-after=1", True, 1, 201, 201, 0),
    ("304", False, 0, 304, 304, 0),
    ("400", False, 0, 400, 400, 0),
    ("408", False, 0, 408, 408, 0),
    ("408 after-commit", True, 1, 408, 408, 0),
    ("409", False, 0, 409, 409, 0),
    ("409 after-commit", True, 1, 409, 409, 0),
    ("429", False, 0, 429, 429, 0),
    ("500", False, 0, 500, 500, 0),
    ("503", False, 0, 503, 503, 0),
    ("503 after-commit", True, 1, 503, 503, 0),
    ("599", False, 0, 599, 599, 0),
    ("timeout", False, 0, "TimeoutError", "ReadTimeout", 5),
    ("timeout after-commit", True, 1, "TimeoutError", "ReadTimeout", 5),
    ("reset", False, 0, "ConnectionResetError", "ConnectionError", 0),
    ("reset after-commit", True, 1, "ConnectionResetError", "ConnectionError", 0),
    ("eof", False, 0, "RemoteDisconnected", "ConnectionError", 0),
    ("eof after-commit", True, 1, "RemoteDisconnected", "ConnectionError", 0),
    ("refuse", False, 0, "ConnectionRefusedError", "ConnectionError", 0),
    ("dns", False, 0, "gaierror", "ConnectionError", 0),
    ("connect-timeout", False, 0, "TimeoutError", "ConnectTimeout", 5),
    ("tls", False, 0, "SSLError", "SSLError", 0),
    ("stale", False, 0, "RemoteDisconnected", "ConnectionError", 0),
    ("stale after-commit", True, 1, "RemoteDisconnected", "ConnectionError", 0),
    ("truncate", True, 1, "IncompleteRead", "ChunkedEncodingError", 0),
    ("garbage", True, 1, "BadStatusLine", "ConnectionError", 0),
    ("slow=3s", True, 1, 201, 201, 3),
    ("slow=8s", True, 1, "TimeoutError", "ReadTimeout", 5),
    ("slow=3s before-commit", True, 1, 201, 201, 3),
    ("drip=3s", True, 1, 201, 201, 3),
    ("drip=40s", True, 1, 201, 201, 40),
    ("duplicate", True, 2, 201, 201, 0),
    ("down=30s", False, 0, "ConnectionRefusedError", "ConnectionError", 0),
    ("down=30s:503", False, 0, 503, 503, 0),
]


@pytest.mark.parametrize("client", ["http.client", "requests"])
@pytest.mark.parametrize(
    ("script", "committed", "effects", "plain", "session", "cost"), FAULT_TABLE, ids=[row[0] for row in FAULT_TABLE]
)
def test_a_fault_strikes_as_the_table_says(
    chaos: Chaos, script: str, committed: bool, effects: int, plain: object, session: object, cost: float, client: str
) -> None:
    """Whether the service took effect, how often, what the client sees, and the virtual time that it cost."""
    chaos.script(script)
    call, expected = (by_http_client, plain) if client == "http.client" else (by_requests, session)

    seen = call("https" if script == "tls" else "http", script.startswith("stale"))

    attempt = chaos.attempts[-1]
    assert seen == expected
    assert attempt.fault == script
    assert (attempt.committed, attempt.effects) == (committed, effects)
    assert len(chaos.ledger) == effects
    assert chaos.clock.elapsed == cost
    assert attempt.failed is (not isinstance(seen, int) or seen >= 400)


def test_the_table_above_holds_every_kind_of_fault() -> None:
    """A new fault needs a row."""
    words = {re.split("[ =]", row[0])[0] for row in FAULT_TABLE}

    assert {kind.value for kind in Kind} - words == {"status"}


def test_a_slow_answer_behind_the_timeout_still_took_effect_at_once(chaos: Chaos) -> None:
    """The effect is dated when the request arrived."""
    chaos.script("slow=8s")
    send()

    assert [effect.at for effect in chaos.ledger] == [0.0]


# behind the end, and what is not scripted


def test_behind_the_last_step_no_fault_is_noted(chaos: Chaos) -> None:
    """A scripted ok is noted as that; what follows is the service's own answer."""
    chaos.script("ok")

    assert [send(), send()] == [201, 201]
    assert [(attempt.fault, attempt.script) for attempt in chaos.attempts] == [("ok", 0), (None, None)]


# stale


def test_stale_waits_for_a_reused_connection(chaos: Chaos) -> None:
    """A request on a new connection passes; the first on a used one meets it; the order of steps holds."""
    chaos.script("stale, 503")

    first = [send(), send()]
    with requests.Session() as session:
        ok = session.get(URL, timeout=5)
        with pytest.raises(requests.ConnectionError, match="Remote end closed connection without response"):
            session.get(URL, timeout=5)
        after = session.get(URL, timeout=5)

    assert first == [201, 201]
    assert (ok.status_code, after.status_code) == (200, 503)
    assert [attempt.fault for attempt in chaos.attempts] == [None, None, None, "stale", "503"]


# steps that strike at connecting


@pytest.mark.parametrize("fault", ["refuse", "dns", "connect-timeout"])
def test_such_a_step_closes_idle_connections_so_that_it_can_strike(chaos: Chaos, fault: str) -> None:
    """The session reconnects by itself, and meets the step there, once."""
    with requests.Session() as session:
        session.get(URL, timeout=5)
        chaos.script(fault)
        with pytest.raises(requests.ConnectionError):
            session.get(URL, timeout=5)
        assert session.get(URL, timeout=5).status_code == 200

    assert [attempt.fault for attempt in chaos.attempts] == [None, fault, None]
    assert [attempt.reached for attempt in chaos.attempts] == [True, False, True]


def test_a_client_that_has_kept_the_address_is_refused_by_a_dns_step(chaos: Chaos) -> None:
    """It asks nobody for the name, as after any look-up that it made before."""
    address = socket.getaddrinfo("service.test", 80, type=socket.SOCK_STREAM)[0][4]
    chaos.script("dns, ok")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    with socket.create_connection(address, timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: service.test\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")

    refused = chaos.attempts[0]
    assert (refused.fault, refused.error) == ("dns", "ConnectionRefusedError: [Errno 111] Connection refused")
    assert "connection refused   (dns)" in timeline(chaos.trace)


def test_such_a_step_waits_while_requests_arrive_on_an_open_connection(chaos: Chaos) -> None:
    """A raw client that does not look finds the connection closed unread; the step strikes its reconnect."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("GET", "/a")
    connection.getresponse().read()
    chaos.script("refuse")

    connection.request("POST", "/payments", BODY, JSON)
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        connection.request("POST", "/payments", BODY, JSON)

    assert [(attempt.fault, attempt.reached, attempt.committed) for attempt in chaos.attempts] == [
        (None, True, True),
        (None, False, False),
        ("refuse", False, False),
    ]
    assert chaos.ledger == ()


def test_a_connection_is_closed_after_the_answer_where_such_a_step_is_next(chaos: Chaos) -> None:
    """In one script the next attempt of a pooled client meets it."""
    chaos.script("503, refuse, ok")

    with requests.Session() as session:
        assert session.get(URL, timeout=5).status_code == 503
        with pytest.raises(requests.ConnectionError, match="Connection refused"):
            session.get(URL, timeout=5)
        assert session.get(URL, timeout=5).status_code == 200


def test_a_connection_to_another_host_stays_open(chaos: Chaos) -> None:
    """Only connections that the step could strike are closed."""
    other = http.client.HTTPConnection("other.test", timeout=5)
    other.request("GET", "/a")
    other.getresponse().read()
    chaos.script("refuse", host="service.test")

    other.request("GET", "/a")

    assert other.getresponse().status == 200
    assert send() is None
    other.close()


def test_tls_over_plain_http_is_refused(chaos: Chaos) -> None:
    """There is no handshake to fail; the error cannot be swallowed, and the attempt is on record."""
    chaos.script("tls", strict=False)
    text = "`tls` cannot strike POST http://service.test/payments: there is no handshake. Use https:// in this test"

    with pytest.raises(Refused, match=f"^{re.escape(text)}$"):
        requests.post(URL, BODY, headers=JSON, timeout=5)
    with pytest.raises(Refused, match=f"^{re.escape(text)}$"):
        chaos.verify()

    assert [operation.name for operation in chaos.operations] == ["POST /payments"]
    chaos._run.exchange.problems.clear()  # or the teardown would raise it


# down


def test_an_outage_lasts_from_the_attempt_that_meets_it(chaos: Chaos) -> None:
    """Waiting before it costs nothing of it; it ends after exactly its time, and is one step."""
    chaos.script("down=30s, 503")
    time.sleep(100)

    met = [send()]
    time.sleep(29.999)
    met.append(send())
    time.sleep(0.001)
    met += [send(), send()]

    assert met == [None, None, 503, 201]
    assert [attempt.fault for attempt in chaos.attempts] == ["down=30s", "down=30s", "503", None]
    assert chaos.trace.scripts[0].steps[0].fired == 1


def test_an_outage_is_of_the_whole_service(chaos: Chaos) -> None:
    """Every host is refused, whatever its own script says, and no other script advances."""
    chaos.script("down=30s", host="api.test")
    chaos.script("500", route="POST /payments")

    assert send() == 500
    assert send(host="api.test") is None
    chaos.script("502, ok", host="other.test")
    assert send("/refunds", host="other.test") is None
    assert send() is None
    time.sleep(30)
    assert [send("/refunds", host="other.test"), send()] == [502, 201]


def test_an_outage_meets_a_connection_that_is_still_open(chaos: Chaos) -> None:
    """A kept connection to another host is found closed, and that is the outage's doing."""
    with requests.Session() as session:
        session.get("http://other.test/up", timeout=5)
        chaos.script("down=30s", host="api.test")
        send(host="api.test")

        with pytest.raises(requests.ConnectionError, match="Remote end closed connection"):
            session.get("http://other.test/up", timeout=5)

    attempt = chaos.attempts[-1]
    assert (attempt.fault, attempt.script, attempt.reached) == ("down=30s", 0, False)


@pytest.mark.parametrize("behind", ["refuse", "dns", "connect-timeout"])
def test_no_step_is_taken_while_an_outage_lasts(chaos: Chaos, behind: str) -> None:
    """A step that strikes at connecting waits for the outage's end."""
    chaos.script(f"down=30s, {behind}")

    for _ in range(3):
        send()
        time.sleep(15)
    send()

    assert [attempt.fault for attempt in chaos.attempts] == ["down=30s", "down=30s", behind, None]


def test_an_outage_that_answers_lasts_as_long(chaos: Chaos) -> None:
    """Each attempt in it gets the status, on every host; connecting works."""
    chaos.script("down=30s:503, refuse")

    met = [send()]
    time.sleep(29)
    met.append(send(host="other.test"))
    time.sleep(1)
    met += [send(), send()]

    assert met == [503, 503, None, 201]
    assert len(chaos.ledger) == 1


def test_two_outages_follow_one_another(chaos: Chaos) -> None:
    """The second begins with the attempt that meets it."""
    chaos.script("down=10s x2")

    met = []
    for _ in range(4):
        met.append(send())
        time.sleep(10)

    assert met == [None, None, 201, 201]


# slow before-commit


def test_a_postponed_request_commits_late_though_the_client_has_gone(chaos: Chaos) -> None:
    """After the client's own timeout nothing is there; at its time it is, dated then."""
    chaos.script("slow=8s before-commit")

    assert send() is None
    assert chaos.ledger == ()
    time.sleep(2.999)
    assert chaos.ledger == ()
    time.sleep(0.001)

    assert [(effect.attempt, effect.at) for effect in chaos.ledger] == [(1, 8.0)]
    assert chaos.attempts[0].committed


def test_a_postponed_request_holds_its_key_in_flight(chaos: Chaos) -> None:
    """The retry is told to wait; afterwards it gets the stored answer, and there is one effect."""
    chaos.script("slow=8s before-commit")

    statuses = [send(key="k"), send(key="k")]
    time.sleep(3)
    statuses.append(send(key="k"))

    assert statuses == [None, 409, 201]
    assert [attempt.replayed for attempt in chaos.attempts] == [False, False, True]
    assert len(chaos.ledger) == 1


def test_a_postponed_retry_without_a_key_is_a_second_effect(chaos: Chaos) -> None:
    """In the order in which they took effect."""
    chaos.script("slow=8s before-commit")
    send()
    send()
    time.sleep(10)

    assert [(effect.attempt, effect.at) for effect in chaos.ledger] == [(2, 5.0), (1, 8.0)]


def test_verify_settles_what_is_postponed(chaos: Chaos) -> None:
    """None is forgotten because the test ended before its time."""
    chaos.script("slow=1h before-commit")
    send()

    chaos.verify()

    assert len(chaos.ledger) == 1


def test_a_replay_is_not_postponed(chaos: Chaos) -> None:
    """The key's answer is there already."""
    send(key="k")
    chaos.script("slow=3s before-commit")

    assert send(key="k") == 201
    assert chaos.clock.elapsed == 0
    assert chaos.attempts[-1].replayed


def test_two_postponed_requests_settle_in_order_of_their_times(chaos: Chaos) -> None:
    """The later one sent may be the earlier one done."""
    chaos.script("slow=60s before-commit, slow=10s before-commit")
    send("/a")
    send("/b")
    time.sleep(100)

    assert [(effect.target, effect.at) for effect in chaos.ledger] == [("/b", 15.0), ("/a", 60.0)]


# duplicate


def test_a_duplicate_without_a_key_takes_effect_twice(chaos: Chaos) -> None:
    """One attempt, two rows; the client gets the first answer."""
    chaos.script("duplicate")

    answer = requests.post(URL, BODY, headers=JSON, timeout=5)

    assert answer.status_code == 201
    assert [effect.attempt for effect in chaos.ledger] == [1, 1]
    first = requests.get(f"{URL}/{answer.json()['id']}", timeout=5).json()
    assert first == answer.json()


def test_a_duplicate_with_a_key_takes_effect_once(chaos: Chaos) -> None:
    """The service replays to the twin; what the client gets is no replay."""
    chaos.script("duplicate")

    answer = requests.post(URL, BODY, headers={**JSON, "Idempotency-Key": "k"}, timeout=5)

    assert "Idempotent-Replayed" not in answer.headers
    assert len(chaos.ledger) == 1
    assert not chaos.attempts[0].replayed


# scripted answers


def post(**more: Any) -> requests.Response:
    return requests.post(URL, BODY, headers=JSON, timeout=5, **more)


def test_a_scripted_2xx_is_the_services_own_answer_under_that_status(chaos: Chaos) -> None:
    """Body and headers are the service's; the options come on top."""
    chaos.script('202 retry-after=1 header="X-Queue: a" header="X-Queue: b"')

    answer = post()

    assert answer.status_code == 202
    assert answer.json()["amount"] == 1
    assert answer.headers["Location"] == f"/payments/{answer.json()['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["X-Queue"] == "a, b"
    assert chaos.attempts[0].own_answer


def test_a_201_with_retry_after_is_a_success(chaos: Chaos) -> None:
    """It took effect, and is no failure."""
    chaos.script("201 retry-after=1")
    post()

    assert not chaos.attempts[0].failed
    assert chaos.attempts[0].response_headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("step", "headers", "body"),
    [
        ("503", {}, b""),
        ("503 retry-after=2", {"Retry-After": "2"}, b""),
        ("503 retry-after=1.5", {"Retry-After": "1.5"}, b""),
        ("429 retry-after=-5", {"Retry-After": "-5"}, b""),
        ("503 retry-after=100000000000000", {"Retry-After": "100000000000000"}, b""),
        ('503 retry-after="soon"', {"Retry-After": "soon"}, b""),
        ('503 body="sorry"', {"Content-Type": "text/plain; charset=utf-8"}, b"sorry"),
        ('503 body="{}"', {"Content-Type": "application/json"}, b"{}"),
        ('503 body="é"', {"Content-Type": "text/plain; charset=utf-8"}, "é".encode()),
        (
            '503 body="{}" header="Content-Type: application/problem+json"',
            {"Content-Type": "application/problem+json"},
            b"{}",
        ),
        ('503 retry-after=1 header="Retry-After: 3"', {"Retry-After": "1, 3"}, b""),
        ('302 header="Location: /b"', {"Location": "/b"}, b""),
        ('200 body="<html>"', {"Content-Type": "text/plain; charset=utf-8"}, b"<html>"),
        ('200 body="<html>" header="content-type: text/html"', {"Content-Type": "text/html"}, b"<html>"),
    ],
)
def test_a_scripted_answer_is_sent_as_written(chaos: Chaos, step: str, headers: dict[str, str], body: bytes) -> None:
    """Its fields, each once, its body, the right length, and a date on virtual time."""
    chaos.script(step)

    answer = post(allow_redirects=False)

    sent = dict(answer.headers)
    assert sent.pop("Date") == "Tue, 01 Jan 2030 00:00:00 GMT"
    assert sent.pop("Content-Length") == str(len(body))
    assert {name.title(): value for name, value in sent.items() if name not in ("Location", "ETag") or headers} == {
        **headers,
        **({"Location": sent["Location"]} if step.startswith("200") else {}),
    }
    assert answer.content == body


def test_a_scripted_body_replaces_what_described_the_services_own(chaos: Chaos) -> None:
    """The length of the body that it replaces would cut it off."""
    fields = {"Content-Length": "5", "Content-Type": "text/x-own", "ETag": '"1"', "X-Kept": "yes"}
    chaos.service.route("POST", "/payments", lambda _: Response(200, Response.json(1, 200, fields).headers, b"hello"))
    chaos.script('200 body="longer than five"')

    answer = post()

    assert answer.text == "longer than five"
    assert answer.headers["X-Kept"] == "yes"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "ETag" not in answer.headers


def test_a_scripted_field_replaces_the_services_own(chaos: Chaos) -> None:
    """But for cookies, which add up."""
    fields = {"Cache-Control": "max-age=60", "Set-Cookie": "a=1"}
    chaos.service.route("POST", "/payments", lambda _: (200, {}, fields))
    chaos.script('200 header="cache-control: no-store" header="Set-Cookie: b=2"')

    answer = post()

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.cookies.get_dict() == {"a": "1", "b": "2"}


def test_dates_and_placeholders_follow_the_wall_clock(chaos: Chaos) -> None:
    """After 100 s of virtual time both are 100 s later."""
    chaos.script('429 retry-after=date+2s header="X-RateLimit-Reset: {now-5s}" header="X-Now: {now}"')
    time.sleep(100)
    began = time.time()

    answer = post()

    assert answer.headers["Date"] == "Tue, 01 Jan 2030 00:01:40 GMT"
    assert answer.headers["Retry-After"] == "Tue, 01 Jan 2030 00:01:42 GMT"
    assert parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - began == 2
    assert int(answer.headers["X-RateLimit-Reset"]) - began == -5
    assert int(answer.headers["X-Now"]) == began


def test_a_past_date_can_be_scripted(chaos: Chaos) -> None:
    """It lies before the Date of its own answer."""
    chaos.script("503 retry-after=date-1m")

    assert post().headers["Retry-After"] == "Mon, 31 Dec 2029 23:59:00 GMT"


def test_an_answer_after_commit_does_not_show_what_was_done(chaos: Chaos) -> None:
    """The effect is there, the answer is a bare error."""
    chaos.script("502 after-commit")

    answer = post()

    assert (answer.status_code, answer.content) == (502, b"")
    assert "Location" not in answer.headers
    assert len(chaos.ledger) == 1
    assert not chaos.attempts[0].own_answer


@pytest.mark.parametrize(
    ("profile", "status", "expected"),
    [
        ("default", 503, b""),
        ("naive", 503, b""),
        ("stripe", 503, {"error": {"type": "api_error", "message": "Something went wrong on Stripe's end."}}),
        (
            "stripe",
            402,
            {"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}},
        ),
        (
            "ietf",
            503,
            {
                "type": "about:blank",
                "title": "Service Unavailable",
                "status": 503,
                "detail": "Service Unavailable",
            },
        ),
    ],
)
def test_an_error_has_the_profiles_shape(chaos: Chaos, profile: str, status: int, expected: object) -> None:
    """Stripe and the IETF draft word their errors; others send none."""
    chaos.service.profile = profile
    chaos.script(str(status))

    answer = post()

    assert (answer.json() if isinstance(expected, dict) else answer.content) == expected


def test_a_scripted_body_stands_in_place_of_the_profiles(chaos: Chaos) -> None:
    """And with a type of its own."""
    chaos.service.profile = "stripe"
    chaos.script('503 body="upstream" retry-after=1')

    answer = post()

    assert answer.text == "upstream"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Request-Id"].startswith("req_")


# latency


@pytest.mark.parametrize(
    ("script", "cost"),
    [
        ("ok", 0.25),
        ("503", 0.25),
        ("reset", 0.25),
        ("eof after-commit", 0.25),
        ("slow=3s", 3.25),
        ("slow=3s before-commit", 3.25),
        ("drip=3s", 3.25),
        ("truncate", 0.25),
        ("timeout", 5),
        ("refuse", 0),
    ],
)
def test_latency_is_what_every_answer_costs(chaos: Chaos, script: str, cost: float) -> None:
    """On top of the fault's own time; not where no answer comes or nothing was sent."""
    chaos.service.latency = 0.25
    chaos.script(script)

    send()

    assert chaos.clock.elapsed == cost


def test_a_latency_over_the_timeout_is_a_timeout(chaos: Chaos) -> None:
    """The effect is there all the same."""
    chaos.service.latency = 6

    assert send() is None
    assert chaos.clock.elapsed == 5
    assert len(chaos.ledger) == 1


# handlers


def test_what_a_handler_did_wrong_is_told_as_its_own(chaos: Chaos) -> None:
    """The client gets a 500; verify raises the handler's error, with its cause, whatever the client does."""
    chaos.service.route("POST", "/payments", lambda request: request.json()["missing"])

    assert send() == 500
    with pytest.raises(HandlerFailed) as raised:
        chaos.verify()

    assert str(raised.value) == "the handler for POST /payments failed, not the client: KeyError: 'missing'"
    assert isinstance(raised.value.__cause__, KeyError)
    assert chaos.ledger == ()
    chaos._run.exchange.problems.clear()  # or the teardown would raise it


def test_a_handler_that_fails_late_is_told_too(chaos: Chaos) -> None:
    """A postponed request fails when its time has come."""
    chaos.service.route("POST", "/payments", lambda _: 1 / 0)
    chaos.script("slow=3s before-commit")

    assert send() == 500
    assert [str(problem) for problem in chaos._run.exchange.problems] == [
        "the handler for POST /payments failed, not the client: ZeroDivisionError: division by zero"
    ]
    chaos._run.exchange.problems.clear()


def test_a_handler_is_not_asked_where_nothing_commits(chaos: Chaos) -> None:
    """Once for the 500 after-commit, and never for the bare ones."""
    asked = []
    chaos.service.route("POST", "/payments", lambda request: asked.append(request.method))
    chaos.script("503, reset, timeout, 500 after-commit")

    statuses = [send() for _ in range(4)]

    assert statuses == [503, None, None, 500]
    assert asked == ["POST"]


# requests that are none


@pytest.mark.parametrize(
    ("raw", "status", "method"),
    [
        (b"nonsense\r\n\r\n", 400, "GET"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: service.test\r\n\r\n", 414, "GET"),
        (b"PUT / HTTP/1.1\r\nHost: service.test\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431, "PUT"),
        (b"POST /a HTTP/1.1\r\nHost: service.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "POST"),
    ],
)
def test_a_malformed_request_is_one_attempt_and_commits_nothing(
    chaos: Chaos, raw: bytes, status: int, method: str
) -> None:
    """The service's own refusal, with an operation of its own; the next request is served."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.connect()
    connection.send(raw)
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    answer.read()
    connection.close()

    assert answer.status == status
    assert [(one.method, one.status, one.own_answer, one.committed) for one in chaos.attempts] == [
        (method, status, True, False)
    ]
    assert len(chaos.operations) == 1
    assert send() == 201


def test_a_request_cut_short_is_recorded_with_what_was_announced(chaos: Chaos) -> None:
    """The service has not carried it out."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.putrequest("POST", "/payments")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"abc")
    connection.close()

    body = chaos.attempts[0].body
    assert (body.size, body.announced, body.start) == (3, 10, b"abc")
    assert chaos.attempts[0].cut
    assert chaos.ledger == ()


def test_a_head_sent_to_a_dropped_connection_is_an_attempt_with_an_operation(chaos: Chaos) -> None:
    """The client reads the end before it has sent its body."""
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("GET", "/a")
    connection.getresponse().read()
    chaos.script("refuse", strict=False)
    connection.putrequest("POST", "/payments")
    connection.putheader("Content-Length", "3")
    connection.endheaders()
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()

    assert [operation.name for operation in chaos.operations] == ["GET /a", "POST /payments"]
    assert chaos.attempts[1].error == "EOF: the connection ended without an answer"


# a script is a value: what it says is what happens


@pytest.mark.parametrize("write", [str, lambda steps: list(steps.steps)], ids=["text", "constructors"])
def test_text_and_constructors_strike_alike(chaos: Chaos, write: Callable[[Any], Any]) -> None:
    """The same trace, but for nothing."""
    from pytest_retrychaos import parse

    script = parse("503 retry-after=2, reset after-commit, slow=1s before-commit")
    chaos.script(write(script))

    assert [send(key="k") for _ in range(4)] == [503, None, 201, 201]
    assert [attempt.fault for attempt in chaos.attempts][:2] == ["503 retry-after=2", "reset after-commit"]
    assert dataclasses.astuple(chaos.ledger[0])[:4] == (1, 2, "POST", "service.test")
