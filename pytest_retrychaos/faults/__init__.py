"""The fault vocabulary and the script language: parse, format, Python constructors."""

from __future__ import annotations

from pytest_retrychaos.faults.constructors import (
    connect_timeout,
    dns,
    down,
    drip,
    duplicate,
    eof,
    garbage,
    ok,
    refuse,
    reset,
    slow,
    stale,
    status,
    timeout,
    tls,
    truncate,
)
from pytest_retrychaos.faults.errors import ScriptError
from pytest_retrychaos.faults.fields import RetryAfter, render_header
from pytest_retrychaos.faults.parser import parse
from pytest_retrychaos.faults.progress import Progress
from pytest_retrychaos.faults.script import Script, format_script
from pytest_retrychaos.faults.step import OK, Step
from pytest_retrychaos.faults.vocabulary import (
    DEFAULT_VOCABULARY,
    FAULTS,
    HOSTILE_VOCABULARY,
    ON_POST,
    ON_WRITES,
    OPTIONS,
    Fault,
    Kind,
    Option,
)

__all__ = [
    "DEFAULT_VOCABULARY",
    "FAULTS",
    "HOSTILE_VOCABULARY",
    "OK",
    "ON_POST",
    "ON_WRITES",
    "OPTIONS",
    "Fault",
    "Kind",
    "Option",
    "Progress",
    "RetryAfter",
    "Script",
    "ScriptError",
    "Step",
    "connect_timeout",
    "dns",
    "down",
    "drip",
    "duplicate",
    "eof",
    "format_script",
    "garbage",
    "ok",
    "parse",
    "refuse",
    "render_header",
    "reset",
    "slow",
    "stale",
    "status",
    "timeout",
    "tls",
    "truncate",
]
