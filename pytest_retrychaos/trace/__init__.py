"""The record of one run: attempts, the operations they belong to, scopes, scripts and effects.

Laws of this package:
1. A trace is a value. Everything a law needs stands in it.
2. ``numbered()`` replaces keys, credentials and other volatile values by numbers of first appearance (K1, C1,
   V1). What remains depends on no machine, hour, process, address or random number: the same seed gives the
   same bytes of JSON. Equal values stay equal and different ones different, so laws judge both alike.
3. ``shown()`` also hides secrets, and is what is printed and written: ``Trace.from_json(trace.to_json()) ==
   trace.shown()``. A verdict can be reached anywhere; only the marks of secrets in texts differ from run to run.
4. Times are integer nanoseconds of virtual time since the run began.
"""

from pytest_retrychaos.trace.trace import FORMAT, Trace
from pytest_retrychaos.trace.values import (
    NO_BODY,
    RESOLUTION_NS,
    WHOLE,
    Attempt,
    Body,
    HerdRecord,
    Lineage,
    Operation,
    Option,
    Raised,
    Scope,
    ScriptRecord,
    ScriptStep,
    Stall,
    Told,
)
from pytest_retrychaos.trace.waits import waits

__all__ = [
    "FORMAT",
    "NO_BODY",
    "RESOLUTION_NS",
    "WHOLE",
    "Attempt",
    "Body",
    "HerdRecord",
    "Lineage",
    "Operation",
    "Option",
    "Raised",
    "Scope",
    "ScriptRecord",
    "ScriptStep",
    "Stall",
    "Told",
    "Trace",
    "waits",
]
