"""``transport="loopback"``: a real server, in real time, with the same script, service, record and laws."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import threading
import time

import pytest
import requests

from pytest_retrychaos import CannotTell, Chaos, LawsBroken, Response
from pytest_retrychaos.clock.errors import Refused
from tests.plugin import inner
from tests.watch import patched_state


@pytest.fixture
def loopback():
    """Start a run on a real server."""
    runs = []

    def start(script: str | None = None, **options: object) -> Chaos:
        runs.append(Chaos(script, transport="loopback", **options))
        return runs[-1].__enter__()

    yield start
    for run in runs:
        run.__exit__(None, None, None)


def post(chaos: Chaos, amount: int = 1, **headers: str) -> int:
    """Post once, over a connection of its own."""
    return requests.post(f"{chaos.url}/payments", json={"amount": amount}, headers=headers, timeout=5).status_code


def test_the_marker_starts_a_real_server_for_a_test(pytester):
    """The fixture is used as on any transport; a law that is broken is told in the same words."""
    pytester.makepyfile("""
        import subprocess, sys
        import pytest

        CODE = '''
        import sys, urllib.request
        for _ in range(2):
            try:
                urllib.request.urlopen(sys.argv[1] + "/payments", b"amount=1", timeout=5)
            except OSError as error:
                print(error)
        '''

        @pytest.mark.chaos("reset after-commit, ok", transport="loopback")
        def test_another_process_charges_twice(chaos):
            subprocess.run([sys.executable, "-c", CODE, chaos.url], check=True)
            assert len(chaos.ledger) == 2
            chaos.verify()
    """)

    result = inner.run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*ID01, ID04 broken: 2 findings", "E*committed, then the response was lost*"])


def test_the_address_is_one_of_this_machine(loopback):
    """IPv4 in the URL, IPv6 on the same port."""
    chaos = loopback()
    port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)", chaos.url)[1])

    with socket.create_connection(("::1", port)) as sock:
        sock.sendall(b"GET /rates HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_port_can_be_named(loopback):
    """``listen`` takes an address and a port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert loopback(listen=f"127.0.0.1:{port}").url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("host", "way_out"),
    [
        ("203.0.113.1", "this machine has no such address: name one of its own, or leave listen= out"),
        ("127.0.0.1", "another program has that port: name another one, or 0 for any that is free"),
    ],
)
def test_an_address_that_is_not_to_be_had_is_refused_by_name(pytester, host, way_out):
    """Without the code in which that was noticed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        pytester.makepyfile(f"""
            import pytest

            @pytest.mark.chaos(transport="loopback", listen="{host}:{port}")
            def test_one(chaos): pass
        """)
        result = inner.run(pytester)

    result.assert_outcomes(errors=1)
    where = f"{host}:{port}"
    said = f"@pytest.mark.chaos(listen='{where}'): cannot listen on {host}, port {port}: {way_out}"
    assert said in result.stdout.str().splitlines()
    result.stdout.no_fnmatch_line("E  *")


def test_an_address_that_is_not_to_be_had_is_refused_without_the_plugin():
    """As the OSError that it is."""
    run = Chaos(transport="loopback", listen="203.0.113.1:0")

    with pytest.raises(OSError, match=r"^listen='203\.0\.113\.1:0': cannot listen on ") as told, run:
        pass

    assert told.value.errno == errno.EADDRNOTAVAIL


def test_nothing_is_patched_while_it_runs(loopback):
    """Time, sockets and TLS stay what they are."""
    before = patched_state()

    loopback("503, ok")

    assert patched_state() == before


def test_time_is_real_and_cannot_be_moved(loopback):
    """``chaos.clock`` reads it; moving it is refused by name."""
    chaos = loopback()
    began = chaos.clock.elapsed
    time.sleep(0.02)

    assert 0.02 <= chaos.clock.elapsed - began < 30
    assert abs(chaos.clock.now.timestamp() - time.time()) < 30
    with pytest.raises(Refused, match=r"chaos\.clock\.advance\(5\) on transport='loopback': its time is real"):
        chaos.clock.advance(5)


def test_what_a_client_has_seen_is_in_the_record_at_once(loopback):
    """Neither an answer nor a client's own timeout is in flight for the test that looks right after it."""
    chaos = loopback("timeout x5, ok")
    for _ in range(5):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{chaos.url}/rates", timeout=0.02)
        assert chaos.attempts[-1].ended_ns is not None

    for number in range(1, 20):
        post(chaos, number)
        assert chaos.attempts[-1].last_byte_ns is not None
        assert len(chaos.ledger) == number


def test_a_client_that_gave_up_and_came_back_is_one_operation(loopback):
    """Its end is taken in before its next request, though both may be there at once."""
    chaos = loopback("timeout x8, ok")
    for _ in range(8):
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{chaos.url}/payments", data=b"x", timeout=0.02)
    requests.post(f"{chaos.url}/payments", data=b"x", timeout=5)

    assert [len(operation.attempts) for operation in chaos.operations] == [9]


@pytest.mark.parametrize("others", [0, 1])
def test_a_client_that_came_back_before_it_was_let_in_is_one_operation(loopback, others):
    """A busy machine lets nobody in for a while: both connections wait, the first one given up already."""
    chaos = loopback("timeout, ok")
    server = chaos.recorded.started_server()
    request = b"GET /rates HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with server.held():
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(others)]
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.sendall(request)
        second = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        second.sendall(request)
    assert second.recv(100).startswith(b"HTTP/1.1 200")
    for sock in (*idle, second):
        sock.close()

    assert [len(operation.attempts) for operation in chaos.operations] == [2]


def test_a_client_that_came_back_while_another_came_is_one_operation(loopback):
    """It had been let in, and its end is reported behind a connection that was made before."""
    chaos = loopback("timeout, ok")
    server = chaos.recorded.started_server()
    request = b"GET /rates HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    first = socket.create_connection(("127.0.0.1", server.port))
    first.sendall(request)
    while not chaos.attempts:
        time.sleep(0.01)
    with server.held():
        other = socket.create_connection(("127.0.0.1", server.port))
        first.close()
        second = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        second.sendall(request)
    assert second.recv(100).startswith(b"HTTP/1.1 200")
    for sock in (other, second):
        sock.close()

    assert [len(operation.attempts) for operation in chaos.operations] == [2]


def test_retries_of_clients_that_cannot_be_told_apart_are_not_joined(loopback):
    """Two equal requests failed: whose retry comes next is not known, and no law accuses anyone."""
    chaos = loopback("503 retry-after=1 x2, ok")
    port = int(chaos.url.rpartition(":")[2])
    head = b"POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port)) as first,
        socket.create_connection(("127.0.0.1", port)) as second,
    ):
        first.sendall(head)
        while not chaos.attempts:
            time.sleep(0.001)
        second.sendall(head + b"amount=1")
        second.recv(1000)
        first.sendall(b"amount=1")
        first.recv(1000)
        first.sendall(head + b"amount=1")
        first.recv(1000)

    assert [attempt.joined for attempt in chaos.attempts] == ["began"] * 3
    assert chaos.trace.operations[2].one_or_two


def test_requests_belong_to_the_one_scope_that_is_open(loopback):
    """The test names it, though the request comes from elsewhere."""
    chaos = loopback()
    with chaos.operation("order 7"):
        post(chaos)
        told = chaos.call(post, chaos, 2)
    post(chaos, 3)

    assert told == 201
    assert [operation.name for operation in chaos.operations] == ["order 7", "post", "POST /payments"]


def test_requests_belong_to_no_scope_where_several_are_open(loopback):
    """Two threads have one each: whose request it is cannot be seen."""
    chaos = loopback()
    both_open, done = threading.Barrier(2), threading.Event()

    def beside() -> None:
        with chaos.operation("order 8"):
            both_open.wait(5)
            done.wait(5)

    thread = threading.Thread(target=beside)
    thread.start()
    with chaos.operation("order 7"):
        both_open.wait(5)
        post(chaos)
        done.set()
        thread.join()

    assert [operation.name for operation in chaos.operations] == ["POST /payments"]


def test_what_the_caller_was_told_is_judged(loopback):
    """``chaos.call`` works in process as ever."""
    chaos = loopback("reset after-commit")

    def charge() -> str:
        try:
            post(chaos)
        except requests.ConnectionError:
            return "failed"
        return "succeeded"

    chaos.call(lambda: {"status": charge()})

    with pytest.raises(LawsBroken, match="ID05"):
        chaos.verify()


def test_a_wait_that_may_be_none_is_not_judged(loopback):
    """Waits of a few milliseconds are neither called waits nor held against the client."""
    chaos = loopback("503 x3, ok")
    for _ in range(4):
        post(chaos, **{"Idempotency-Key": "key-1"})
        time.sleep(0.01)

    ruling = chaos.verify().of("BK01")

    assert ruling.reason == "in real time a wait of less than 0.1 s cannot be told from none"


def test_retry_after_is_judged_in_real_time(loopback):
    """A client that comes half a second early is told so."""
    chaos = loopback("503 retry-after=1, ok")
    post(chaos, **{"Idempotency-Key": "key-1"})
    time.sleep(0.3)
    post(chaos, **{"Idempotency-Key": "key-1"})

    with pytest.raises(LawsBroken, match="BK04 Retry-After not obeyed"):
        chaos.verify()


def test_a_route_answers_and_a_handler_that_fails_is_told(loopback):
    """The handler runs in the server's thread; its error is the test's."""
    chaos = loopback()

    @chaos.service.route("GET", "/rates")
    def rates(request):
        return Response.json({"host": request.host})

    @chaos.service.route("GET", "/broken")
    def broken(request):
        raise KeyError("usd")

    assert requests.get(f"{chaos.url}/rates", timeout=5).json() == {"host": chaos.url.removeprefix("http://")}
    assert requests.get(f"{chaos.url}/broken", timeout=5).status_code == 500
    with pytest.raises(RuntimeError, match="the handler for GET /broken failed, not the client: KeyError: 'usd'"):
        chaos.verify()


@pytest.mark.parametrize(
    "waits",
    [
        'requests.get(chaos.url + "/rates")',
        "threading.Event().wait()",
        "while True: time.sleep(0.01)",
        "while True: pass",
    ],
)
@pytest.mark.parametrize("asks", ["chaos.verify()", "", "assert False"])
def test_a_handler_that_never_ends_is_told_and_hangs_nothing(pytester, waits, asks):
    """Wherever it waits, and whoever asks first: the test, an assertion's timeline, or the end of the run."""
    pytester.makepyfile(f"""
        import threading, time, pytest, requests

        def handler(chaos):
            def waits_for_ever(request):
                {waits}
            return waits_for_ever

        @pytest.mark.chaos(transport="loopback")
        def test_waits(chaos):
            chaos.service.route("POST", "/payments", handler(chaos))
            with pytest.raises(requests.Timeout):
                requests.post(chaos.url + "/payments", timeout=0.2)
            {asks}

        @pytest.mark.chaos("503, ok", transport="loopback")
        def test_next(chaos):
            assert requests.get(chaos.url, timeout=5).status_code == 503
            assert requests.get(chaos.url, timeout=5).status_code == 200
    """)
    done = inner.run(pytester, "--chaos-watchdog=0.5")

    told = "*Stuck: a handler has kept the server of transport='loopback' for 0.5 s of real time: it is at "
    done.stdout.fnmatch_lines([f"{told}test_a_handler_that_never_*.py:5 waits_for_ever. Handlers run one at a time*"])
    assert done.parseoutcomes()["passed"] == 1
    assert "INTERNALERROR" not in done.stdout.str()


def test_a_large_answer_arrives_whole_at_a_client_that_reads_slowly(loopback):
    """Its last byte has not been seen before the client could see it."""
    chaos = loopback()
    chaos.service.route("GET", "/file", lambda _: Response(200, body=b"x" * 20_000_000))
    with socket.create_connection(("127.0.0.1", int(chaos.url.rpartition(":")[2]))) as sock:
        sock.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = sock.recv(100)
        in_flight = chaos.attempts[0].last_byte_ns
        rest = sock.makefile("rb").read()

    assert in_flight is None
    assert len((head + rest).partition(b"\r\n\r\n")[2]) == 20_000_000
    assert chaos.attempts[0].last_byte_ns is not None


def test_a_loop_without_end_is_broken_off(loopback):
    """It is in another process, so that it cannot be ended there: its connections are."""
    chaos = loopback("503 *")
    connection = http.client.HTTPConnection(chaos.url.removeprefix("http://"), timeout=5)

    def loop() -> None:
        while True:
            connection.request("GET", "/rates")
            connection.getresponse().read()

    with pytest.raises(ConnectionResetError):
        loop()
    connection.close()

    assert len(chaos.attempts) == 2001
    assert chaos.trace.notes[0].startswith("GET /rates was sent 2000 times in a row: the retry loop does not end.")
    with pytest.raises(LawsBroken, match="RT03"):
        chaos.verify()


def test_a_run_without_a_request_cannot_tell(loopback):
    """The text names the address that nobody called."""
    chaos = loopback()

    with pytest.raises(CannotTell, match=re.escape(f"with the service's address ({chaos.url})")):
        chaos.verify()


@pytest.mark.parametrize(
    ("script", "options", "text"),
    [
        ("503, dns x2", {}, "`dns` on transport='loopback': a server has no say in how its name is resolved."),
        (
            "refuse, ok",
            {"listen": "0.0.0.0:0"},
            "`refuse` on a server that listens on 0.0.0.0: a client on another machine cannot be seen",
        ),
        ("down=3s, ok", {"listen": "0.0.0.0:0"}, "`down=3s` on a server that listens on 0.0.0.0"),
    ],
)
def test_a_step_that_cannot_be_made_is_refused_where_it_is_written(script, options, text):
    """By name, with the way out, before anything runs."""
    with pytest.raises(Refused, match=re.escape(text)):
        Chaos(script, transport="loopback", **options)


def test_tls_over_plain_http_is_refused(loopback):
    """There is no handshake that could fail."""
    chaos = loopback("tls, ok")
    with pytest.raises(requests.ConnectionError):
        post(chaos)

    with pytest.raises(Refused, match="`tls` cannot strike POST http://"):
        chaos.verify()


def test_functions_do_not_meet_a_script_in_real_time(loopback):
    """``chaos.faulty`` is refused by name."""
    with pytest.raises(Refused, match=r"chaos\.faulty\(print\) on transport='loopback'"):
        loopback().faulty(print)


def test_only_a_real_server_has_an_authority():
    """Elsewhere no certificate is checked."""
    with Chaos() as chaos, pytest.raises(Refused, match=r"chaos\.ca_file on transport='network'"):
        chaos.ca_file  # noqa: B018 - reading it is the act


def test_there_is_no_address_before_the_start():
    """The port is not known yet."""
    with pytest.raises(Refused, match="has no address before it starts"):
        Chaos(transport="loopback").url  # noqa: B018 - reading it is the act


def test_what_was_recorded_stays_readable_afterwards(loopback):
    """The server is gone, its connections and its thread too."""
    with Chaos("503, ok", transport="loopback") as chaos:
        post(chaos)
        url = chaos.url
    elapsed = chaos.clock.elapsed

    assert [attempt.status for attempt in chaos.attempts] == [503]
    assert chaos.clock.elapsed == elapsed
    assert "retrychaos-loopback" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_mounted_app_answers(loopback):
    """A WSGI app and an ASGI app, each behind the same script."""

    def wsgi(environ, start_response):
        start_response("201 Created", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    async def asgi(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    for app in (wsgi, asgi):
        with Chaos("503, ok", transport="loopback") as chaos:
            chaos.service.mount(app)
            assert post(chaos) == 503
            answer = requests.post(f"{chaos.url}/orders", timeout=5)

            assert (answer.status_code, answer.text, len(chaos.ledger)) == (201, "/orders", 1)


def test_many_connections_at_once_are_served(loopback):
    """Each attempt has one effect and one answer; nothing is lost between threads."""
    chaos = loopback("503 x50, slow=20ms x50, ok")
    statuses: list[int] = []

    def client(number: int) -> None:
        with requests.Session() as session:
            for turn in range(10):
                body = {"amount": 100 * number + turn}
                statuses.append(session.post(f"{chaos.url}/payments", json=body, timeout=30).status_code)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201] * 150 + [503] * 50
    assert len(chaos.attempts) == 200
    assert len({effect.body for effect in chaos.ledger}) == len(chaos.ledger) == 150
    assert all(attempt.ended_ns is not None for attempt in chaos.attempts)


def test_a_poll_may_go_on_for_long(loopback):
    """Reads that succeed may come from as many clients: they are no loop that does not end."""
    chaos = loopback()
    connection = http.client.HTTPConnection(chaos.url.removeprefix("http://"), timeout=5)
    for _ in range(2100):
        connection.request("GET", "/rates")
        assert connection.getresponse().read() == b"[]"
    connection.close()

    assert len(chaos.attempts) == 2100
