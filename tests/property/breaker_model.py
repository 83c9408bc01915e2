"""What a circuit breaker does, told as plainly as possible: what the real one is compared with."""

from __future__ import annotations

import math


class Model:
    """A breaker for one call at a time and one failure after the other. Times are seconds."""

    def __init__(self, threshold: int, cooldown: float, probe_timeout: float) -> None:
        self.threshold = threshold
        self.cooldown = cooldown
        self.probe_timeout = probe_timeout
        self.state = "closed"
        self.row = 0
        self.quiet_until = -math.inf
        self.probe: object = None
        self.current: set[object] = set()
        """The calls whose results count."""

    def begin(self, call: object, now: float) -> bool:
        """Tell whether a call may begin."""
        if self.state != "closed":
            limit = self.cooldown if self.state == "open" else self.probe_timeout
            self.quiet_until = min(self.quiet_until, now + limit)
            if self.retry_in(now) > 0:
                return False
            self.state, self.probe, self.current = "half open", call, set()
            self.quiet_until = now + self.probe_timeout
        self.current.add(call)
        return True

    def end(self, call: object, failed: bool | None, now: float) -> None:
        """Take note of how a call ended."""
        if call not in self.current:
            return
        self.current.discard(call)
        if call is self.probe:
            self.probe = None
            if failed is not None:
                self._open(now) if failed else self.close()
            return
        if failed is not None:
            self.row = self.row + 1 if failed else 0
        if self.row >= self.threshold:
            self._open(now)

    def retry_in(self, now: float) -> float:
        """Tell how long to stay away."""
        if self.state == "closed" or (self.state == "half open" and self.probe is None):
            return 0.0
        limit = self.cooldown if self.state == "open" else self.probe_timeout
        return max(0.0, min(limit, self.quiet_until - now))

    def trip(self, now: float) -> None:
        """Open by hand."""
        self._open(now)

    def close(self) -> None:
        """Close, by hand or after a probe."""
        self.state, self.row, self.probe, self.current = "closed", 0, None, set()

    def _open(self, now: float) -> None:
        self.state, self.probe, self.current = "open", None, set()
        self.quiet_until = now + self.cooldown
