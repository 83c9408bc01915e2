"""Randomness during a run: what follows the seed, what stays real, and that all of it is put back."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import uuid
from collections.abc import Callable

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.entropy import Entropy

SYSTEM: dict[str, Callable[[], object]] = {
    "os.urandom": lambda: os.urandom(16),
    "secrets": lambda: secrets.token_hex(16),
    "SystemRandom": lambda: random.SystemRandom().getrandbits(128),
    "uuid4": uuid.uuid4,
}


def drawn(draw: Callable[[], object], seed: int, *, seeds_system: bool) -> list[object]:
    with Entropy(seed, seeds_system=seeds_system):
        return [draw() for _ in range(3)]


@pytest.mark.parametrize("seeds_system", [False, True])
def test_random_follows_the_seed(seeds_system: bool) -> None:
    """The same seed gives the same numbers, another one others."""
    draw = random.random

    first, again, other = (drawn(draw, seed, seeds_system=seeds_system) for seed in (7, 7, 8))

    assert first == again != other


def test_the_numbers_of_a_seed_are_fixed() -> None:
    """A failure can be run again elsewhere."""
    with Entropy(42, seeds_system=False):
        assert round(random.random(), 6) == 0.639427


@pytest.mark.parametrize("source", SYSTEM)
def test_the_systems_entropy_stays_real(source: str) -> None:
    """Unless the test asks otherwise."""
    draw = SYSTEM[source]

    assert drawn(draw, 7, seeds_system=False) != drawn(draw, 7, seeds_system=False)


@pytest.mark.parametrize("source", SYSTEM)
def test_the_systems_entropy_follows_the_seed_when_asked(source: str) -> None:
    """However the code got hold of it."""
    draw = SYSTEM[source]

    first, again, other = (drawn(draw, seed, seeds_system=True) for seed in (7, 7, 8))

    assert first == again != other
    assert len(set(map(str, first))) == 3


def test_urandom_keeps_its_manners() -> None:
    """Sizes and errors are the real one's."""
    with Entropy(7, seeds_system=True):
        assert [len(os.urandom(size)) for size in (0, 1, 1000)] == [0, 1, 1000]
        with pytest.raises(ValueError, match="negative argument not allowed"):
            os.urandom(-1)
        with pytest.raises(TypeError):
            os.urandom("1")  # type: ignore[arg-type]  # on purpose


def test_uuid1_follows_seed_and_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not this machine's address, no child process to look it up, nor what an earlier run had."""
    monkeypatch.setattr(uuid, "_node", None)
    monkeypatch.setattr(subprocess, "Popen", None)

    def run() -> list[uuid.UUID]:
        with Chaos(seed=7, entropy="seeded"):
            return [uuid.uuid1(), uuid.uuid1()]

    first, again = run(), run()

    assert first == again
    assert first[0].node >> 40 & 1  # the bit that says: no real address
    assert uuid._node is None  # type: ignore[attr-defined]  # private: where uuid keeps the address


@pytest.mark.parametrize("seeds_system", [False, True])
def test_everything_is_as_before_afterwards(seeds_system: bool) -> None:
    """The state of random, the system's entropy, and uuid's own memory."""
    state, memory = random.getstate(), dict(vars(uuid))

    drawn(random.random, 7, seeds_system=seeds_system)

    assert random.getstate() == state
    assert dict(vars(uuid)) == memory
    assert os.urandom(16) != os.urandom(16)


def test_everything_is_as_before_after_an_error() -> None:
    """An exception passes through it."""
    state = random.getstate()

    with pytest.raises(KeyError), Entropy(7, seeds_system=True):
        raise KeyError

    assert random.getstate() == state


def test_an_error_while_entering_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an interpreter in which built-ins cannot be swapped: here one that is no built-in."""
    state, memory = random.getstate(), dict(vars(uuid))
    monkeypatch.setattr(os, "urandom", lambda size: b"x" * size)

    with pytest.raises(TypeError, match="is no built-in function"):
        Entropy(7, seeds_system=True).__enter__()

    assert random.getstate() == state
    assert dict(vars(uuid)) == memory


def test_seeding_again_begins_anew() -> None:
    """Other plugins reseed right before a test is called."""
    with Entropy(7, seeds_system=False) as entropy:
        first = random.random()
        random.seed(99)
        entropy.seed()
        assert random.random() == first


def test_a_run_draws_the_same_for_the_same_seed() -> None:
    """Through the marker's option, on keys that a client makes."""

    def keys() -> list[str]:
        with Chaos(seed=3, entropy="seeded"):
            return [str(uuid.uuid4()), secrets.token_urlsafe(8)]

    assert keys() == keys()
