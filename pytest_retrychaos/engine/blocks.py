"""Which ``with`` blocks run in this thread or task, so that an object without state can be entered many times."""

from __future__ import annotations

from contextvars import ContextVar


class _Block:
    """A block that runs. A task begun in it inherits it and may outlive it: who leaves it takes its owner off."""

    __slots__ = ("next", "number", "owner")

    def __init__(self, owner: object, number: int, following: _Block | None) -> None:
        self.owner: object = owner
        self.number = number
        self.next = following


_running: ContextVar[_Block | None] = ContextVar("running blocks", default=None)
"""The innermost first: whose it is, the number it was entered with, and the next."""


def enter(owner: object, number: int) -> None:
    """Remember that a block of ``owner`` begins, and a number with it."""
    around = _running.get()
    while around is not None and around.owner is None:
        around = around.next
    _running.set(_Block(owner, number, around))


def leave(owner: object) -> int | None:
    """Tell the number of the innermost block of ``owner`` and forget the block; ``None`` where there is none.

    There may be none: a fixture can leave in another context than it entered in.
    """
    inner, block = None, _running.get()
    while block is not None and block.owner is not owner:
        inner, block = block, block.next
    if block is None:
        return None
    if inner is None:
        _running.set(block.next)
    else:  # generators end in any turn, not only the innermost first
        inner.next = block.next
    block.owner = None
    return block.number
