"""Whether a JSON body came again with its values spelled otherwise: 10 as 10.0, true as 1.

Python takes those for equal, a service that compares payloads may not: it refuses the retry, or takes another amount.
The order of fields and the space between them are no difference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_retrychaos.packing import said
from pytest_retrychaos.volatile import without_numbers, without_volatile

if TYPE_CHECKING:
    from pytest_retrychaos.trace import Attempt


def is_respelled(before: Attempt, again: Attempt) -> bool:
    """Tell whether two JSON bodies differ in a value, volatile fields aside; not where one is cut or no JSON."""
    if before.body.sha256 == again.body.sha256:
        return False
    first, second = _spelled(before), _spelled(again)
    return None not in (first, second) and first != second


def _spelled(attempt: Attempt) -> str | None:
    if not attempt.body.is_whole:
        return None
    try:
        value = without_numbers(json.loads(said(attempt.body.start, attempt.headers)))
    except (ValueError, RecursionError):
        return None
    return json.dumps(without_volatile(value) if isinstance(value, dict) else value, sort_keys=True)
