"""The event loop that runs this coroutine, asyncio's or trio's, found without importing either."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pytest_retrychaos.engine.classify import was_made_of

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from types import FrameType, TracebackType
    from typing import Any


def running_sleep() -> Callable[[float], Awaitable[object]]:
    """Give the ``sleep`` of the library that runs this coroutine.

    Raises `RuntimeError` where neither asyncio nor trio does. With trio as a guest of asyncio, each task gets its own
    library's: trio's tasks are none of asyncio's.
    """
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    loop = None if asyncio is None else asyncio._get_running_loop()
    if asyncio is not None and loop is not None and (trio is None or asyncio.current_task(loop) is not None):
        return asyncio.sleep  # type: ignore[no-any-return]  # a module found by name has no types
    if trio is not None and _is_trio_task(trio):
        return trio.sleep  # type: ignore[no-any-return]  # as above
    raise RuntimeError(
        "this coroutine is run by neither asyncio nor trio, whose sleeps the engine knows; "
        "give the policy its own: Retry(sleep=...), a function that can be awaited"
    )


def is_being_cancelled(error: BaseException) -> bool:
    """Tell whether an exception was made of a cancellation of this task: asyncio asks a task only once.

    A time limit (`asyncio.timeout`, `asyncio.wait_for`) takes its cancellation back, so its `TimeoutError` is none.
    Nor is a failure while the task cleans up after its cancellation: that one is being handled further out. trio
    raises a cancellation again at the next wait.
    """
    asyncio = sys.modules.get("asyncio")
    task = None if asyncio is None else _asyncio_task(asyncio)
    if asyncio is None or task is None or not task.cancelling():
        return False
    cancellations = was_made_of(error, asyncio.CancelledError)
    if not cancellations:
        return False
    running = set(_running_frames())
    return not all(_is_handled(one.__traceback__, running) for one in cancellations)


def _is_handled(step: TracebackType | None, running: set[FrameType]) -> bool:
    """Tell whether who handles an exception is still at it: then what it was raised at stands above what runs now.

    Below stands what was raised in the ``with`` block that is being left.
    """
    return step is not None and step.tb_frame in running and step.tb_lineno <= step.tb_frame.f_lineno


def _running_frames() -> Iterator[FrameType]:
    """List the frames of everything that is under way: who handles an exception now is one of them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _asyncio_task(asyncio: Any) -> Any:  # Any: a module found by name has no types
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def _is_trio_task(trio: Any) -> bool:  # Any: as above
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True
