"""Numbers and nouns as findings write them: plurals right, units always."""

from __future__ import annotations

from pytest_retrychaos.model import SECOND


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 attempt``, ``2 attempts``, ``2 retries``, ``1 960 attempts``."""
    return f"{grouped(number)} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Write the plural of the last word: ``retry`` → ``retries``."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def singular(noun: str) -> str:
    """Write the singular of a collection's name: ``payments`` → ``payment``."""
    if noun in ("news", "series", "species"):
        return noun
    if noun in ("caches", "analyses"):
        return {"caches": "cache", "analyses": "analysis"}[noun]
    if noun.endswith("ies") and len(noun) > 4 and not noun.endswith(("cookies", "movies", "calories")):
        return f"{noun[:-3]}y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun


def grouped(number: int) -> str:
    """Write a whole number with its thousands apart: ``1 960``."""
    return f"{number:,}".replace(",", " ")


def seconds(nanoseconds: int) -> str:
    """Write a duration in seconds, to the millisecond: ``2 s``, ``0.25 s``."""
    text = f"{nanoseconds / SECOND:.3f}".rstrip("0").rstrip(".")
    return f"{text} s"


def listed(items: list[str], joint: str = "and") -> str:
    """Write a list: ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {joint} {items[-1]}"
