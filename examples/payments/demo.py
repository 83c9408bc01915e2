"""Show the main job: ``make demo``, or ``python examples/payments/demo.py``."""

from __future__ import annotations

import textwrap
import time

from client import PaymentClient
from wrong import new_key_per_attempt

from pytest_retrychaos import Chaos, LawsBroken

BAD_DAY = "503 retry-after=90, reset after-commit, timeout, 429 retry-after=date+2m, ok"
LOST = "reset after-commit, ok"

NEXT = """\
   write a test   def test_charge(chaos):
                      chaos.script("reset after-commit, ok")
                      YourClient(chaos.url).charge(amount=1000, currency="USD")
                      chaos.verify()
   read           README.md, docs/laws.md
   look           examples/payments/: the right client, the wrong ones, and the tests that tell them apart
"""


def main() -> None:
    """Put the right client through a bad day, then a wrong one through one lost response."""
    charge("ok")  # the first run pays for imports; it would blur the times below
    show_right()
    show_wrong()
    print("What next\n")
    print(NEXT, end="")


def charge(script: str) -> Chaos:
    """Let the right client charge once under a script; it is judged by every law."""
    with Chaos(script, seed=1) as chaos:
        PaymentClient(chaos.url).charge(amount=1000, currency="USD")
        chaos.verify()
    return chaos


def show_right() -> None:
    """Print what the right client went through, and how long that took."""
    print("The right client (examples/payments/client.py) charges a card on a bad day\n")
    print(f"   script    {BAD_DAY}")
    began = time.perf_counter()
    chaos = charge(BAD_DAY)
    spent = time.perf_counter() - began
    print(f"   attempts  {len(chaos.attempts)}")
    print(f"   charges   {len(chaos.ledger)}")
    print(f"   laws      {len(chaos.verdict.held)} held, {len(chaos.verdict.broken)} broken")
    print(f"   waits     {', '.join(f'{wait:.2f} s' for wait in chaos.waits)}")
    print(f"   time      {chaos.clock.elapsed:.1f} s for the client, {spent * 1000:.0f} ms for you\n")


def show_wrong() -> None:
    """Print what a client that makes a new key for each attempt does when a response is lost."""
    print("A wrong client (new_key_per_attempt in examples/payments/wrong.py) loses one response\n")
    with Chaos(LOST, seed=1) as chaos:
        payment = new_key_per_attempt(chaos.url, amount=1000, currency="USD")
        print(f"   it says   {payment['status']}")
        print(f"   charges   {len(chaos.ledger)}\n")
        try:
            chaos.verify()
        except LawsBroken as broken:
            print(textwrap.indent(str(broken), "   "), end="\n\n")


if __name__ == "__main__":
    main()
