"""What a circuit breaker does, behaviour by behaviour: the rows of its table.

A service is played by functions on virtual time, so that a breaker is met and nothing else. The cells are as those
of the retry engines.
"""

from __future__ import annotations

import asyncio
import threading
import time

import requests

from pytest_retrychaos import Chaos
from tests.conformance.breakers import COOLDOWN, THRESHOLD, Breaker
from tests.conformance.retrying import NONE, YES

MISSING = requests.Response()
MISSING.status_code = 404

Plan = tuple[float, str, float]
"""A call side by side with others: after how many seconds, how it ends, and how long it takes."""


class Play:
    """One breaker, a service that does as it is told, and what came of the calls."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.guard = breaker.make()
        self.reached = 0
        self.most = 0
        """The most calls that were in the service at one time."""
        self.refusal: BaseException | None = None
        self._running = 0

    def call(self, end: str = "ok", seconds: float = 0.0) -> str:
        """Call once; the service ends in ``ok``, ``down``, ``missing`` or ``cut``. Tell what the caller got."""
        if self.breaker.is_async:
            return asyncio.run(self.call_async(end, seconds))

        def service() -> str:
            self._begin()
            try:
                time.sleep(seconds)
                return self._end(end)
            finally:
                self._running -= 1

        try:
            return str(self.guard(service))
        except BaseException as error:
            return self._told(error)

    async def call_async(self, end: str, seconds: float) -> str:
        """Call once, in a task."""

        async def service() -> str:
            self._begin()
            try:
                await asyncio.sleep(seconds)
                return self._end(end)
            finally:
                self._running -= 1

        try:
            return str(await self.guard(service))
        except BaseException as error:
            return self._told(error)

    def fail(self) -> list[str]:
        """Fail as often as it takes to open."""
        return [self.call("down") for _ in range(THRESHOLD)]

    def side_by_side(self, *plans: Plan) -> list[str]:
        """Call in threads or tasks; give what each was told."""
        told = [""] * len(plans)

        def work(place: int, pause: float, end: str, seconds: float) -> None:
            time.sleep(pause)
            told[place] = self.call(end, seconds)

        async def work_async(place: int, pause: float, end: str, seconds: float) -> None:
            await asyncio.sleep(pause)
            told[place] = await self.call_async(end, seconds)

        async def main() -> None:
            await asyncio.gather(*(work_async(place, *plan) for place, plan in enumerate(plans)))

        if self.breaker.is_async:
            asyncio.run(main())
            return told
        threads = [threading.Thread(target=work, args=(place, *plan)) for place, plan in enumerate(plans)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return told

    def _begin(self) -> None:
        self.reached += 1
        self._running += 1
        self.most = max(self.most, self._running)

    def _end(self, end: str) -> str:
        if end == "down":
            raise self.breaker.failure("down")
        if end == "missing":
            raise requests.HTTPError("404", response=MISSING)
        if end == "cut":
            raise asyncio.CancelledError if self.breaker.is_async else KeyboardInterrupt
        return end

    def _told(self, error: BaseException) -> str:
        if isinstance(error, self.breaker.refusal):
            self.refusal = error
            return "refused"
        return "down" if isinstance(error, self.breaker.failure) else type(error).__name__


def opens(breaker: Breaker) -> str:
    """opens at its threshold, and then calls nothing"""
    with Chaos():
        play = Play(breaker)
        for _ in range(2 * THRESHOLD):
            play.call("down")
    return YES if play.reached == THRESHOLD else f"no: {play.reached} of {2 * THRESHOLD} calls pass"


def counts_in_a_row(breaker: Breaker) -> str:
    """forgets failures after a success"""
    with Chaos():
        play = Play(breaker)
        told = [play.call(end) for end in ("down", "down", "ok", "down", "down", "ok")]
    return YES if told[-1] == "ok" else f"no: {told[-1]}"


def leaves_404(breaker: Breaker) -> str:
    """takes a 404 of requests for no outage"""
    with Chaos():
        play = Play(breaker)
        told = [play.call("missing") for _ in range(THRESHOLD + 1)]
    return YES if play.reached == THRESHOLD + 1 else f"no: {told[-1]}"


def raises_the_error_that_opens(breaker: Breaker) -> str:
    """raises the caller's own error where it opens"""
    with Chaos():
        told = Play(breaker).fail()
    return YES if told[-1] == "down" else "no: its own"


def keeps_its_cooldown(breaker: Breaker) -> str:
    """stays open for its cooldown, and no longer"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN - 0.1)
        early = play.call()
        chaos.clock.advance(0.2)
        late = play.call()
    return YES if (early, late) == ("refused", "ok") else f"no: {early}, then {late}"


def tells_when(breaker: Breaker) -> str:
    """says when to come back, in Tokyo too"""
    if breaker.tells is None:
        return "no: does not say"
    with Chaos(timezone="Asia/Tokyo") as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(10)
        play.call()
        try:
            seconds = breaker.tells(play.refusal)
        except Exception as error:
            return f"no: {type(error).__name__}"
    return YES if abs(seconds - 20) <= 1 else f"no: {seconds:.0f} s where 20 are left"


def runs_calls_side_by_side(breaker: Breaker) -> str:
    """lets calls run side by side"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.side_by_side((0, "ok", 10), (0, "ok", 10))
        took = chaos.clock.elapsed
    return YES if took < 15 else "no: one after the other"


def probes_one_at_a_time(breaker: Breaker) -> str:
    """sends one probe at a time"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        play.side_by_side(*[(0, "ok", 1)] * 5)
    return YES if play.most == 1 else f"no: {play.most} of 5 at once"


def closes_after_success(breaker: Breaker) -> str:
    """closes when the probe succeeds"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        told = [play.call(end) for end in ("ok", "down", "down", "ok")]
    return YES if told[-1] == "ok" else f"no: {told}"


def opens_anew(breaker: Breaker) -> str:
    """opens for another cooldown when the probe fails"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        play.call("down")
        chaos.clock.advance(COOLDOWN - 1)
        early = play.call()
        chaos.clock.advance(2)
        late = play.call()
    return YES if (early, late) == ("refused", "ok") else f"no: {early}, then {late}"


def raises_the_probes_error(breaker: Breaker) -> str:
    """raises the probe's own error"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        told = play.call("down")
    return YES if told == "down" else "no: its own"


def gives_a_cancelled_place_back(breaker: Breaker) -> str:
    """gives the place of a cancelled probe to the next call"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        play.call("cut")
        second = play.call("down")
        third = play.call()
        chaos.clock.advance(COOLDOWN + 1)
        last = play.call()
    if (second, third) == ("down", "ok"):
        return "no: closes"
    if second == "refused":
        return "no: opens" if last == "ok" else "no: refuses for ever"
    return YES


def gives_a_lost_place_back(breaker: Breaker) -> str:
    """… and, in the end, that of one that hangs"""
    with Chaos() as chaos:
        play = Play(breaker)
        play.fail()
        chaos.clock.advance(COOLDOWN + 1)
        told = play.side_by_side((0, "ok", 5000), (1, "ok", 0), (1000, "ok", 0))
    if play.most == 1:
        return "no: waits for it" if "refused" not in told else "no: refuses meanwhile"
    return YES if told[1] == "refused" else NONE  # it sends several probes anyway


def leaves_late_successes(breaker: Breaker) -> str:
    """stays open when a call from before succeeds"""
    with Chaos():
        play = Play(breaker)
        plans = ((0, "ok", 5), (1, "down", 0), (2, "down", 0), (3, "down", 0))
        if play.side_by_side(*plans) and play.most == 1:
            return NONE
        told = play.call()
    return YES if told == "refused" else "no: closes"


def leaves_late_failures(breaker: Breaker) -> str:
    """counts no failure from before once it has closed again"""
    with Chaos():
        play = Play(breaker)
        opening = ((1, "down", 0), (2, "down", 0), (3, "down", 0))
        play.side_by_side((0, "down", 60), *opening, (40, "ok", 0), (61, "down", 0), (62, "down", 0))
        if play.most == 1:
            return NONE
        told = play.call()
    return YES if told == "ok" else "no: opens"


ROWS = (
    opens,
    counts_in_a_row,
    leaves_404,
    raises_the_error_that_opens,
    keeps_its_cooldown,
    tells_when,
    runs_calls_side_by_side,
    closes_after_success,
    opens_anew,
    raises_the_probes_error,
    probes_one_at_a_time,
    gives_a_cancelled_place_back,
    gives_a_lost_place_back,
    leaves_late_successes,
    leaves_late_failures,
)
