"""A set in the order in which things were added: the built-in one is in that of their addresses."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class InOrder(dict[T, None]):
    """The part of a set that the libraries patched here use."""

    def add(self, item: T) -> None:
        """Add an item, at the end."""
        self[item] = None

    def discard(self, item: T) -> None:
        """Take an item out, if it is there."""
        self.pop(item, None)
