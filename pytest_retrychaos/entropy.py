"""Randomness during a run: ``random`` follows the seed; the system's entropy too, where the test asks for it."""

from __future__ import annotations

import operator
import os
import random
import sys
from types import TracebackType
from typing import Any


class Entropy:
    """Seed on entering, restore on leaving."""

    def __init__(self, seed: int, *, seeds_system: bool) -> None:
        self._seed = seed
        self._seeds_system = seeds_system
        self._before: Any = None  # Any: random's own opaque state
        self._swap: Any = None  # Any: a BuiltinSwap, imported where it is used
        self._uuid: dict[str, object] = {}

    def __enter__(self) -> Entropy:
        self._before = random.getstate()
        try:
            self.seed()
            if self._seeds_system:
                self._seed_system()
        except BaseException:
            self._restore()
            raise
        return self

    def seed(self) -> None:
        """Seed ``random`` (again: other plugins reseed it right before a test is called)."""
        random.seed(self._seed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._swap is not None:
            self._swap.off()
            self._swap = None
        if self._uuid:
            vars(sys.modules["uuid"]).update(self._uuid)
            self._uuid = {}
        random.setstate(self._before)

    def _seed_system(self) -> None:
        from pytest_retrychaos.clock.cpython import BuiltinSwap

        source = random.Random(self._seed)

        def urandom(size: int, /) -> bytes:
            if operator.index(size) < 0:  # not left to the real one, which this one stands for
                raise ValueError("negative argument not allowed")
            return source.randbytes(size)

        self._swap = BuiltinSwap(os.urandom, urandom)
        self._seed_uuid()
        self._swap.on()

    def _seed_uuid(self) -> None:
        """Let ``uuid1`` go by virtual time and the seed, not by libuuid, this machine's address and earlier tests."""
        import uuid

        address = random.Random(self._seed).getrandbits(48) | 1 << 40  # as RFC 9562, 6.10, marks one that is none
        mine = {"_generate_time_safe": None, "_node": address, "_last_timestamp": None}
        names = vars(uuid)
        self._uuid = {name: names[name] for name in mine if name in names}
        names.update({name: mine[name] for name in self._uuid})
