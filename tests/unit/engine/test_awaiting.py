"""Retrying async code: the sleeps of asyncio and trio, cancellation, what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import subprocess
import sys
import types
import weakref

import pytest
import trio

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import CircuitBreaker, Retry, fixed
from pytest_retrychaos.engine.classify import Kind
from tests.unit.engine.drives import Script

RETRY = Retry(backoff=fixed(2))


def failing(*errors):
    """Make a coroutine function that fails so, then returns its argument."""
    script = Script(*errors, None)

    async def work(value):
        script()
        return value

    return work, script


async def cancelled(work, ends_in):
    """Cancel a task of asyncio after a second, and see what it ends in."""
    task = asyncio.create_task(work)
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(ends_in):
        await task


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Run a coroutine function on asyncio and on trio, on virtual time; give result and seconds."""

    def run(fn, *args):
        with Chaos() as chaos:
            result = asyncio.run(fn(*args)) if request.param == "asyncio" else trio.run(fn, *args)
            return result, chaos.clock.elapsed

    return run


def test_the_sleep_is_that_of_the_running_library(run):
    """Two waits of two seconds."""
    work, _ = failing(TimeoutError("late"), TimeoutError("late"))
    assert run(functools.partial(RETRY.call_async, work), "paid") == ("paid", 4.0)


def test_a_decorated_coroutine_function_is_one(run):
    """Frameworks ask for that."""
    work, _ = failing(TimeoutError("late"))
    retried = RETRY(work)
    assert inspect.iscoroutinefunction(retried)
    assert retried.__name__ == "work"
    assert run(retried, "paid") == ("paid", 2.0)


def test_a_function_that_returns_an_awaitable_is_awaited(run):
    """A lambda around a client's method is the common case."""
    work, script = failing(TimeoutError("late"))
    assert run(lambda: RETRY.call_async(lambda: work("paid"))) == ("paid", 2.0)
    assert script.calls == 2


def test_a_policy_serves_two_libraries_and_many_tasks_at_once(run):
    """It has no state: each operation has all its attempts, and they wait side by side."""

    async def both():
        works = [failing(TimeoutError("late"), TimeoutError("late"))[0] for _ in range(20)]
        if "asyncio" in str(type(asyncio._get_running_loop())):
            return await asyncio.gather(*(RETRY.call_async(work, "paid") for work in works))
        results = []

        async def one(work):
            results.append(await RETRY.call_async(work, "paid"))

        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(one, work)
        return results

    assert run(both) == (["paid"] * 20, 4.0)


def test_trio_as_a_guest_of_asyncio_sleeps_on_trio():
    """Each task gets the sleep of its own library."""

    async def host():
        done = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            functools.partial(RETRY.call_async, failing(TimeoutError("late"))[0], "guest"),
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=lambda outcome: done.set_result(outcome.unwrap()),
        )
        own = await RETRY.call_async(failing(TimeoutError("late"))[0], "host")
        return own, await done

    retry = RETRY
    with Chaos():
        assert asyncio.run(host()) == ("host", "guest")
    assert retry == Retry(backoff=fixed(2))


def test_a_cancellation_during_the_attempt_goes_through():
    """The task ends, and no other attempt is made."""
    calls = []

    async def hang():
        calls.append(1)
        await asyncio.sleep(100)

    with Chaos() as chaos:
        asyncio.run(cancelled(RETRY.call_async(hang), asyncio.CancelledError))
        assert (len(calls), chaos.clock.elapsed) == (1, 1.0)


def test_a_cancellation_during_the_wait_goes_through():
    """Nobody is kept in a backoff."""
    work, script = failing(TimeoutError("late"))

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await RETRY.call_async(work, "paid")

    with Chaos() as chaos:
        asyncio.run(main())
        assert (script.calls, chaos.clock.elapsed) == (1, 1.0)


@pytest.mark.parametrize("hang", ["attempt", "wait"])
def test_a_cancelled_scope_of_trio_ends_it(hang):
    """In the attempt as in the wait."""
    calls = []

    async def work():
        calls.append(1)
        if hang == "wait":
            raise TimeoutError("late")
        await trio.sleep(100)

    async def main():
        with trio.move_on_after(1) as scope:
            await RETRY.call_async(work)
        return scope.cancelled_caught

    with Chaos() as chaos:
        assert trio.run(main)
        assert (len(calls), chaos.clock.elapsed) == (1, 1.0)


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_cancellation_that_was_made_another_error_is_not_retried(is_hidden):
    """asyncio asks a task once; a client that turns it into its own error must not keep the task alive."""
    calls = []

    async def work():
        calls.append(1)
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError as cancelled:
            raise ConnectionResetError("the connection was closed") from None if is_hidden else cancelled

    with Chaos():
        asyncio.run(cancelled(RETRY.call_async(work), ConnectionResetError))
    assert len(calls) == 1


def test_giving_up_for_a_cancellation_tells_what_it_was_made_into():
    """Its kind is that of the error that was raised."""
    told = []

    async def work():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            raise ConnectionResetError("the connection was closed") from None

    with Chaos():
        asyncio.run(cancelled(Retry(giving_up=told.append).call_async(work), ConnectionResetError))
    assert [(one.reason, one.kind) for one in told] == [("cancelled", Kind.AMBIGUOUS)]


def test_a_cancellation_that_a_block_made_another_error_is_not_retried():
    """The code around the block goes on, but it is not what handles the cancellation."""
    numbers = []

    async def work():
        async for attempt in RETRY:
            with attempt:
                numbers.append(attempt.number)
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError as cancelled:
                    raise ConnectionResetError("the connection was closed") from cancelled

    with Chaos():
        asyncio.run(cancelled(work(), ConnectionResetError))
    assert numbers == [1]


def test_an_attempt_cut_by_its_own_time_limit_is_retried():
    """`asyncio.timeout` is a cancellation that was taken back."""
    work, script = failing()

    async def slow(value):
        async with asyncio.timeout(1):
            if script.calls == 0:
                script.ends.append(None)
                script()
                await asyncio.sleep(100)
            return await work(value)

    with Chaos() as chaos:
        assert asyncio.run(RETRY.call_async(slow, "paid")) == "paid"
        assert chaos.clock.elapsed == 3.0


def test_a_cancelled_attempt_gives_a_probe_its_place_back():
    """The circuit would stay half open, and refuse everybody until the probe is overdue."""
    breaker = CircuitBreaker(threshold=1, cooldown=10)
    retry = Retry(attempts=1, breaker=breaker)
    broken, _ = failing(ConnectionResetError(104, "reset"))

    async def hang():
        await asyncio.sleep(100)

    async def main():
        with pytest.raises(ConnectionResetError):
            await retry.call_async(broken, "paid")
        await asyncio.sleep(10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(retry.call_async(hang), 1)
        return await retry.call_async(failing()[0], "paid")

    with Chaos():
        assert asyncio.run(main()) == "paid"


async def by_call(work, value):
    """Retry a call of the function."""
    await RETRY.call_async(work, value)


async def by_block(work, value):
    """Retry a block that calls it."""
    async for attempt in RETRY:
        with attempt:
            await work(value)


@pytest.mark.parametrize("retried", [by_call, by_block])
def test_a_cancelled_task_may_retry_its_cleaning_up(retried):
    """What it does after its cancellation is another operation."""
    release, script = failing(TimeoutError("late"))

    async def work():
        try:
            await asyncio.sleep(100)
        finally:
            await retried(release, "released")

    with Chaos():
        asyncio.run(cancelled(work(), asyncio.CancelledError))
    assert script.calls == 2


@pytest.mark.parametrize("failures", [2, 4], ids=["success", "failure"])
@pytest.mark.parametrize("cause", [None, KeyError("token")], ids=["plain", "caused"])
def test_a_future_that_failed_is_not_kept(failures, cause):
    """It holds its exception, and that the frame which awaited it: nothing may hold the future in turn."""

    class Late(TimeoutError):
        """One that can be watched."""

    async def main():
        def work():
            future = asyncio.get_running_loop().create_future()
            if len(kept) == failures:
                future.set_result("paid")
                return future
            error = Late()
            error.__cause__ = cause
            kept.append(weakref.ref(error))
            future.set_exception(error)
            return future

        with contextlib.suppress(Late):
            await Retry(attempts=4, backoff=fixed(0)).call_async(work)

    kept = []
    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
        assert [one() for one in kept] == [None] * failures
    finally:
        gc.enable()


def test_a_blocking_function_is_refused_and_not_called_again(run):
    """It cannot be awaited, whatever the policy is on."""
    script = Script("paid", "paid")

    def charge():
        return script()

    with pytest.raises(TypeError, match=r"charge\(\) is to be awaited, but returned str: .* by call\(fn, \.\.\.\)"):
        run(lambda: Retry(on=Exception).call_async(charge))
    assert script.calls == 1


async def async_generator():
    """Lazy async work."""
    yield 1


@pytest.mark.parametrize("take", [RETRY.call_async, RETRY.call, RETRY])
def test_an_async_generator_is_refused_with_the_way_out(take):
    """It fails while it is iterated."""
    with pytest.raises(TypeError, match=r"async_generator\(\) is a generator function: .*let it return a list"):
        take(async_generator)


def test_a_blocking_sleep_is_refused_in_async_code(run):
    """It would hold the event loop up."""
    work, _ = failing(TimeoutError("late"))
    slept = []
    with pytest.raises(TypeError, match=r"cannot be awaited: in async code a policy's sleep has to be async"):
        run(RETRY.__replace__(sleep=slept.append).call_async, work, "paid")


def test_without_a_known_library_the_way_out_is_named():
    """Another event loop's sleep has to be given."""

    @types.coroutine
    def suspend():
        yield "suspended"

    async def pause(seconds):
        await suspend()

    coroutine = RETRY.call_async(failing(TimeoutError("late"))[0], "paid")
    with pytest.raises(RuntimeError, match=r"neither asyncio nor trio.*: Retry\(sleep=\.\.\.\)"):
        coroutine.send(None)
    coroutine = RETRY.__replace__(sleep=pause).call_async(failing(TimeoutError("late"))[0], "paid")
    assert coroutine.send(None) == "suspended"
    with pytest.raises(StopIteration, match="paid"):
        coroutine.send(None)


def test_neither_library_is_imported():
    """A program pays for the one that it uses."""
    code = (
        "import sys; from pytest_retrychaos.engine import Retry\n"
        "async def work(): return 1\n"
        "coroutine = Retry().call_async(work)\n"
        "try: coroutine.send(None)\n"
        "except StopIteration: print(sorted({'asyncio', 'trio'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
