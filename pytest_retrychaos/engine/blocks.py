"""Which ``with`` blocks run in this thread or task, so that an object without state can be entered many times."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    Block = tuple[object, int, "Block | None"]

_running: ContextVar[Block | None] = ContextVar("running blocks", default=None)
"""The innermost first: whose it is, the number it was entered with, and the next."""


def enter(owner: object, number: int) -> None:
    """Remember that a block of ``owner`` begins, and a number with it."""
    _running.set((owner, number, _running.get()))


def leave(owner: object) -> int | None:
    """Tell the number of the innermost block of ``owner`` and forget the block; ``None`` where there is none.

    There may be none: a fixture can leave in another context than it entered in.
    """
    block = _running.get()
    if block is not None and block[0] is owner:
        _running.set(block[2])
        return block[1]
    inner = []  # generators end in any turn, not only the innermost first
    while block is not None and block[0] is not owner:
        inner.append(block)
        block = block[2]
    if block is None:
        return None
    rest = block[2]
    for other, number, _ in reversed(inner):
        rest = (other, number, rest)
    _running.set(rest)
    return block[1]
