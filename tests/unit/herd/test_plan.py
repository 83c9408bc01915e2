"""The arguments of ``chaos.herd``: what is taken, and what is refused in which words."""

from __future__ import annotations

import functools
import re

import pytest

from pytest_retrychaos.herd.plan import Plan


def client():
    """Stand for code that needs nothing."""


def numbered(number):
    """Stand for code that needs its number."""
    return number


def with_default(timeout=5):
    """Stand for code whose argument is an option."""
    return timeout


async def coroutine():
    """Stand for async code."""


class Callable_:  # noqa: N801 - a stand-in
    """An object whose call is async."""

    async def __call__(self):
        """Do nothing."""


def read(n=3, code=client, *, over=0.0, window=1.0, as_=None):
    return Plan.read("chaos.herd", n, code, over=over, window=window, as_=as_)


@pytest.mark.parametrize("n", [0, -1])
def test_plan_refuses_no_copies(n):
    """The value is shown."""
    with pytest.raises(ValueError, match=re.escape(f"chaos.herd({n}, …): there has to be a copy at least")):
        read(n)


@pytest.mark.parametrize("n", [1.5, True, "10", None])
def test_plan_refuses_copies_that_are_no_count(n):
    """The type is wrong, not the value."""
    with pytest.raises(TypeError, match="a whole number of copies"):
        read(n)


@pytest.mark.parametrize("name", ["over", "window"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_plan_refuses_times_that_are_none(name, value):
    """Neither negative nor endless, and no NaN."""
    with pytest.raises(ValueError, match=re.escape(f"chaos.herd({name}={value!r}): seconds have to be finite")):
        read(**{name: value})


@pytest.mark.parametrize("value", [0, 1e-10])
def test_plan_refuses_a_window_of_no_length(value):
    """Nothing could be counted in it."""
    with pytest.raises(ValueError, match="above 0"):
        read(window=value)


@pytest.mark.parametrize("name", ["over", "window"])
@pytest.mark.parametrize("value", ["1s", True, None])
def test_plan_refuses_times_that_are_no_numbers(name, value):
    """Text is for scripts."""
    with pytest.raises(TypeError, match="a number of seconds"):
        read(**{name: value})


def test_plan_refuses_a_call_in_place_of_the_function():
    """The commonest slip."""
    with pytest.raises(TypeError, match="give the function itself, not its call"):
        read(code=client())


def test_plan_refuses_a_generator_function():
    """Nobody would iterate what it returns, and nothing would be sent."""

    def stream():
        yield 1

    async def stream_later():
        yield 1

    for code in (stream, stream_later):
        with pytest.raises(TypeError, match="a generator does nothing until somebody iterates it"):
            read(code=code)


def test_plan_refuses_an_async_function_in_threads():
    """Its copies would never run."""
    with pytest.raises(TypeError, match=re.escape('coroutine, as_="threads"): this is an async function')):
        read(code=coroutine, as_="threads")


def test_plan_refuses_an_unknown_way():
    """Threads or tasks."""
    with pytest.raises(ValueError, match=re.escape('as_=\'greenlets\'): it is "threads", "tasks"')):
        read(as_="greenlets")


@pytest.mark.parametrize(
    "code", [lambda one, two: one + two, lambda *, one: one, functools.partial(lambda a, b, c: a + b + c, 1)]
)
def test_plan_refuses_code_that_needs_more_than_its_number(code):
    """It names what is needed."""
    with pytest.raises(TypeError, match="it needs the arguments"):
        read(code=code)


@pytest.mark.parametrize(
    ("code", "called"),
    [
        (client, None),
        (numbered, 7),
        (with_default, 5),
        (functools.partial(numbered, 1), 1),
        (functools.partial(int), 0),
    ],
)
def test_plan_gives_a_copy_its_number_only_where_it_is_needed(code, called):
    """An option keeps its default."""
    assert read(code=code).call(7) == called


@pytest.mark.parametrize(
    ("code", "as_", "is_async"),
    [
        (client, None, False),
        (client, "threads", False),
        (client, "tasks", True),
        (coroutine, None, True),
        (coroutine, "tasks", True),
        (Callable_(), None, True),
        (functools.partial(coroutine), None, True),
    ],
)
def test_plan_goes_by_the_function_unless_told(code, as_, is_async):
    """An async function runs in tasks, any other in threads."""
    assert read(code=code, as_=as_).is_async is is_async


def test_moments_are_one_where_no_window_was_given():
    """All at once."""
    assert read(4).moments(seed=1, number=0) == [0, 0, 0, 0]


def test_moments_are_the_seeds_and_in_order():
    """The same seed and herd give the same; others give others; all lie within the window."""
    plan = read(100, over=10)
    moments = plan.moments(seed=1, number=0)

    assert moments == plan.moments(seed=1, number=0) == sorted(moments)
    assert moments != plan.moments(seed=2, number=0)
    assert moments != plan.moments(seed=1, number=1)
    assert 0 <= moments[0] < 10**9 < 9 * 10**9 < moments[-1] < 10 * 10**9
