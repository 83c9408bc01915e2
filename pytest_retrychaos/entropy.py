"""Randomness during a run: ``random`` follows the seed; the system's entropy too, where the test asks for it."""

from __future__ import annotations

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
        self._uuid: object = None

    def __enter__(self) -> Entropy:
        self._before = random.getstate()
        self.seed()
        if self._seeds_system:
            self._seed_system()
        return self

    def seed(self) -> None:
        """Seed ``random`` (again: other plugins reseed it right before a test is called)."""
        random.seed(self._seed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._swap is not None:
            self._swap.off()
            self._swap = None
            if self._uuid is not None:
                sys.modules["uuid"]._generate_time_safe = self._uuid  # type: ignore[attr-defined]  # private: uuid1's source
        random.setstate(self._before)

    def _seed_system(self) -> None:
        from pytest_retrychaos.clock.cpython import BuiltinSwap

        source = random.Random(self._seed)
        real = os.urandom

        def urandom(size: int, /) -> bytes:
            return source.randbytes(size) if size >= 0 else real(size)

        import uuid

        self._uuid = getattr(uuid, "_generate_time_safe", None)
        if self._uuid is not None:  # else libuuid gives the real time and the machine's address
            uuid._generate_time_safe = None  # type: ignore[attr-defined]  # as above
        self._swap = BuiltinSwap(os.urandom, urandom)
        self._swap.on()
