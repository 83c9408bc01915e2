"""The command line.

``explain``, ``laws``, ``faults`` and ``parse`` tell, ``merge`` puts reports together, ``serve`` runs the loopback
server, ``run`` runs a command of any language against it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from pytest_retrychaos.explaining import explain, fault_lines, law_lines, script_lines
from pytest_retrychaos.faults import ScriptError, parse
from pytest_retrychaos.standalone import BROKEN, CANNOT_TELL, HELD, INTERRUPTED, UsageError, add_commands, say

PROGRAM = "python -m pytest_retrychaos"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what the command line asks for; gives the exit status."""
    options = parser().parse_args(arguments)
    act: Callable[[argparse.Namespace], int] = options.act
    try:
        return act(options)
    except UsageError as error:
        say(f"{PROGRAM}: {error}")
        return CANNOT_TELL
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    whole = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Find out whether code that retries is right: the laws and faults of pytest-retrychaos, its "
        "reports, and its server for programs of any language. Each command has a --help of its own.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_telling(commands)
    _add_merge(commands)
    add_commands(commands)
    return whole


def _add_telling(commands: Any) -> None:  # Any: argparse names the type nowhere
    explained = commands.add_parser("explain", help="tell what a law asks, why, and what usually mends it")
    explained.add_argument("law", metavar="LAW", nargs="+", help="a code (ID04), a family (ID) or a shape (BK04/early)")
    explained.set_defaults(act=lambda options: _tell(line for law in options.law for line in explain(law)))
    laws = commands.add_parser("laws", help="list the laws")
    laws.set_defaults(act=lambda _: _tell(law_lines()))
    faults = commands.add_parser("faults", help="list the faults that a script may hold")
    faults.set_defaults(act=lambda _: _tell(fault_lines()))
    parsed = commands.add_parser("parse", help="tell what a script means, or what is wrong with it")
    parsed.add_argument("script", metavar="SCRIPT", help='such as "503 retry-after=2 x2, reset after-commit, ok"')
    parsed.set_defaults(act=_parse)


def _parse(options: argparse.Namespace) -> int:
    try:
        script = parse(options.script)
    except ScriptError as error:
        raise UsageError(f"parse: {error}") from error
    return _tell(script_lines(script))


def _tell(lines: Iterable[str]) -> int:
    """Print what was asked for; what is wrong with it is a `UsageError`."""
    try:
        text = "".join(f"{line}\n" for line in lines)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if sys.stdout is None:  # closed, as by `>&-`
        return HELD
    code = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(code, "backslashreplace").decode(code))
        sys.stdout.flush()
    except BrokenPipeError:  # a pager that was left
        _let_go(sys.stdout)
    except OSError as error:
        _let_go(sys.stdout)
        raise UsageError(f"cannot write to the standard output: {error.strerror}") from error
    return HELD


def _let_go(file: TextIO) -> None:
    """Let what could not be written go nowhere, or Python tries once more at its end, and fails."""
    with contextlib.suppress(io.UnsupportedOperation):  # no file, but what a test has put there
        number = file.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _add_merge(commands: Any) -> None:  # Any: argparse names the type nowhere
    from pytest_retrychaos.report.command import add_arguments

    merge = commands.add_parser(
        "merge",
        help="put the reports of a run's shards together, and hold its gates",
        epilog="It ends with 0 where the gates hold, 1 where one does not, 2 where the reports cannot be put together.",
    )
    add_arguments(merge)
    merge.set_defaults(act=_merge)


def _merge(options: argparse.Namespace) -> int:
    from pytest_retrychaos.report.command import merge, outcome_lines

    try:
        outcome = merge(options)
    except ValueError as error:
        raise UsageError(f"merge: {error}") from error
    _tell(outcome_lines(outcome))
    return BROKEN if outcome.failures else HELD
