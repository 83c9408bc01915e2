"""``python -m pytest_retrychaos``: the loopback server on its own, for programs of any language."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import IO

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.report.jsonform import to_json
from pytest_retrychaos.serving import follow
from pytest_retrychaos.trace import Trace
from tests.unit.report.documents import DOCUMENT

PROGRAM = [sys.executable, "-m", "pytest_retrychaos"]

GETS = """
import os, sys, time, urllib.request
for _ in range(int(sys.argv[1])):
    try:
        urllib.request.urlopen(os.environ["RETRYCHAOS_URL"] + "/rates", timeout=5).read()
        break
    except OSError:
        time.sleep(0.15)  # for real: a wait of less than 0.1 s could not be told from none
sys.exit(int(sys.argv[2]))
"""
"""Reads the rates in so many attempts, and ends with a status."""

CHARGES = """
import sys, urllib.request
for _ in range(2):
    try:
        urllib.request.urlopen(sys.argv[1] + "/payments", b"amount=1", timeout=5)
    except OSError:
        pass
"""


def run(*arguments: str, code: str = GETS, words: tuple[str, ...] = ("3", "0")) -> subprocess.CompletedProcess[str]:
    """Run a Python program against the server."""
    command = [*PROGRAM, "run", *arguments, "--", sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@contextlib.contextmanager
def started(
    *arguments: str, hangup: signal.Handlers = signal.SIG_DFL, stdout: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Start the program; it is killed if it does not end.

    What it does on SIGHUP it inherits, from nohup(1), say, under which these tests may run.
    """
    before = signal.signal(signal.SIGHUP, hangup)
    try:
        child = subprocess.Popen([*PROGRAM, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    with child as program:
        try:
            yield program
        finally:
            if program.poll() is None:
                program.kill()


# run


def test_run_ends_with_0_where_the_laws_held():
    """It says where it serves, to whom, what happened, and which laws that was judged by."""
    done = run("--script", "503 x2, ok")

    first, *attempts, held, last = done.stderr.splitlines()
    assert done.returncode == 0
    assert first.startswith("retrychaos: serving http://127.0.0.1:")
    assert first.endswith(" to this machine only")
    assert [line.split()[-1] for line in attempts] == ["503", "503", "200"]
    assert held == "held   RT01, RT03, RT04, RT06, RT07, BK01, NV01"
    assert last == "retrychaos: the command ended with exit status 0"


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_run_listens_on_an_address_of_ipv6(host):
    """Written bare, or as in a URL."""
    done = run("--host", host)

    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("retrychaos: serving http://[::1]:")


def test_run_ends_with_1_where_a_law_is_broken():
    """The finding is told as in a test; {url} in the command's arguments is the address."""
    done = run("--script", "reset after-commit, ok", code=CHARGES, words=("{url}",))

    assert done.returncode == 1
    assert "ID01, ID04 broken: 2 findings" in done.stderr


def test_run_expects_a_law_that_is_known_to_be_broken():
    """As the marker's ``expect=``."""
    done = run("--script", "reset after-commit, ok", "--expect=ID01", "--expect=ID04", code=CHARGES, words=("{url}",))

    assert done.returncode == 0, done.stderr


def test_run_says_once_that_what_it_expects_holds():
    """Ends with 1, as where a law is broken."""
    done = run("--script", "503, ok", "--expect=ID04", words=("2", "0"))

    assert done.returncode == 1
    assert done.stderr.count("ID04 expected to be broken, but it is not: take it out of expect=") == 1
    assert "Traceback" not in done.stderr


def test_run_cannot_tell_where_no_request_came():
    """Ends with 2, and says what to do."""
    done = run("--script", "503, ok", code="")

    assert done.returncode == 2
    assert "retrychaos: cannot tell: no request came. Let the program call the address in RETRYCHAOS_URL" in done.stderr


def test_run_cannot_tell_where_a_fault_never_fired():
    """Ends with 2: what the program does after it was not seen."""
    done = run("--script", "503 x3, ok", words=("2", "0"))

    assert done.returncode == 2
    assert 'NV01 cannot tell: "503" (2 of 3 times) of the script for every request' in done.stderr


def test_run_shows_the_commands_own_failure():
    """Ends with 3 where no law is broken."""
    done = run("--script", "503, ok", words=("3", "7"))

    assert done.returncode == 3
    assert done.stderr.splitlines()[-2:] == [
        "retrychaos: the command ended with exit status 7",
        "retrychaos: no law is broken, and the command failed by itself (--may-fail: let it)",
    ]


def test_run_lets_a_command_fail_where_that_is_right():
    """A program that gives up says so by its exit status."""
    assert run("--script", "503 *", "--may-fail", words=("2", "7")).returncode == 0


def test_run_shows_a_law_that_is_broken_though_the_command_failed():
    """The verdict comes first."""
    done = run("--script", "reset after-commit, ok", code=CHARGES + "\nsys.exit(7)", words=("{url}",))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "retrychaos: the command ended with exit status 7"


def test_run_ends_a_command_that_does_not():
    """A client without a timeout that meets silence is seen waiting."""
    code = "import os, urllib.request; urllib.request.urlopen(os.environ['RETRYCHAOS_URL'])"

    done = run("--script", "timeout", "--timeout", "1500ms", code=code)

    assert done.returncode == 2
    assert "retrychaos: cannot tell: the command had not ended after 1.5 s and was ended" in done.stderr


def test_run_passes_the_authority_on():
    """https:// in the address, the file in RETRYCHAOS_CA_FILE."""
    code = """
import os, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=os.environ["RETRYCHAOS_CA_FILE"])
assert os.environ["RETRYCHAOS_CA_FILE"] == sys.argv[1]
print(urllib.request.urlopen(os.environ["RETRYCHAOS_URL"], timeout=5, context=context).status)
"""
    done = run("--https", code=code, words=("{ca_file}",))

    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr


def test_run_leaves_stdout_to_the_command(tmp_path):
    """The trace goes to a file."""
    path = tmp_path / "trace.jsonl"

    done = run("--script", "503, ok", "--trace", str(path), code=GETS + "", words=("3", "0"))

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert done.stdout == ""
    assert [line["attempt"]["status"] for line in lines[1:-1]] == [503, 200]
    assert lines[-1]["verdict"]["RT01"] == "held"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_ends_with_130_on_ctrl_c(ending):
    """The command is ended, too, and what was seen is told; also where a terminal goes away."""
    code = """
import os, time, urllib.request
print(os.getpid(), flush=True)
urllib.request.urlopen(os.environ["RETRYCHAOS_URL"])
print(1, flush=True)
time.sleep(60)
"""
    with started("run", "--", sys.executable, "-c", code) as program:
        command = int(program.stdout.readline())
        assert program.stdout.readline() == "1\n"
        program.send_signal(ending)
        _, errors = program.communicate(timeout=30)

    assert program.returncode == 130
    assert "GET /" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(command, 0)
    assert "Traceback" not in errors.partition("retrychaos: serving")[0]


def test_run_is_ended_by_two_signals_at_once_as_by_one():
    """As a service manager sends them, and a terminal that goes away."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    for _ in range(3):
        with started("run", "--", sys.executable, "-c", code) as program:
            command = int(program.stdout.readline())
            for ending in (signal.SIGTERM, signal.SIGHUP):
                program.send_signal(ending)
            _, errors = program.communicate(timeout=30)

        assert (program.returncode, errors.splitlines()[1]) == (130, "  nothing was sent")
        with pytest.raises(ProcessLookupError):
            os.kill(command, 0)


def test_run_ends_what_a_shell_has_started():
    """Who reads its output waits for the last that could write."""
    with started("run", "--timeout", "1s", "--", "sh", "-c", "curl -s $RETRYCHAOS_URL; sleep 600; true") as program:
        _, errors = program.communicate(timeout=60)

    assert program.returncode == 2
    assert "the command had not ended after 1 s and was ended" in errors


def test_run_ends_what_does_not_end_when_it_is_asked_to():
    """Its shell does; nobody but us is left to make it."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    with started("run", "--timeout", "2s", "--", "sh", "-c", f"{sys.executable} -c '{deaf}'; true") as program:
        output, _ = program.communicate(timeout=30)

    assert (program.returncode, output) == (2, "1\n")


# serve


def test_a_trace_on_a_full_disk_is_told_and_is_no_broken_law():
    """Every law is held, and there is no whole trace: 2, and no traceback."""
    done = run("--trace", "/dev/full", words=("1", "0"))

    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].endswith("--trace=/dev/full: cannot write it: No space left on device")
    assert "Traceback" not in done.stderr


def test_serve_writes_the_trace_as_json_lines_until_ctrl_c():
    """The address first, each attempt once it ended, at last the verdict and the whole trace."""
    with started("serve", "--script", "503, ok", "--seed", "7") as program:
        first = json.loads(program.stdout.readline())
        for status in (503, 200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{first['url']}/rates", timeout=5).close()
            attempt = json.loads(program.stdout.readline())["attempt"]
            assert (attempt["status"], attempt["operation"]) == (status, "GET /rates")
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=30)

    last = json.loads(rest)
    assert program.returncode == 0
    assert {name: first[name] for name in ("ca_file", "seed", "script")} == {
        "ca_file": None,
        "seed": 7,
        "script": "503, ok",
    }
    assert last["verdict"]["RT01"] == "held"
    assert [one.status for one in Trace.from_json(json.dumps(last["trace"])).attempts] == [503, 200]
    assert errors.startswith(f"retrychaos: serving {first['url']} to this machine only\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_serve_ends_on_sigterm_without_a_request(ending):
    """As a container is stopped, or a terminal goes away."""
    with started("serve", "--trace", os.devnull) as program:
        assert program.stderr.readline().startswith("retrychaos: serving http://127.0.0.1:")
        program.send_signal(ending)
        _, errors = program.communicate(timeout=30)

    assert program.returncode == 0
    assert errors.startswith("  nothing was sent\nretrychaos: cannot tell: no request came.")


def test_serve_ends_once_where_several_signals_come_at_once():
    """A terminal that goes away sends SIGHUP, and who ends its programs SIGTERM."""
    with started("serve") as program:
        program.stdout.readline()
        program.send_signal(signal.SIGSTOP)
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCONT):
            program.send_signal(one)
        program.communicate(timeout=30)

    assert program.returncode == 0


def test_serve_outlives_its_terminal_under_nohup():
    """It was started with SIGHUP ignored."""
    with started("serve", hangup=signal.SIG_IGN) as program:
        url = json.loads(program.stdout.readline())["url"]
        program.send_signal(signal.SIGHUP)
        assert urllib.request.urlopen(f"{url}/rates", timeout=5).status == 200
        program.send_signal(signal.SIGINT)
        program.wait(30)

    assert program.returncode == 0


def test_serve_goes_on_where_nobody_reads_what_it_writes():
    """`serve | head -1` keeps the server."""
    with started("serve") as program:
        url = json.loads(program.stdout.readline())["url"]
        program.stdout.close()
        for _ in range(3):
            assert urllib.request.urlopen(f"{url}/rates", timeout=5).status == 200
        program.send_signal(signal.SIGINT)
        program.wait(30)

    assert program.returncode == 0


def test_serve_answers_on_where_its_reader_reads_nothing_but_the_first_line():
    """A pipe holds 64 KiB: no client waits until somebody reads it, and a signal still ends the server."""
    with started("serve") as program:
        url = json.loads(program.stdout.readline())["url"]
        for _ in range(20):
            assert urllib.request.urlopen(f"{url}/rates?{'x' * 5000}", timeout=5).status == 200
        program.send_signal(signal.SIGTERM)
        program.wait(30)
        last = program.stderr.read().splitlines()[-1]

    assert program.returncode == 2
    assert last.endswith("the trace on the standard output: cannot write it: nobody has read it for 2 s")


def test_serve_writes_on_while_its_reader_is_only_slow():
    """What is not read while it serves is there at the end."""
    with started("serve") as program:
        url = json.loads(program.stdout.readline())["url"]
        for _ in range(20):
            urllib.request.urlopen(f"{url}/rates?{'x' * 5000}", timeout=5).close()
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=30)

    lines = [json.loads(line) for line in output.splitlines()]
    assert program.returncode == 0
    assert [line["attempt"]["index"] for line in lines[:-1]] == list(range(1, 21))
    assert len(Trace.from_json(json.dumps(lines[-1]["trace"])).attempts) == 20


def test_serve_that_could_not_write_its_trace_says_so_and_ends_with_2():
    """`serve > trace.jsonl` on a full disk: it serves on, and is not taken for a record of all that came."""
    with open("/dev/full", "w") as full, started("serve", stdout=full) as program:
        url = program.stderr.readline().split()[2]
        assert urllib.request.urlopen(f"{url}/rates", timeout=5).status == 200
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)

    assert program.returncode == 2
    last = "python -m pytest_retrychaos: the trace on the standard output: cannot write it: No space left on device"
    assert errors.splitlines()[-1] == last


def test_serve_says_so_where_others_can_reach_it():
    """Only --host asks for it."""
    with started("serve", "--host", "0.0.0.0", "--trace", os.devnull) as program:
        line = program.stderr.readline()
        program.send_signal(signal.SIGINT)
        program.wait(30)

    assert line.startswith("retrychaos: serving http://127.0.0.1:")
    assert line.endswith(" to every machine that reaches this one, as --host asked for\n")


def test_merge_ends_by_its_gates_where_nobody_reads_what_it_says(tmp_path):
    """As in ``merge … | head -1``: no traceback, and no failure that is none."""
    report = tmp_path / "report.json"
    report.write_text(to_json(DOCUMENT))
    reads, writes = os.pipe()
    os.close(reads)

    done = subprocess.run(
        [*PROGRAM, "merge", report], stdout=writes, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writes)

    assert (done.returncode, done.stderr) == (0, "")


# bad input


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("serve", "--script", "503 x2, tiemout"),
            "unknown fault 'tiemout' in the script, did you mean 'timeout'?\n  503 x2, tiemout\n          ^^^^^^^\n",
        ),
        (("serve", "--script", "dns"), "`dns` on transport='loopback': a server has no say in how its name is"),
        (("serve", "--script", "refuse", "--host", "0.0.0.0"), "`refuse` on a server that listens on 0.0.0.0: "),
        (("serve", "--host", "example"), "--host: 'example' is no address: write localhost, or an IP address of "),
        (("serve", "--host", "203.0.113.1"), "cannot listen on 203.0.113.1, port 0: this machine has no such address"),
        (("serve", "--port", "70000"), "--port: '70000' is no port: a whole number up to 65535, or 0 for"),
        (("serve", "--seed", "-1"), "seed=-1: a seed is a whole number, 0 or more"),
        (("serve", "--latency", "soon"), "'soon' is no duration"),
        (("serve", "--expect", "BK99"), "BK99"),
        (("serve", "--trace", "/nonesuch/trace"), "--trace=/nonesuch/trace: cannot write there: No such file or"),
        (("run", "--script", "503"), 'run: no command; write it behind two dashes: run --script "503, ok" -- COMMAND'),
        (("run", "--", "nonesuch"), "run: cannot start 'nonesuch': No such file or directory. Name a program that is"),
        (("run", "--timeout", "soon", "--", "true"), "--timeout: "),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments, text):
    """Ends with 2; the value, the rule and the way out; no traceback."""
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert f"python -m pytest_retrychaos: {text}" in done.stderr or text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("serve",), ("run", "--", "true")], ids=["serve", "run"])
def test_an_earlier_trace_outlives_a_mistake(tmp_path, command):
    """The file is emptied once all else is right."""
    path = tmp_path / "trace.jsonl"
    path.write_text("earlier\n")
    verb, *rest = command

    done = subprocess.run(
        [*PROGRAM, verb, "--trace", str(path), "--script", "5o3", *rest], capture_output=True, timeout=60
    )

    assert (done.returncode, path.read_text()) == (2, "earlier\n")


def test_merge_names_its_own_option(tmp_path):
    """Its --baseline, which pytest writes."""
    done = subprocess.run(
        [*PROGRAM, "merge", "a.json", "--baseline", "none.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )

    assert done.returncode == 2
    assert "merge: --baseline=none.json: there is no such file: write it with pytest's --chaos-update" in done.stderr


def test_a_port_that_is_taken_is_refused_by_name():
    """It names the port and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*PROGRAM, "serve", "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
        )

    assert done.returncode == 2
    assert done.stderr == (
        f"python -m pytest_retrychaos: cannot listen on localhost, port {port}: another program has that port: "
        "name another one, or 0 for any that is free\n"
    )


def test_a_loop_without_end_is_told_and_judged():
    """The command is left running; its connections are broken off, and the verdict stands."""
    code = """
import os, urllib.request
for _ in range(2100):
    try:
        urllib.request.urlopen(os.environ["RETRYCHAOS_URL"], timeout=5)
    except OSError as error:
        if "503" not in str(error):
            break
"""
    done = run("--script", "503 *", code=code)

    assert done.returncode == 1
    assert "RT03" in done.stderr.splitlines()[1]
    assert "Traceback" not in done.stderr


def test_an_attempt_that_ended_before_it_was_followed_is_told():
    """A client may have read the address, sent a request and left before its server has gone on to follow it."""
    told = []
    with Chaos(transport="loopback") as chaos:
        urllib.request.urlopen(f"{chaos.url}/rates", timeout=5).close()
        assert [one.status for one in chaos.attempts] == [200]

        follow(chaos.recorded, lambda attempt, operation: told.append((attempt.status, operation)))

        assert told == [(200, "GET /rates")]
