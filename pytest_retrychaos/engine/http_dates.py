"""HTTP dates (RFC 9110, 5.6.7): read in all three forms, written in the one for senders.

Always GMT and always English, whatever the time zone and locale of the machine.
"""

from __future__ import annotations

import math
import re
from datetime import date

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EPOCH = date(1970, 1, 1).toordinal()

_SHORT_DAY = "(?:" + "|".join(day[:3] for day in DAYS) + ")"
_LONG_DAY = "(?:" + "|".join(DAYS) + ")"
_MONTH = "(?P<month>" + "|".join(MONTHS) + ")"
_CLOCK = "(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
_FORMS = (
    re.compile(rf"{_SHORT_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"),
    re.compile(rf"{_SHORT_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
)
"""IMF-fixdate, RFC 850 and asctime, in this order."""


def parse_http_date(text: str, *, now: float) -> int | None:
    """Read an HTTP date (RFC 9110, 5.6.7) as epoch seconds; ``None`` where it is none.

    A two-digit year is the latest one that is at most 50 years ahead of ``now``. The day's name has to be a
    day's name; whether it is the right one is not looked at, as in most readers.
    """
    for form in _FORMS:
        match = form.fullmatch(text)
        if match:
            year = match["year"]
            years = [int(year)] if len(year) == 4 else _full_years(int(year), now)
            return next((at for at in (_moment(match, one, now) for one in years) if at is not None), None)
    return None


def http_date(at: float) -> str:
    """Write a moment as an IMF-fixdate, the form that RFC 9110 asks senders for; part seconds are dropped.

    ``ValueError`` or `OverflowError` outside the years 1 to 9999.
    """
    days, rest = divmod(math.floor(at), 86_400)
    day = date.fromordinal(EPOCH + days)
    name, month = DAYS[day.weekday()][:3], MONTHS[day.month - 1]
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{name}, {day.day:02} {month} {day.year:04} {clock} GMT"


def _full_years(digits: int, now: float) -> list[int]:
    this = _today(now).year
    century = this - this % 100
    return [century + 100 + digits, century + digits, century - 100 + digits]


def _today(now: float) -> date:
    day = EPOCH + math.floor(now) // 86_400
    return date.fromordinal(min(max(day, date.min.toordinal()), date.max.toordinal()))


def _moment(match: re.Match[str], year: int, now: float) -> int | None:
    """Count epoch seconds; ``None`` for no day of the calendar, or a short year over 50 years ahead."""
    month, day = MONTHS.index(match["month"]) + 1, int(match["day"])
    clock = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    if len(match["year"]) == 2:
        today = _today(now)
        passed = math.floor(now) % 86_400
        if (year, month, day, clock) > (today.year + 50, today.month, today.day, passed):
            return None
    try:
        ordinal = date(year, month, day).toordinal()
    except ValueError:
        return None
    return (ordinal - EPOCH) * 86_400 + clock
