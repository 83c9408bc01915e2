"""All that the project knows of CPython's insides: how a built-in function or a C type is changed in place.

A built-in function object holds a pointer to its definition (``m_ml``) and the object that is handed to the
C code as ``self`` (``m_self``). `BuiltinSwap` points the first at a definition whose C code is one of
libpython's own ``PyObject_Call…`` functions and the second at a callable: the interpreter then calls that
natively, whoever holds the built-in, and exceptions pass as they should (through a ctypes callback they do
not). What the pointers lead to is kept for ever, because a call may be under way in another thread.

Nothing is assumed: `check` compares the struct layouts with known functions and types before the first write.
"""

from __future__ import annotations

import _thread
import ctypes
import dis
import functools
import select
import sys
import sysconfig
import time
import weakref
from collections.abc import Callable
from types import BuiltinFunctionType, ModuleType
from typing import Any

from pytest_retrychaos.clock.errors import Unsupported

# PyMethodDef.ml_flags, Include/methodobject.h
VARARGS, KEYWORDS, NOARGS, ONE_ARG = 0x01, 0x02, 0x04, 0x08
IMMUTABLE = 1 << 8
"""``Py_TPFLAGS_IMMUTABLETYPE``, Include/object.h."""
TP_FLAGS = 168
"""Offset of ``PyTypeObject.tp_flags`` on 64-bit builds, Include/cpython/object.h."""
POLL_DICT = 16
"""Offset of ``pollObject.dict``, Modules/selectmodule.c."""


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("meth", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    )


class _CFunction(ctypes.Structure):
    _fields_ = (
        ("head", ctypes.c_byte * object.__basicsize__),
        ("ml", ctypes.c_void_p),
        ("self", ctypes.c_void_p),
        ("module", ctypes.c_void_p),
        ("weak", ctypes.c_void_p),
        ("vectorcall", ctypes.c_void_p),
    )


_WORDS = 5
_WEAK = 3
"""Which of the five words after the head is the list of weak references: it is never replaced."""

_kept: list[object] = []
_originals: dict[int, int] = {}
"""By a built-in's address, where its own definition is: of those that have a swap, on or off."""
_made: weakref.WeakSet[BuiltinSwap | TypePatch] = weakref.WeakSet()
"""Every swap and patch there is, on or off."""


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


_C_CODE = {
    NOARGS: "PyObject_CallNoArgs",
    ONE_ARG: "PyObject_CallOneArg",
    VARARGS: "PyObject_CallObject",
    VARARGS | KEYWORDS: "PyObject_Call",
}
"""For each calling convention the function of libpython that has the same C signature."""


@functools.cache
def _move() -> Callable[[int, int, int], int]:
    # ctypes.memmove gives up the GIL; through PYFUNCTYPE it is kept, so that no thread sees half a move.
    kind = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    address: int = ctypes._memmove_addr  # type: ignore[attr-defined]  # there, though not in the stubs
    return kind(address)


@functools.cache
def _new_builtin() -> Callable[[int, object, str], Any]:  # Any: the function that it makes
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
    return kind(("PyCFunction_NewEx", ctypes.pythonapi))


def _definition(builtin: Callable[..., Any]) -> _MethodDef:
    address = _originals.get(id(builtin)) or _CFunction.from_address(id(builtin)).ml
    return _MethodDef.from_address(address)


def real_twin(builtin: Callable[..., Any]) -> Callable[..., Any]:
    """Make a second function with the C code that a built-in has now, swaps aside.

    Whatever is done to the built-in or to its definition later, the twin goes on as it was, at full speed.
    """
    check()
    copy = _MethodDef.from_buffer_copy(_definition(builtin))
    return _twin(builtin, copy)


def following_twin(builtin: Callable[..., Any]) -> Callable[..., Any]:
    """Make a second function over a built-in's own definition.

    It goes on as it was when the built-in is swapped, but follows what others do to the definition.
    """
    check()
    return _twin(builtin, _definition(builtin))


def _twin(builtin: Callable[..., Any], definition: _MethodDef) -> Callable[..., Any]:
    _kept.append(definition)
    name = builtin.__module__
    twin: Callable[..., Any] = _new_builtin()(ctypes.addressof(definition), sys.modules[name], name)
    return twin


def _stand_in(builtin: Callable[..., Any], function: Callable[..., Any]) -> ModuleType:
    # A module is what a built-in has as self: with one, its repr, qualified name, pickling and the text of
    # its arity errors stay as they are.
    kind: type[ModuleType] = type("module", (ModuleType,), {"__call__": staticmethod(function)})
    return kind(builtin.__module__)


class BuiltinSwap:
    """Let a built-in function do something else, in place, while `on`.

    Every reference follows: a name imported from its module, a default argument, a `functools.partial`, a
    closure, a reference held in C. ``function`` is called with the arguments as given. A built-in that takes
    none or one still checks that by itself. While on, the built-in's hash differs.
    """

    def __init__(self, builtin: Callable[..., Any], function: Callable[..., Any]) -> None:
        check()
        if not isinstance(builtin, BuiltinFunctionType):
            raise TypeError(
                f"{builtin!r} is no built-in function: only those are swapped in place; "
                "give the original, not what has replaced it"
            )
        stand_in = _stand_in(builtin, function)
        old = _definition(builtin)
        kept_convention = old.flags in _C_CODE
        flags = old.flags if kept_convention else VARARGS | KEYWORDS
        new = _MethodDef(old.name, _address(_C_CODE[flags]), flags, old.doc)
        self._new, self._code = new, new.meth
        self._at = id(builtin) + _CFunction.ml.offset
        self._words = (ctypes.c_void_p * _WORDS).from_address(self._at)
        words = list(self._words)
        self._saved = (ctypes.c_void_p * _WORDS)(*words)
        words[0], words[1] = ctypes.addressof(new), id(stand_in)
        if not kept_convention:
            words[4] = None  # without a vectorcall pointer the definition's flags decide
        self._mine = (ctypes.c_void_p * _WORDS)(*words)
        # The definition and self lie side by side: where the convention is kept, only they are moved.
        self._size = ctypes.sizeof(ctypes.c_void_p) * (2 if kept_convention else _WORDS)
        _originals.setdefault(id(builtin), ctypes.addressof(old))
        _kept.append((builtin, stand_in, new, self))
        self.name = f"{builtin.__module__}.{builtin.__name__}"
        _made.add(self)

    @property
    def is_on(self) -> bool:
        """Whether the replacement is in."""
        return self._words[1] == self._mine[1]

    def on(self) -> None:
        """Put the replacement in; doing it twice is harmless."""
        self._new.meth = self._code  # time-machine, stopped once more than it was begun, puts its original here
        self._put(self._mine)

    def off(self) -> None:
        """Put the original back; doing it twice is harmless."""
        self._put(self._saved)

    def _put(self, words: ctypes.Array[ctypes.c_void_p]) -> None:
        words[_WEAK] = self._words[_WEAK]
        _move()(self._at, ctypes.addressof(words), self._size)


class TypePatch:
    """Replace one attribute of a type while `on`, of an immutable C type too."""

    def __init__(self, target: type, name: str, value: object) -> None:
        check()
        self._target, self._name, self._value = target, name, value
        self._original = target.__dict__[name]
        self._flags = ctypes.c_ulong.from_address(id(target) + TP_FLAGS)
        self._immutable = self._flags.value & IMMUTABLE
        self.name = f"{target.__module__}.{target.__qualname__}.{name}"
        _made.add(self)

    @property
    def is_on(self) -> bool:
        """Whether the replacement is in, or the type still open to it."""
        is_open = self._flags.value & IMMUTABLE != self._immutable
        return is_open or self._target.__dict__[self._name] is not self._original

    def on(self) -> None:
        """Put the replacement in."""
        self._set(self._value)

    def off(self) -> None:
        """Put the original back; doing it twice is harmless."""
        if self._target.__dict__[self._name] is not self._original:
            self._set(self._original)
        self._close()  # an interrupt may have come between the two halves of `_set`

    def _set(self, value: object) -> None:
        try:
            self._flags.value &= ~IMMUTABLE
            setattr(self._target, self._name, value)
        finally:
            self._close()

    def _close(self) -> None:
        # Only that bit: setattr has cleared others, which say that the method cache is stale.
        self._flags.value |= self._immutable


def in_place() -> list[str]:
    """Name what is replaced just now, of all that was ever made here: nothing outside of a run."""
    return sorted(one.name for one in list(_made) if one.is_on)


def polled_descriptors(poll: object) -> list[tuple[int, int]]:
    """List the descriptors registered with a `select.poll` object, each with its events."""
    return list(ctypes.cast(_pointer(id(poll) + POLL_DICT), ctypes.py_object).value.items())


def _pointer(address: int) -> int:
    return ctypes.c_void_p.from_address(address).value or 0


def _poll_layout_holds() -> bool:
    sample = select.poll()
    before = _pointer(id(sample) + POLL_DICT)
    if type(sample).__basicsize__ < POLL_DICT + 8 or not before:
        return False
    sample.register(0, select.POLLIN)
    # The type tracks no garbage, so its dictionary is found by what it refers to: compare with a real one.
    kind = _pointer(before + object.__basicsize__ - ctypes.sizeof(ctypes.c_void_p))
    return kind == id(dict) and 0 in ctypes.cast(before, ctypes.py_object).value


def ended_in_raise(error: BaseException) -> str | None:
    """Give the file whose own ``raise`` statement raised an exception; ``None`` where an operation failed."""
    trace = error.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    is_raise = dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
    return code.co_filename if is_raise else None


@functools.cache
def check() -> None:
    """Compare the layouts that this file relies on with known functions and types, once.

    Raises `Unsupported` where they do not hold.
    """
    if sys.implementation.name != "cpython":
        raise _unsupported("it is not CPython")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise _unsupported("it is a free-threaded build, and functions are replaced under the GIL")
    if ctypes.sizeof(ctypes.c_void_p) != 8 or object.__basicsize__ != 16:
        raise _unsupported("it is not a 64-bit release build")
    for kind in (int, type, dict, _thread.LockType):
        if ctypes.c_ulong.from_address(id(kind) + TP_FLAGS).value != kind.__flags__:
            raise _unsupported(f"the flags of {kind.__name__!r} are not where they are expected")
    known: list[tuple[Any, int]] = [
        (time.get_clock_info, VARARGS),
        (_thread.get_ident, NOARGS),
        (len, ONE_ARG),
    ]
    for builtin, flags in known:
        view = _CFunction.from_address(id(builtin))
        if type(builtin).__basicsize__ < ctypes.sizeof(_CFunction) or view.self != id(builtin.__self__):
            raise _unsupported(f"the object of {builtin.__name__!r} is not laid out as expected")
        if _definition(builtin).flags != flags or _name(builtin) != builtin.__name__.encode():
            raise _unsupported(f"the definition of {builtin.__name__!r} is not where it is expected")

    if not _poll_layout_holds():
        raise _unsupported("the descriptors of a poll object are not where they are expected")


def _name(builtin: Callable[..., Any]) -> bytes | None:
    return ctypes.cast(_definition(builtin).name, ctypes.c_char_p).value


def _unsupported(why: str) -> Unsupported:
    version = ".".join(map(str, sys.version_info[:3]))
    return Unsupported(
        f"virtual time does not work on {sys.implementation.name} {version}: {why}. Use CPython 3.11, 3.12 or 3.13"
    )
