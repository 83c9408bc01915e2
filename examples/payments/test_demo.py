"""`make demo` shows what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).with_name("demo.py")

SHOWN = """\
The right client (examples/payments/client.py) charges a card on a bad day

   script    503 retry-after=90, reset after-commit, timeout, 429 retry-after=date+2m, ok
   attempts  5
   charges   1
   laws      11 held, 0 broken
   waits     90.07 s, 0.85 s, 1.53 s, 120.58 s
   time      223.0 s for the client, … ms for you

A wrong client (new_key_per_attempt in examples/payments/wrong.py) loses one response

   it says   succeeded
   charges   2

   ID02, ID04 broken: 2 findings

   ID02 key not kept: POST /payments was sent again with another key
     t+0.00s  #1  POST /payments  key K1   committed, then the response was lost   (reset after-commit)
     t+1.00s  #2  POST /payments  key K2   201, committed                          ◄ another key
     why   the service knows a retry by its key: under another one it is a new payment
     fix   make one key per operation, outside the retry loop, and send it on every attempt
"""


def test_the_demo_shows_the_right_client_and_the_wrong_one():
    """It ends well, says nothing on stderr, and tells what to do next."""
    run = subprocess.run(
        [sys.executable, str(DEMO)], capture_output=True, encoding="utf-8", check=False, cwd=DEMO.parents[2]
    )
    shown = re.sub(r"\d+ ms", "… ms", run.stdout)

    assert (run.returncode, run.stderr) == (0, "")
    assert shown.startswith(SHOWN)
    assert "\nWhat next\n\n   write a test   def test_charge(chaos):\n" in shown
