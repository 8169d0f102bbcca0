"""When something was asked, in the forms in which rows say it."""
from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

FIRST = datetime.min.replace(tzinfo=timezone.utc)
FORMS = "2026-03-01, 2026-03-01T12:30:00Z, or seconds since 1970"
_DAY = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")  # as seconds, all of these were in the summer of 1970
# Read here and not by `datetime.fromisoformat`, which knows other forms in each version of Python.
_ISO = re.compile(
    r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})"
    r"(?:[Tt ]([0-9]{2})(?:(:?)([0-9]{2})(?:\6([0-9]{2})(?:[.,]([0-9]+))?)?)?"
    r" ?(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)


def seconds(text: str) -> float | None:
    """Seconds since the year 1; a time without a zone is taken as UTC. None where it is no time."""
    text = text.strip()
    if day := _DAY.fullmatch(text):
        text = "-".join(day.groups())
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    try:
        if math.isfinite(number):
            found = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=number)
        else:
            found = _read(text)
    except (ValueError, OverflowError):
        return None
    return (found - FIRST).total_seconds()


def _read(text: str) -> datetime:
    """A day, with the time of it and a zone where these are said; digits behind a microsecond are cut off."""
    parts = _ISO.fullmatch(text)
    if parts is None:
        raise ValueError
    year, _, month, day, hour, _, minute, second, fraction, _, sign, hours, minutes = parts.groups()
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if int(minutes or 0) > 59:
        raise ValueError
    micro = int(f"{fraction or 0:0<6}"[:6])
    zone = timezone(-ahead if sign == "-" else ahead)
    return datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro, zone)
