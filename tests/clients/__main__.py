"""Explore the clients of README's table: ``python -m tests.clients``, or ``… CLIENT SCRIPT`` for one history."""

from __future__ import annotations

import ast
import logging
import sys
import warnings

from tests.clients.defaults import SUBJECTS
from tests.clients.searching import PAGE, page, replay, rows_of, search


def main(arguments: list[str]) -> int:
    """Print what is found; 1 where docs/clients.md says something else. ``--write`` makes it say so."""
    logging.disable(logging.CRITICAL)  # the libraries tell of every retry
    warnings.simplefilter("ignore")
    writes = arguments == ["--write"]
    if arguments and not writes:
        name, script, *options = arguments
        print(replay(name, script, dict(map(_option, options))))
        return 0
    known = rows_of(PAGE.read_text()) if PAGE.exists() else []
    rows = []
    for subject in SUBJECTS:
        row = search(subject)
        rows.append(row)
        print(*row, "" if row in known else "(not what the page says)", sep="\n  ", flush=True)
    if writes:
        PAGE.write_text(page(rows))
    return int(not writes and rows != known)


def _option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # the shell has taken the quotes


sys.exit(main(sys.argv[1:]))
