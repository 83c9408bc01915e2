"""What each library is expected to do: every cell that is not ``yes``. The tests run each of them.

Behaviour seen, in the versions that the document names; where a library changes, its cell changes here.
"""

from __future__ import annotations

RETRYING: dict[str, dict[str, str]] = {
    "ours": {
        "posts_once": "no: done 2 times",
    },
    "ours in a client": {},
    "tenacity": {
        "leaves_400": "no: 4 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 1 s",
        "obeys_date": "no: comes after 1 s",
        "obeys_milliseconds": "no: comes after 1 s",
        "raises_the_last_error": "no: RetryError",
        "ends_in_time_while_waiting_for_answers": "no: 17 s of 10",
    },
    "stamina": {
        "leaves_400": "no: 4 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 1 s",
        "obeys_date": "no: comes after 1 s",
        "obeys_milliseconds": "no: comes after 1 s",
        "ends_in_time": "no: 15 s of 10",
        "ends_in_time_while_waiting_for_answers": "no: 17 s of 10",
    },
    "backoff": {
        "leaves_400": "no: 4 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 1 s",
        "obeys_date": "no: comes after 1 s",
        "obeys_milliseconds": "no: comes after 1 s",
        "ends_in_time_while_waiting_for_answers": "no: 26 s of 10",
    },
    "backoffs": {
        "leaves_400": "no: 4 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 1 s",
        "obeys_date": "no: comes after 1 s",
        "obeys_milliseconds": "no: comes after 1 s",
        "raises_the_last_error": "no: RetryError",
        "ends_in_time_while_waiting_for_answers": "no: 17 s of 10",
    },
    "google-api-core": {
        "leaves_400": "no: 5 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes within a second",
        "obeys_date": "no: comes within a second",
        "obeys_milliseconds": "no: comes within a second",
        "raises_the_last_error": "no: RetryError",
        "ends_in_time_while_waiting_for_answers": "no: 17 s of 10",
    },
    "hyx": {
        "leaves_400": "no: 4 attempts",
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 1 s",
        "obeys_date": "no: comes after 1 s",
        "obeys_milliseconds": "no: comes after 1 s",
        "ends_in_time": "–",
        "ends_in_time_while_waiting_for_answers": "–",
        "raises_the_last_error": "no: MaxAttemptsExceeded",
    },
    "urllib3": {
        "waits_before_every_retry": "no: waits 0, 2, 4 s",
        "obeys_milliseconds": "no: comes at once",
        "survives_malformed": "no: InvalidHeader after 1",
        "survives_negative": "no: InvalidHeader after 1",
        "ends_in_time": "–",
        "ends_in_time_while_waiting_for_answers": "–",
        "raises_the_last_error": "no: MaxRetryError",
        "is_cancelled": "–",
        "goes_on": "no: RecursionError",
    },
    "httpx-retries": {
        "obeys_milliseconds": "no: comes after 2 s",
        "ends_in_time_while_waiting_for_answers": "no: 42 s of 10",
        "goes_on": "no: OverflowError",
    },
    "aiohttp-retry": {
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes after 2 s",
        "obeys_date": "no: comes after 2 s",
        "obeys_milliseconds": "no: comes after 2 s",
        "stays_under_the_cap": "no: waits longer",
        "ends_in_time": "–",
        "ends_in_time_while_waiting_for_answers": "–",
        "goes_on": "no: OverflowError",
    },
    "httpware": {
        "obeys_milliseconds": "no: comes within a second",
        "ends_in_time": "–",
        "ends_in_time_while_waiting_for_answers": "–",
    },
    "botocore": {
        "posts_once": "no: done 2 times",
        "obeys_seconds": "no: comes within a second",
        "obeys_date": "no: comes within a second",
        "obeys_milliseconds": "no: comes within a second",
        "stays_under_the_cap": "–",
        "ends_in_time": "–",
        "ends_in_time_while_waiting_for_answers": "–",
        "is_cancelled": "–",
        "goes_on": "–",
    },
}
"""By engine and row of `retrying`."""

BREAKING: dict[str, dict[str, str]] = {
    "ours": {},
    "ours, async": {},
    "pybreaker": {
        "raises_the_error_that_opens": "no: its own",
        "tells_when": "no: does not say",
        "runs_calls_side_by_side": "no: one after the other",
        "raises_the_probes_error": "no: its own",
        "gives_a_cancelled_place_back": "no: opens",
        "gives_a_lost_place_back": "no: waits for it",
        "leaves_late_successes": "–",
        "leaves_late_failures": "–",
    },
    "circuitbreaker": {
        "probes_one_at_a_time": "no: 5 of 5 at once",
        "gives_a_cancelled_place_back": "no: closes",
        "leaves_late_successes": "no: closes",
        "leaves_late_failures": "no: opens",
        "gives_a_lost_place_back": "–",
    },
    "purgatory": {
        "tells_when": "no: does not say",
        "probes_one_at_a_time": "no: 5 of 5 at once",
        "gives_a_cancelled_place_back": "no: opens",
        "leaves_late_failures": "no: opens",
        "gives_a_lost_place_back": "–",
    },
    "purgatory, async": {
        "tells_when": "no: does not say",
        "probes_one_at_a_time": "no: 5 of 5 at once",
        "gives_a_cancelled_place_back": "no: opens",
        "leaves_late_failures": "no: opens",
        "gives_a_lost_place_back": "–",
    },
    "aiobreaker": {
        "raises_the_error_that_opens": "no: its own",
        "tells_when": "no: TypeError",
        "raises_the_probes_error": "no: its own",
        "probes_one_at_a_time": "no: 5 of 5 at once",
        "gives_a_cancelled_place_back": "no: opens",
        "leaves_late_failures": "no: opens",
        "gives_a_lost_place_back": "–",
    },
    "hyx": {
        "tells_when": "no: does not say",
        "probes_one_at_a_time": "no: 5 of 5 at once",
        "leaves_late_failures": "no: opens",
        "gives_a_lost_place_back": "–",
    },
    "httpware": {
        "gives_a_lost_place_back": "no: refuses meanwhile",
    },
}
"""By breaker and row of `breaking`."""
