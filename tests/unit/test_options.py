"""The options of a run: read from the marker and from `Chaos`, refused where they are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.options import Options

NAMES = "transport, profile, seed, timezone, hosts, strict, expect, entropy, loop, cancel, keep_alive, switches, listen"


def test_nothing_given_is_the_default() -> None:
    """The simulated network, the default profile, every host, strict, real entropy."""
    assert Options.read({}) == Options(
        transport="network",
        profile="default",
        seed=None,
        timezone=None,
        hosts=(),
        strict=True,
        expect=(),
        entropy="real",
    )


def test_everything_given_is_kept() -> None:
    """Each value as it was written."""
    given = {
        "transport": "responses",
        "profile": "stripe",
        "seed": 7,
        "timezone": "Asia/Tokyo",
        "hosts": ("api.test",),
        "strict": False,
        "expect": ("ID04",),
        "entropy": "seeded",
        "loop": "trio",
        "cancel": "#2",
        "keep_alive": False,
        "switches": (1, 3),
    }

    assert Options.read(given) == Options(**given)  # type: ignore[arg-type]  # values of several types


@pytest.mark.parametrize(("name", "text"), [("hosts", "a.test"), ("expect", "ID04")])
@pytest.mark.parametrize("several", [str, lambda text: (text,), lambda text: [text], lambda text: {text}])
def test_one_text_or_several_are_the_same(name: str, text: str, several: Callable[[str], object]) -> None:
    """A tuple in the end."""
    assert getattr(Options.read({name: several(text)}), name) == (text,)


def test_none_stands_for_no_seed_and_no_zone() -> None:
    """As if they were not given."""
    assert Options.read({"seed": None, "timezone": None}) == Options()


def test_a_seed_may_be_nought() -> None:
    """It is no missing one."""
    assert Options.read({"seed": 0}).seed == 0


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            {"profil": "stripe"},
            TypeError,
            f"unknown chaos option 'profil', did you mean 'profile'? The options are: {NAMES}",
        ),
        ({"colour": 1}, TypeError, f"unknown chaos option 'colour'. The options are: {NAMES}"),
        (
            {"transport": "sockets"},
            ValueError,
            "transport='sockets' is unknown. It is one of network, responses, loopback",
        ),
        (
            {"transport": "netwrok"},
            ValueError,
            "transport='netwrok' is unknown, did you mean 'network'? It is one of network, responses, loopback",
        ),
        (
            {"profile": "strip"},
            ValueError,
            "profile='strip' is unknown, did you mean 'stripe'? It is one of default, stripe, ietf, naive",
        ),
        ({"profile": None}, ValueError, "profile=None is unknown. It is one of default, stripe, ietf, naive"),
        ({"entropy": True}, ValueError, "entropy=True is unknown. It is one of real, seeded"),
        (
            {"transport": "loopback", "listen": "8080"},
            ValueError,
            (
                "listen='8080' is no address: write an IP address or localhost, and a port, as in 'localhost:8080', "
                "'0.0.0.0:0' or '[::1]:0'"
            ),
        ),
        (
            {"transport": "loopback", "listen": "::1:0"},
            ValueError,
            (
                "listen='::1:0' is no address: write an IP address or localhost, and a port, as in 'localhost:8080', "
                "'0.0.0.0:0' or '[::1]:0'"
            ),
        ),
        (
            {"listen": "localhost:8080"},
            ValueError,
            "listen='localhost:8080' has no meaning on transport='network'",
        ),
        (
            {"transport": "loopback", "hosts": "api.test"},
            ValueError,
            "hosts=('api.test',) on transport='loopback': other hosts are real there; leave it out",
        ),
        (
            {"transport": "loopback", "timezone": "Asia/Tokyo"},
            ValueError,
            (
                "timezone='Asia/Tokyo' on transport='loopback': its time is real. Set TZ for the program under test, "
                "or use transport='network'"
            ),
        ),
        (
            {"entropy": ["real"]},
            ValueError,
            "entropy=['real'] is unknown, did you mean 'real'? It is one of real, seeded",
        ),
        (
            {"cancel": "#2"},
            ValueError,
            "cancel='#2' without loop=: give loop='asyncio' or loop='trio', so that the test is run here",
        ),
        (
            {"cancel": "#0", "loop": "trio"},
            ValueError,
            "cancel='#0': after # stands the number of an attempt, from 1, as in cancel='#2'",
        ),
        (
            {"cancel": "soon", "loop": "trio"},
            ValueError,
            "cancel='soon': give the number of the attempt that is in flight, as in '#2', or a moment, as in '1.5s'",
        ),
        ({"loop": "uvloop"}, ValueError, "loop='uvloop' is unknown. It is one of asyncio, trio"),
        ({"switches": (0,)}, ValueError, "switches=(0,): give whole numbers from 1, as in switches=(1, 3)"),
        (
            {"transport": "loopback", "switches": 1},
            ValueError,
            (
                "switches=(1,) on transport='loopback': its time is real, and who goes on when is the system's "
                "business; use transport='network'"
            ),
        ),
        ({"strict": 1}, TypeError, "strict=1 is of type int: it has to be of type bool"),
        ({"strict": None}, TypeError, "strict=None is of type NoneType: it has to be of type bool"),
        ({"seed": "7"}, TypeError, "seed='7' is of type str: it has to be of type int"),
        ({"seed": 7.0}, TypeError, "seed=7.0 is of type float: it has to be of type int"),
        ({"seed": True}, ValueError, "seed=True: a seed is a whole number, 0 or more"),
        ({"seed": -1}, ValueError, "seed=-1: a seed is a whole number, 0 or more"),
        ({"timezone": 9}, TypeError, "timezone=9 is of type int: it has to be of type str"),
        (
            {"timezone": "Asia/Tokio"},
            ValueError,
            "timezone='Asia/Tokio': no time zone known here; give an IANA name such as 'Asia/Tokyo' or 'UTC'",
        ),
        ({"hosts": None}, TypeError, "hosts=None: give a text or several, as in hosts=('…', '…')"),
        ({"hosts": ("a", 1)}, TypeError, "hosts=('a', 1): give a text or several, as in hosts=('…', '…')"),
        ({"expect": {"ID04": 1}}, TypeError, "expect={'ID04': 1}: give a text or several, as in expect=('…', '…')"),
        ({"hosts": b"a"}, TypeError, "hosts=b'a': give a text or several, as in hosts=('…', '…')"),
    ],
)
def test_a_bad_option_is_refused(given: dict[str, Any], error: type[Exception], text: str) -> None:
    """The error names the option, the value, the rule and the way out."""
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        Options.read(given)


def test_chaos_refuses_what_the_options_refuse() -> None:
    """Before anything is patched."""
    with pytest.raises(TypeError, match="unknown chaos option 'sed', did you mean 'seed'"):
        Chaos(sed=1)


def test_chaos_alone_runs_no_async_test() -> None:
    """The option would do nothing, and nobody would be cancelled."""
    with pytest.raises(ValueError, match=r"^loop='trio' of Chaos used alone: it runs no test, and cancels none; "):
        Chaos("503", loop="trio", cancel="#1")


def test_the_mapping_given_is_not_changed() -> None:
    """It belongs to the marker."""
    given: dict[str, Any] = {"hosts": ["a"]}

    Options.read(given)

    assert given == {"hosts": ["a"]}
