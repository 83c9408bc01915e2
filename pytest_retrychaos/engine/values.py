"""Frozen, slotted value classes, as `dataclasses` makes them, at a tenth of its price.

Importing `dataclasses` and making ten classes with it takes longer than the rest of the engine together, and
production code pays that at every start. This makes what the engine uses of it: an ``__init__`` by
position or keyword with defaults, equality, hash, repr, pattern matching, pickling and ``copy.replace``. What a class
lists in ``_worked_out`` are slots beside the fields, for what ``__post_init__`` works out of them; they are no part of
the value.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_):
        """Stand in for `typing.dataclass_transform`, which only type checkers read."""
        return lambda decorator: decorator


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen value; ``__post_init__`` runs where there is one."""
    return _made(cls, "", is_lazy=True)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[T]) -> type[T]:
    """Make a frozen value as `value` does, with fields that are given by keyword only."""
    return _made(cls, "*, ", is_lazy=False)


def _made(cls: type[T], before: str, *, is_lazy: bool) -> type[T]:
    names = tuple(cls.__annotations__)
    space = {name: one for name, one in vars(cls).items() if name not in ("__dict__", "__weakref__", *names)}
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
    for name, method in _METHODS.items():
        space.setdefault(name, method)
    slots = (*names, *space.pop("_worked_out", ()))
    space |= {"__slots__": slots, "__match_args__": names}
    space["__signature__"] = _Signature()
    made: Any = type(cls.__name__, cls.__bases__, space)  # Any: no type checker follows a class made here

    def install(self: Any, *args: object, **kwargs: object) -> None:
        """Write the ``__init__`` when the first instance is made: compiling it takes longer than making the class."""
        made.__init__ = install.write()  # type: ignore[attr-defined]  # set below
        made.__init__(self, *args, **kwargs)

    install.write = lambda: _init(cls, names, defaults, before)  # type: ignore[attr-defined]  # for `_Signature`
    made.__init__ = install if is_lazy else install.write()  # type: ignore[attr-defined]  # as above
    return made  # type: ignore[no-any-return]  # it is what cls was, with slots


class _Signature:
    """Tells `inspect` what a class takes, also where its ``__init__`` is not written yet."""

    def __get__(self, instance: object, owner: Any) -> object:  # Any: a class made here
        import inspect  # whoever asks has it already

        init = owner.__init__
        found = inspect.signature(init.write() if hasattr(init, "write") else init)
        return found.replace(parameters=list(found.parameters.values())[1:])


def _init(cls: type, names: tuple[str, ...], defaults: dict[str, object], before: str) -> object:
    """Write the ``__init__``: as source, since a generic one would be slower and say less in a traceback."""
    parameters = [f"{name}=_defaults[{name!r}]" if name in defaults else name for name in names]
    lines = [f"    _set(self, {name!r}, {name})" for name in names]
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    source = f"def __init__(self, {before}{', '.join(parameters)}):\n" + "\n".join(lines)
    found: dict[str, Any] = {}  # Any: what exec defines has no type
    exec(source, {"_set": object.__setattr__, "_defaults": defaults}, found)
    init = found["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init


def _content(self: Any) -> tuple[object, ...]:  # Any: here and below, an instance of whatever class is made
    return tuple(getattr(self, name) for name in type(self).__match_args__)


def _repr(self: Any) -> str:
    content = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__match_args__)
    return f"{type(self).__name__}({content})"


def _equal(self: Any, other: object) -> bool:
    return _content(self) == _content(other) if type(other) is type(self) else NotImplemented


def _refuse(self: Any, name: str, *_: object) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed; make a new one")


def _replace(self: Any, **changes: object) -> Any:
    return type(self)(**{**{name: getattr(self, name) for name in type(self).__match_args__}, **changes})


def _restore(cls: Any, content: tuple[object, ...]) -> Any:
    return cls(**dict(zip(cls.__match_args__, content, strict=True)))


_METHODS = {
    "__repr__": _repr,
    "__eq__": _equal,
    "__hash__": lambda self: hash((type(self), _content(self))),
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__reduce__": lambda self: (_restore, (type(self), _content(self))),
    "__replace__": _replace,
}
