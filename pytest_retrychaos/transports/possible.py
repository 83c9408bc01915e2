"""What a real server can do of a script, said before it begins."""

from __future__ import annotations

import ipaddress

from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.faults import Kind, Script, Step

_SEEN_KNOCKING = frozenset({Kind.REFUSE, Kind.CONNECT_TIMEOUT, Kind.DOWN})


def check(script: Script, host: str) -> None:
    """Check a script for a server that listens on a host; `Refused` names the step and the way out."""
    for step in script.steps:
        if step.kind is Kind.DNS:
            raise Refused(
                f"`{step.once()}` on transport='loopback': a server has no say in how its name is resolved. Give the "
                "client a name that does not exist (http://no-such-host.invalid), or use transport='network'"
            )
        if _strikes_unseen(step) and not is_this_machine(host):
            raise Refused(
                f"`{step.once()}` on a server that listens on {host}: a client on another machine cannot be seen while "
                "it connects. Listen on localhost, or take a fault that strikes later: reset, eof, 503"
            )


def _strikes_unseen(step: Step) -> bool:
    return step.kind in _SEEN_KNOCKING and not (step.kind is Kind.DOWN and step.status is not None)


def is_this_machine(host: str) -> bool:
    """Whether a server that listens on a host can be reached from this machine only."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
