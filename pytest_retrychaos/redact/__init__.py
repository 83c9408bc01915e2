"""Hide secrets in whatever is printed or written to a file.

Laws of this package:
1. A secret is known by the name it stands under, by its own shape, or by what the user named; when in doubt it is
   hidden: a value hidden needlessly costs a reader little.
2. In its place stands a mark, ``[hidden:3f9a2c1d]``: equal for equal values within one run, and keyed anew in each
   run, so that nothing can be guessed back from it, not even a card number or a short password.
3. What is hidden already, or numbered (``K1``, ``C1``), stays as it is: redacting twice changes nothing.
4. All of it takes time in proportion to the text, whatever stands in it, but for patterns that users give.
"""

from typing import TYPE_CHECKING

from pytest_retrychaos.redact.current import current, use, written

if TYPE_CHECKING:
    from pytest_retrychaos.redact.redaction import Hidden, Redaction
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pytest_retrychaos.redact import redaction  # its patterns take 10 ms to make

        return getattr(redaction, name)


__all__ = ["Hidden", "Redaction", "current", "use", "written"]
