"""What the engine's tests run: scripts, a clock that only sleeping moves, and every form of retrying."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import trio


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Script:
    """A function that ends as it was told, call by call."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end


def answer(status, **headers):
    """Make an httpx response; underscores in names stand for hyphens."""
    return httpx.Response(status, headers={name.replace("_", "-"): text for name, text in headers.items()})


def run_call(retry, script):
    """Run by `Retry.call`."""
    return retry.call(script)


def run_decorated(retry, script):
    """Run as a decorated function."""

    @retry
    def work():
        return script()

    return work()


def run_block(retry, script):
    """Run as a block."""
    for attempt in retry:
        with attempt:
            return script()
    raise AssertionError("the loop ended without an outcome")


def async_twin(retry, script):
    """Make a policy whose sleep is async, and a coroutine function of a script."""
    sleep = retry.sleep

    async def pause(seconds):
        sleep(seconds)

    async def work():
        return script()

    return retry.__replace__(sleep=pause), work


async def await_call(retry, script):
    """Run by `Retry.call_async`."""
    retry, work = async_twin(retry, script)
    return await retry.call_async(work)


async def await_decorated(retry, script):
    """Run as a decorated coroutine function."""
    retry, work = async_twin(retry, script)
    return await retry(work)()


async def await_block(retry, script):
    """Run as a block of async code."""
    retry, work = async_twin(retry, script)
    async for attempt in retry:
        with attempt:
            return await work()
    raise AssertionError("the loop ended without an outcome")


DRIVERS = [run_call, run_decorated, run_block] + [
    pytest.param(lambda *given, drive=drive, runner=runner: runner(drive, *given), id=f"{drive.__name__}-{name}")
    for drive in (await_call, await_decorated, await_block)
    for name, runner in (("asyncio", lambda drive, *given: asyncio.run(drive(*given))), ("trio", trio.run))
]
