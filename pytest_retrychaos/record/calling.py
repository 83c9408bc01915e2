"""Calls of the code under test, each in a scope of its own: what the caller is told is recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from pytest_retrychaos.record.recorder import Recorder
from pytest_retrychaos.record.telling import tell_error, tell_value
from pytest_retrychaos.trace import Told

R = TypeVar("R")

MOST_SUCCESSES: Final = 20
"""How many values of one function are remembered as what success looks like."""

Pause = Callable[[], contextlib.AbstractContextManager[None]]


class Calls:
    """The calls of one run, and what each function returned when all went well."""

    def __init__(self, recorder: Recorder, paused: Pause) -> None:
        self._recorder = recorder
        self._paused = paused
        self._successes: dict[str, list[object]] = {}

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[Telling]:
        """Open a scope; it ends with what was told, or with the error that is raised inside."""
        first = len(self._recorder.sheets)
        with self._paused():
            number, token = self._recorder.open_scope(name)
        telling = Telling(self, name, first, number)
        try:
            yield telling
        except BaseException as error:
            telling.told = tell_error(error)
            raise
        finally:
            with self._paused():
                self._recorder.close_scope(number, token, telling.told)

    def tell(self, value: object, name: str, first: int, scope: int) -> Told:
        """Note a returned value; one that came of a run without a fault is what success looks like."""
        known = self._successes.setdefault(name, [])
        is_known = any(_equal(value, one) for one in known)
        if not is_known and len(known) < MOST_SUCCESSES and self._met_no_fault(first, scope):
            known.append(value)
        return tell_value(value, is_known_success=is_known)

    def _met_no_fault(self, first: int, scope: int) -> bool:
        with self._paused():  # what the client has done by now is in the record
            sheets = [sheet for sheet in self._recorder.sheets[first:] if sheet.scope == scope]
        return bool(sheets) and not any(sheet.failed or sheet.fault not in (None, "ok") for sheet in sheets)


class Telling:
    """What the caller of one call is told."""

    def __init__(self, calls: Calls, name: str, first: int, scope: int) -> None:
        self._calls = calls
        self._name = name
        self._first = first
        self._scope = scope
        self.told: Told | None = None

    def returns(self, value: R) -> R:
        """Note what is returned, and give it back."""
        self.told = self._calls.tell(value, self._name, self._first, self._scope)
        return value


def _equal(value: object, other: object) -> bool:
    try:
        return bool(value == other)
    except Exception:  # an __eq__ of the code under test that fails says: not equal
        return False
