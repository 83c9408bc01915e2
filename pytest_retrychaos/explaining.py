"""What the command line tells: the pages of laws, the tables of faults and laws, and what a script means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from pytest_retrychaos.faults import Script
from pytest_retrychaos.faults.vocabulary import FAULTS, OPTIONS
from pytest_retrychaos.laws import FAMILIES, LAWS, nearest

WIDTH: Final = 100


def explain(name: str) -> Iterator[str]:
    """Write a law's page, or those of a family; a shape's is its law's. `ValueError` names the nearest known name."""
    wanted = name.upper() if name.upper() in FAMILIES else name.partition("/")[0].upper()
    laws = [law for law in LAWS if wanted in (law.code, law.family)]
    if not laws or ("/" in name and name.lower() not in [shape.lower() for shape in laws[0].shapes]):
        near = nearest(name)
        raise ValueError(f"explain {name}: there is no such law; did you mean {near}? `laws` lists all of them")
    for place, law in enumerate(laws):
        yield from [""] if place else []
        yield from textwrap.wrap(f"{law.code}  {_plain(law.statement)}", WIDTH, subsequent_indent="      ")
        if law.ways:
            yield from textwrap.wrap(
                f"shapes: {', '.join(law.shapes)}", WIDTH, initial_indent="  ", subsequent_indent="  "
            )
        for item in re.split(r"(?m)^- ", law.page)[1:]:
            yield ""
            yield from textwrap.wrap(_plain(item), WIDTH, initial_indent="  ", subsequent_indent="  ")


def law_lines() -> Iterator[str]:
    """List the laws, family by family."""
    for place, (family, about) in enumerate(FAMILIES.items()):
        yield from [""] if place else []
        yield f"{family}: {about}"
        for law in LAWS:
            if law.family == family:
                yield from textwrap.wrap(f"  {law.code}  {_plain(law.statement)}", WIDTH, subsequent_indent=" " * 8)


def fault_lines() -> Iterator[str]:
    """List the faults of the script language with their options."""
    rows = [("fault", "what the client sees", "does the service take effect?")]
    rows += [(fault.usage, _plain(fault.summary), _plain(fault.commit.value)) for fault in FAULTS.values()]
    yield from _columns(rows)
    yield ""
    takers = {word: [fault.word for fault in FAULTS.values() if word in fault.options] for word in OPTIONS}
    options = [(option.example, ", ".join(takers[word])) for word, option in OPTIONS.items()]
    yield from _columns([("option", "of"), *options])
    yield ""
    yield 'A step may be repeated ("503 x3") or last for ever ("503 *"); steps are parted by commas.'


def script_lines(script: Script) -> Iterator[str]:
    """Write what a script means, step by step, and how Python writes it."""
    rows = []
    for step in script.steps:
        fault = FAULTS[step.kind]
        times = "for ever" if step.count is None else "once" if step.count == 1 else f"{step.count} times"
        rows.append((str(step.once()), times, _plain(fault.summary)))
    yield from _columns(rows)
    yield ""
    yield f"as text    {script}"
    yield f"in Python  {script!r}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows in columns, the last one wrapped where the others leave it room."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    indent = sum(widths) + 2 * len(widths)
    for row in rows:
        head = "".join(f"{text:<{width}}  " for text, width in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(row[-1], max(30, WIDTH - indent)) or [""]
        yield f"{head}{wrapped[0]}".rstrip()
        yield from (f"{' ' * indent}{line}" for line in wrapped[1:])


def _plain(text: str) -> str:
    """Take the markup out of a text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split()))
    return re.sub(r"`([^`]*)`|\*(\w[^*]*)\*", lambda found: found[1] or found[2], text)
