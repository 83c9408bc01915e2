"""What can go wrong with virtual time: each error names the value, the rule and the way out.

`Deadlock`, `Stuck` and `ClockPolled` are no `Exception`: a retry loop that catches everything must not swallow the
news that it would never have ended.
"""

from __future__ import annotations


class Unsupported(RuntimeError):
    """This interpreter's insides are not as expected, so its clocks cannot be replaced."""


class Refused(RuntimeError):
    """Something was started that virtual time does not cover, and that would have run in real time."""


class Deadlock(BaseException):
    """The thread waits, without a limit, for something that nothing can bring about."""


class Stuck(BaseException):
    """A thread has held the turn for too long, in a call that blocks in real time."""


class LeftRunning(RuntimeError):
    """Threads that the test started went on when it had ended."""


class ClockPolled(BaseException):
    """A loop polls the clock without waiting, and more than a day of virtual time has not ended it."""
