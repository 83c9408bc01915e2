"""What a search says: the shortest script for each way to fail, what stood beside it, and how far it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_retrychaos import redact
from pytest_retrychaos.faults import Script
from pytest_retrychaos.fuzz.history import History, Played, parted
from pytest_retrychaos.fuzz.journal import Left
from pytest_retrychaos.fuzz.search import Found, NotTheSameError
from pytest_retrychaos.laws.words import counted, grouped
from pytest_retrychaos.text import moment
from pytest_retrychaos.trace import Attempt

_OUTSIDE = (
    "what differs comes from outside the run: real randomness, a real clock, state that an earlier run left behind"
)


def failure(found: Found, beside: Mapping[str, Played | None], coverage: str) -> str:
    """Write the ways to fail, each with its shortest script, and how far was looked."""
    blocks = []
    for shape, played in _worst(found):
        lines = [played.breaches[shape].text]
        near = beside.get(shape)
        if near is not None:
            lines.append(f"  beside {near.history}: {_parting(played, near)}")
        blocks.append("\n".join(lines))
    if len(blocks) > 1:
        headline = f"{', '.join(plainest(found))} broken: the shortest script for each"
        blocks.insert(0, "\n".join([headline, *_listed(plainest(found))]))
    return "\n\n".join([*blocks, coverage])


def plainest(found: Found) -> dict[str, str]:
    """Give the shortest script for each way to fail, the plainest first."""
    return {shape: str(played.history) for shape, played in _worst(found)}


def _worst(found: Found) -> list[tuple[str, Played]]:
    return sorted(found.worst.items(), key=lambda item: (item[1].history.plainness, item[0]))


def _listed(scripts: Mapping[str, str]) -> list[str]:
    return [f"  {shape}: {script}" for shape, script in scripts.items()]


def coverage(found: Found, depth: int) -> str:
    """Write how many histories there were, and what became of them."""
    faults = counted(depth, "fault")
    parts = [f"explored up to {faults}: {grouped(found.runs)} {'history' if found.runs == 1 else 'histories'} run"]
    if found.left_out:
        reasons = ", ".join(f"{reason} {grouped(count)}" for reason, count in sorted(found.left_out.items()))
        parts.append(f"{grouped(found.left_out.total())} left out as equivalent ({reasons})")
    if found.missed:
        parts.append(f"{grouped(found.missed)} in which the fault had nothing to strike")
    if found.untried:
        parts.append(f"{grouped(found.untried)} later switches not tried")
    if found.is_cut:
        more = f"{grouped(found.cut)} more and what grows from them" if found.cut else "the others"
        parts.append(f"{more} cut off")
    return ", ".join(parts)


def drawn(found: Found, examples: int) -> str:
    """Write how much Hypothesis drew, and how many histories that came to."""
    runs = f"{grouped(found.runs)} {'history' if found.runs == 1 else 'histories'} run"
    missed = f", {grouped(found.missed)} in which the fault had nothing to strike" if found.missed else ""
    return f"drew {counted(examples, 'example')}: {runs}{missed}"


def without_fault(root: Played) -> str | None:
    """Write why there is nothing to search for, if so: the run without a fault fails, or makes no request."""
    if root.breaches:
        return "\n\n".join(["the test fails without any fault:", *(one.text for one in root.breaches.values())])
    if not root.attempts:
        return "cannot tell: the test makes no request, so there is nothing that a fault could strike"
    return None


def never_struck(scripts: Sequence[Script]) -> str:
    """Write which scripts of ``also=`` found nothing to strike."""
    rule = "Take out what the code never comes to, or say strict=False where it may be left over"
    return "\n".join(
        [f"cannot tell: not every fault of also= met an attempt. {rule}", *(f"  {one}" for one in scripts)]
    )


def other_verdict(before: Played, now: Played) -> str:
    """Write how the same run was judged in two ways."""
    first, second = (", ".join(sorted(played.breaches)) or "nothing" for played in (before, now))
    return f"under {before.history} it broke {first} once and {second} the next time, having sent the same"


def unsteady(what: str) -> str:
    """Write that the code is not the same each time."""
    return f"cannot tell: {what}\n{_OUTSIDE}"


def died(left: Left) -> str:
    """Write what a search was running when its process died, and what it had found."""
    never_ended = "cannot tell: the search of this test before this one never came to its end"
    lines = [
        f"{never_ended}: its process died, or was killed, in the middle of",
        f"  again {left.marker}",
        *_found_before(left),
        "This is said once: the next run searches from the beginning",
    ]
    return "\n".join(lines)


def died_in(left: Left) -> str:
    """Write the same of a worker of pytest-xdist that died in this run, to stand behind what pytest says of it."""
    return "\n".join([f", in the middle of {left.marker}", *_found_before(left)])


def _found_before(left: Left) -> list[str]:
    return ["Before that it had found", *_listed(left.found)] if left.found else []


def out_of_time(said: str, history: History, marker: str, so_far: str) -> str:
    """Write in what a test ran out of time, and what was found before."""
    return f"cannot tell: {said}, in the middle of {history}\n  again {marker}\n\n{so_far}"


def not_the_same(error: NotTheSameError) -> str:
    """Write where a client did something else after the same history."""
    number = error.index
    before, now = (_at(played, number) for played in (error.before, error.now))
    return (
        f"cannot tell: after the same faults the code did something else at attempt {number}, so that no search of it "
        f"proves anything\n  under {error.before.history}: {before}\n  under {error.now.history}: {now}\n{_OUTSIDE}"
    )


def _parting(played: Played, near: Played) -> str:
    index = parted(played, near, max(len(played.attempts), len(near.attempts)))
    if index is None:
        return "sent the same, and broke nothing"
    return f"{f'the same up to attempt {index - 1}; then ' if index > 1 else ''}{_at(near, index)}"


def _at(played: Played, number: int) -> str:
    if number > len(played.attempts):
        return "nothing more was sent"
    return _sent(played.attempts[number - 1])


def _sent(attempt: Attempt) -> str:
    what = f"{attempt.method} {attempt.target}" if attempt.method else f"a connection to {attempt.host}"
    return f"{moment(attempt.began_ns)} {redact.current().text(what)}"
