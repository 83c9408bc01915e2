"""``serve`` and ``run``: the loopback server without pytest, alone or around a command of any language."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import sys
from collections.abc import Iterator
from typing import IO, Any

from pytest_retrychaos import redact
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.clock.errors import Refused, Unsupported
from pytest_retrychaos.command import TIMED_OUT, carry_out, endings
from pytest_retrychaos.faults import ScriptError
from pytest_retrychaos.faults.durations import parse_duration
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.options import PROFILES, CannotListen
from pytest_retrychaos.redact import Redaction
from pytest_retrychaos.serving import Lines, address_lines, follow, https, outcome_text
from pytest_retrychaos.transports.possible import is_this_machine
from pytest_retrychaos.views import CannotTell, LawsBroken

HELD, BROKEN, CANNOT_TELL, COMMAND_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
"""What `run` ends with. `serve` ends with 0, whatever it saw: it is there to look on."""

SERVE_EXITS = (
    "serve ends with 0 on Ctrl-C, SIGTERM and SIGHUP, whatever it saw, and with 2 where it was called wrongly or could "
    "not write the whole trace."
)
RUN_EXITS = """\
run ends with 0 where the laws held, 1 where one is broken, 2 where it cannot tell (no request, a fault that never
fired) or was called wrongly, 3 where the laws held and the command failed, 130 on Ctrl-C, SIGTERM
and SIGHUP.
"""


class UsageError(Exception):
    """The command line asks for what cannot be."""


def add_commands(commands: Any) -> None:  # Any: argparse names the type nowhere
    """Declare what ``serve`` and ``run`` take."""
    serve = commands.add_parser(
        "serve", help="serve until Ctrl-C, and write the trace as JSON lines", epilog=SERVE_EXITS
    )
    _add_options(serve)
    serve.set_defaults(act=_serve)
    run = commands.add_parser(
        "run", help="run a command against the server, judge what it did, and exit by the verdict", epilog=RUN_EXITS
    )
    _add_options(run)
    run.add_argument(
        "--timeout", metavar="DURATION", help="end the command after so long, such as 60s (default: never)"
    )
    run.add_argument("--may-fail", action="store_true", help="let the command's own failure not count")
    run.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND",
        help="the command, which finds the server's address in RETRYCHAOS_URL; {url} and {ca_file} in its arguments "
        "are replaced",
    )
    run.set_defaults(act=_run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", default="ok", help='the faults to come, such as "503 x2, ok" (default: none)')
    parser.add_argument("--profile", default="default", choices=PROFILES, help="whose idempotency rules it follows")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what the service invents")
    parser.add_argument(
        "--host", type=_host, default="localhost", help="where to listen (default: localhost, this machine only)"
    )
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="0 (default): any that is free")
    parser.add_argument("--https", action="store_true", help="give the https:// address, and make a certificate for it")
    parser.add_argument(
        "--latency", metavar="DURATION", help="what every round trip takes, such as 50ms (default: nothing)"
    )
    parser.add_argument("--expect", action="append", default=[], metavar="LAW", help="a law known to be broken")
    parser.add_argument(
        "--redact", action="append", default=[], metavar="NAME|REGEX", help="a header, field or pattern that is secret"
    )
    parser.add_argument("--trace", metavar="PATH", help="write the trace there as JSON lines; serve: default stdout")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number up to 65535, or 0 for any that is free")
    return int(text)


def _host(text: str) -> str:
    """Take the brackets off an address that was written as in a URL: ``[::1]``."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return host if host == "localhost" else str(ipaddress.ip_address(host))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address: write localhost, or an IP address of this machine (0.0.0.0 or ::: every one)"
        ) from None


@contextlib.contextmanager
def _threads_hear_no_signal() -> Iterator[None]:
    """Begin threads: of two signals that come at once both may go to one, and who waits for the command is not told."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *endings()})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _started(options: argparse.Namespace, name: str) -> Iterator[Chaos]:
    """Start the server that the options ask for; what is wrong with them is a `UsageError`."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    with contextlib.ExitStack() as stack:
        try:
            with _threads_hear_no_signal():
                stack.callback(redact.use, redact.use(Redaction(options.redact)))
                chaos = Chaos(
                    options.script,
                    name=name,
                    transport="loopback",
                    profile=options.profile,
                    seed=options.seed,
                    listen=f"{host}:{options.port}",
                    expect=tuple(options.expect),
                )
                if options.latency is not None:
                    chaos.service.latency = parse_duration(options.latency, zero=True) / SECOND
                stack.enter_context(chaos)
                assert chaos.url
                if options.https:
                    assert chaos.ca_file
        except (ScriptError, Refused, Unsupported, ValueError, TypeError) as error:
            raise UsageError(str(error)) from error
        except CannotListen as error:
            raise UsageError(error.told("--host")) from error
        yield chaos


@contextlib.contextmanager
def _trace_file(path: str | None, *, default: IO[str] | None) -> Iterator[int | None]:
    """Open the file for the trace, empty: once all else is right, since an earlier trace may stand there."""
    if path is None:
        yield None if default is None else default.fileno()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        raise UsageError(f"--trace={path}: cannot write there: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        try:
            os.close(descriptor)
        except OSError as error:  # a network's disk may say only now that it is full
            raise _unwritten(path, error) from error


def _unwritten(path: str | None, error: OSError) -> UsageError:
    """Say that the trace is not whole."""
    where = "the trace on the standard output" if path is None else f"--trace={path}"
    return UsageError(f"{where}: cannot write it: {error.strerror}")


def say(text: str) -> None:
    """Write a line to the standard error."""
    if sys.stderr is None:  # closed, as by `2>&-`
        return
    with contextlib.suppress(OSError):  # a terminal that has gone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def _recorded(chaos: Chaos, options: argparse.Namespace, file: int | None) -> Iterator[None]:
    """Say where the server is, and write its record while it lasts."""
    with _threads_hear_no_signal():
        lines = Lines(file)
    url = https(chaos.url) if options.https else chaos.url
    lines.begin(url, chaos.ca_file if options.https else None, options.seed, options.script)
    rest = follow(chaos.recorded, lines.attempt)
    try:
        yield
    finally:
        rest()
        lines.end(chaos, chaos.verdict)
    if lines.failure is not None:
        raise _unwritten(options.trace, lines.failure)


# serve


def _serve(options: argparse.Namespace) -> int:
    awaited = {signal.SIGINT, *endings()}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)  # also for the threads to come: none is interrupted
    try:
        with (
            _started(options, "serve") as chaos,
            _trace_file(options.trace, default=sys.stdout) as file,
            _recorded(chaos, options, file),
        ):
            for line in address_lines(chaos, is_https=options.https, is_private=is_this_machine(options.host)):
                say(line)
            signal.sigwait(awaited)
            _judge(chaos)
    finally:
        while signal.sigpending() & awaited:  # a terminal that goes away, and who ends its programs, send one each
            signal.sigwait(awaited)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return HELD


# run


def _run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise UsageError('run: no command; write it behind two dashes: run --script "503, ok" -- COMMAND')
    limit = None if options.timeout is None else _seconds(options.timeout)
    with (
        _started(options, " ".join(command)) as chaos,
        _trace_file(options.trace, default=None) as file,
        _recorded(chaos, options, file),
    ):
        for line in address_lines(chaos, is_https=options.https, is_private=is_this_machine(options.host)):
            say(line)
        status = _carry_out(command, chaos, options, limit)
        if status in (None, TIMED_OUT):
            chaos.judge.note_end(KeyboardInterrupt())  # what the command would have done next is not known
        verdict = _judge(chaos)
        if status is None:
            return INTERRUPTED
        say(f"retrychaos: {_ended(status, limit)}")
        if verdict != HELD:
            return verdict
        if status == TIMED_OUT:
            return CANNOT_TELL
        if status == 0 or options.may_fail:
            return HELD
        say("retrychaos: no law is broken, and the command failed by itself (--may-fail: let it)")
        return COMMAND_FAILED


def _seconds(text: str) -> float:
    try:
        return parse_duration(text) / SECOND
    except ScriptError as error:
        raise UsageError(f"--timeout: {error}") from error


def _carry_out(command: list[str], chaos: Chaos, options: argparse.Namespace, limit: float | None) -> int | None:
    """Run the command with the server's address in its arguments and environment; see `carry_out`."""
    url = https(chaos.url) if options.https else chaos.url
    ca_file = chaos.ca_file if options.https else ""
    environment = {**os.environ, "RETRYCHAOS_URL": url}
    if ca_file:
        environment["RETRYCHAOS_CA_FILE"] = ca_file
    words = [word.replace("{url}", url).replace("{ca_file}", ca_file) for word in command]
    try:
        return carry_out(words, environment, limit)
    except OSError as error:
        raise UsageError(
            f"run: cannot start {words[0]!r}: {error.strerror}. Name a program that is in PATH, or its path"
        ) from error


def _ended(status: int, limit: float | None) -> str:
    if status == TIMED_OUT:
        return f"cannot tell: the command had not ended after {limit:g} s and was ended"
    if status < 0:
        return f"the command was ended by {signal.Signals(-status).name}"
    return f"the command ended with exit status {status}"


def _judge(chaos: Chaos) -> int:
    """Judge what happened, say so, and give the exit status for it."""
    try:
        if not chaos.attempts:
            raise CannotTell(
                "cannot tell: no request came. Let the program call the address in RETRYCHAOS_URL, "
                "or write {url} in its arguments"
            )
        chaos.judge.finish(judge_all=True)
    except LawsBroken as broken:
        say(str(broken))
        is_told = broken.verdict is None or broken.verdict.codes == ("NV01",)
        return CANNOT_TELL if is_told else BROKEN
    except (AssertionError, Refused, RuntimeError) as error:
        say(outcome_text(chaos, None))
        say(f"retrychaos: {error}")
        return CANNOT_TELL
    say(outcome_text(chaos, chaos.verdict))
    return HELD
