"""When something was asked, in the forms in which rows say it."""
from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

FIRST = datetime.min.replace(tzinfo=timezone.utc)
FORMS = "2026-03-01, 2026-03-01T12:30:00Z, or seconds since 1970"
_DAY = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")  # as seconds, all of these were in the summer of 1970


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
            found = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "zZ" else text)
    except (ValueError, OverflowError):
        return None
    return ((found if found.tzinfo else found.replace(tzinfo=timezone.utc)) - FIRST).total_seconds()
